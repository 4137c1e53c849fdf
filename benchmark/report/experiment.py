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

Verdict = Literal["base", "tie", "better", "worse"]


@dataclass(frozen=True)
class Line:
    """One row. ``folds`` and ``base`` map fold -> macro mAP, of its own and of what it is compared with (None where
    that has no result).
    """

    member: Member
    record: EvaluationRecord
    folds: Mapping[int, float]
    base: Mapping[int, float] | None
    seeds: int
    queries: int
    changed: tuple[str, ...]

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
        base = self.base or {}
        return [value - base[fold] for fold, value in self.folds.items() if fold in base]

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
    def folds_of(keys: tuple[str, ...]) -> Mapping[int, float]:
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
    folds_of: Callable[[tuple[str, ...]], Mapping[int, float]],
) -> Line:
    members, base = [known[key] for key in member.keys], manifest.base_of(member)
    queries = {one.record.protocol.fold: len(one.judgments().query_ids) for one in members}
    return Line(
        member=member,
        record=members[0].record,
        folds=folds_of(member.keys),
        base=folds_of(base.keys) if _complete(base, known) else None,
        seeds=len({one.record.seed for one in members}),
        queries=sum(queries.values()),
        changed=tuple(sorted({name for one in members for name in stale(one.record)})),
    )


def _folds(members: Sequence[Evaluated]) -> Mapping[int, float]:
    """Return fold -> macro mAP, the mean over the fold's seeds."""
    found: dict[int, list[float]] = {}
    for one in members:
        assert one.record.protocol.fold is not None
        macro = aggregate(measure(one), one.judgments())["macro mAP"]
        found.setdefault(one.record.protocol.fold, []).append(macro)
    return {fold: float(np.mean(values)) for fold, values in sorted(found.items())}
