"""Intervals and paired tests for macro mAP.

Shapes: s seeds, q queries, k comparisons, u units. A query that can't be judged is NaN in every seed and is left out.

Queries are independent unless ``units`` (q,) says which of them belong together, such as those of one reference image:
what is drawn or flipped is then the unit, with all of its queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.evaluation import Floats, macro_weights

CHUNK = 2_000
"""Draws held in memory at once: 2,000 x 400 queries x 8 bytes = 6 MB."""
TOLERANCE = 1e-12
"""Sums of the same numbers in another order differ by rounding; they count as equal."""
SEPARATE = 2.0
"""A difference of fewer standard errors is a tie (benchmark/README.md, "Choosing without looking")."""


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean; infinite for a single value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf")


def tie(differences: Sequence[float]) -> bool:
    """Whether the mean of paired differences is within two of its standard errors of zero."""
    mean = abs(float(np.mean(differences)))
    return mean == 0 or mean < SEPARATE * standard_error(differences)


def two_level_interval(
    ap: ArrayLike,
    strata: ArrayLike,
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    units: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of macro mAP from ``ap`` (s, q) and ``strata`` (q,).

    Each draw resamples the seeds and, within each stratum, the queries; or the units, whatever strata their queries are
    of. All drawn seeds share the drawn queries, since
    every seed answered the same ones: drawing them anew for each seed would average away their variance. The interval
    is conditional on the gallery. Raises ``ValueError`` for shapes that don't fit or NaN in some seeds only.
    """
    values, codes, owners = _judged(np.asarray(ap, dtype=np.float64)[None], strata, units)
    rng = np.random.default_rng(seed)
    if owners is None:
        chunks = [_bootstrap(values[0], codes, count, rng) for count in _chunk_sizes(draws)]
    else:
        chunks = [_bootstrap_units(values[0], codes, owners, count, rng) for count in _chunk_sizes(draws)]
    low, high = np.quantile(np.concatenate(chunks), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_interval(
    difference: ArrayLike,
    strata: ArrayLike,
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    units: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the two-level bootstrap interval of a difference in macro mAP.

    ``difference`` (s, q) is AP of one method minus AP of the other on the same seed and query, so what they share
    cancels. Macro mAP is linear in AP: the difference resamples like AP itself. Raises like ``two_level_interval``.
    """
    return two_level_interval(difference, strata, draws, seed, level, units)


def _bootstrap(values: Floats, codes: NDArray[np.intp], count: int, rng: np.random.Generator) -> Floats:
    seeds = len(values)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=count) / seeds @ values
    strata = np.unique(codes)
    statistic = np.zeros(count)
    for stratum in strata:
        members = np.flatnonzero(codes == stratum)
        drawn = members[rng.integers(len(members), size=(count, len(members)))]
        statistic += np.take_along_axis(of_seeds, drawn, axis=1).mean(axis=1) / len(strata)
    return statistic


def _bootstrap_units(
    values: Floats, codes: NDArray[np.intp], owners: NDArray[np.intp], count: int, rng: np.random.Generator
) -> Floats:
    """Draw seeds, and units with all of their queries. A stratum of which nothing was drawn is left out of the mean."""
    seeds, size = len(values), int(owners.max()) + 1
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=count) / seeds  # (draws, s)
    drawn = rng.multinomial(size, np.full(size, 1 / size), size=count)  # (draws, u)
    means = []
    for stratum in np.unique(codes):
        kept = codes == stratum
        sums = np.stack([np.bincount(owners[kept], seed[kept], minlength=size) for seed in values])  # (s, u)
        queries = drawn @ np.bincount(owners[kept], minlength=size)
        total = (of_seeds @ sums * drawn).sum(axis=1)
        means.append(np.divide(total, queries, out=np.full(count, np.nan), where=queries > 0))
    return np.asarray(np.nanmean(means, axis=0))


def sign_flip_p(difference: ArrayLike, strata: ArrayLike, draws: int = 100_000, seed: int = 0) -> float:
    """Return the two-sided p value of a difference in macro mAP, by sign flips per query.

    ``difference`` (s, q) is AP of one method minus AP of the other. The statistic is its mean over seeds, then within
    strata, then over strata. Under the null a query's difference is as likely to have either sign; all seeds of
    a query flip together. Raises ``ValueError`` like ``two_level_interval``.
    """
    return float(sign_flip_ps(np.asarray(difference)[None], strata, draws, seed)[0])


def sign_flip_ps(
    differences: ArrayLike, strata: ArrayLike, draws: int = 100_000, seed: int = 0, units: ArrayLike | None = None
) -> Floats:
    """Return ``sign_flip_p`` (k,) of each of ``differences`` (k, s, q), with the same signs for all of them."""
    values, codes, owners = _judged(np.asarray(differences, dtype=np.float64), strata, units)
    parts = (values.mean(axis=1) * macro_weights(codes)).T  # (q, k)
    if owners is not None:
        parts = np.stack([np.bincount(owners, column) for column in parts.T], axis=1)  # (u, k)
    observed = np.abs(parts.sum(axis=0)) - TOLERANCE
    rng = np.random.default_rng(seed)
    extreme = np.zeros(parts.shape[1], dtype=np.int64)
    for count in _chunk_sizes(draws):
        bits = np.unpackbits(rng.integers(256, size=(count, len(parts) // 8 + 1), dtype=np.uint8), axis=1)
        signs = bits[:, : len(parts)] * 2.0 - 1.0
        extreme += (np.abs(signs @ parts) >= observed).sum(axis=0)
    return (1 + extreme) / (1 + draws)


def holm(p_values: ArrayLike) -> Floats:
    """Return p values adjusted by Holm's step-down method (Holm 1979), in the order given, at most 1.

    Raises ``ValueError`` for a value outside [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"p values must lie in [0, 1], got {values.tolist()}")
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return adjusted


def wins(a: ArrayLike, b: ArrayLike) -> int:
    """Return in how many seeds ``a`` (s,) is strictly better (higher) than ``b`` (s,)."""
    left, right = np.asarray(a), np.asarray(b)
    if left.shape != right.shape:
        raise ValueError(f"the methods have results for {left.shape} and {right.shape} seeds; pair them by seed")
    return int((left > right).sum())


def _chunk_sizes(draws: int) -> list[int]:
    return [min(CHUNK, draws - start) for start in range(0, draws, CHUNK)]


def _judged(
    values: Floats, strata: ArrayLike, units: ArrayLike | None
) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp] | None]:
    """Return ``values`` (k, s, q), ``strata`` (q,) and ``units`` (q,), numbered from 0, without the queries that can't
    be judged; None for units where each query is one of its own.
    """
    codes = np.asarray(strata)
    if values.ndim != 3 or values.shape[2:] != codes.shape:
        raise ValueError(f"values are {values.shape[1:]} (seeds, queries), but strata are {codes.shape} (queries,)")
    missing = np.isnan(values)
    unjudged = missing.all(axis=(0, 1))
    if (missing.any(axis=(0, 1)) != unjudged).any():
        raise ValueError("a query is NaN for some seeds or comparisons only; it is judged for all of them or for none")
    if unjudged.all():
        raise ValueError("no query can be judged: every value is NaN")
    names, owners = np.unique(np.arange(len(codes)) if units is None else np.asarray(units), return_inverse=True)
    if len(names) == len(codes):
        return values[:, :, ~unjudged], codes[~unjudged], None
    owners = np.unique(owners[~unjudged], return_inverse=True)[1]
    return values[:, :, ~unjudged], codes[~unjudged], owners
