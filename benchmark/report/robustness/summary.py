"""A study -> all numbers of its page, computed once; the tables and the figures show the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.report.robustness.answers import CANONICAL, CONTRADICTING, Answers, Identity, Study
from benchmark.report.robustness.numbers import (
    Change,
    Estimate,
    Following,
    Point,
    Subgroup,
    change,
    curve,
    following,
    macro_estimate,
    subgroups,
)

FIRST = ("paraphrase", "terse", CONTRADICTING, "none", "without text", "without image")
"""The order of conditions; those of other names follow, and partial texts have the curve."""


@dataclass(frozen=True)
class Summary:
    """The numbers of a page. ``methods`` stand best first under the canonical text; what a method has no runs for is
    absent. ``reference`` is the method that is named first where one stands for all.
    """

    study: Study
    methods: tuple[Identity, ...]
    conditions: tuple[str, ...]
    keys: tuple[str, ...]
    canonical: Mapping[Identity, Estimate]
    changes: Mapping[Identity, Mapping[str, Change]]
    curves: Mapping[Identity, Sequence[Point]]
    followings: Mapping[Identity, Following]
    subgroups: Mapping[str, Mapping[Identity, Sequence[Subgroup]]]
    reference: Identity

    def canonical_answers(self, method: Identity) -> Answers:
        """Return what a method answered under the canonical text."""
        return self.study.answers[method][CANONICAL]

    def level(self, method: Identity, name: str) -> Estimate | None:
        """Return macro mAP under the condition ``name``, or None where that shares no query with the canonical one."""
        if name == CANONICAL:
            return self.canonical[method]
        found = self.changes[method].get(name)
        return found.macro if found else None


def summarise(study: Study, reference: str | None) -> Summary:
    """Compute all numbers of ``study``; ``reference`` names a method, else the best one takes its place."""
    canonical = {method: macro_estimate(found[CANONICAL]) for method, found in study.answers.items()}
    methods = tuple(sorted(canonical, key=lambda method: (-round(canonical[method].value, 9), method)))
    changes = {method: _changes(study.answers[method]) for method in methods}
    asked = {name for of_method in changes.values() for name in of_method if not name.startswith("partial:")}
    curves = {method: curve(study.answers[method], study.criteria) for method in methods}
    pairs = {method: _following(study.answers[method]) for method in methods}
    keys = tuple(dict.fromkeys(key for method in methods for key in study.answers[method][CANONICAL].subgroups))
    named = [m for m in methods if study.answers[m][CANONICAL].method.name == reference]
    return Summary(
        study=study,
        methods=methods,
        conditions=tuple([name for name in FIRST if name in asked] + sorted(asked - set(FIRST))),
        keys=keys,
        canonical=canonical,
        changes=changes,
        curves={method: points for method, points in curves.items() if len(points) > 1},
        followings={method: found for method, found in pairs.items() if found},
        subgroups={key: _subgroups(study, methods, key) for key in keys},
        reference=min(named, key=lambda method: ("[" in method[0], method), default=methods[0]),
    )


def _changes(conditions: Mapping[str, Answers]) -> dict[str, Change]:
    found = {name: change(conditions[CANONICAL], other) for name, other in conditions.items() if name != CANONICAL}
    return {name: one for name, one in found.items() if one}


def _following(conditions: Mapping[str, Answers]) -> Following | None:
    return following(conditions[CANONICAL], conditions[CONTRADICTING]) if CONTRADICTING in conditions else None


def _subgroups(study: Study, methods: Sequence[Identity], key: str) -> dict[Identity, list[Subgroup]]:
    answers = {method: study.answers[method][CANONICAL] for method in methods}
    return {method: subgroups(one, key) for method, one in answers.items() if key in one.subgroups}
