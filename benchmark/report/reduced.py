"""What leaving cases out does to tables that are stored: the same rankings, with those cases taken out of them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.evaluation import aggregate
from benchmark.exclusion import reduced_judgments, reduced_ranking
from benchmark.protocol import Judgments
from benchmark.report.table import Evaluated, Row, Table, tables

METRICS = ("macro mAP", "mAP")


class Change(NamedTuple):
    """A row before and after. ``before`` and ``after`` are macro mAP and mAP, means over folds and seeds;
    ``queries`` are the numbers of queries before and after, and ``lost`` the strata that only the mean before is over.
    """

    table: str
    method: str
    encoder: str
    seeds: int
    queries: tuple[int, int]
    before: tuple[float, ...]
    after: tuple[float, ...]
    lost: tuple[str, ...] = ()


def changes(evaluations: Sequence[Evaluated], ids: Collection[str]) -> list[Change]:
    """Return every row of every table of ``evaluations`` with and without the cases of ``ids``, best first.

    Nothing is trained again: cases leave the queries and the gallery of the stored rankings. A table of which no query
    can be judged any more is left out.

    Raises:
        UserError: a ranking or its judgments are damaged.
    """
    left = {_key(table): table for table in tables([without(one, ids) for one in evaluations])}
    found = []
    for before in tables(evaluations):
        after = left.get(_key(before))
        if after is None:
            continue
        made = [_change(before, old, after, new) for old, new in zip(before.rows, after.rows, strict=True)]
        found += sorted(made, key=lambda change: (-change.before[0], change.method, change.encoder))
    return found


def _key(table: Table) -> tuple[str, str]:
    return table.dataset.name, table.protocol.model_dump_json()


def without(one: Evaluated, ids: Collection[str]) -> Evaluated:
    """Return a stored evaluation without the cases of ``ids`` in its queries and its gallery."""

    def ranking() -> NDArray[np.uint16]:
        return reduced_ranking(one.ranking(), one.judgments(), ids)

    def judgments() -> Judgments:
        return reduced_judgments(one.judgments(), ids)

    return one._replace(ranking=ranking, judgments=functools.cache(judgments), metrics=None)


def _change(before: Table, old: Row, after: Table, new: Row) -> Change:
    name = str(before.folder) + (" (cross-validation)" if before.protocol.evaluate == "cv" else "")
    queries = (_queries(before), _queries(after))
    lost = tuple(stratum for stratum in _judged(before) if stratum not in _judged(after))
    means = _means(before, old), _means(after, new)
    return Change(name, old.method.row, old.encoder, len(old.seeds), queries, *means, lost)


def _judged(table: Table) -> list[str]:
    """Return the strata that have a query with a relevant candidate."""
    names = next(iter(table.judgments.values())).stratum_names
    judged = [one.strata[(one.gains > 0).any(axis=1)] for one in table.judgments.values()]
    return [names[code] for code in np.unique(np.concatenate(judged))]


def _queries(table: Table) -> int:
    return sum(len(judgments.query_ids) for judgments in table.judgments.values())


def _means(table: Table, row: Row) -> tuple[float, ...]:
    """Average over the seeds of a fold, then over folds, as the leaderboard does."""
    folds = []
    for fold, seeds in row.results.items():
        judged = [aggregate(values, table.judgments[fold]) for values in seeds.values()]
        folds.append([np.mean([numbers[metric] for numbers in judged]) for metric in METRICS])
    return tuple(float(mean) for mean in np.mean(folds, axis=0))
