"""A leaderboard as markdown, csv, LaTeX and a table for the terminal."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.report import wording
from benchmark.report.columns import Column, columns, difference_heading, paper_columns, raw_rows, short_columns
from benchmark.report.leaderboard import Leaderboard, Line

if TYPE_CHECKING:
    from rich.table import Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": r"\textbar{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "≈": r"$\approx$", "†": r"$\dagger$", "‡": r"$\ddagger$",
}  # fmt: skip
DROPPED = (
    "parameters", "P@1", "seeds", "nDCG@10", "wins by seed", "P@10", "composition gap", "folds",
    "mAP", "mAP (grade 2)",
)  # fmt: skip
"""Columns that the terminal leaves out first where it is narrow; the files hold all of them. A heading stands for those
too that go on after a comma: ``mAP, 1 change``."""


FIGURES = {
    False: ("![Macro mAP of every row](macro_map.svg)", "![Mean average precision by stratum](per_group.svg)"),
    True: (),
}
"""Whether it is cross-validated -> the pictures beside the page."""


# ------------------------------------------------------------------------------------------------ markdown


def markdown(board: Leaderboard) -> str:
    """Return the page: title, facts, table, how it was made, marks, rows."""
    parts = [
        f"# {wording.title(board)}",
        *([wording.SYNTHETIC] if board.table.dataset.synthetic else []),
        wording.facts(board),
        markdown_table(board, columns(board)),
        *([_bullets(wording.marks(board))] if wording.marks(board) else []),
        wording.method_paragraph(board),
        *FIGURES[board.cross_validated],
        "## Rows",
        wording.REGISTERED,
        _bullets(wording.rows(board)),
        *(["## How to make it again", *rebuilding] if (rebuilding := wording.rebuilding(board)) else []),
    ]
    return "\n\n".join(parts) + "\n"


def short_markdown(board: Leaderboard, link: str) -> str:
    """Return the README's version: a line above, fewer columns, and the marks. ``link`` leads to the full table. Of
    several encoders it has the rows of that one which the best row sees through.
    """
    table = board.table
    encoders = list(dict.fromkeys(line.encoder for line in board.lines))
    lines = tuple(line for line in board.lines if line.encoder == encoders[0])
    seeds = wording.spans(sorted({seed for row in table.rows for seed in row.seeds}))
    kind = "drawn, **synthetic** images" if table.dataset.synthetic else "real images"
    queries = sum(len(judgments.query_ids) for judgments in table.judgments.values())
    seen = f"encoder {encoders[0]}, " if encoders else ""
    more = f", with the rows of encoder {', '.join(encoders[1:])}" if encoders[1:] else ""
    above = (
        f"{table.dataset.name} ({kind}), task {table.protocol.task}, {seen}{queries:,} test queries, seeds {seeds}; "
        f"[full table{more}, and how it was made]({link})."
    )
    shown = replace(board, lines=lines)
    below = " ".join([wording.legend(shown), *wording.marks(shown)])
    return f"{above}\n\n{markdown_table(shown, short_columns(shown))}\n\n{below}"


def markdown_table(board: Leaderboard, shown: Sequence[Column]) -> str:
    """Return a pipe table. Reference points follow a row that says so, since markdown has no rule inside a table."""
    from tabulate import tabulate

    apart = [["*no methods:*", *([""] * (len(shown) - 1))]] if board.apart else []
    body = [
        *_cells(board.lines, shown, _markdown_text, "**{}**".format),
        *apart,
        *_cells(board.apart, shown, _markdown_text, "**{}**".format),
    ]
    headings = [_markdown_text(column.heading) for column in shown]
    align = ["left" if column.left else "right" for column in shown]
    return str(tabulate(body, headings, tablefmt="pipe", colalign=align, disable_numparse=True))


def _markdown_text(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _cells(
    lines: Sequence[Line], shown: Sequence[Column], escape: Callable[[str], str], strong: Callable[[str], str]
) -> list[list[str]]:
    """Return the text of each cell; the best row's lead metric is set in ``strong``."""
    return [
        [strong(text) if column.strong and line.best else text for column, text in zip(shown, texts, strict=True)]
        for line in lines
        for texts in [[escape(column.cell(line)) for column in shown]]
    ]


# ------------------------------------------------------------------------------------------------ csv and LaTeX


def csv_text(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as csv with plain line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def leaderboard_csv(board: Leaderboard) -> str:
    """Return all raw numbers."""
    return csv_text(raw_rows(board))


def latex(board: Leaderboard) -> str:
    r"""Return a floating table for ``\input``; it needs the package booktabs and nothing else."""
    shown = paper_columns(board)
    head = " & ".join(latex_text(column.heading) for column in shown)
    synthetic = [wording.SYNTHETIC] if board.table.dataset.synthetic else []
    words = [f"{wording.title(board)}.", *synthetic, wording.facts(board), *wording.marks(board)]
    caption = latex_text(wording.plain(" ".join(words)))
    apart = [r"\midrule", *_latex_lines(board.apart, shown)] if board.apart else []
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table*}",
            r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{''.join('l' if column.left else 'r' for column in shown)}}}",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            *_latex_lines(board.lines, shown),
            *apart,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Escape what LaTeX would read as a command, and write the marks with standard symbols."""
    return "".join(LATEX.get(character, character) for character in text)


def _latex_lines(lines: Sequence[Line], shown: Sequence[Column]) -> list[str]:
    cells = _cells(lines, shown, latex_text, lambda text: rf"\textbf{{{text}}}")
    return [" & ".join(row) + r" \\" for row in cells]


# ------------------------------------------------------------------------------------------------ terminal


def terminal(board: Leaderboard, width: int = 120) -> Table:
    """Return a rich table that fits ``width`` columns; narrow ones lose the columns of ``DROPPED`` in that order."""
    from rich.console import Console

    shown = columns(board)
    console = Console(width=1_000)
    alone = len({line.encoder for line in board.lines}) == 1
    # With several encoders a row can't do without the name of its own.
    dropped = [difference_heading(board), *DROPPED]
    for heading in ["encoder", *dropped] if alone else dropped:
        if console.measure(_rich(board, shown, bare=True)).maximum <= width:
            break
        shown = [column for column in shown if column.heading.partition(",")[0] != heading]
    return _rich(board, shown)


def _wrapped(column: Column, lines: Sequence[Line]) -> str:
    """Break a heading at its spaces into lines that are no wider than the column has to be."""
    words = max(len(word) for word in column.heading.split())
    return textwrap.fill(column.heading, max(words, *(len(column.cell(line)) for line in lines), 1))


def _rich(board: Leaderboard, shown: Sequence[Column], bare: bool = False) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    notes = [*wording.marks(board), *wording.open_tests(board)]
    table = Table(
        title=None if bare else Text(wording.plain(wording.title(board))),
        caption=None if bare else Text("\n".join(wording.plain(sentence) for sentence in notes)),
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        title_justify="left",
        caption_justify="left",
    )
    lines = (*board.lines, *board.apart)
    for column in shown:
        table.add_column(Text(_wrapped(column, lines)), justify="left" if column.left else "right", no_wrap=True)
    for part in (board.lines, board.apart):
        for line in part:
            style = "bold" if line.best else "" if line.kind == "method" else "dim"
            table.add_row(*(Text(column.cell(line)) for column in shown), style=style)
        table.add_section()
    return table
