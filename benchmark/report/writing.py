"""Writes every table and figure of a set of evaluations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.files import write_atomic
from benchmark.report.figures import write_figures
from benchmark.report.formats import latex, leaderboard_csv, markdown
from benchmark.report.leaderboard import Leaderboard, leaderboard
from benchmark.report.table import Evaluated, tables


def leaderboards(evaluations: Iterable[Evaluated], reference: str | None) -> list[Leaderboard]:
    """Return the leaderboard of every table; ``reference`` names the method that the others are tested against.

    Raises:
        UserError: a stored file is damaged.
    """
    return [leaderboard(table, reference) for table in tables(evaluations)]


def write_reports(evaluations: Iterable[Evaluated], folder: Path, reference: str | None) -> list[Path]:
    """Write the files of every table under ``folder``/DATASET/TASK/ and return their paths.

    Raises:
        UserError: a stored file is damaged, or the folder is read-only or full.
    """
    boards = leaderboards(evaluations, reference)
    return [path for board in boards for path in write_board(board, folder)]


def write_board(board: Leaderboard, folder: Path) -> list[Path]:
    """Write one leaderboard: md, csv and tex, and, on test, two figures with a csv each."""
    target = folder / board.table.folder
    stem = "leaderboard-cv" if board.cross_validated else "leaderboard"
    texts = {".md": markdown(board), ".csv": leaderboard_csv(board), ".tex": latex(board)}
    written = []
    for suffix, text in texts.items():
        path = target / f"{stem}{suffix}"
        write_atomic(path, text.encode())
        written.append(path)
    return written if board.cross_validated else written + write_figures(board, target)
