"""Stored evaluations -> what each method answered under each condition, ready to be compared query by query.

Shapes: s seeds, q queries; those of all folds stand one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.evaluation import Floats
from benchmark.facts import Facts
from benchmark.modification import shared_references
from benchmark.records import DatasetInfo, MethodInfo, ProtocolInfo
from benchmark.report.following import STATED, TRUE, shares
from benchmark.report.table import Evaluated, conditions_folder, measure, select, table_folder, task_of

CANONICAL = "canonical"
CONTRADICTING = "contradicting"
PROBES = ("text_style", "without", "excluded")
"""Fields of a protocol that a condition may change, one at a time."""
Identity = tuple[str, str]
"""Row and encoder: which method it is."""


@dataclass(frozen=True)
class Answers:
    """What one method answered under one condition: ``values`` metric -> (s, q), of ``queries`` (q) with ``strata``
    (q,) and ``subgroups`` key -> value of each query (q). ``units`` (q) are what intervals draw where queries are not
    independent, e.g. their references.
    """

    method: MethodInfo
    encoder: str
    condition: str
    seeds: tuple[int, ...]
    queries: tuple[str, ...]
    strata: NDArray[np.uint8]
    values: Mapping[str, Floats]
    subgroups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Study:
    """All conditions of one data set, task and way to evaluate. ``answers``: method -> condition -> answers; every
    method has the canonical ones. ``criteria`` counts what a whole text states.
    """

    dataset: DatasetInfo
    protocol: ProtocolInfo
    stratum_names: tuple[str, ...]
    criteria: int
    answers: Mapping[Identity, Mapping[str, Answers]]
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its page belongs."""
        place = table_folder(self.dataset.name, self.protocol.task)
        return place / conditions_folder(self.protocol, self.dataset)

    @property
    def cross_validated(self) -> bool:
        """Whether the queries are those of several folds."""
        return self.protocol.evaluate == "cv"

    def name(self, method: Identity) -> str:
        """How a method is called: with its encoder where there are several."""
        return method[0] if len({encoder for _, encoder in self.answers}) == 1 else ", ".join(method)


def condition(protocol: ProtocolInfo) -> str | None:
    """Return what a protocol changes of the canonical query, e.g. ``terse``, ``without image`` or ``without 7 cases,
    list 3f9c02ab``; None where it changes several things at once.
    """
    changed = [name for name in PROBES if getattr(protocol, name) != ProtocolInfo.model_fields[name].default]
    if len(changed) > 1:
        return None
    text = str(getattr(protocol, changed[0])) if changed else CANONICAL
    return text if changed in ([], ["text_style"]) else f"without {text}"


def studies(evaluations: Iterable[Evaluated]) -> list[Study]:
    """Sort evaluations (oldest first) into studies; where only canonical queries were asked there is none.

    Raises:
        UserError: a stored file is damaged.
    """
    shared: dict[tuple[str, ...], list[Evaluated]] = {}
    for one in evaluations:
        # Rows that read labels rank the same whatever is said or shown.
        if condition(one.record.protocol) and not one.record.method.reads_labels and not one.record.protocol.queries:
            shared.setdefault(_bare(one.record.protocol).table(one.record.dataset.name), []).append(one)
    # Nothing is measured where there is nothing to compare.
    several = [key for key in sorted(shared) if len({condition(one.record.protocol) for one in shared[key]}) > 1]
    made = [_study(shared[key]) for key in several]
    return [one for one in made if any(len(conditions) > 1 for conditions in one.answers.values())]


def _bare(protocol: ProtocolInfo) -> ProtocolInfo:
    """Return a protocol without its fold and without what a condition changes."""
    usual = {name: ProtocolInfo.model_fields[name].default for name in PROBES}
    return protocol.model_copy(update={**usual, "fold": None})


def _study(members: Sequence[Evaluated]) -> Study:
    by_condition: dict[str, list[Evaluated]] = {}
    for one in members:
        by_condition.setdefault(condition(one.record.protocol) or "", []).append(one)
    found: dict[Identity, dict[str, Answers]] = {}
    notes: list[str] = []
    for name, asked in by_condition.items():
        chosen, outdated = select(asked)
        notes += [f"Left out of {name}, since data or judgments have changed: {row}." for row in outdated]
        for method, rows in _by_method(chosen).items():
            answers = pooled(rows, name)
            if answers:
                found.setdefault(method, {})[name] = answers
            else:
                notes.append(f"Left out of {name}, since no seed has all folds: {method[0]}.")
    alone = sorted({row for (row, _), conditions in found.items() if CANONICAL not in conditions})
    notes += [f"Left out, since the canonical text is missing: {', '.join(alone)}."] if alone else []
    kept = {method: conditions for method, conditions in found.items() if CANONICAL in conditions}
    newest = members[-1]
    facts = newest.facts() if newest.facts else None
    return Study(
        dataset=newest.record.dataset,
        protocol=_bare(newest.record.protocol),
        stratum_names=newest.judgments().stratum_names,
        criteria=len(facts.criteria) if facts else 0,
        answers=kept,
        notes=tuple(notes),
    )


def _by_method(evaluations: Iterable[Evaluated]) -> dict[Identity, list[Evaluated]]:
    found: dict[Identity, list[Evaluated]] = {}
    for one in evaluations:
        found.setdefault((one.record.method.row, one.record.encoder.name), []).append(one)
    return found


def pooled(members: Sequence[Evaluated], name: str) -> Answers | None:
    """Return the answers of one method under the condition ``name``. Seeds that lack a fold are left out; None where
    all of them do.

    Raises:
        UserError: a stored file is damaged.
    """
    folds: dict[int, dict[int, Evaluated]] = {}
    for one in members:
        fold = -1 if one.record.protocol.fold is None else one.record.protocol.fold
        folds.setdefault(fold, {})[one.record.seed] = one
    seeds = tuple(sorted(set.intersection(*(set(by_seed) for by_seed in folds.values()))))
    if not seeds:
        return None
    parts = [[folds[fold][seed] for seed in seeds] for fold in sorted(folds)]
    measured = [[measured_with_shares(one) for one in part] for part in parts]
    names = [metric for metric in measured[0][0] if all(metric in values for part in measured for values in part)]
    judged = [part[0].judgments() for part in parts]
    queries = tuple(query for judgments in judged for query in judgments.query_ids)
    shared = task_of(members[-1].record.protocol).unit == "reference"
    return Answers(
        method=members[-1].record.method,
        encoder=members[-1].record.encoder.name,
        condition=name,
        seeds=seeds,
        queries=queries,
        strata=np.concatenate([judgments.strata for judgments in judged]),
        values={
            metric: np.concatenate([np.stack([values[metric] for values in part]) for part in measured], axis=1)
            for metric in names
        },
        subgroups=_joined([_named(_facts(part[0])) for part in parts]),
        units=tuple(shared_references(queries)) if shared else None,
    )


def measured_with_shares(one: Evaluated) -> Mapping[str, Floats]:
    """Return what a robustness page needs of an evaluation, metric -> (q,): average precision and
    nDCG@10, and under the two texts that are compared the shares of following.py, where the facts for them are stored.

    Raises:
        UserError: a stored file is damaged.
    """
    values = {name: value for name, value in measure(one).items() if name in ("AP", "nDCG@10", STATED, TRUE)}
    facts = _facts(one)
    if (
        one.metrics
        or facts is None
        or not facts.findings.size
        or condition(one.record.protocol) not in (CANONICAL, CONTRADICTING)
    ):
        return values
    return {**values, **shares(one.ranking(), facts)}


def _facts(one: Evaluated) -> Facts | None:
    return one.facts() if one.facts else None


def _named(facts: Facts | None) -> dict[str, tuple[str, ...]]:
    if facts is None:
        return {}
    columns = zip(facts.subgroup_values.items(), facts.subgroups.T, strict=True)
    return {key: tuple(values[code] for code in codes) for (key, values), codes in columns}


def _joined(folds: Sequence[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Join the values of every fold's queries, under the keys that all folds have."""
    keys = [key for key in folds[0] if all(key in fold for fold in folds)]
    return {key: tuple(value for fold in folds for value in fold[key]) for key in keys}
