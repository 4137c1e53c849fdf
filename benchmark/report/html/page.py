"""Boards -> pages: one file a data set, with everything inlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark import __version__
from benchmark.errors import PluginError, UserError
from benchmark.files import write_atomic
from benchmark.report import wording
from benchmark.report.columns import columns
from benchmark.report.html.browser import Browser, browse
from benchmark.report.html.cards import Card, card
from benchmark.report.html.cells import Cell, GroupChart, Scale, cells, choices, group_charts, kind, scale
from benchmark.report.html.surroundings import Rows, Surroundings, of_line, rows_of
from benchmark.report.leaderboard import Leaderboard
from benchmark.report.table import Evaluated, safe_name

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """One leaderboard of a page."""

    board: Leaderboard
    identity: str
    title: str
    headings: list[tuple[str, bool]]
    rows: list[list[Cell]]
    apart: list[list[Cell]]
    choices: dict[str, list[str]]
    scale: Scale
    charts: list[GroupChart]
    cards: list[Card]
    unknown: list[str]


def write_pages(
    boards: Sequence[Leaderboard], evaluations: Sequence[Evaluated], folder: Path, around: Surroundings
) -> list[Path]:
    """Write ``folder``/DATASET.html for every data set of ``boards`` and return the paths.

    Raises:
        UserError: the folder is read-only or full.
    """
    written = []
    for name in dict.fromkeys(board.table.dataset.name for board in boards):
        own = sorted((board for board in boards if board.table.dataset.name == name), key=_default_first)
        path = folder / f"{safe_name(name)}.html"
        write_atomic(path, page(own, evaluations, around).encode())
        written.append(path)
    return written


def page(boards: Sequence[Leaderboard], evaluations: Sequence[Evaluated], around: Surroundings) -> str:
    """Return the page of one data set; ``boards`` are all of its leaderboards, the main one first."""
    rows = [rows_of(board, evaluations) for board in boards]
    dataset = boards[0].table.dataset
    browser, left_out = _browser(boards, rows, around)
    return _environment().get_template("page.html.j2").render(
        dataset=dataset,
        sections=[_section(i, board, of, around) for i, (board, of) in enumerate(zip(boards, rows, strict=True), 1)],
        browser=browser,
        left_out=left_out,
        synthetic=wording.SYNTHETIC if dataset.synthetic else "",
        version=__version__,
    )  # fmt: skip


def _default_first(board: Leaderboard) -> tuple[bool, int, str]:
    """Order boards: on test before cross-validation, default conditions before others."""
    return board.cross_validated, len(board.table.folder.parts), board.table.folder.as_posix()


def _browser(boards: Sequence[Leaderboard], rows: Sequence[Rows], around: Surroundings) -> tuple[Browser | None, str]:
    """Return the query browser of the first board on test, or the sentence why there is none."""
    for board, of in zip(boards, rows, strict=True):
        if not board.cross_validated and board.table.dataset.synthetic:
            try:
                return browse(board, of, around), ""
            except (UserError, PluginError) as error:
                return None, str(error)
    if boards[0].table.dataset.synthetic:
        return None, "Queries are shown for the test split; run without --evaluate cv to see them."
    return None, "No picture of a data set that is not synthetic is ever put on a page; see its licence."


def _section(number: int, board: Leaderboard, rows: Rows, around: Surroundings) -> Section:
    lines = [line for line in (*board.lines, *board.apart) if line.row]
    make = partial(card, registry=around.registry, reference=board.reference)
    return Section(
        board=board,
        identity=f"table-{number}",
        title=wording.title(board),
        headings=[(column.heading, column.left) for column in columns(board)],
        rows=cells(board, board.lines),
        apart=cells(board, board.apart),
        choices=choices(board),
        scale=scale(board),
        charts=group_charts(board),
        cards=[make(line, [one.record for one in of_line(rows, line)]) for line in lines],
        unknown=unknown(board),
    )


def unknown(board: Leaderboard) -> list[str]:
    """Return what the numbers of a leaderboard do not say."""
    single = [line.label for line in board.lines if line.numbers["seeds"] == 1]
    return [
        *(["How any of these methods does on photographs."] if board.table.dataset.synthetic else []),
        "How the order would be with other cases, another place, camera or population: intervals hold for this "
        "gallery and this split.",
        *_unasked(board),
        "Whether other options, more training or another encoder would change the order: only what is listed was run.",
        "Whether two rows that a test does not separate are equal: a high p shows no difference, not sameness.",
        *([f"How much the seed matters for {', '.join(single)}: there is one seed."] if single else []),
    ]


def _unasked(board: Leaderboard) -> list[str]:
    if board.table.protocol.queries:
        return ["What else is relevant: only what the file of queries lists is, and it lists what its author knew."]
    return [
        "What users would ask: the words of a query are made from the labels of its case, not written by a person.",
        "What users would find useful: relevance is equality of labels, and nobody has judged a result by eye.",
    ]


def marked_up(text: str) -> Markup:
    """Return escaped text in which **words** are strong and `words` are code."""
    strong = _alternate(str(escape(text)), "**", "strong")
    return Markup(_alternate(strong, "`", "code"))


def _alternate(text: str, mark: str, tag: str) -> str:
    parts = text.split(mark)
    if len(parts) % 2 == 0:
        return text
    return "".join(f"<{tag}>{part}</{tag}>" if i % 2 else part for i, part in enumerate(parts))


def inlined(name: str) -> Markup:
    """Return a file of this folder as it is, to stand inside the page."""
    return Markup((HERE / name).read_text(encoding="utf-8"))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["marked_up"] = marked_up
    functions: dict[str, Any] = {
        "inlined": inlined, "facts": wording.facts, "marks": wording.marks, "how_made": wording.method_paragraph,
        "kind": kind,
    }  # fmt: skip
    environment.globals.update(functions)
    return environment
