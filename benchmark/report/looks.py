"""Every look at a test split: what was computed on it, for which frozen commit, with which result.

``looks.csv`` under results/ only grows: a row that is replaced later stays listed with the number that it had. The page
results/README.md shows it between two markers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.report.formats import csv_text
from benchmark.report.leaderboard import Leaderboard
from benchmark.report.table import Evaluated
from benchmark.report.wording import spans

FILE = "looks.csv"
OPENING, CLOSING = "<!-- looks -->", "<!-- /looks -->"


class Look(NamedTuple):
    """One row of one table, as it was computed; ``macro_map`` is a share with six decimals."""

    dataset: str
    task: str
    commit: str
    method: str
    encoder: str
    seeds: str
    macro_map: str


def record_looks(evaluations: Iterable[Evaluated], boards: Sequence[Leaderboard], results: Path) -> None:
    """Add what is new in ``boards`` to the list and show the list in the page of ``results``, where it has markers.

    Synthetic data has no test split worth guarding and is left out, as is chance.

    Raises:
        UserError: the list can't be read.
    """
    known = _read(results / FILE)
    looks = list(dict.fromkeys([*known, *_looks(evaluations, boards)]))
    if looks:
        write_atomic(results / FILE, csv_text([Look._fields, *looks]).encode())
    page = results / "README.md"
    if page.is_file():
        text = page.read_text(encoding="utf-8")
        before, opening, rest = text.partition(OPENING)
        _, closing, after = rest.partition(CLOSING)
        if opening and closing:
            write_atomic(page, f"{before}{OPENING}\n{_markdown(looks)}\n{CLOSING}{after}".encode())


def _looks(evaluations: Iterable[Evaluated], boards: Sequence[Leaderboard]) -> list[Look]:
    commits: dict[tuple[str, ...], set[str]] = {}
    for one in evaluations:
        record = one.record
        name = (record.dataset.name, record.protocol.task, record.method.row, record.encoder.name)
        commits.setdefault(name, set()).add(record.environment.get("commit", "unknown"))
    found = []
    for board in boards:
        table = board.table
        for line in (*board.lines, *board.apart):
            if line.row is None or table.dataset.synthetic:
                continue
            commit = " ".join(sorted(commits[table.dataset.name, table.protocol.task, line.label, line.encoder]))
            value = f"{line.numbers['macro_map']:.6f}"
            seeds = spans(line.row.seeds)
            found.append(Look(table.dataset.name, table.protocol.task, commit, line.label, line.encoder, seeds, value))
    return found


def _read(path: Path) -> list[Look]:
    if not path.exists():
        return []
    try:
        header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        if tuple(header) != Look._fields:
            raise ValueError(f"its columns are {', '.join(header)}")
        return [Look(*row) for row in rows]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}). Restore it: git checkout -- {path}.") from error


def _markdown(looks: Sequence[Look]) -> str:
    """Return one line a commit, table and encoder, its rows with their macro mAP in points, best first. What one commit
    computed is one look; they are counted in the order in which they were taken.
    """
    lines = ["| look | commit | table, encoder | macro mAP of every row |", "| ---: | --- | --- | --- |"]
    commits = list(dict.fromkeys(look.commit for look in looks))
    for key in dict.fromkeys((look.dataset, look.task, look.commit, look.encoder) for look in looks):
        members = [look for look in looks if (*look[:3], look.encoder) == key]
        members.sort(key=lambda look: (-float(look.macro_map), look))
        rows = ", ".join(f"{look.method} {100 * float(look.macro_map):.1f}" for look in members)
        seeds = " / ".join(dict.fromkeys(look.seeds for look in members))
        lines.append(
            f"| {1 + commits.index(key[2])} | `{key[2]}` | {key[0]}, {key[1]}, {key[3]}, seeds {seeds} | {rows} |"
        )
    return "\n".join(lines)
