"""The sentences around a leaderboard, in markdown; other formats strip the emphasis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.report.columns import LABELS, NEAR, STALE, missed_heading
from benchmark.report.leaderboard import BOOTSTRAP_DRAWS, CHANCE, SEPARABLE, TEST_DRAWS, Leaderboard, Line

SYNTHETIC = (
    "All images of this table are **synthetic**: a program draws them, "
    "and nothing here says how a method does on real ones."
)
GALLERIES = {"split": "the other cases of the same split", "archive": "the cases of train and valid"}


def title(board: Leaderboard) -> str:
    """Return e.g. ``Leaderboard: derm7pt, case-search``; a drawn dataset is called synthetic."""
    table = board.table
    kind = "**Synthetic** leaderboard" if table.dataset.synthetic else "Leaderboard"
    folds = ", cross-validation" if board.cross_validated else ""
    other = f" ({table.folder.name})" if len(table.folder.parts) > 2 else ""
    return f"{kind}: {table.dataset.name}, {table.protocol.task}{folds}{other}"


def plain(text: str) -> str:
    """Return markdown without emphasis and code marks."""
    return text.replace("**", "").replace("`", "")


def facts(board: Leaderboard) -> str:
    """Return one line on what was searched, by whom and how often."""
    table, protocol = board.table, board.table.protocol
    judgments = list(table.judgments.values())
    queries = sum(len(one.query_ids) for one in judgments)
    judged = sum(int((one.gains > 0).any(axis=1).sum()) for one in judgments)
    groups = ", ".join(f"{name} {count}" for name, count in table.groups.items())
    encoders = sorted({line.encoder for line in board.lines})
    seeds = sorted({seed for row in table.rows for seed in row.seeds})
    parts = [
        f"dataset {table.dataset.name}",
        f"task {protocol.task}",
        f"{queries:,} queries" + (f" in {len(judgments)} folds" if board.cross_validated else ""),
        *([f"only {judged:,} of them have a relevant candidate and count"] if judged < queries else []),
        f"{_candidates(board)} candidates each ({_searched(board)})",
        f"{table.task.counted} {groups}",
        *([f"encoder {encoders[0]}"] if len(encoders) == 1 else []),
        f"seeds {spans(seeds)}",
        f"queries: your own, {protocol.queries}" if protocol.queries else f"text {protocol.text_style}",
        f"view {protocol.view}",
        *([f"trained on {protocol.trained_on}"] if protocol.trained_on else []),
        *([f"queries without {protocol.without}: the mean one of train instead"] if protocol.without else []),
        *([f"training {protocol.training}"] if protocol.training else []),
        *([f"excluded {protocol.excluded}"] if protocol.excluded else []),
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _searched(board: Leaderboard) -> str:
    protocol = board.table.protocol
    asked_from_outside = all((one.excluded < 0).all() for one in board.table.judgments.values())
    if protocol.gallery == "split" and protocol.queries and asked_from_outside:
        return "the cases of the test split"
    return GALLERIES.get(protocol.gallery, protocol.gallery)


def _candidates(board: Leaderboard) -> str:
    counts = {len(one.gallery_ids) - int((one.excluded >= 0).any()) for one in board.table.judgments.values()}
    return f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"


def spans(numbers: Sequence[int]) -> str:
    """Return ``0-4`` for consecutive numbers, else ``0, 2, 5``."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(str(number) for number in numbers)


def method_paragraph(board: Leaderboard) -> str:
    """Return how the averages, intervals and p values were made."""
    gap = "Composition gap: macro mAP minus that of the better of the image-only and text-only rows."
    if board.cross_validated:
        return (
            "Numbers are percentage points: the mean over folds of the mean over a fold's seeds. ± is the standard "
            "error over folds, for differences that of the difference paired by fold; a difference under two standard "
            f"errors is a tie, and the simpler variant wins. {gap}{_note(board)}"
        )
    task = board.table.task
    drawn = f"queries within {task.stratum}" if task.unit == "query" else f"{task.unit}s"
    missed = f" {missed_heading(board).capitalize()}: lower is better." if board.critical else ""
    return (
        "Numbers are percentage points, means over seeds. ± is the standard deviation over seeds; [95 %] is a "
        f"two-level bootstrap interval of macro mAP (seeds, then {drawn}; "
        f"{BOOTSTRAP_DRAWS:,} draws), conditional on this gallery. {_tests(board)} {gap}{missed}{_note(board)}"
    )


def _note(board: Leaderboard) -> str:
    return f" {board.table.task.note}" if board.table.task.note else ""


def open_tests(board: Leaderboard) -> list[str]:
    """Return the sentence on p and wins where they are left open; tables that have a paragraph say it there."""
    return [] if board.cross_validated or board.has_reference else [_tests(board)]


def _tests(board: Leaderboard) -> str:
    name = f"`{board.reference}`"
    if not board.has_reference:
        return f"p and wins are left open: no row of this table is of {name}, the method to test against."
    return (
        f"p: two-sided sign-flip test of the difference in macro mAP between {name} and the row ({TEST_DRAWS:,} draws, "
        f"signs flipped by {board.table.task.unit}), adjusted by Holm over the {board.family} rows that {name} is "
        f"tested against. Wins by seed: seeds in which {name} has the higher macro mAP."
    )


def marks(board: Leaderboard) -> list[str]:
    """Return one sentence for each mark in the table, and for what was left out."""
    lines = (*board.lines, *board.apart)
    found = []
    if any(line.near_best for line in lines):
        found.append(
            f"{NEAR} not separable from the best row (paired p > {SEPARABLE}, not adjusted): a description, no test."
        )
    if any(line.kind == "reads labels" for line in lines):
        found.append(f"{LABELS} reads labels that no method sees: a reference point, not a method.")
    if any(line.kind == "chance" for line in lines):
        found.append(f"{CHANCE}: the expectation of a random ranking, computed exactly.")
    found += [_stale(line) for line in lines if line.row and line.row.changed]
    return found + _seed_notes(board) + list(board.table.notes)


def _stale(line: Line) -> str:
    assert line.row is not None
    return f"{STALE} `{line.label}`: made with other versions of {', '.join(line.row.changed)}; run it again."


def _seed_notes(board: Leaderboard) -> list[str]:
    """Say where a comparison had fewer seeds than the row, or none."""
    if board.cross_validated or not board.has_reference:
        return []
    short = [board.name(line) for line in board.lines if line.numbers.get("wins_of", np.inf) < line.numbers["seeds"]]
    none = [board.name(line) for line in board.lines if not line.reference and "wins_of" not in line.numbers]
    notes = [f"p and wins use only the seeds shared with `{board.reference}`: {', '.join(short)}."] if short else []
    alone = f"Not tested (no seed or no encoder shared with `{board.reference}`): {', '.join(none)}."
    return notes + ([alone] if none else [])


def rows(board: Leaderboard) -> list[str]:
    """Return what each row is and whose work, once a method."""
    found = {}
    for line in (*board.lines, *board.apart):
        if line.row:
            method = line.row.method
            found[line.label] = f"`{line.label}`: {method.summary.rstrip('.')}. {method.citation.rstrip('.')}."
    return list(found.values())
