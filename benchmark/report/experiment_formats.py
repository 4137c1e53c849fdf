"""An experiment as markdown, csv, LaTeX and a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.columns import NONE, STALE, parameters_text, points, raw, signed_points
from benchmark.report.experiment import Board, Line
from benchmark.report.formats import csv_text, latex_text
from benchmark.report.table import other_conditions
from benchmark.report.wording import SYNTHETIC, made_with, plain, spans
from benchmark.statistics import SEPARATE, standard_error
from benchmark.tasks import TASKS

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = (
    "variant", "method", "macro mAP ± SE", "minus base ± SE", "verdict", "nDCG@10", "minus base ± SE", "parameters",
)  # fmt: skip
LEFT = 2
"""Columns that stand to the left."""
ALL = (
    "question", "variant", "base", "method", "name", "encoder", "macro_map", "macro_map_se", "minus_base",
    "minus_base_se", "minus_base_low", "minus_base_high", "verdict", "folds", "seeds", "queries", "parameters", "stale",
    "settings", "ndcg_10", "ndcg_10_minus_base", "ndcg_10_minus_base_se",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ numbers


def as_rows(board: Board) -> list[dict[str, Any]]:
    """Return every line with raw numbers by the names of the csv; what does not apply is None."""
    return [_row(line) for line in board.lines]


def _row(line: Line) -> dict[str, Any]:
    member, record, compared = line.member, line.record, not line.member.base and bool(line.differences)
    mean = float(np.mean(line.differences)) if compared else None
    error = standard_error(line.differences) if compared else None
    low, high = interval(line) or (None, None)
    known = compared and not any(map(isnan, line.graded_differences))
    graded = None if any(map(isnan, line.graded.values())) else float(np.mean(list(line.graded.values())))
    graded_mean = float(np.mean(line.graded_differences)) if known else None
    graded_error = standard_error(line.graded_differences) if known else None
    values = (
        member.question, member.variant, member.base, line.method, member.method, record.encoder.name, line.mean,
        line.error, mean, error, low, high, line.verdict, len(line.folds), line.seeds, line.queries,
        record.method.parameters, bool(line.changed), "; ".join(settings(line)), graded, graded_mean, graded_error,
    )  # fmt: skip
    return dict(zip(ALL, values, strict=True))


def interval(line: Line) -> tuple[float, float] | None:
    """Return the difference to the base minus and plus two standard errors; None for a base, or where there is none."""
    if line.member.base or not line.differences:
        return None
    mean, reach = float(np.mean(line.differences)), SEPARATE * standard_error(line.differences)
    return mean - reach, mean + reach


def experiment_csv(board: Board) -> str:
    """Return all raw numbers."""
    manifest, synthetic = board.manifest, cell_text(is_synthetic(board))
    rows = [[manifest.dataset, synthetic, manifest.task, *map(cell_text, row.values())] for row in as_rows(board)]
    return csv_text([["dataset", "synthetic", "task", *ALL], *rows])


def cell_text(value: Any) -> str:
    """Return a value as a cell of a csv."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else raw(value)


def is_synthetic(board: Board) -> bool:
    """Whether the images are drawn."""
    return any(line.record.dataset.synthetic for line in board.lines)


def settings(line: Line) -> list[str]:
    """Return all that a row sets other than the defaults, and its encoder."""
    record = line.record
    options = record.method.row.partition(" [")[2].removesuffix("]")
    conditions = other_conditions(record.protocol, record.dataset)
    training = conditions.pop("training", "")
    told = [f"{name.replace('_', '-')} {value}" for name, value in conditions.items()]
    told += [f"training {one}" for one in training.split(", ") if one]
    return [*([f"{record.method.name} {options}"] if options else []), f"encoder {record.encoder.name}", *told]


# ------------------------------------------------------------------------------------------------ words


def title(board: Board) -> str:
    """Return e.g. ``Experiment ablations: derm7pt, case-search, cross-validation``."""
    kind = "**Synthetic** experiment" if is_synthetic(board) else "Experiment"
    return f"{kind} {board.manifest.name}: {board.manifest.dataset}, {board.manifest.task}, cross-validation"


def sentences(board: Board) -> list[str]:
    """Return what was asked and how the numbers were made."""
    lines, task = board.lines, TASKS[board.manifest.task]
    folds = max(len(line.folds) for line in lines)
    counts = sorted({line.queries for line in lines})
    asked = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    seeds = sorted({line.seeds for line in lines})
    note = f" {task.note}" if task.note else ""
    shared = [one for one in settings(lines[0]) if all(one in settings(line) for line in lines)]
    common = f"All rows: {'; '.join(shared)}." if shared else "Rows differ in encoder and other settings."
    return [
        f"{asked} queries in {folds} folds over train and valid; {spans(seeds)} seed{'' if seeds == [1] else 's'} a "
        f"fold. {common} What else a row sets stands in the csv beside this page; the rest are defaults.",
        "Numbers are percentage points: the mean over folds of the mean over a fold's seeds. ± is the standard error "
        "over folds. Minus base is the difference to the base of the question, paired by fold; where that of macro mAP "
        f"is under {SEPARATE:.0f} standard errors it is a tie, which gives no reason to prefer either. nDCG@10, which "
        "grades relevance, stands beside it without a verdict. No verdict is adjusted for the number of rows: with "
        "five folds, of twenty rows that equal their base two or three will look better or worse by chance, and folds "
        f"share training cases.{note}",
    ]


def notes(board: Board) -> list[str]:
    """Return sentences on rows that are stale or have no result."""
    files = sorted({name for line in board.lines for name in line.changed})
    found = [f"{STALE} made with other versions of {', '.join(files)}; run the experiment again."] if files else []
    return found + ([f"Without a result: {', '.join(board.missing)}."] if board.missing else [])


def unpaired(lines: Sequence[Line]) -> list[str]:
    """Return a sentence on variants of a question that ask some of their queries in another fold than the base does."""
    moved = {
        line.member.variant: f"{line.member.variant} {line.shared:,} of {line.queries:,}"
        for line in lines
        if line.shared is not None and line.shared < line.queries
    }
    if not moved:
        return []
    return [
        f"Paired in part: other cases are left out, so that folds are drawn anew. In the fold of the base ask, of "
        f"{'; of '.join(moved.values())} queries. Errors are then nearly those of rows that are not paired."
    ]


def _cells(line: Line) -> list[str]:
    row = _row(line)
    return [
        line.member.variant,
        f"{line.method} {STALE}" if line.changed else line.method,
        f"{points(line.mean)} ± {points(line.error)}",
        _difference(row["minus_base"], row["minus_base_se"]),
        line.verdict or NONE,
        NONE if row["ndcg_10"] is None else points(row["ndcg_10"]),
        _difference(row["ndcg_10_minus_base"], row["ndcg_10_minus_base_se"]),
        parameters_text(line.record.method.parameters),
    ]


def _difference(mean: float | None, error: float | None) -> str:
    return NONE if mean is None or error is None else f"{signed_points(mean)} ± {points(error)}"


# ------------------------------------------------------------------------------------------------ pages


def experiment_markdown(board: Board, picture: str, sections: str = "", published: bool = False) -> str:
    """Return the page; ``picture`` is the path of the figure from there, ``sections`` stand before all tables. The
    file of a ``published`` experiment is in the repository.
    """
    parts = [f"# {title(board)}", *([SYNTHETIC] if is_synthetic(board) else []), *sentences(board)]
    if notes(board):
        parts.append("\n".join(f"- {sentence}" for sentence in notes(board)))
    drawn = f"![Differences to the base of each question]({picture})"
    parts += [sections, "# All rows", drawn] if sections else [drawn]
    for question, lines in board.questions.items():
        told = filter(None, [board.manifest.notes.get(question), *unpaired(lines)])
        parts += [f"## {question}", *told, _markdown_table(lines)]
    place, where = ("results/experiments/", ", from the root of the repository,") if published else ("", "")
    again = f"`python -m benchmark run --config {place}{board.manifest.name}.toml`{where} makes it again."
    parts.append(" ".join([*made_with(one.record for one in board.evaluations), again]))
    return "\n\n".join(parts) + "\n"


def _markdown_table(lines: Sequence[Line]) -> str:
    from tabulate import tabulate

    body = [[cell.replace("|", "\\|").replace("*", "\\*") for cell in _cells(line)] for line in lines]
    align = ["left"] * LEFT + ["right"] * (len(HEADINGS) - LEFT)
    return str(tabulate(body, HEADINGS, tablefmt="pipe", colalign=align, disable_numparse=True))


def experiment_latex(board: Board) -> str:
    r"""Return one floating table for ``\input``, a question after the other; it needs booktabs."""
    told = [f"{question}: {note}" for question, note in board.manifest.notes.items()]
    told += [f"{question}: {sentence}" for question, lines in board.questions.items() for sentence in unpaired(lines)]
    words = [f"{title(board)}.", *([SYNTHETIC] if is_synthetic(board) else []), *sentences(board), *notes(board), *told]
    lines = []
    for question, members in board.questions.items():
        heading = rf"\multicolumn{{{len(HEADINGS)}}}{{l}}{{\textit{{{latex_text(question)}}}}} \\"
        lines += [r"\midrule", heading, *(" & ".join(map(latex_text, _cells(one))) + r" \\" for one in members)]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table*}",
            r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{latex_text(plain(' '.join(words)))}}}",
            rf"\begin{{tabular}}{{{'l' * LEFT}{'r' * (len(HEADINGS) - LEFT)}}}",
            r"\toprule",
            rf"{' & '.join(map(latex_text, HEADINGS))} \\",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def question_table(board: Board, question: str) -> Table:
    """Return a rich table of one question."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    note = board.manifest.notes.get(question)
    table = Table(
        title=Text(question),
        caption=Text(note) if note else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
    )
    for place, heading in enumerate(HEADINGS):
        table.add_column(Text(heading), justify="left" if place < LEFT else "right")
    for line in board.questions[question]:
        table.add_row(*map(Text, _cells(line)), style="dim" if line.member.base else "")
    return table
