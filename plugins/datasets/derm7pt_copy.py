"""One copy of Derm7pt on disk: its CSV files and image paths, read into rows and a list of what is wrong and where.

Nothing here raises for broken data: the dataset decides whether to refuse it or to report it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmark.errors import near_misses
from benchmark.interfaces import Split
from plugins.datasets.seven_point import CRITERIA, TAXONOMY, seven_point_score

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
IMAGE_COLUMNS = {"dermoscopic": "derm", "clinical": "clinic"}
METADATA = (
    "case_num", "seven_point_score", "level_of_diagnostic_difficulty", "elevation", "location", "sex", "management",
    "notes", "case_id",
)  # fmt: skip
VOCABULARY: Mapping[str, Iterable[str]] = {"diagnosis": TAXONOMY, **{c.name: c.values for c in CRITERIA}}
THREADS = 4
COLUMNS = (*METADATA, *VOCABULARY, *IMAGE_COLUMNS.values())


@dataclass(frozen=True)
class Problem:
    """What is wrong at one place; ``check`` names the line of ``verify`` that reports it."""

    check: str
    place: str
    message: str


@dataclass(frozen=True)
class Row:
    """One row of a table: ``place`` is its file and line as an editor shows them, ``cells`` maps column to text."""

    place: str
    cells: Mapping[str, str]

    def at(self, column: str) -> str:
        """Return the place of one cell."""
        return f"{self.place}, column {column}"


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
    try:
        # Bytes that are no UTF-8 become lone surrogates, so that the cell that holds them can be named.
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        return [], [Problem("columns", name, f"can't be read ({error.strerror})")]
    lines, problems = _parse(text, name)
    if not lines:
        return [], problems or [Problem("columns", name, "the file is empty")]
    place, header = lines[0]
    problems += [Problem("columns", place, f"column {c} is missing") for c in columns if c not in header]
    problems += [problem for place, cells in lines for problem in _malformed(place, header, cells)]
    if not lines[1:]:
        problems.append(Problem("columns", name, "holds a header and no rows"))
    if problems:
        return [], problems
    return [Row(place, dict(zip(header, cells, strict=True))) for place, cells in lines[1:]], []


def _parse(text: str, name: str) -> tuple[list[tuple[str, list[str]]], list[Problem]]:
    """Return (place, cells) of each line that isn't blank; a quoted cell may span lines, its first one counts."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[str, list[str]]] = []
    first = 1
    try:
        for cells in reader:
            if cells:
                lines.append((f"{name}, line {first}", cells))
            first = reader.line_num + 1
    except csv.Error as error:
        message = f"is no valid CSV ({error}): look for a stray quote"
        return lines, [Problem("columns", f"{name}, line {first}", message)]
    return lines, []


def _malformed(place: str, header: Sequence[str], cells: Sequence[str]) -> Iterator[Problem]:
    if len(cells) != len(header):
        yield Problem("columns", place, f"has {len(cells)} cells where the header has {len(header)}")
    for number, cell in enumerate(cells):
        if any("\udc80" <= character <= "\udcff" for character in cell):
            column = repr(header[number]) if number < len(header) else str(number + 1)
            yield Problem("columns", f"{place}, column {column}", "is not UTF-8: save the file as UTF-8")


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
        path = _inside(folder, relative)
        if path is None:
            yield Problem("images", row.at(column), f"{relative!r} leaves the images folder {folder}")
        elif not os.path.isfile(path):  # pathlib's would raise on a folder that can't be entered
            yield Problem("images", row.at(column), f"no file {relative!r} in {folder}")
        else:
            copy.images.setdefault(path, row.at(column))


def _inside(folder: Path, relative: str) -> Path | None:
    """Return the resolved path of an image, or None where it leaves ``folder``, also by a symbolic link."""
    try:
        path = (folder / relative).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links; a null byte
        return None
    return path if path.is_relative_to(folder) else None


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


def undecodable(images: Mapping[Path, str]) -> Iterator[Problem]:
    """Decode every image in full and yield those that can't be, each with the place that names it."""
    with ThreadPoolExecutor(THREADS) as pool:
        for (path, place), reason in zip(images.items(), pool.map(_decode, images), strict=True):
            if reason:
                yield Problem("images", place, f"{path} can't be decoded ({reason})")


def _decode(path: Path) -> str:
    """Return why an image can't be decoded to its last row, or an empty string."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # a damaged file can raise nearly anything from inside a decoder
        return str(error) or type(error).__name__
    return ""
