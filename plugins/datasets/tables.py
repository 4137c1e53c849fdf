"""CSV files and picture paths of a dataset on disk, read into rows and a list of what is wrong and where.

Nothing here raises for broken data: the dataset decides whether to refuse it or to report it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmark.interfaces import Check

THREADS = 4
Line = tuple[str, list[str]]
"""A place, e.g. ``cases.csv, line 3``, and the cells of one line."""


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


def read_lines(path: Path, name: str, check: str) -> tuple[list[Line], list[Problem]]:
    """Return the lines of a CSV file, header first, and what is wrong with it; ``name`` is the file in messages."""
    try:
        # Bytes that are no UTF-8 become lone surrogates, so that the cell that holds them can be named.
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        return [], [Problem(check, name, f"can't be read ({error.strerror})")]
    lines, problems = _parse(text, name, check)
    return lines, problems or ([] if lines else [Problem(check, name, "the file is empty")])


def to_rows(lines: Sequence[Line], columns: Sequence[str], name: str, check: str) -> tuple[list[Row], list[Problem]]:
    """Return the rows below the header, or no row and what is wrong: a missing column, a cell too many, no UTF-8."""
    place, header = lines[0]
    problems = [Problem(check, place, f"column {column} is missing") for column in columns if column not in header]
    problems += [problem for place, cells in lines for problem in _malformed(place, header, cells, check)]
    if not lines[1:]:
        problems.append(Problem(check, name, "holds a header and no rows"))
    if problems:
        return [], problems
    return [Row(place, dict(zip(header, cells, strict=True))) for place, cells in lines[1:]], []


def _parse(text: str, name: str, check: str) -> tuple[list[Line], list[Problem]]:
    """Return (place, cells) of each line that isn't blank; a quoted cell may span lines, its first one counts."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[Line] = []
    first = 1
    try:
        for cells in reader:
            if cells:
                lines.append((f"{name}, line {first}", cells))
            first = reader.line_num + 1
    except csv.Error as error:
        return lines, [Problem(check, f"{name}, line {first}", f"is no valid CSV ({error}): look for a stray quote")]
    return lines, []


def _malformed(place: str, header: Sequence[str], cells: Sequence[str], check: str) -> Iterator[Problem]:
    if len(cells) != len(header):
        yield Problem(check, place, f"has {len(cells)} cells where the header has {len(header)}")
    for number, cell in enumerate(cells):
        if any("\udc80" <= character <= "\udcff" for character in cell):
            column = repr(header[number]) if number < len(header) else str(number + 1)
            yield Problem(check, f"{place}, column {column}", "is not UTF-8: save the file as UTF-8")


def inside(folder: Path, relative: str) -> Path | None:
    """Return the resolved path of a picture, or None where it leaves ``folder``, also by a symbolic link."""
    try:
        path = (folder / relative).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links; a null byte
        return None
    return path if path.is_relative_to(folder) else None


def undecodable(images: Mapping[Path, str]) -> Iterator[Problem]:
    """Decode every picture in full and yield those that can't be, each with the place that names it."""
    with ThreadPoolExecutor(THREADS) as pool:
        for (path, place), reason in zip(images.items(), pool.map(_decode, images), strict=True):
            if reason:
                yield Problem("images", place, f"{path} can't be decoded ({reason})")


def _decode(path: Path) -> str:
    """Return why a picture can't be decoded to its last row or has no 8 bits a channel, or an empty string."""
    from benchmark.features import eight_bits  # with torch, for which nobody who lists data sets should wait

    try:
        with Image.open(path) as image:
            image.load()
            eight_bits(image, Path(path.name))
    except Exception as error:  # a damaged file can raise nearly anything from inside a decoder
        return str(error) or type(error).__name__
    return ""


def check(name: str, problems: Sequence[Problem], good: str, describe: Callable[[Sequence[Problem]], str]) -> Check:
    """Return the check ``name``: the problems that belong to it as ``describe`` puts them, or the detail ``good``."""
    own = [problem for problem in problems if problem.check == name]
    return Check(name, not own, describe(own) if own else good)


def counted(problems: Sequence[Problem], shown: int) -> str:
    """Return e.g. ``3 problems``, or ``12 problems, the first 10`` where not all are shown."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
    return f"{count}, the first {shown}" if len(problems) > shown else count
