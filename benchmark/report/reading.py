"""The written reading of results/: prose whose numbers come from the tables beside it.

``reading.md`` under results/ holds the prose; the page results/README.md shows it between two markers. A placeholder
names a csv there (without its ending), what tells its row from the others, and a column::

    {{ derm7pt/case-search/leaderboard: proposed / packaged / macro_map }}                     35.0
    {{ derm7pt/case-search/leaderboard: proposed / packaged / macro_map interval }}            35.0 [32.5, 37.5]
    {{ derm7pt/case-search/leaderboard: late-fusion / packaged / reference_minus_row }}        +3.4
    {{ derm7pt/case-search/leaderboard: late-fusion / packaged / p_holm }}                     <0.001
    {{ derm7pt/case-search/ablations: Objective of proposed / on s alone / proposed / minus_base }}

A row is found by cells, in any order, that together belong to it alone. Shares become percentage points.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.errors import UserError, near_misses
from benchmark.files import write_atomic
from benchmark.report.columns import points, signed_points

SOURCE = "reading.md"
OPENING, CLOSING = "<!-- reading -->", "<!-- /reading -->"
PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
INTERVAL = " interval"
P_VALUES = ("p_holm", "p_raw", "p_best")
SIGNED = ("minus", "gap")
"""Parts of a column's name that say that its numbers are differences."""
ERROR = "_se"
"""The end of the name of a column of standard errors."""

Row = Mapping[str, str]


def insert_reading(results: Path) -> None:
    """Fill ``reading.md`` from the tables of ``results`` and show it in the page there, where it has markers.

    Raises:
        UserError: a placeholder finds nothing, or the page lacks the markers.
    """
    source, page = results / SOURCE, results / "README.md"
    if not source.is_file():
        return
    prose = filled(source.read_text(encoding="utf-8"), results)
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, opening, rest = text.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing):
        raise UserError(f"{page} has no place for {SOURCE}: add the lines {OPENING} and {CLOSING} where it belongs.")
    write_atomic(page, f"{before}{OPENING}\n{prose.strip()}\n{CLOSING}{after}".encode())


def filled(prose: str, results: Path) -> str:
    """Return ``prose`` with a number in the place of every placeholder.

    Raises:
        UserError: a placeholder is malformed or finds nothing; it is named, with what is near.
    """
    text = PLACEHOLDER.sub(lambda match: _found(match[1], results), prose)
    stray = re.search(r"\{\{|\}\}", text)
    if stray:
        raise UserError(
            f"{results / SOURCE}: a {stray[0]} belongs to no placeholder: ...{text[stray.start() :][:60]!r}"
        )
    return text


def _found(placeholder: str, results: Path) -> str:
    words = " ".join(placeholder.split())
    where = f"{results / SOURCE}: {{{{ {words} }}}}"
    name, colon, rest = words.partition(": ")
    *keys, column = rest.split(" / ")
    if not (colon and keys and all(keys) and column):
        raise UserError(f"{where}: write {{{{ TABLE: CELL / CELL / COLUMN }}}}, TABLE without .csv.")
    row = _row(_read(results, name, where), keys, where)
    plain = column.removesuffix(INTERVAL)
    value = _cell(row, plain, where)
    if plain == column:
        return value
    low, high = (_cell(row, f"{plain}_{end}", where) for end in ("low", "high"))
    return f"{value} [{low}, {high}]"


def _read(results: Path, name: str, where: str) -> list[Row]:
    tables = {path.relative_to(results).with_suffix("").as_posix(): path for path in results.rglob("*.csv")}
    if name not in tables:
        raise UserError(f"{where}: there is no table {name!r}. {near_misses(name, tables)}")
    with tables[name].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _row(rows: Sequence[Row], keys: Sequence[str], where: str) -> Row:
    for key in keys:
        left = [row for row in rows if key in row.values()]
        if not left:
            known = {cell for row in rows for cell in row.values() if cell and not _number(cell)}
            raise UserError(f"{where}: no row holds {key!r} beside the cells before it. {near_misses(key, known)}")
        rows = left
    if len(rows) > 1:
        apart = {cell for row in rows for cell in row.values() if not all(cell in other.values() for other in rows)}
        named = ", ".join(sorted(cell for cell in apart if cell and not _number(cell)))
        raise UserError(f"{where}: {len(rows)} rows hold these cells. Add one of: {named or 'no cell is different'}.")
    return rows[0]


def _cell(row: Row, column: str, where: str) -> str:
    if column not in row:
        raise UserError(f"{where}: no column is called {column!r}. {near_misses(column, row)}")
    if not row[column]:
        numbers = ", ".join(name for name, cell in row.items() if cell and _number(cell))
        raise UserError(f"{where}: {column} is empty in this row. It has numbers in {numbers or 'no column'}.")
    return _written(column, row[column])


def _written(column: str, cell: str) -> str:
    """Return a cell as prose has it: shares (with decimals) in points, p with three decimals, all else as it is."""
    if not re.fullmatch(r"-?\d+\.\d+", cell):
        return f"{int(cell):,}" if re.fullmatch(r"\d+", cell) else cell
    value = float(cell)
    if column in P_VALUES:
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    signed = any(part in column for part in SIGNED) and not column.endswith(ERROR)
    return signed_points(value) if signed else points(value)


def _number(cell: str) -> bool:
    return re.fullmatch(r"[-\d. ]+", cell) is not None
