"""Two pictures of a leaderboard, each beside a csv of what it shows: macro mAP with intervals, and mAP by group.

The text is drawn as paths with the font that comes with matplotlib, so that a picture looks the same everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from benchmark.files import write_atomic
from benchmark.report.columns import points, raw
from benchmark.report.formats import csv_text
from benchmark.report.leaderboard import Leaderboard, Line, column_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5F5F5F"
"""Okabe and Ito's palette: told apart by colour-blind readers; the markers tell the kinds apart without colour."""
LETTERS = 13
"""Letters of a title that an inch has room for."""
HEADING = 12
"""Letters of a group's name that a column of the heat map has room for."""
STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "dermcir",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def write_figures(board: Leaderboard, folder: Path) -> list[Path]:
    """Write ``macro_map.svg`` and ``per_group.svg``, each with its csv.

    A picture is drawn anew only where its csv has changed, so that another version of matplotlib makes no difference.

    Raises:
        UserError: the folder is read-only or full.
    """
    return [
        *write_figure(folder, "macro_map", macro_map_rows(board), partial(draw_macro_map, board)),
        *write_figure(folder, "per_group", per_group_rows(board), partial(draw_per_group, board)),
    ]


def write_figure(folder: Path, name: str, rows: Sequence[Sequence[str]], draw: Callable[[], Figure]) -> list[Path]:
    """Write ``name``.svg and ``name``.csv with what it shows; draw anew only where the csv has changed.

    Raises:
        UserError: the folder is read-only or full.
    """
    picture, numbers = folder / f"{name}.svg", folder / f"{name}.csv"
    content = csv_text(rows).encode()
    if not (picture.is_file() and numbers.is_file() and numbers.read_bytes() == content):
        # The picture comes first: a writer killed in between leaves an old csv, and the next one draws again.
        write_atomic(picture, svg(draw()))
        write_atomic(numbers, content)
    return [picture, numbers]


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG without a date; equal figures give equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": figure.get_suptitle()})
    return b"\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + b"\n"


def new_figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Return a figure of so many inches with one pair of axes, in the style of all."""
    # A Figure of its own, not pyplot's: no window system, no global state.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        figure.suptitle(fill(title, int(LETTERS * width)), fontsize=10, x=0.01, ha="left")
    return figure, axes


def _title(board: Leaderboard, what: str) -> str:
    kind = "SYNTHETIC images" if board.table.dataset.synthetic else board.table.dataset.name
    name = f"{kind} ({board.table.dataset.name})" if board.table.dataset.synthetic else kind
    other = f", {board.table.folder.name}" if len(board.table.folder.parts) > 2 else ""
    return f"{name}, {board.table.protocol.task}{other}: {what}"


def _facts(board: Leaderboard, line: Line) -> list[str]:
    dataset = board.table.dataset
    kind = "reference" if line.reference else line.kind
    return [dataset.name, "yes" if dataset.synthetic else "no", line.label, line.encoder, kind]


FACTS = ["dataset", "synthetic", "method", "encoder", "kind"]


# ------------------------------------------------------------------------------------------------ macro mAP


def macro_map_rows(board: Leaderboard) -> list[list[str]]:
    """Return what the first picture shows: macro mAP and its interval, a line a row."""
    names = ["macro_map", "macro_map_low", "macro_map_high"]
    lines = (*board.lines, *board.apart)
    rows = ([*_facts(board, line), *(raw(line.numbers.get(name)) for name in names)] for line in lines)
    return [[*FACTS, *names], *rows]


def draw_macro_map(board: Leaderboard) -> Figure:
    """Draw dots with whiskers, best on top; chance is a dashed line, a row that reads labels a hollow square."""
    lines = [line for line in (*board.lines, *board.apart) if line.kind != "chance"]
    figure, axes = new_figure(7.2, 1.3 + 0.3 * len(lines), _title(board, "macro mAP with 95 % intervals"))
    for position, line in enumerate(lines):
        _whisker(axes, position, line)
    for line in board.apart:
        if line.kind == "chance":
            axes.axvline(100 * line.numbers["macro_map"], color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=0)
            axes.annotate(
                "chance", (100 * line.numbers["macro_map"], 1), xycoords=("data", "axes fraction"),
                xytext=(3, -2), textcoords="offset points", color=GREY, fontsize=8, va="top",
            )  # fmt: skip
    axes.set_yticks(range(len(lines)), [board.name(line) for line in lines])
    for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if line.reference else "normal")
    axes.set_ylim(len(lines) - 0.4, -0.9)
    # A label of the axes would be pushed out of the picture by long names of methods.
    figure.supxlabel(fill(_axis_label(board), int(LETTERS * figure.get_figwidth())), fontsize=9)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return figure


def _whisker(axes: Axes, position: int, line: Line) -> None:
    middle, low, high = (100 * line.numbers[name] for name in ("macro_map", "macro_map_low", "macro_map_high"))
    colour, marker, size = BLUE, "o", 5.0
    if line.reference:
        colour, marker, size = ORANGE, "D", 6.5
    elif line.kind == "reads labels":
        colour, marker, size = GREY, "s", 5.5
    face = "white" if line.kind == "reads labels" else colour
    dashed: Any = (0, (2, 2)) if line.kind == "reads labels" else "-"
    axes.plot([low, high], [position, position], color=colour, linewidth=1.4, linestyle=dashed, zorder=2)
    axes.plot(middle, position, marker, color=colour, markerfacecolor=face, markersize=size, zorder=3)
    axes.annotate(
        points(line.numbers["macro_map"]), (middle, position), xytext=(0, 5), textcoords="offset points",
        ha="center", fontsize=7, color="#222222",
    )  # fmt: skip


def _axis_label(board: Leaderboard) -> str:
    parts = ["macro mAP, points"]
    if board.has_reference:
        parts.append(f"diamond: {board.reference}")
    if any(line.kind == "reads labels" for line in board.apart):
        parts.append("hollow square: reads labels, no method")
    return "; ".join(parts)


# ------------------------------------------------------------------------------------------------ by group


def per_group_rows(board: Leaderboard) -> list[list[str]]:
    """Return what the second picture shows: the mAP of each group's queries, a row a line and group."""
    rows = [[*FACTS, "group", "queries", "ap"]]
    for line in (*board.lines, *board.apart):
        for group, count in board.table.groups.items():
            rows.append([*_facts(board, line), group, str(count), raw(line.numbers.get(column_name(f"AP[{group}]")))])
    return rows


def draw_per_group(board: Leaderboard) -> Figure:
    """Draw a heat map with the number in each cell; group sizes stand in the headings."""
    lines = [*board.lines, *board.apart]
    groups = board.table.groups
    values = [[100 * line.numbers.get(column_name(f"AP[{group}]"), float("nan")) for group in groups] for line in lines]
    extra = max(fill(name, HEADING).count("\n") for name in groups)
    size = (3.2 + 1.0 * len(groups), 1.2 + 0.3 * len(lines) + 0.15 * extra)
    figure, axes = new_figure(*size, _title(board, f"mAP by {board.table.task.stratum}, points"))
    # Darkest is the best of the methods: where they reach a quarter of what the labels do, all else would be pale.
    top = max((value for of_line in values[: len(board.lines)] for value in of_line if value == value), default=100)
    for colours, first, block in (("Blues", 0, values[: len(board.lines)]), ("Greys", len(board.lines), values)):
        rows = block[first:]
        if rows:
            edges = range(len(groups) + 1), range(first, first + len(rows) + 1)
            image = axes.pcolormesh(
                *edges, rows, cmap=colours, vmin=0, vmax=max(top, 1), edgecolors="white", linewidth=1
            )
            for row, of_line in enumerate(rows, start=first):
                _write_cells(axes, row, of_line, image)
    axes.set_ylim(len(lines), 0)
    headings = [f"{fill(name, HEADING)}\n{count} queries" for name, count in groups.items()]
    axes.set_xticks([place + 0.5 for place in range(len(groups))], headings)
    axes.xaxis.tick_top()
    axes.set_yticks([place + 0.5 for place in range(len(lines))], [board.name(line) for line in lines])
    for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if line.reference else "normal")
    if board.apart and board.lines:
        axes.axhline(len(board.lines), color="white", linewidth=5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    told = "darker: higher" + ("; grey: no methods" if board.apart and board.lines else "")
    figure.supxlabel(told, fontsize=8)
    return figure


def _write_cells(axes: Axes, row: int, values: Sequence[float], image: Any) -> None:
    for column, value in enumerate(values):
        if value != value:
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        colour = "white" if dark else "black"
        axes.text(column + 0.5, row + 0.5, points(value / 100), ha="center", va="center", color=colour)
