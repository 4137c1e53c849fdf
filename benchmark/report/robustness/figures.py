"""Four pictures of a robustness page, each beside a csv: the curve, changes, words against picture, subgroups.

A method keeps its colour and its mark in all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.columns import raw
from benchmark.report.figures import BLUE, GREY, LETTERS, ORANGE, STYLE, write_figure
from benchmark.report.robustness.answers import Identity
from benchmark.report.robustness.numbers import Estimate
from benchmark.report.robustness.page import MEANING, label, with_facts
from benchmark.report.robustness.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#5F5F5F", "#6A3D9A")
"""Okabe and Ito's palette without its yellow, which is faint on white, and three more; the first is the reference's."""
MARKS = ("D", "o", "s", "^", "v", "P", "X", "<", ">", "p")
ROW = 0.3
"""Inches a row of dots takes."""


def write_figures(summary: Summary, folder: Path, stem: str) -> list[Path]:
    """Write every picture that the stored runs allow, called ``stem``-NAME.svg, and return the paths.

    Raises:
        UserError: the folder is read-only or full.
    """
    written: list[Path] = []
    for name, there, rows, draw in (
        ("curve", summary.curves, curve_rows, draw_curve),
        ("changes", summary.conditions, change_rows, draw_changes),
        ("following", summary.followings, following_rows, draw_following),
        ("subgroups", summary.keys, subgroup_rows, draw_subgroups),
    ):
        if there:
            header, *cells = with_facts(summary, rows(summary))
            # Another reference changes the picture, so the csv names it.
            content = [[*header, "reference"], *([*row, summary.study.name(summary.reference)] for row in cells)]
            written += write_figure(folder, f"{stem}-{name}", content, functools.partial(draw, summary))
    return written


def _panels(summary: Summary, what: str, size: tuple[float, float], **grid: Any) -> tuple[Figure, list[Axes]]:
    # A Figure of its own, not pyplot's: no window system, no global state.
    import matplotlib
    from matplotlib.figure import Figure

    dataset = summary.study.dataset
    kind = f"SYNTHETIC images ({dataset.name})" if dataset.synthetic else dataset.name
    folds = ", cross-validation" if summary.study.cross_validated else ""
    title = f"{kind}, {summary.study.protocol.task}{folds}: {what}"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(squeeze=False, **grid)
        figure.suptitle(fill(title, int(LETTERS * size[0])), fontsize=10, x=0.01, ha="left")
    return figure, list(panels.flat)


def _looks(summary: Summary, method: Identity) -> tuple[str, str]:
    """Return colour and mark of a method: the reference first, the others in order."""
    ordered = sorted(summary.methods, key=lambda one: one != summary.reference)
    place = ordered.index(method)
    place = place and 1 + (place - 1) % (len(COLOURS) - 1)
    return COLOURS[place], MARKS[place]


# ------------------------------------------------------------------------------------------------ the curve


def curve_rows(summary: Summary) -> list[list[str]]:
    """Return a row a method and number of stated criteria: macro mAP, its interval and its deviation over seeds."""
    rows = [["method", "encoder", "stated", "macro_map", "low", "high", "macro_map_std", "seeds"]]
    for method, found in summary.curves.items():
        for point in found:
            spread = raw(float(point.macro.std(ddof=1))) if len(point.macro) > 1 else ""
            level = summary.level(method, point.condition)
            interval = [raw(level.low), raw(level.high)] if level else ["", ""]
            mean = raw(float(point.macro.mean()))
            rows.append([*method, str(point.stated), mean, *interval, spread, str(len(point.macro))])
    return rows


def draw_curve(summary: Summary) -> Figure:
    """Draw a line a method, and around the reference its intervals; names stand at the end of the lines."""
    figure, (axes,) = _panels(summary, "macro mAP by the number of stated criteria", (7.2, 4.4))
    ends = {}
    for method, found in summary.curves.items():
        colour, mark = _looks(summary, method)
        places = [point.stated for point in found]
        means = 100 * np.array([point.macro.mean() for point in found])
        width = 2.2 if method == summary.reference else 1.2
        axes.plot(places, means, marker=mark, color=colour, linewidth=width, markersize=4, zorder=3)
        if method == summary.reference:
            levels = [summary.level(method, point.condition) for point in found]
            low, high = ([100 * getattr(level, end, np.nan) for level in levels] for end in ("low", "high"))
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        ends[method] = (places[-1], float(means[-1]))
    _name_lines(axes, summary, ends)
    criteria = summary.study.criteria
    axes.set_xticks(range(criteria + 1), ["0\nno finding", *map(str, range(1, criteria)), f"{criteria}\nall"])
    axes.set_ylabel("macro mAP, points")
    axes.set_xlabel(f"stated criteria; band: 95 % of {summary.study.name(summary.reference)}")
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _name_lines(axes: Axes, summary: Summary, ends: dict[Identity, tuple[int, float]]) -> None:
    """Write the names beside the ends of the lines, moved apart where they would touch."""
    low, high = axes.get_ylim()
    ordered = sorted(ends, key=lambda method: ends[method][1])
    heights = spread([ends[method][1] for method in ordered], (high - low) / 22)
    for method, height in zip(ordered, heights, strict=True):
        colour, _ = _looks(summary, method)
        bold = "bold" if method == summary.reference else "normal"
        end = (ends[method][0], ends[method][1])
        axes.annotate(
            summary.study.name(method), end, xytext=(ends[method][0] + 0.4, height), color=colour, fontsize=8,
            va="center", fontweight=bold, annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5),
            },
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return ``heights`` (ascending) moved apart to at least ``gap``; the middle of each heap stays where it was."""
    heaps: list[list[float]] = []
    for height in heights:
        heaps.append([height])
        while len(heaps) > 1 and _bottom(heaps[-1], gap) < _bottom(heaps[-2], gap) + gap * len(heaps[-2]):
            heaps[-2:] = [heaps[-2] + heaps[-1]]
    return [_bottom(heap, gap) + gap * place for heap in heaps for place in range(len(heap))]


def _bottom(heap: Sequence[float], gap: float) -> float:
    return sum(heap) / len(heap) - gap * (len(heap) - 1) / 2


# ------------------------------------------------------------------------------------------------ changes


def change_rows(summary: Summary) -> list[list[str]]:
    """Return a row a method and condition: the change of macro mAP and its interval."""
    rows = [["method", "encoder", "condition", "macro_map_change", "low", "high"]]
    for method in summary.methods:
        for name in summary.conditions:
            if name in summary.changes[method]:
                rows.append([*method, name, *_cells(summary.changes[method][name].difference)])
    return rows


def draw_changes(summary: Summary) -> Figure:
    """Draw a panel a condition, on one scale: the change of each method with its interval."""
    count = len(summary.conditions)
    size = (2.0 + 1.35 * count, 1.3 + ROW * len(summary.methods))
    against = dict.fromkeys("the canonical text" if name in MEANING else "all cases" for name in summary.conditions)
    what = f"change of macro mAP against {' and '.join(against)}, points, 95 %"
    figure, panels = _panels(summary, what, size, ncols=count, sharey=True, sharex=True)
    for axes, name in zip(panels, summary.conditions, strict=True):
        for place, method in enumerate(summary.methods):
            found = summary.changes[method].get(name)
            if found:
                _dot(axes, place, found.difference, *_looks(summary, method))
        axes.set_title(fill(name, 15), fontsize=9)
        _rows_of_methods(axes, summary, summary.methods)
    return figure


def _rows_of_methods(axes: Axes, summary: Summary, methods: Sequence[Identity]) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]  # panels of a grid have one
        axes.set_yticks(range(len(methods)), [summary.study.name(method) for method in methods])
        for tick, method in zip(axes.get_yticklabels(), methods, strict=True):
            tick.set_fontweight("bold" if method == summary.reference else "normal")
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _dot(axes: Axes, place: float, one: Estimate, colour: str, mark: str, filled: bool = True) -> None:
    face = colour if filled else "white"
    axes.plot([100 * one.low, 100 * one.high], [place, place], color=colour, linewidth=1.4, zorder=2)  # NaN: none
    axes.plot(100 * one.value, place, mark, color=colour, markerfacecolor=face, markersize=5, zorder=3)


# ------------------------------------------------------------------------------------------------ words against picture


def following_rows(summary: Summary) -> list[list[str]]:
    """Return a row a method and measure: the change under the contradicting text and its interval."""
    rows = [["method", "encoder", "measure", "change", "low", "high"]]
    for method, one in summary.followings.items():
        for name, estimate in (("stated value", one.stated), ("true value", one.true), ("macro mAP", one.macro)):
            rows.append([*method, name, *_cells(estimate)])
    return rows


def draw_following(summary: Summary) -> Figure:
    """Draw what the first ten gain of the stated and lose of the true value, and what that does to macro mAP."""
    methods = [method for method in summary.methods if method in summary.followings]
    size = (8.4, 1.6 + ROW * 1.2 * len(methods))
    what = "one criterion stated falsely, change against the canonical text, points, 95 %"
    figure, (left, right) = _panels(summary, what, size, ncols=2, sharey=True, width_ratios=[3, 2])
    for place, method in enumerate(methods):
        one = summary.followings[method]
        _dot(left, place - 0.13, one.stated, ORANGE, "^")
        _dot(left, place + 0.13, one.true, BLUE, "o", filled=False)
        _dot(right, place, one.macro, "#222222", "s")
    for axes, name in ((left, "first ten cases that show the value"), (right, "macro mAP")):
        _rows_of_methods(axes, summary, methods)
        axes.set_title(name, fontsize=9)
    text = "filled triangle: the value that the words state (follows the words); circle: the value of the picture"
    figure.supxlabel(fill(text, int(LETTERS * size[0])), fontsize=8)
    return figure


# ------------------------------------------------------------------------------------------------ subgroups


def subgroup_rows(summary: Summary) -> list[list[str]]:
    """Return a row a key, value and method."""
    rows = [
        ["key", "value", "queries", "groups", "method", "encoder", "macro_map", "low", "high", "all_of_same_groups"]
    ]
    for key in summary.keys:
        for method, found in summary.subgroups[key].items():
            for one in found:
                counts = [str(one.queries), str(one.strata)]
                rows.append([key, one.value, *counts, *method, *_cells(one.macro), raw(one.expected)])
    return rows


def draw_subgroups(summary: Summary) -> Figure:
    """Draw the reference with intervals, what all queries of the same groups give it, and the other methods as dots."""
    shown = {key: summary.subgroups[key][_shown_first(summary, key)] for key in summary.keys}
    counts = [max(len(found), 2) for found in shown.values()]
    size = (7.2, 1.5 + 0.27 * sum(counts) + 0.45 * len(counts))
    figure, panels = _panels(
        summary, "macro mAP by subgroup, points, 95 %", size, nrows=len(counts), sharex=True, height_ratios=counts
    )
    for axes, (key, found) in zip(panels, shown.items(), strict=True):
        _others(axes, summary, key, [one.value for one in found])
        for place, one in enumerate(found):
            _dot(axes, place, one.macro, ORANGE, "D", filled=not one.few)
            axes.plot(100 * one.expected, place, "|", color="black", markersize=11, markeredgewidth=1.6, zorder=4)
        axes.set_yticks(range(len(found)), [f"{one.value} ({one.queries})" for one in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_title(label(key), fontsize=9, loc="left")
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        axes.tick_params(axis="y", length=0)
    first = summary.study.name(summary.reference)
    alike = f"bar: {first} over all queries of the same strata"
    text = f"diamond: {first}, hollow where few queries; {alike}; grey: the other methods"
    figure.supxlabel(fill(text, int(LETTERS * size[0])), fontsize=8)
    return figure


def _shown_first(summary: Summary, key: str) -> Identity:
    found = summary.subgroups[key]
    return summary.reference if summary.reference in found else next(iter(found))


def _others(axes: Axes, summary: Summary, key: str, values: Sequence[str]) -> None:
    for method, found in summary.subgroups[key].items():
        if method != _shown_first(summary, key):
            for one in found:
                if one.value in values:
                    axes.plot(
                        100 * one.macro.value, values.index(one.value), ".", color="#AAAAAA", markersize=5, zorder=1
                    )


def _cells(one: Estimate) -> list[str]:
    return [raw(one.value), raw(one.low), raw(one.high)]
