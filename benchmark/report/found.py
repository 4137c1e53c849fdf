"""What own queries found: the first candidates of every query, as a csv that people can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.evaluation import DEPTH
from benchmark.files import write_atomic
from benchmark.report.formats import csv_text
from benchmark.report.table import Evaluated, conditions_folder, table_folder

NAME = "found.csv"
HEADER = ["method", "encoder", "seed", "query", "rank", "case", "relevant"]


def write_found(evaluations: Sequence[Evaluated], folder: Path) -> Path:
    """Write the first ten cases of every query, method and seed of one table under ``folder``; return the path.

    ``relevant`` is yes or no, and empty for a query of which no case is known to be relevant.

    Raises:
        UserError: a stored file is damaged, or the folder is read-only or full.
    """
    record = evaluations[0].record
    place = table_folder(record.dataset.name, record.protocol.task) / conditions_folder(record.protocol, record.dataset)
    path = folder / place / NAME
    write_atomic(path, csv_text([HEADER, *(row for one in evaluations for row in _rows(one))]).encode())
    return path


def _rows(one: Evaluated) -> list[list[str]]:
    method, judgments = [one.record.method.row, one.record.encoder.name, str(one.record.seed)], one.judgments()
    rows = []
    for number, (query, order) in enumerate(zip(judgments.query_ids, one.ranking().tolist(), strict=True)):
        gains = judgments.gains[number]
        for rank, case in enumerate(order[:DEPTH], start=1):
            relevant = ("yes" if gains[case] else "no") if gains.any() else ""
            rows.append([*method, query, str(rank), judgments.gallery_ids[case], relevant])
    return rows
