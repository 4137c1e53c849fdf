"""Answers -> the numbers of a robustness page: changes, the curve over stated criteria, what is followed, subgroups.

Shapes: s seeds, q queries. All shares lie in [0, 1]. Intervals are 95 % two-level bootstraps (statistics.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.evaluation import Floats, macro
from benchmark.report.following import STATED, TRUE
from benchmark.report.robustness.answers import CANONICAL, Answers
from benchmark.statistics import paired_interval, two_level_interval

DRAWS = 2_000
FEW = 20
"""Subgroups with fewer queries are marked."""
NO_TEXT = "none"


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """Macro mAP under a condition, and its difference to the canonical one, over the seeds and queries of both."""

    condition: str
    macro: Estimate
    difference: Estimate
    seeds: int
    queries: int


@dataclass(frozen=True)
class Point:
    """One point of the curve: macro mAP of each seed (s,) under ``condition``, which states ``stated`` criteria."""

    stated: int
    condition: str
    macro: Floats


@dataclass(frozen=True)
class Following:
    """What the first ten show where one criterion is stated falsely, each minus the same under the canonical text:
    ``stated`` the value that the words claim, ``true`` that of the picture. ``before`` and ``after`` are the shares
    themselves, ``macro`` the change in macro mAP.
    """

    stated: Estimate
    true: Estimate
    macro: Estimate
    before: tuple[float, float]
    after: tuple[float, float]
    queries: int


@dataclass(frozen=True)
class Subgroup:
    """Macro mAP of the queries that share a value. ``strata`` counts the groups that it is a mean over, and
    ``expected`` is that of all queries over the same groups: a subgroup without the hardest group looks easy. Few
    queries have no interval (NaN): a group with one query has no spread, and would make a narrow one of ignorance.
    """

    key: str
    value: str
    queries: int
    strata: int
    macro: Estimate
    expected: float

    @property
    def few(self) -> bool:
        """Whether there are too few queries to say much."""
        return self.queries < FEW


def macro_estimate(answers: Answers) -> Estimate:
    """Return macro mAP of all seeds and queries."""
    return _estimate(answers.values["AP"], answers.strata, answers.units)


def change(canonical: Answers, other: Answers) -> Change | None:
    """Compare ``other`` with ``canonical``, seed by seed and query by query; None where they share none."""
    pair = _paired(canonical, other, "AP")
    if pair is None:
        return None
    before, after, rows = pair
    strata, units = canonical.strata[rows], _of(canonical.units, rows)
    difference = _difference(after - before, strata, units)
    return Change(other.condition, _estimate(after, strata, units), difference, *before.shape)


def curve(conditions: Mapping[str, Answers], criteria: int) -> list[Point]:
    """Return a point for none (0), every ``partial:K`` and the canonical text (``criteria``), in that order; nothing
    where it is not known how many criteria there are (0).
    """
    if not criteria:
        return []
    places = {NO_TEXT: 0, **{f"partial:{k}": k for k in range(1, criteria)}, CANONICAL: criteria}
    found = [(place, name, conditions[name]) for name, place in places.items() if name in conditions]
    return [
        Point(place, name, np.array([macro(ap, one.strata) for ap in one.values["AP"]])) for place, name, one in found
    ]


def following(canonical: Answers, contradicting: Answers) -> Following | None:
    """Return what rankings follow where the text contradicts the picture; None where the shares are not stored."""
    pairs = {name: _paired(canonical, contradicting, name) for name in (STATED, TRUE, "AP")}
    if any(pair is None for pair in pairs.values()):
        return None
    before, after, differences = {}, {}, {}
    for name, pair in pairs.items():
        assert pair is not None
        first, second, rows = pair
        # The shares are about a criterion, not about a group: every query counts the same.
        weights = canonical.strata[rows] if name == "AP" else np.zeros(len(rows))
        before[name], after[name] = float(np.nanmean(first)), float(np.nanmean(second))
        differences[name] = _difference(second - first, weights, _of(canonical.units, rows))
    told = int((~np.isnan(contradicting.values[STATED])).all(axis=0).sum())
    return Following(
        differences[STATED], differences[TRUE], differences["AP"],
        (before[STATED], before[TRUE]), (after[STATED], after[TRUE]), told,
    )  # fmt: skip


def subgroups(answers: Answers, key: str) -> list[Subgroup]:
    """Break macro mAP down by the values of ``key``, most queries first. Values without a query that can be judged are
    left out.
    """
    values, precision = np.array(answers.subgroups[key], dtype=object), answers.values["AP"]
    judged = ~np.isnan(precision).all(axis=0)
    found = []
    for value in dict.fromkeys(values.tolist()):
        members = values == value
        inside = members & judged
        if not inside.any():
            continue
        strata = np.unique(answers.strata[inside])
        alike = judged & np.isin(answers.strata, strata)
        expected = macro(precision[:, alike].mean(axis=0), answers.strata[alike])
        found.append(Subgroup(key, value, int(members.sum()), len(strata), _inside(answers, members), expected))
    return sorted(found, key=lambda one: (-one.queries, one.value))


def _inside(answers: Answers, members: NDArray[np.bool_]) -> Estimate:
    values, rows = answers.values["AP"][:, members], np.flatnonzero(members)
    if len(rows) < FEW:
        return Estimate(macro(values.mean(axis=0), answers.strata[members]), np.nan, np.nan)
    return _estimate(values, answers.strata[members], _of(answers.units, rows))


def _paired(first: Answers, second: Answers, metric: str) -> tuple[Floats, Floats, NDArray[np.intp]] | None:
    """Return the values (s, q) of both over the seeds and queries that they share, and the queries' places in ``first``
    (q,).
    """
    if metric not in first.values or metric not in second.values:
        return None
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    place = {query: position for position, query in enumerate(second.queries)}
    rows = np.array([position for position, query in enumerate(first.queries) if query in place], dtype=np.intp)
    if not seeds or not len(rows):
        return None
    others = [place[first.queries[row]] for row in rows]
    before = first.values[metric][[first.seeds.index(seed) for seed in seeds]][:, rows]
    after = second.values[metric][[second.seeds.index(seed) for seed in seeds]][:, others]
    return None if np.isnan(after - before).all() else (before, after, rows)


def _of(units: Sequence[str] | None, rows: NDArray[np.intp]) -> list[str] | None:
    return None if units is None else [units[row] for row in rows]


def _estimate(values: Floats, strata: ArrayLike, units: Sequence[str] | None) -> Estimate:
    low, high = two_level_interval(values, strata, draws=DRAWS, units=units)
    return Estimate(macro(values.mean(axis=0), strata), low, high)


def _difference(values: Floats, strata: NDArray[Any], units: Sequence[str] | None) -> Estimate:
    # A query that can be judged in one of the two only says nothing of the difference.
    kept = np.flatnonzero(~np.isnan(values).any(axis=0))
    low, high = paired_interval(values[:, kept], strata[kept], draws=DRAWS, units=_of(units, kept))
    return Estimate(macro(values[:, kept].mean(axis=0), strata[kept]), low, high)
