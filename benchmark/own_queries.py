"""The user's own queries: a JSON object a line with ``id``, ``image``, ``text`` and, where known, ``relevant``.

    {"id": "q1", "image": "photos/arm.jpg", "text": "blue-whitish veil, irregular streaks", "relevant": ["Nal003"]}

``image`` is relative to the file's folder; ``relevant`` lists ids of the gallery. A query without it is ranked and not
judged. A query whose picture is a case of the gallery is not its own candidate, so its own id in ``relevant`` counts
for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from benchmark.config import Strict
from benchmark.errors import UserError, near_misses
from benchmark.files import hash_files
from benchmark.interfaces import Case, Dataset
from benchmark.protocol import Judgments, group_codes
from benchmark.records import digest

STRATUM = "queries"
SHOWN = 5
EXAMPLES = {"relevant": ', for example ["case-4"]'}


class Line(Strict):
    """One line of the file."""

    id: str = Field(min_length=1, pattern=r"^\S+$")
    image: Path
    text: str = Field(min_length=1, pattern=r"\S")
    relevant: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnQueries:
    """The queries of ``path``, in its order; ``hashes`` are those of their pictures."""

    path: Path
    lines: tuple[Line, ...]
    hashes: tuple[str, ...]

    @property
    def label(self) -> str:
        """How a record names them, e.g. ``12 queries, list 3f9c02ab``."""
        pairs = zip(self.lines, self.hashes, strict=True)
        content = [[line.id, line.text, line.relevant, picture] for line, picture in pairs]
        count = f"{len(self.lines)} {'query' if len(self.lines) == 1 else 'queries'}"
        return f"{count}, list {digest(content)[:8]}"

    @property
    def texts(self) -> dict[str, str]:
        """Query id -> text."""
        return {line.id: line.text for line in self.lines}

    def cases(self, view: str) -> tuple[Case, ...]:
        """Return the queries as cases with one picture and no label."""
        return tuple(Case(line.id, {view: self.path.parent / line.image}, "", {}) for line in self.lines)


def read_queries(path: Path) -> OwnQueries:
    """Read the user's queries.

    Raises:
        UserError: the file or lines of it are unusable; the first few are named.
    """
    path = path.expanduser()
    try:
        rows = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(f"--queries {path}: {why}. Give a file with a JSON object a line: id, image, text.") from error
    problems: list[str] = []
    lines: dict[str, Line] = {}
    for number, row in enumerate(rows, start=1):
        if row.strip():
            _read_line(path, number, row, lines, problems)
    if not lines and not problems:
        problems.append(f"--queries {path}: it holds no query. Write a JSON object a line: id, image, text.")
    if problems:
        left = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise UserError("\n".join(problems[:SHOWN] + left))
    hashes = hash_files([path.parent / line.image for line in lines.values()])
    return OwnQueries(path, tuple(lines.values()), tuple(hashes))


def _read_line(path: Path, number: int, row: str, lines: dict[str, Line], problems: list[str]) -> None:
    where = f"{path}, line {number}"
    try:
        line = Line.model_validate_json(row)
    except ValidationError as error:
        problems.append(f"{where}: {_first_problem(error)}")
        return
    if line.id in lines:
        problems.append(f"{where}: the id {line.id!r} occurs twice; rename one.")
    if not (path.parent / line.image).is_file():
        problems.append(f"{where}: there is no picture {path.parent / line.image}; `image` is relative to the file.")
    lines[line.id] = line


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "string_pattern_mismatch":
        return "the id holds a space: write it without." if place == "id" else "the text is blank: write words."
    if first["type"] == "json_invalid":
        return f"not a whole JSON object on one line ({first['msg']}). Write for example " + (
            '{"id": "q1", "image": "q1.jpg", "text": "blue-whitish veil"}.'
        )
    if first["type"] == "extra_forbidden":
        return f"unknown key {place!r}. {near_misses(place, Line.model_fields)}"
    if first["type"] == "missing":
        return f"the key {place!r} is missing; a query has id, image and text."
    return f"{place or 'the line'}: {first['msg']}{EXAMPLES.get(place, '')}."


def judge_own(queries: OwnQueries, dataset: Dataset, gallery: Sequence[Case]) -> Judgments:
    """Judge by what the user calls relevant, gain 1; a query whose picture is a case of the gallery is not its own
    candidate.

    Raises:
        UserError: a relevant id is no candidate, or only some queries are cases of the gallery.
    """
    row = {case.id: index for index, case in enumerate(gallery)}
    gains = np.zeros((len(queries.lines), len(gallery)), dtype=np.uint8)
    for number, line in enumerate(queries.lines):
        unknown = [name for name in line.relevant if name not in row]
        if unknown:
            near = ", ".join(get_close_matches(unknown[0], row) or list(row)[:3])
            raise UserError(
                f"{queries.path}: query {line.id!r}: {unknown[0]!r} is none of the gallery's {len(row)} cases, which "
                f"have ids such as {near}. --gallery split searches the test cases, archive those of train and valid."
            )
        gains[number, [row[name] for name in line.relevant]] = 1
    excluded = _own_rows(queries, gallery)
    gains[np.arange(len(gains))[excluded >= 0], excluded[excluded >= 0]] = 0
    return Judgments(
        query_ids=tuple(line.id for line in queries.lines),
        gallery_ids=tuple(case.id for case in gallery),
        gains=gains,
        excluded=excluded,
        strata=np.zeros(len(gains), dtype=np.uint8),
        stratum_names=(STRATUM,),
        gallery_groups=group_codes(dataset, gallery).astype(np.uint8),
    )


def _own_rows(queries: OwnQueries, gallery: Sequence[Case]) -> np.ndarray:
    pictures = [(index, path) for index, case in enumerate(gallery) for path in case.images.values()]
    known = dict(zip(hash_files([path for _, path in pictures]), [index for index, _ in pictures], strict=True))
    rows = np.array([known.get(content, -1) for content in queries.hashes], dtype=np.int32)
    if (rows >= 0).any() and (rows < 0).any():
        inside = int((rows >= 0).argmax())
        raise UserError(
            f"{queries.path}: {int((rows >= 0).sum())} of {len(rows)} queries are pictures of the gallery (first "
            f"{queries.lines[inside].id!r}, which is case {gallery[rows[inside]].id}), the others are not. A case is "
            "never its own candidate, so the two kinds have unlike galleries: put them into two files."
        )
    return rows
