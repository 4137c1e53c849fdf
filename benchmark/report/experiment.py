"""An experiment as numbers: a line for each variant and method, and its difference to the base of its question.

What is averaged and paired are the folds of a cross-validation: macro mAP of each, the mean over its seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from benchmark.evaluation import aggregate
from benchmark.experiment import Manifest, Member
from benchmark.records import EvaluationRecord
from benchmark.report.table import Evaluated, measure, stale
from benchmark.statistics import standard_error, tie

LEAD, GRADED = "macro mAP", "nDCG@10"
Folds = Mapping[int, Mapping[str, float]]
"""Fold -> metric -> value."""
Verdict = Literal["base", "tie", "better", "worse"]


@dataclass(frozen=True)
class Line:
    """One row. ``folds`` and ``base`` map fold -> macro mAP, of its own and of what it is compared with (None where
    that has no result); ``graded`` and ``graded_base`` are the same of nDCG@10, which is
    NaN where an earlier version published the row without it. ``shared`` counts the queries that the base asks in the
    same fold.
    """

    member: Member
    record: EvaluationRecord
    folds: Mapping[int, float]
    base: Mapping[int, float] | None
    seeds: int
    queries: int
    changed: tuple[str, ...]
    graded: Mapping[int, float]
    graded_base: Mapping[int, float] | None
    shared: int | None = None

    @property
    def method(self) -> str:
        """The method's label, without options: the variant says what is set."""
        return self.record.method.row.partition(" [")[0]

    @property
    def mean(self) -> float:
        """Macro mAP, the mean over folds."""
        return float(np.mean(list(self.folds.values())))

    @property
    def error(self) -> float:
        """The standard error of the mean over folds."""
        return standard_error(list(self.folds.values()))

    @property
    def differences(self) -> list[float]:
        """Row minus base in each fold that both have."""
        return _paired(self.folds, self.base)

    @property
    def graded_differences(self) -> list[float]:
        """The same of nDCG@10."""
        return _paired(self.graded, self.graded_base)

    @property
    def verdict(self) -> Verdict | None:
        """What the difference says; None where there is nothing to compare with."""
        if self.member.base:
            return "base"
        if not self.differences:
            return None
        if tie(self.differences):
            return "tie"
        return "better" if np.mean(self.differences) > 0 else "worse"


@dataclass(frozen=True)
class Board:
    """The lines of an experiment by question, in the order of its file; ``missing`` names rows without a result, and
    ``evaluations`` are all that belong to it.
    """

    manifest: Manifest
    questions: Mapping[str, tuple[Line, ...]]
    missing: tuple[str, ...]
    evaluations: tuple[Evaluated, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of all questions."""
        return tuple(line for lines in self.questions.values() for line in lines)


def experiment_board(manifest: Manifest, evaluations: Sequence[Evaluated]) -> Board:
    """Return the numbers of an experiment from evaluations that hold, among others, its own.

    A row counts once all of its folds and seeds are there.

    Raises:
        UserError: a ranking or its judgments are damaged.
    """
    known = {one.record.key: one for one in evaluations}

    # Questions share rows, their bases above all.
    @cache
    def folds_of(keys: tuple[str, ...]) -> Folds:
        return _folds([known[key] for key in keys])

    questions: dict[str, list[Line]] = {}
    missing = []
    for member in manifest.members:
        lines = questions.setdefault(member.question, [])
        if _complete(member, known):
            lines.append(_line(manifest, member, known, folds_of))
        else:
            missing.append(f"{member.variant} ({member.method})")
    kept = {name: tuple(lines) for name, lines in questions.items() if lines}
    own = tuple(one for one in evaluations if one.record.key in manifest.keys)
    return Board(manifest, kept, tuple(missing), own)


def _complete(member: Member, known: Mapping[str, Evaluated]) -> bool:
    return bool(member.keys) and all(key in known for key in member.keys)


def _line(
    manifest: Manifest,
    member: Member,
    known: Mapping[str, Evaluated],
    folds_of: Callable[[tuple[str, ...]], Folds],
) -> Line:
    members, base = [known[key] for key in member.keys], manifest.base_of(member).keys
    own, other = folds_of(member.keys), folds_of(base) if base and all(key in known for key in base) else None
    asked = _asked(members)
    compared = _asked([known[key] for key in base]) if other else None
    return Line(
        member=member,
        record=members[0].record,
        folds=_of(own, LEAD),
        base=_of(other, LEAD) if other else None,
        seeds=len({one.record.seed for one in members}),
        queries=len(asked),
        changed=tuple(sorted({name for one in members for name in stale(one.record)})),
        graded=_of(own, GRADED),
        graded_base=_of(other, GRADED) if other else None,
        shared=None if compared is None else len(asked & compared),
    )


def _asked(members: Sequence[Evaluated]) -> set[tuple[int | None, str]]:
    """Return the queries of evaluations, each with its fold."""
    found = {one.record.protocol.fold: one.judgments().query_ids for one in members}
    return {(fold, name) for fold, names in found.items() for name in names}


def _paired(own: Mapping[int, float], base: Mapping[int, float] | None) -> list[float]:
    return [value - base[fold] for fold, value in own.items() if fold in base] if base else []


def _of(folds: Folds, metric: str) -> Mapping[int, float]:
    return {fold: values[metric] for fold, values in folds.items()}


def _folds(members: Sequence[Evaluated]) -> Folds:
    """Return fold -> metric -> value, the mean over the fold's seeds."""
    found: dict[int, list[Mapping[str, float]]] = {}
    for one in members:
        assert one.record.protocol.fold is not None
        found.setdefault(one.record.protocol.fold, []).append(aggregate(measure(one), one.judgments()))
    return {
        fold: {metric: float(np.mean([seed.get(metric, np.nan) for seed in seeds])) for metric in (LEAD, GRADED)}
        for fold, seeds in sorted(found.items())
    }
