"""Scores -> rankings, rankings -> metrics, and what chance would give.

Shapes: q queries, g gallery rows, k candidates of a query (g - 1 where its own case is excluded, else g), c criteria.

The conventions are those of trec_eval: candidates with a gain above 0 are relevant; precision at a depth divides by
that depth even where there are fewer candidates; a query without any relevant candidate can't be judged, so all its
values are NaN and every mean leaves it out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # the protocol imports torch through the interfaces; reading rankings needs none
    from benchmark.protocol import Judgments

Floats = NDArray[np.float64]
DEPTH = 10
MOST_CANDIDATES = np.iinfo(np.uint16).max


# ------------------------------------------------------------------------------------------------ rankings


def rank(scores: ArrayLike, judgments: Judgments) -> NDArray[np.uint16]:
    """Return the gallery rows (q, k) of each query, best first, from ``scores`` (q, g).

    A query's own case is removed by its identity, wherever its score puts it. Equal scores are ordered by a random
    permutation seeded with the query id. Raises ``ValueError`` for scores of another shape, scores that are not
    finite, more than 65,535 candidates, and judgments that exclude an own case for some queries only.
    """
    values = np.asarray(scores, dtype=np.float64)
    gallery = len(judgments.gallery_ids)
    if values.shape != (len(judgments.query_ids), gallery):
        raise ValueError(f"scores are {values.shape}, expected {(len(judgments.query_ids), gallery)}: queries, gallery")
    count = candidate_count(judgments)
    if count > MOST_CANDIDATES:
        raise ValueError(f"{count:,} candidates a query; rankings are stored as uint16, so at most {MOST_CANDIDATES:,}")
    _check_finite(values, judgments.query_ids)
    ranking = np.empty((len(values), count), dtype=np.uint16)
    for row, (query_id, own) in enumerate(zip(judgments.query_ids, judgments.excluded, strict=True)):
        order = np.lexsort((_tie_keys(query_id, gallery), -values[row]))
        ranking[row] = order[order != own]
    return ranking


def _tie_keys(query_id: str, count: int) -> NDArray[np.uint64]:
    # The raw stream of a bit generator is what numpy keeps stable across versions and platforms; hash() is salted.
    # Row j gets the j-th number, so that candidates added to the gallery leave the order of the others alone.
    seed = int.from_bytes(hashlib.sha256(query_id.encode()).digest(), "big")
    return np.random.PCG64(seed).random_raw(count)


def _check_finite(scores: Floats, query_ids: tuple[str, ...] | None = None) -> None:
    bad = ~np.isfinite(scores)
    if bad.any():
        row = int(bad.any(axis=1).argmax())
        where = f"query {query_ids[row]!r}" if query_ids else f"row {row}"
        raise ValueError(f"{int(bad.sum()):,} of {scores.size:,} scores are NaN or infinite, first in {where}")


def candidate_count(judgments: Judgments) -> int:
    """Return k, the number of candidates that every query has.

    Raises ``ValueError`` where only some of the queries have their own case in the gallery.
    """
    own = judgments.excluded >= 0
    if own.any() and not own.all():
        raise ValueError(f"the own case is excluded for {int(own.sum())} of {len(own)} queries; it must be all or none")
    return len(judgments.gallery_ids) - int(own.any())


def candidate_mask(judgments: Judgments) -> NDArray[np.bool_]:
    """Return (q, g): True for every pair but a query and its own case."""
    return np.arange(len(judgments.gallery_ids)) != judgments.excluded[:, None]


# ------------------------------------------------------------------------------------------------ metrics


def per_query(ranking: NDArray[np.uint16], judgments: Judgments) -> dict[str, Floats]:
    """Return each metric (q,) of full rankings (q, k), e.g. ``{"AP": ..., "nDCG@10": ..., "P@1": ...}``.

    nDCG has linear gains, the discount 1 / log2(1 + rank), and the ideal order of *all* candidates. Where the
    judgments name a critical group, queries of that stratum also get ``missed <name>@10`` (1 if the group is absent
    from the top 10) and ``hard negatives@10`` (share of the top 10 that is its lookalike); other queries get NaN.
    Raises ``ValueError`` unless each row holds every candidate of its query once.
    """
    _check_ranking(ranking, judgments)
    gains = np.take_along_axis(judgments.gains, ranking.astype(np.intp), axis=1)
    relevant = gains > 0
    total = relevant.sum(axis=1)
    found = relevant[:, :DEPTH].sum(axis=1)
    places = np.arange(1, gains.shape[1] + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "AP": average_precision(relevant),
            "nDCG@10": _dcg(gains) / _dcg(np.sort(gains, axis=1, kind="stable")[:, ::-1]),
            "P@1": relevant[:, :1].sum(axis=1) / 1,
            "P@5": relevant[:, :5].sum(axis=1) / 5,
            "P@10": found / DEPTH,
            "Recall@10": found / total,
            "Hit@10": (found > 0).astype(np.float64),
            "MRR": (relevant / places).max(axis=1, initial=0.0),
        }
    if judgments.critical is not None:
        groups = judgments.gallery_groups[ranking[:, :DEPTH]]
        hard = (groups == judgments.lookalike).sum(axis=1) / DEPTH
        values |= _safety((groups != judgments.critical).all(axis=1), hard, judgments)
    return {name: np.where(total > 0, value, np.nan) for name, value in values.items()}


def average_precision(relevant: NDArray[np.bool_]) -> Floats:
    """Return AP (q,) from ``relevant`` (q, k) in ranking order; NaN where nothing is relevant."""
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    with np.errstate(invalid="ignore"):
        return (precision * relevant).sum(axis=1) / relevant.sum(axis=1)


def _safety(missed: ArrayLike, hard: ArrayLike, judgments: Judgments) -> dict[str, Floats]:
    of_critical = judgments.strata == judgments.critical
    values = {f"missed {judgments.critical_name}@{DEPTH}": np.where(of_critical, missed, np.nan)}
    if judgments.lookalike is not None:
        values[f"hard negatives@{DEPTH}"] = np.where(of_critical, hard, np.nan)
    return values


def _check_ranking(ranking: NDArray[np.uint16], judgments: Judgments) -> None:
    mask = candidate_mask(judgments)
    expected = (len(mask), candidate_count(judgments))
    if ranking.shape != expected:
        raise ValueError(f"the ranking is {ranking.shape}, but every candidate must be ranked: {expected}")
    seen = np.zeros_like(mask)
    if ranking.size and ranking.max() < mask.shape[1]:
        np.put_along_axis(seen, ranking.astype(np.intp), True, axis=1)
    wrong = (seen != mask).any(axis=1)
    if wrong.any():
        first = judgments.query_ids[int(wrong.argmax())]
        raise ValueError(f"{int(wrong.sum())} rankings do not hold each candidate once, first that of query {first!r}")


def _discounts(count: int) -> Floats:
    return 1 / np.log2(np.arange(2, min(DEPTH, count) + 2))


def _dcg(gains: NDArray[np.uint8]) -> Floats:
    return gains[:, :DEPTH] @ _discounts(gains.shape[1])


# ------------------------------------------------------------------------------------------------ means


def macro_weights(strata: ArrayLike) -> Floats:
    """Return (q,) weights 1 / (S n_stratum): the weighted sum is the mean over the S strata present of their means."""
    _, codes, counts = np.unique(np.asarray(strata), return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[codes])


def macro(values: ArrayLike, strata: ArrayLike) -> float:
    """Return the mean over strata of the mean of ``values`` (q,) in each; NaN values are left out.

    A stratum without any value does not count; where no stratum has one, the result is NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    kept = ~np.isnan(array)
    return float(array[kept] @ macro_weights(np.asarray(strata)[kept])) if kept.any() else float("nan")


def _mean(values: Floats) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def aggregate(values: Mapping[str, Floats], judgments: Judgments) -> dict[str, float]:
    """Return ``macro mAP``, ``mAP``, the mean of every other metric of ``per_query``, and ``AP[<stratum name>]``.

    Only strata with at least one query that can be judged have an ``AP[...]`` and count in the macro average.
    """
    precision = values["AP"]
    result = {"macro mAP": macro(precision, judgments.strata), "mAP": _mean(precision)}
    result |= {name: _mean(value) for name, value in values.items() if name != "AP"}
    for code in np.unique(judgments.strata[~np.isnan(precision)]):
        result[f"AP[{judgments.stratum_names[code]}]"] = _mean(precision[judgments.strata == code])
    return result


def validation_score(scores: ArrayLike, grades: ArrayLike, excluded: ArrayLike, strata: ArrayLike) -> float:
    """Return macro mAP of ``scores`` (q, g) under ``grades`` (q, g), for choosing a checkpoint.

    ``excluded`` (q,) is each query's own gallery row or -1; such a row goes last with gain 0, which leaves AP as if
    it were absent, so queries with and without one may mix. Ties fall in a fixed random order, lest a constant scorer
    profit from a sorted gallery. Raises ``ValueError`` for scores that are NaN or infinite.
    """
    values = np.array(scores, dtype=np.float64)
    _check_finite(values)
    allowed = np.arange(values.shape[1]) != np.asarray(excluded)[:, None]
    values[~allowed] = -np.inf
    ties = np.random.PCG64(0).random_raw(values.size).reshape(values.shape)
    order = np.lexsort((ties, -values), axis=-1)
    relevant = np.take_along_axis((np.asarray(grades) > 0) & allowed, order, axis=1)
    return macro(average_precision(relevant), strata)


# ------------------------------------------------------------------------------------------------ reference points


def chance(judgments: Judgments) -> dict[str, float]:
    """Return the expectation of every value of ``aggregate`` under a uniformly random ranking, in closed form.

    With n candidates of which r are relevant, E[AP] = (H_n + (n - H_n)(r - 1) / (n - 1)) / n, where H_n is the n-th
    harmonic number; hits in the top 10 are hypergeometric. Raises ``ValueError`` like ``candidate_count``.
    """
    n = candidate_count(judgments)
    mask = candidate_mask(judgments)
    gains = np.where(mask, judgments.gains, 0).astype(np.uint8)
    total = (gains > 0).sum(axis=1)
    absent = _absence(total, n)
    depth = min(DEPTH, n)
    ideal = _dcg(np.sort(gains, axis=1, kind="stable")[:, ::-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = total / n
        values = {
            "AP": _expected_ap(total, n),
            "nDCG@10": gains.sum(axis=1) / n * _discounts(n).sum() / ideal,
            "P@1": share * min(1, n) / 1,
            "P@5": share * min(5, n) / 5,
            "P@10": share * depth / DEPTH,
            "Recall@10": share * depth / total,
            "Hit@10": 1 - absent[:, depth],
            "MRR": (absent[:, :-1] - absent[:, 1:]) @ (1 / np.arange(1, n + 1)),
        }
        if judgments.critical is not None:
            groups = np.where(mask, judgments.gallery_groups, -1)
            missed = _absence((groups == judgments.critical).sum(axis=1), n)[:, depth]
            hard = (groups == judgments.lookalike).sum(axis=1) / n * depth / DEPTH
            values |= _safety(missed, hard, judgments)
    return aggregate({name: np.where(total > 0, value, np.nan) for name, value in values.items()}, judgments)


def _expected_ap(total: NDArray[np.int64], n: int) -> Floats:
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return (harmonic + (n - harmonic) * (total - 1) / max(n - 1, 1)) / n


def _absence(total: NDArray[np.int64], n: int) -> Floats:
    """Return (q, n + 1): the probability that none of the ``total`` (q,) is among the first 0, 1, ..., n of n."""
    kinds, inverse = np.unique(total, return_inverse=True)
    drawn = np.arange(n)
    survival = np.maximum(n - drawn - kinds[:, None], 0) / (n - drawn)
    return np.hstack([np.ones((len(kinds), 1)), survival.cumprod(axis=1)])[inverse]


def oracle_scores(query_criteria: ArrayLike, gallery_criteria: ArrayLike) -> Floats:
    """Return (q, g): how many criteria agree between ``query_criteria`` (q, c) and ``gallery_criteria`` (g, c).

    This reads the gallery's true labels, which no method sees: it is a reference point, shown apart from the methods.
    """
    queries, gallery = np.asarray(query_criteria), np.asarray(gallery_criteria)
    return (queries[:, None, :] == gallery[None, :, :]).sum(axis=2).astype(np.float64)
