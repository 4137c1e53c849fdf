"""The figure of a mask check: a panel a measure, a line a row, a place a criterion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.report.figures import STYLE
from benchmark.report.masks import CHANCE, MEAN, MEASURES, MaskBoard, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette; the markers tell rows apart without colour."""
MARKERS = "DosPXv"
GREY = "#5F5F5F"
OFFSET = 0.09


def draw_masks(board: MaskBoard) -> Figure:
    """Draw values with whiskers of 95 %; chance is a short line under each criterion."""
    import matplotlib
    from matplotlib.figure import Figure

    names = [MEAN, *board.pictures]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 6.4), layout="constrained")
        axes = figure.subplots(len(MEASURES), 1, sharex=True)
        figure.suptitle(title(board), fontsize=10, x=0.01, ha="left")
        for panel, (measure, words) in zip(axes, MEASURES.items(), strict=True):
            _panel(panel, board, measure, names)
            panel.set_ylabel(f"{words}, points")
        axes[-1].set_xticks(range(len(names)), [name.replace("_", "\n") for name in names])
        figure.supxlabel("whiskers: 95 % intervals", fontsize=8)
        axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, fontsize=8)
    return figure


def _panel(axes: Axes, board: MaskBoard, measure: str, names: list[str]) -> None:
    for place, row in enumerate(board.rows):
        numbers = row.numbers[measure]
        middles = [100 * numbers[name][0] for name in names]
        if row.records[0].row == CHANCE:
            ends = [index - 0.4 for index in range(len(names))], [index + 0.4 for index in range(len(names))]
            axes.hlines(middles, *ends, color=GREY, linestyle=(0, (3, 2)), linewidth=1.2, label=CHANCE)
            continue
        shifted = [index + OFFSET * (place - (len(board.rows) - 2) / 2) for index in range(len(names))]
        low = [middle - 100 * numbers[name][1] for middle, name in zip(middles, names, strict=True)]
        high = [100 * numbers[name][2] - middle for middle, name in zip(middles, names, strict=True)]
        axes.errorbar(
            shifted, middles, yerr=[low, high], fmt=MARKERS[place % len(MARKERS)], markersize=4.5, linewidth=1.1,
            color=COLOURS[place % len(COLOURS)], label=row.records[0].row,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
