"""One copy of Derm7pt on disk: its CSV files and image paths, read into rows and a list of what is wrong and where.

Nothing here raises for broken data: the dataset decides whether to refuse it or to report it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import near_misses
from benchmark.interfaces import Split
from plugins.datasets.seven_point import CRITERIA, TAXONOMY, seven_point_score
from plugins.datasets.tables import Problem, Row, inside, read_lines, to_rows

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
IMAGE_COLUMNS = {"dermoscopic": "derm", "clinical": "clinic"}
METADATA = (
    "case_num", "seven_point_score", "level_of_diagnostic_difficulty", "elevation", "location", "sex", "management",
    "notes", "case_id",
)  # fmt: skip
VOCABULARY: Mapping[str, Iterable[str]] = {"diagnosis": TAXONOMY, **{c.name: c.values for c in CRITERIA}}
COLUMNS = (*METADATA, *VOCABULARY, *IMAGE_COLUMNS.values())


@dataclass
class Copy:
    """All that was read of one copy: rows of meta.csv, row indices of each split, the place that names each image."""

    rows: list[Row] = field(default_factory=list)
    splits: dict[str, list[int]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    images: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_copy(root: Path) -> Copy:
    """Read meta.csv and the three split files, and collect what is wrong. Raises nothing."""
    copy = Copy()
    folder = (root / "images").resolve()
    copy.rows, copy.problems = read_table(root / "meta" / "meta.csv", COLUMNS)
    for row in copy.rows:
        copy.problems += _vocabulary_problems(row)
        copy.problems += _add_images(copy, row, folder)
    if copy.rows:
        _add_splits(copy, root / "meta")
    return copy


def read_table(path: Path, columns: Sequence[str]) -> tuple[list[Row], list[Problem]]:
    """Return the rows of a CSV file, or no row and what is wrong with it."""
    name = f"meta/{path.name}"
    lines, problems = read_lines(path, name, "columns")
    rows, malformed = to_rows(lines, columns, name, "columns") if lines else ([], [])
    problems += malformed
    return ([], problems) if problems else (rows, [])


def _vocabulary_problems(row: Row) -> Iterator[Problem]:
    for column, known in VOCABULARY.items():
        if (value := row.cells[column]) not in known:
            yield Problem("vocabulary", row.at(column), f"unknown value {value!r}. {near_misses(value, known)}")
    if not is_count(score := row.cells["seven_point_score"]):
        yield Problem("vocabulary", row.at("seven_point_score"), f"{score!r} is no whole number")


def is_count(text: str) -> bool:
    """Return whether ``text`` is a few plain digits, which ``int`` alone would not ensure (it takes "1_0" and " 1")."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _add_images(copy: Copy, row: Row, folder: Path) -> Iterator[Problem]:
    """Enter both images of a row under their resolved paths, and yield what is wrong with them."""
    for column in IMAGE_COLUMNS.values():
        relative = row.cells[column]
        path = inside(folder, relative)
        if path is None:
            yield Problem("images", row.at(column), f"{relative!r} leaves the images folder {folder}")
        elif not os.path.isfile(path):  # pathlib's would raise on a folder that can't be entered
            yield Problem("images", row.at(column), f"no file {relative!r} in {folder}")
        else:
            copy.images.setdefault(path, row.at(column))


def _add_splits(copy: Copy, meta: Path) -> None:
    """Read the split files: zero-based row indices of meta.csv, none twice, since a case in two splits would leak."""
    first: dict[int, str] = {}
    for split in SPLITS:
        rows, problems = read_table(meta / f"{split}_indexes.csv", ("indexes",))
        copy.problems += problems
        for row in rows:
            index = int(text) if is_count(text := row.cells["indexes"]) else len(copy.rows)
            if index >= len(copy.rows):
                message = f"{text!r} is no row index of meta.csv (0 to {len(copy.rows) - 1})"
            elif index in first:
                message = f"index {index} already stands at {first[index]}"
            else:
                first[index] = row.place
                copy.splits[split].append(index)
                continue
            copy.problems.append(Problem("splits", row.at("indexes"), message))


def row_count(copy: Copy, expected: int) -> Iterator[Problem]:
    """Yield a problem where meta.csv has another number of rows than the release."""
    if len(copy.rows) != expected:
        yield Problem("rows", "meta/meta.csv", f"holds {len(copy.rows):,} rows, expected {expected:,}")


def split_sizes(copy: Copy, expected: Mapping[str, int]) -> Iterator[Problem]:
    """Yield the splits of another size than the release, and the rows that are in no split."""
    for split, size in expected.items():
        if (found := len(copy.splits[split])) != size:
            yield Problem("splits", f"meta/{split}_indexes.csv", f"holds {found} valid indices, expected {size}")
    covered = {index for indices in copy.splits.values() for index in indices}
    for index, row in enumerate(copy.rows):
        if index not in covered:
            yield Problem("splits", row.place, f"row index {index} is in no split")


def score_problems(rows: Iterable[Row]) -> Iterator[Problem]:
    """Yield the rows whose stored seven-point score does not follow from their criteria; skip unknown values."""
    for row in rows:
        if next(_vocabulary_problems(row), None):
            continue
        stored, computed = row.cells["seven_point_score"], seven_point_score(row.cells)
        if int(stored) != computed:
            message = f"is {stored}, but the criteria give {computed}"
            yield Problem("seven-point score", row.at("seven_point_score"), message)
