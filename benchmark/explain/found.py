"""Which stored run answers a question about a query. Imports no torch."""

from __future__ import annotations

import difflib
from pathlib import Path

from benchmark.errors import UserError, near_misses
from benchmark.protocol import Judgments
from benchmark.records import EvaluationRecord
from benchmark.report.html.surroundings import dataset_component
from benchmark.store import Store

Found = tuple[Path, EvaluationRecord, Judgments]


def find_run(store: Store, query: str, method: str, dataset: str | None, seed: int | None) -> Found:
    """Return the newest stored evaluation of ``method`` that asks ``query``: its folder, record and judgments.

    Raises:
        UserError: there is none; the sentence says what is stored.
    """
    stored = [(path, record) for path, record in reversed(store.evaluations()) if record.training_key]
    if not stored:
        raise UserError(
            f"There are no trained methods in {store.folder}. Run one: python -m benchmark run --methods {method}."
        )
    # A row with default options is called like its method, which other rows share.
    fitting = [one for one in stored if one[1].method.row == method]
    fitting = fitting or [one for one in stored if one[1].method.name == method]
    if not fitting:
        rows = {record.method.row for _, record in stored}
        raise UserError(f"No run of {method} is stored in {store.folder}. {near_misses(method, rows)}")
    if dataset is not None:
        names = {record.dataset.name for _, record in fitting}
        fitting = [one for one in fitting if dataset in (one[1].dataset.name, dataset_component(one[1].dataset.name))]
        if not fitting:
            raise UserError(f"No run of {method} on {dataset} is stored. {near_misses(dataset, names)}")
    if seed is not None:
        seeds = sorted({record.seed for _, record in fitting})
        fitting = [one for one in fitting if one[1].seed == seed]
        if not fitting:
            raise UserError(f"No run of {method} with seed {seed} is stored. Seeds: {', '.join(map(str, seeds))}.")
    return _asking(store, query, method, fitting)


def _asking(store: Store, query: str, method: str, stored: list[tuple[Path, EvaluationRecord]]) -> Found:
    asked: dict[str, None] = {}
    own = False
    for path, record in stored:
        judgments = store.judgments(record.judgments)
        if record.protocol.queries or record.protocol.without:
            # A user's own picture and words aren't stored; a mean one was asked, not the query's.
            own = own or bool(record.protocol.queries and query in judgments.query_ids)
            continue
        if query in judgments.query_ids:
            return path, record, judgments
        asked.update(dict.fromkeys(judgments.query_ids))
    if own:
        raise UserError(
            f"--query {query} is one of your own, whose picture and words are not stored. Build an index of the method "
            "and ask it with both: python -m benchmark search --image FILE --text WORDS."
        )
    near = difflib.get_close_matches(query, asked, n=3) or list(asked)[:3]
    examples = f"{len(asked):,} queries are stored, e.g. {', '.join(near)}" if near else "only your own are stored"
    raise UserError(f"--query {query}: no stored run of {method} asks it; {examples}.")
