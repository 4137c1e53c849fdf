"""The picture of an experiment: the difference of every row to its base, with two standard errors around it."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from benchmark.report.experiment import Board, Line
from benchmark.report.experiment_formats import as_rows, cell_text, interval, is_synthetic, title
from benchmark.report.figures import BLUE, GREY, ORANGE, new_figure
from benchmark.report.wording import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADING = 100
"""Letters of a question that a line of the picture has room for."""
DIFFERENCE = ("minus_base", "minus_base_low", "minus_base_high", "verdict")
SHOWN = ("question", "base", "variant", "method", "encoder", *DIFFERENCE)


def figure_rows(board: Board) -> list[list[str]]:
    """Return what the picture shows: the difference of each line to its base and two standard errors around it."""
    given = [{**row, "base": _base(board, str(row["question"]))} for row in as_rows(board)]
    rows = [[cell_text(row[name]) for name in SHOWN] for row in given if row["minus_base"] is not None]
    return [
        ["dataset", "synthetic", *SHOWN],
        *([board.manifest.dataset, cell_text(is_synthetic(board)), *r] for r in rows),
    ]


def draw_differences(board: Board) -> Figure:
    """Draw a dot and two standard errors for each row that has a base, under the heading of its question."""
    compared = {name: [line for line in lines if interval(line)] for name, lines in board.questions.items()}
    compared = {name: lines for name, lines in compared.items() if lines}
    headings = {name: wrap(plain(f"{name} (base: {_base(board, name)})"), HEADING) for name in compared}
    rows = sum(len(headings[name]) + len(lines) for name, lines in compared.items())
    figure, axes = new_figure(7.2, 1.2 + 0.22 * rows, f"{plain(title(board))}: macro mAP, row minus base")
    ticks: list[tuple[int, str]] = []
    place = 0
    for question, lines in compared.items():
        for words in headings[question]:
            heading = axes.annotate(
                words, (0.01, place), xycoords=("figure fraction", "data"), fontsize=8, fontweight="bold", va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
            heading.set_in_layout(False)  # The axes need not make room: it stands above their labels.
            place += 1
        several = len({line.method for line in board.lines}) > 1
        for line in lines:
            ticks.append((place, f"{line.member.variant}, {line.method}" if several else line.member.variant))
            _dot(axes, place, line)
            place += 1
    axes.axvline(0, color=GREY, linewidth=1, zorder=0)
    axes.set_yticks([tick for tick, _ in ticks], [words for _, words in ticks], fontsize=7)
    axes.set_ylim(place - 0.4, -0.8)
    figure.supxlabel(
        "points of macro mAP, ± 2 standard errors over folds; ▲ better, ▼ worse, hollow: a tie", fontsize=9
    )
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)  # Headings run from the names into the dots.
    return figure


def _base(board: Board, question: str) -> str:
    """Return the variant that the others of a question are compared with; empty where it has no result yet."""
    return next((line.member.variant for line in board.questions[question] if line.member.base), "")


def _dot(axes: Axes, place: int, line: Line) -> None:
    low, high = interval(line) or (0.0, 0.0)
    colour = {"better": BLUE, "worse": ORANGE}.get(line.verdict or "", GREY)
    marker = {"better": "^", "worse": "v"}.get(line.verdict or "", "o")
    axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=1.4, zorder=2)
    face = "white" if line.verdict == "tie" else colour
    axes.plot(50 * (low + high), place, marker, color=colour, markerfacecolor=face, markersize=5, zorder=3)
