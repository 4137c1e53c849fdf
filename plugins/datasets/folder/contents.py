"""``cases.csv`` and the pictures of one folder, read into rows and a list of what is wrong and where.

Nothing here raises for broken data: the dataset decides whether to refuse it or to report it.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from benchmark.errors import near_misses
from benchmark.interfaces import Split
from plugins.datasets.folder.declaration import VIEWS, Declaration
from plugins.datasets.tables import Line, Problem, Row, inside, read_lines, to_rows

FILE = "cases.csv"
SPLITS: tuple[Split, ...] = get_args(Split)
HINTED = 10
"""Only so many missing files are looked for under another spelling, which reads their whole folder."""
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass
class Contents:
    """All that was read: the rows, the columns of pictures, the resolved path of each picture with the place that names
    it, and what is wrong.
    """

    views: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    images: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in the order of the file."""
        return tuple(self.rows[0].cells) if self.rows else ()


def read_contents(root: Path, declared: Declaration) -> Contents:
    """Read ``cases.csv`` and find its pictures. Raises nothing."""
    lines, problems = read_lines(root / FILE, FILE, "table")
    # A Mac composes letters such as an umlaut otherwise than other systems do; the same word must be one value.
    lines = [(place, [unicodedata.normalize("NFC", cell.strip()) for cell in cells]) for place, cells in lines]
    lines = lines[:1] + [line for line in lines[1:] if any(line[1])]  # a spreadsheet ends in rows of commas
    views = declared.views or tuple(view for view in VIEWS if lines and view in lines[0][1]) or VIEWS[:1]
    problems = problems or list(_header_problems(lines[0], ("id", *views, "diagnosis"), declared))
    if problems:
        return Contents(views, problems=problems)
    rows, problems = to_rows(lines, (), FILE, "table")
    contents = Contents(views, rows, problems=problems)
    folder, used = root.resolve(), dict[str, str]()
    for row in rows:
        contents.problems += [*_identity(row, used), *_split(row), *_add_images(contents, row, folder)]
    return contents


def _header_problems(line: Line, needed: Sequence[str], declared: Declaration) -> Iterator[Problem]:
    place, header = line
    if len(header) == 1:
        for mark, name in DELIMITERS.items():
            if mark in header[0]:
                message = f"the columns are separated by {name}: save the file with commas"
                yield Problem("table", place, message)
                return
    for name, count in Counter(header).items():
        if name and count > 1:
            yield Problem("table", place, f"column {name!r} stands there {count} times: rename or delete one")
    for number, name in enumerate(header, start=1):
        if not name:
            yield Problem("table", place, f"column {number} has no name: name it, or delete it")
    for column in needed:
        if column not in header:
            yield Problem("table", place, f"column {column!r} is missing. {near_misses(column, header)}")
    for column in (*declared.metadata, *declared.criteria):
        if column not in header:
            message = f"there is no column {column!r}, which dataset.toml declares. {near_misses(column, header)}"
            yield Problem("table", place, message)


def _identity(row: Row, used: dict[str, str]) -> Iterator[Problem]:
    name = row.cells["id"]
    if not name:
        yield Problem("table", row.at("id"), "is empty: give every case an id of its own")
    elif name in used:
        yield Problem("table", row.at("id"), f"{name!r} is already the id of {used[name]}")
    elif "\n" in name or name.startswith("#"):  # one id a line stands in a list of excluded cases, with # comments
        yield Problem("table", row.at("id"), f"{name!r} holds a line break or begins with #: choose a plain id")
    used.setdefault(name, row.place)
    if not row.cells["diagnosis"]:
        yield Problem("table", row.at("diagnosis"), "is empty: every case needs a diagnosis, or delete the row")


def _split(row: Row) -> Iterator[Problem]:
    split = row.cells.get("split", SPLITS[0])
    if not split:
        yield Problem("splits", row.at("split"), "is empty: write train, valid or test, or delete the whole column")
    elif split not in SPLITS:
        yield Problem("splits", row.at("split"), f"{split!r} is no split. {near_misses(split, SPLITS)}")


def _add_images(contents: Contents, row: Row, folder: Path) -> Iterator[Problem]:
    """Enter the pictures of a row under their resolved paths, and yield what is wrong with them."""
    for number, view in enumerate(contents.views):
        relative = row.cells[view]
        if not relative:
            if number == 0:
                yield Problem("images", row.at(view), "is empty: write the path of the picture, or delete the row")
            continue
        path = inside(folder, relative)
        if path is not None and not os.path.isfile(path):
            decomposed = inside(folder, unicodedata.normalize("NFD", relative))
            path = decomposed if decomposed and os.path.isfile(decomposed) else path
        if path is None:
            yield Problem("images", row.at(view), f"{relative!r} leaves the folder {folder}: copy the picture into it")
        elif not os.path.isfile(path):  # pathlib's would raise on a folder that can't be entered
            hint = _other_spelling(path) if len(contents.problems) < HINTED else ""
            yield Problem("images", row.at(view), f"no file {relative!r} in {folder}{hint}")
        elif path in contents.images:
            # The same picture under two ids would find itself.
            yield Problem("images", row.at(view), f"{relative!r} is already the picture of {contents.images[path]}")
        else:
            contents.images[path] = row.at(view)


def _other_spelling(path: Path) -> str:
    """Return a hint where a file of the same name but for capitals or its ending lies beside."""
    if "\\" in path.name:
        return "; write / between folder and file, not \\"
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:
        return ""
    same = [other.name for other in beside if other.stem.casefold() in (path.name.casefold(), path.stem.casefold())]
    return f"; did you mean {same[0]!r}?" if same else ""


def blank_views(row: Row, views: Sequence[str]) -> tuple[str, ...]:
    """Return the views of which the row has no picture."""
    return tuple(view for view in views if not row.cells[view])
