"""A leaderboard's cells with what sorts them, its intervals as bars, and mAP by group as bars: numbers, no markup."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.report.columns import NONE, Column, columns, points
from benchmark.report.leaderboard import Leaderboard, Line, column_name

NUMBER = re.compile(r"(?P<less><?)(?P<sign>[−+-]?)(?P<digits>\d[\d,]*(?:\.\d+)?)(?P<unit>[kM]?)(?![a-zA-Z])")
UNITS = {"": 1.0, "k": 1e3, "M": 1e6}
STEP = 5
"""Points to which the scale of the intervals is rounded outwards."""


@dataclass(frozen=True)
class Bar:
    """An interval on a scale from 0 to 100 percent of the bar's width; ``low`` and ``high`` are None without one."""

    middle: float
    low: float | None
    high: float | None
    chance: float | None


@dataclass(frozen=True)
class Cell:
    """The text of a cell, what sorts it, and an interval beside it."""

    text: str
    sort: str
    left: bool
    strong: bool
    bar: Bar | None = None


@dataclass(frozen=True)
class Scale:
    """The ends of the interval bars, in points."""

    low: int
    high: int

    def percent(self, share: float) -> float:
        """Return where a share in [0, 1] lies on the bar."""
        return round(100 * (100 * share - self.low) / (self.high - self.low), 2)


@dataclass(frozen=True)
class GroupBar:
    """One row of a group's chart: ``value`` in points, None where the row has none."""

    label: str
    value: float | None
    text: str
    kind: str
    reference: bool


@dataclass(frozen=True)
class GroupChart:
    """mAP of the queries of one group, a bar a row; ``chance`` in points, or None."""

    group: str
    queries: int
    bars: list[GroupBar]
    chance: float | None

    @property
    def words(self) -> str:
        """The chart as a sentence, for readers who do not see it."""
        return ", ".join(f"{bar.label} {bar.text}" for bar in self.bars)


def kind(line: Line) -> str:
    """Return what a row is, for the filter: what a method's queries are made of, else why it is no method."""
    return line.row.method.modality if line.row and line.kind == "method" else line.kind


def choices(board: Leaderboard) -> dict[str, list[str]]:
    """Return what rows can be chosen by: a name and its values, in order of the rows; names with one value left out."""
    lines = (*board.lines, *board.apart)
    encoders = [line.encoder for line in board.lines]
    found = {"kind": list(map(kind, lines)), "encoder": encoders}
    return {name: list(dict.fromkeys(values)) for name, values in found.items() if len(set(values)) > 1}


def sort_key(text: str, left: bool) -> str:
    """Return what sorts a cell: its first number written out, or its text in lower case; empty where there is none."""
    if left:
        return "" if text == NONE else text.lower()
    match = NUMBER.search(text)
    if not match:
        return ""
    value = float(match["digits"].replace(",", "")) * UNITS[match["unit"]] * (0.5 if match["less"] else 1.0)
    return f"{-value if match['sign'] in ('−', '-') else value:g}" if value < 1e5 else f"{value:.0f}"


def scale(board: Leaderboard) -> Scale:
    """Return a scale that holds every interval and chance."""
    lines = (*board.lines, *board.apart)
    ends = [100 * end for line in lines for end in (*_ends(line), line.numbers["macro_map"]) if end is not None]
    low, high = math.floor(min(ends) / STEP) * STEP, math.ceil(max(ends) / STEP) * STEP
    return Scale(low, max(high, low + STEP))


def cells(board: Leaderboard, lines: Sequence[Line]) -> list[list[Cell]]:
    """Return the cells of ``lines``; the column of the lead metric carries the intervals."""
    shown, ends = columns(board), scale(board)
    return [[_cell(column, line, board, ends) for column in shown] for line in lines]


def _cell(column: Column, line: Line, board: Leaderboard, ends: Scale) -> Cell:
    text = column.cell(line)
    bar = _bar(line, board, ends) if column.strong else None
    return Cell(text, sort_key(text, column.left), column.left, column.strong and line.best, bar)


def _bar(line: Line, board: Leaderboard, ends: Scale) -> Bar:
    low, high = _ends(line)
    chance = _chance(board, "macro_map")
    return Bar(
        ends.percent(line.numbers["macro_map"]),
        None if low is None else ends.percent(low),
        None if high is None else ends.percent(high),
        None if chance is None else ends.percent(chance),
    )


def _ends(line: Line) -> tuple[float | None, float | None]:
    """Return the ends of an interval: on test that of the bootstrap, in cross-validation one standard error a side."""
    numbers = line.numbers
    if "macro_map_low" in numbers:
        return numbers["macro_map_low"], numbers["macro_map_high"]
    if "macro_map_se" in numbers:
        return numbers["macro_map"] - numbers["macro_map_se"], numbers["macro_map"] + numbers["macro_map_se"]
    return None, None


def _chance(board: Leaderboard, name: str) -> float | None:
    return next((line.numbers.get(name) for line in board.apart if line.kind == "chance"), None)


# ------------------------------------------------------------------------------------------------ by group


def group_charts(board: Leaderboard) -> list[GroupChart]:
    """Return one chart a group with queries, the rows in the order of the leaderboard."""
    return [_group_chart(board, group, count) for group, count in board.table.groups.items()]


def _group_chart(board: Leaderboard, group: str, count: int) -> GroupChart:
    name = column_name(f"AP[{group}]")
    lines = [line for line in (*board.lines, *board.apart) if line.kind != "chance"]
    chance = _chance(board, name)
    bars = [_group_bar(board, line, name) for line in lines]
    return GroupChart(group, count, bars, None if chance is None else round(100 * chance, 2))


def _group_bar(board: Leaderboard, line: Line, name: str) -> GroupBar:
    value = line.numbers.get(name)
    shown = NONE if value is None else points(value)
    height = None if value is None else round(100 * value, 2)
    return GroupBar(board.name(line), height, shown, line.kind, line.reference)
