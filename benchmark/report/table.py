"""Stored evaluations -> the rows of tables, before any number is averaged.

Shapes: q queries, k candidates of a query, s seeds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark import sources
from benchmark.errors import UserError
from benchmark.evaluation import Floats, per_query
from benchmark.facts import Facts
from benchmark.protocol import Judgments
from benchmark.records import LATER, DatasetInfo, EvaluationRecord, MethodInfo, ProtocolInfo, digest
from benchmark.report.exact import exact_precision
from benchmark.store import Store, damaged, read_ranking, slug
from benchmark.tasks import CASE_SEARCH, TASKS, Task

Seeds = Mapping[int, Mapping[str, Floats]]
"""Seed -> metric -> values (q,)."""
CONDITIONS = ("gallery", "view", "text_style", "training", *LATER)
"""What a table can vary; tables of other than the default conditions lie in folders of their own."""


class Evaluated(NamedTuple):
    """One stored evaluation. ``ranking`` (q, k) and ``judgments`` are read when called; ``damaged`` makes the error
    that says where a bad ranking lies and how to restore it. Where no ranking is kept, ``metrics`` returns what each
    query scored, metric -> values (q,). ``facts`` returns what robustness reports need besides, if it was stored.
    """

    record: EvaluationRecord
    ranking: Callable[[], NDArray[np.uint16]]
    judgments: Callable[[], Judgments]
    damaged: Callable[[str], UserError]
    metrics: Callable[[], Mapping[str, Floats]] | None = None
    facts: Callable[[], Facts | None] | None = None


@dataclass(frozen=True)
class Row:
    """One method with one encoder: its results by fold (None on test) and seed, which sources changed since, and the
    records of its evaluations.
    """

    method: MethodInfo
    encoder: str
    results: Mapping[int | None, Seeds]
    changed: tuple[str, ...] = ()
    records: tuple[EvaluationRecord, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds, in order."""
        return tuple(sorted({seed for seeds in self.results.values() for seed in seeds}))


@dataclass(frozen=True)
class Table:
    """Rows that were judged alike. ``notes`` are sentences on what was left out."""

    dataset: DatasetInfo
    protocol: ProtocolInfo
    judgments: Mapping[int | None, Judgments]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its files belong: DATASET/TASK, and a folder for conditions that are not the default ones."""
        return table_folder(self.dataset.name, self.protocol.task) / conditions_folder(self.protocol, self.dataset)

    @property
    def task(self) -> Task:
        """The task, for the words around the numbers."""
        return task_of(self.protocol)

    @property
    def groups(self) -> dict[str, int]:
        """Group, or what else a stratum is in the task, -> queries, in order of display; without a query none."""
        first = next(iter(self.judgments.values()))
        strata = np.concatenate([judgments.strata for judgments in self.judgments.values()])
        counts = np.bincount(strata, minlength=len(first.stratum_names))
        return {name: int(count) for name, count in zip(first.stratum_names, counts, strict=True) if count}


def task_of(protocol: ProtocolInfo) -> Task:
    """Return the task of a protocol. A user's own queries are judged by the user, whatever was asked in training."""
    return CASE_SEARCH if protocol.queries else TASKS.get(protocol.task, CASE_SEARCH)


def table_folder(dataset: str, task: str) -> Path:
    """Return DATASET/TASK with names that are safe in a file system."""
    return Path(safe_name(dataset)) / slug(task)


def safe_name(dataset: str) -> str:
    """Return a name that is safe in a file system; a few letters of a digest tell data sets apart whose names differ in
    more than that allows.
    """
    lost = re.search(r"[^a-z0-9.:=,\[\] -]", dataset)
    return f"{slug(dataset)}-{digest(dataset)[:6]}".strip("-") if lost else slug(dataset)


def other_conditions(protocol: ProtocolInfo, dataset: DatasetInfo) -> dict[str, str]:
    """Return the conditions that are not the default ones of ``dataset``."""
    defaults = {name: ProtocolInfo.model_fields[name].default for name in CONDITIONS} | {"view": dataset.view}
    asked = {name: getattr(protocol, name) for name in CONDITIONS}
    return {name: value for name, value in asked.items() if value != defaults[name]}


def conditions_folder(protocol: ProtocolInfo, dataset: DatasetInfo) -> Path:
    """Return e.g. ``gallery=archive,view=clinical``, or an empty path for the default conditions."""
    other = other_conditions(protocol, dataset)
    parts = {name: safe_name(value) if name == "trained_on" else value for name, value in other.items()}
    return Path(",".join(slug(f"{name.replace('_', '-')}={value}") for name, value in parts.items()))


def from_runs(folder: Path) -> list[Evaluated]:
    """Return every evaluation of a runs folder, oldest first; none where there is no folder.

    Raises:
        UserError: a record is damaged.
    """
    store = Store(folder)
    judgments, facts = functools.cache(store.judgments), functools.cache(store.facts)
    return [
        Evaluated(
            record,
            functools.partial(read_ranking, path),
            functools.partial(judgments, record.judgments),
            functools.partial(damaged, path / "ranking.safetensors"),
            facts=functools.partial(facts, record.judgments),
        )
        for path, record in store.evaluations()
    ]


def tables(evaluations: Iterable[Evaluated]) -> list[Table]:
    """Sort evaluations (oldest first) into tables; those without a query that can be judged have none.

    Raises:
        UserError: a ranking or its judgments are damaged.
    """
    return [_table(members) for members in _by_table(evaluations) if _judged(members)]


def unjudged(evaluations: Iterable[Evaluated]) -> list[str]:
    """Return a sentence for each table that can't be made, since no query of it has a relevant candidate."""
    return [_unjudged_sentence(members[-1].record) for members in _by_table(evaluations) if not _judged(members)]


def _by_table(evaluations: Iterable[Evaluated]) -> list[list[Evaluated]]:
    shared: dict[tuple[str, ...], list[Evaluated]] = {}
    for one in evaluations:
        shared.setdefault(one.record.table, []).append(one)
    return [shared[key] for key in sorted(shared)]


def _judged(members: Sequence[Evaluated]) -> bool:
    """Whether every fold of the newest judgments has a query with a relevant candidate."""
    newest = {one.record.protocol.fold: one for one in members}
    return all((one.judgments().gains > 0).any() for one in newest.values())


def _unjudged_sentence(record: EvaluationRecord) -> str:
    what = f"{record.dataset.name}, {record.protocol.task}"
    if record.protocol.queries:
        why = f"of your own queries ({record.protocol.queries}) none names a relevant case"
    else:
        why = "no query has a case of its group among its candidates"
    return f"No table for {what}: {why}. The rankings are stored; `report --trec` writes them to files."


def select(evaluations: Sequence[Evaluated]) -> tuple[list[Evaluated], list[str]]:
    """Choose what counts among the evaluations of one table, oldest first, and say what does not.

    Judgments, data, encoders and trainings never mix: those of the newest evaluation (of each fold, of each encoder)
    decide, the trainings of the newest that was trained. Of several evaluations of the same row,
    encoder, fold and seed one with unchanged sources comes first, then the newest.
    """
    current = {one.record.protocol.fold: one.record.judgments for one in evaluations}
    newest = {one.record.encoder.name: one.record for one in evaluations}
    trained = {one.record.encoder.name: one.record for one in evaluations if one.record.method.trained}
    chosen: dict[tuple[str, str, int, int], Evaluated] = {}
    outdated: set[str] = set()
    for one in evaluations:
        record = one.record
        others = [newest[record.encoder.name], trained.get(record.encoder.name, record)]
        alike = all(comparable(record, other) for other in others)
        if record.judgments != current[record.protocol.fold] or not alike:
            outdated.add(row_name(record))
            continue
        fold = -1 if record.protocol.fold is None else record.protocol.fold
        place = (record.method.row, record.encoder.name, fold, record.seed)
        if place not in chosen or not stale(record) or stale(chosen[place].record):
            chosen[place] = one
    return [chosen[place] for place in sorted(chosen)], sorted(outdated)


def comparable(record: EvaluationRecord, other: EvaluationRecord) -> bool:
    """Whether two records come from the same data, the same encoder and, where both were trained, the same lessons and
    shared training.
    """
    trainings = [(one.training, one.taught) for one in (record, other) if one.method.trained]
    return (
        record.dataset.fingerprint == other.dataset.fingerprint
        and (record.encoder.image_fingerprint, record.encoder.text_fingerprint)
        == (other.encoder.image_fingerprint, other.encoder.text_fingerprint)
        and all(training == trainings[0] for training in trainings)
    )


def row_name(record: EvaluationRecord) -> str:
    """Return e.g. ``tirg (packaged)``: what identifies a row in a table."""
    return f"{record.method.row} ({record.encoder.name})"


def stale(record: EvaluationRecord) -> tuple[str, ...]:
    """Return the sources of a record that have changed since."""
    return tuple(sources.changed(record.sources))


def _table(evaluations: Sequence[Evaluated]) -> Table:
    chosen, outdated = select(evaluations)
    why = "Left out, because data, judgments, encoder or training are others than those of the newest rows"
    notes = [f"{why}: {', '.join(outdated)}."] if outdated else []
    judgments: dict[int | None, Judgments] = {}
    rows: dict[tuple[str, str], list[Evaluated]] = {}
    for one in chosen:
        judgments.setdefault(one.record.protocol.fold, one.judgments())
        rows.setdefault((one.record.method.row, one.record.encoder.name), []).append(one)
    newest = evaluations[-1].record
    protocol = newest.protocol.model_copy(update={"fold": None})
    ordered = dict(sorted(judgments.items(), key=lambda item: -1 if item[0] is None else item[0]))
    return Table(newest.dataset, protocol, ordered, tuple(_row(members) for members in rows.values()), tuple(notes))


def _row(members: Sequence[Evaluated]) -> Row:
    results: dict[int | None, dict[int, Mapping[str, Floats]]] = {}
    changed: set[str] = set()
    for one in members:
        changed.update(stale(one.record))
        results.setdefault(one.record.protocol.fold, {})[one.record.seed] = measure(one)
    last = members[-1].record
    records = tuple(one.record for one in members)
    return Row(last.method, last.encoder.name, results, tuple(sorted(changed)), records)


def measure(one: Evaluated) -> Mapping[str, Floats]:
    """Return what each query of an evaluation scored, metric -> values (q,).

    Raises:
        UserError: the ranking or the judgments are damaged.
    """
    try:
        judgments = one.judgments()
        values = one.metrics() if one.metrics else _from_ranking(one.ranking(), judgments, task_of(one.record.protocol))
        if any(len(value) != len(judgments.query_ids) for value in values.values()):
            raise ValueError(f"it holds results of other than its {len(judgments.query_ids)} queries")
        return values
    except (ValueError, KeyError) as error:
        raise one.damaged(str(error)) from error


def _from_ranking(ranking: NDArray[np.uint16], judgments: Judgments, task: Task) -> Mapping[str, Floats]:
    values = per_query(ranking, judgments)
    return values | exact_precision(ranking, judgments) if task.exact else values
