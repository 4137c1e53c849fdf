"""Queries with the first results of each method, for data sets whose pictures are all drawn by a program.

Nothing here returns a picture unless record, data set and its fingerprint agree that the data set is synthetic.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import PluginError, UserError
from benchmark.records import EvaluationRecord
from benchmark.report.columns import points
from benchmark.report.html.attention import Attention, Looker
from benchmark.report.html.surroundings import Rows, Surroundings, dataset_component, of_line, run_config
from benchmark.report.leaderboard import Leaderboard, Line
from benchmark.report.table import Evaluated

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Dataset
    from benchmark.protocol import Judgments

QUERIES, RESULTS = 10, 5
SIDE = 144
"""Longer side of a thumbnail in pixels."""
QUALITY = 78
PICTURE_BYTES = 4_500_000
"""Queries are left out from the end rather than that the pictures of a page weigh more."""


@dataclass(frozen=True)
class Result:
    """One place in a list of results."""

    rank: int
    case: str
    group: str
    gain: int

    @property
    def hit(self) -> bool:
        """Whether the case is relevant."""
        return self.gain > 0


@dataclass(frozen=True)
class Found:
    """What one method found for a query: its first results, and the AP of the whole list in points."""

    method: str
    mark: str
    seed: int
    average_precision: str
    results: list[Result]


@dataclass(frozen=True)
class Query:
    """A query with what each method found: its reference ``case`` with its group, and the stratum that it counts in."""

    case: str
    group: str
    stratum: str
    text: str
    relevant: int
    candidates: int
    found: list[Found]


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data URI, with its size in pixels."""

    number: int
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Browser:
    """All that the query browser shows; ``notes`` say what is left out, why, and how to get it."""

    queries: list[Query]
    pictures: dict[str, Picture]
    relevance: str
    attention: list[Attention] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def overlays(self) -> dict[str, Any]:
        """What the page's script paints: method -> grid, and case -> a hex string a mask, and where it belongs."""
        return {one.method: {"grid": one.grid, "maps": one.maps, "seen": one.seen} for one in self.attention}


def browse(board: Leaderboard, rows: Rows, around: Surroundings) -> Browser:
    """Return the browser of a leaderboard on the test split of a synthetic data set.

    Raises:
        UserError: its pictures can't be shown; the sentence says why and what to do.
    """
    record = next(of_line(rows, line)[0].record for line in (*board.lines, *board.apart) if line.row)
    if record.protocol.queries:
        raise UserError("The queries are a user's own; their pictures are never put on a page.")
    dataset = drawn_dataset(record, around)
    judgments = board.table.judgments[None]
    cases = {case.id: case for split in ("train", "valid", "test") for case in dataset.cases(split)}
    chosen = spread_over_groups(judgments.strata, QUERIES)
    asked = [_asked(dataset, judgments.query_ids[place], cases, record) for place in chosen]
    queries = _queries(board, rows, chosen, asked, dataset)
    queries, pictures = _within_budget(queries, cases, _first_view(dataset, record))
    attention, notes = _attention(board, rows, queries, cases, around)
    return Browser(queries, pictures, board.table.task.relevance, attention, notes)


def drawn_dataset(record: EvaluationRecord, around: Surroundings) -> Dataset:
    """Return the data set of ``record``, certain to be synthetic and unchanged since.

    Raises:
        UserError: it is neither, or is not here.
    """
    from benchmark.resolve import make_dataset

    if not record.dataset.synthetic:
        raise UserError(f"{record.dataset.name} is not synthetic; no picture of it is ever put on a page.")
    if dataset_component(record.dataset.name) not in around.registry.components["datasets"]:
        raise UserError(f"The plugin of {record.dataset.name} is not loaded: add --plugin with its file or module.")
    config = run_config(record, around)
    dataset, _ = make_dataset(around.registry, config.test or config.dataset or "", config)
    if not dataset.synthetic:
        raise UserError(f"{record.dataset.name} is not synthetic, whatever its records say; no picture is shown.")
    if dataset.fingerprint() != record.dataset.fingerprint:
        raise UserError("The program that draws the pictures has changed since the runs; run them again to see them.")
    return dataset


def spread_over_groups(strata: Sequence[int] | np.ndarray[Any, Any], number: int) -> list[int]:
    """Return ``number`` places, about equally many a group and spread evenly over each, in order of the groups."""
    codes = np.asarray(strata)
    groups = np.unique(codes)
    each = -(-number // len(groups))
    places = [np.flatnonzero(codes == group) for group in groups]
    return [int(own[i * len(own) // min(each, len(own))]) for own in places for i in range(min(each, len(own)))]


def _asked(dataset: Dataset, name: str, cases: dict[str, Case], record: EvaluationRecord) -> tuple[Case, str]:
    """Return the reference and the text of the query ``name``."""
    from benchmark.protocol import recall

    return recall(dataset, record.protocol.task, name, cases, record.protocol.text_style)


def _first_view(dataset: Dataset, record: EvaluationRecord) -> str:
    from benchmark.protocol import chosen_views

    return chosen_views(dataset, record.protocol.view)[0]


def _queries(
    board: Leaderboard, rows: Rows, places: Sequence[int], asked: Sequence[tuple[Case, str]], dataset: Dataset
) -> list[Query]:
    judgments = board.table.judgments[None]
    lines = [line for line in (*board.lines, *board.apart) if line.row]
    found = [_found(board, line, of_line(rows, line)[0], places, dataset.groups) for line in lines]
    return [
        Query(
            case=case.id,
            group=dataset.taxonomy[case.diagnosis],
            stratum=judgments.stratum_names[judgments.strata[place]],
            text=text,
            relevant=int((judgments.gains[place] > 0).sum()),
            candidates=len(judgments.gallery_ids) - int(judgments.excluded[place] >= 0),
            found=[of_method[position] for of_method in found],
        )
        for position, (place, (case, text)) in enumerate(zip(places, asked, strict=True))
    ]


def _found(
    board: Leaderboard, line: Line, first: Evaluated, places: Sequence[int], groups: Sequence[str]
) -> list[Found]:
    """Return what a line found in its first seed, one entry a query."""
    assert line.row is not None
    judgments, ranking = board.table.judgments[None], first.ranking()
    precision = line.row.results[None][first.record.seed]["AP"]
    mark = "reads labels" if line.kind == "reads labels" else ""
    name, seed = board.name(line), first.record.seed
    return [
        Found(name, mark, seed, points(float(precision[place])), _results(judgments, place, ranking[place], groups))
        for place in places
    ]


def _results(judgments: Judgments, place: int, candidates: np.ndarray[Any, Any], groups: Sequence[str]) -> list[Result]:
    return [
        Result(
            rank,
            judgments.gallery_ids[candidate],
            groups[judgments.gallery_groups[candidate]],
            int(judgments.gains[place, candidate]),
        )
        for rank, candidate in enumerate(candidates[:RESULTS], start=1)
    ]


# ------------------------------------------------------------------------------------------------ pictures


def _within_budget(
    queries: Sequence[Query], cases: dict[str, Case], view: str
) -> tuple[list[Query], dict[str, Picture]]:
    """Return the queries whose pictures fit ``PICTURE_BYTES``, and the pictures, each once."""
    pictures: dict[str, Picture] = {}
    kept: list[Query] = []
    for query in queries:
        wanted = [query.case, *(result.case for found in query.found for result in found.results)]
        for name in dict.fromkeys(wanted):
            if name not in pictures:
                pictures[name] = thumbnail(cases[name].images[view], len(pictures))
        kept.append(query)
        if sum(len(picture.uri) for picture in pictures.values()) > PICTURE_BYTES:
            break
    return kept, pictures


def thumbnail(path: Path, number: int) -> Picture:
    """Return a small JPEG of a picture as a data URI.

    Raises:
        UserError: it is missing or can't be decoded.
    """
    from benchmark.features import open_image

    image = open_image(path)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    content = base64.b64encode(buffer.getvalue()).decode()
    return Picture(number, f"data:image/jpeg;base64,{content}", *image.size)


def _attention(
    board: Leaderboard, rows: Rows, queries: Sequence[Query], cases: dict[str, Case], around: Surroundings
) -> tuple[list[Attention], list[str]]:
    """Return the masks of every trained method that has some, and a sentence for each that can't be shown."""
    lines = [line for line in board.lines if line.row and line.row.method.trained and line.row.method.scorer]
    if not lines:
        return [], []
    found, notes = [], []
    lookers: dict[str, Looker] = {}  # a table may have rows of several encoders
    for line in lines:
        name, record = board.name(line), of_line(rows, line)[0].record
        looker = lookers.setdefault(record.encoder.name, Looker(around, record))
        shown = [r.case for query in queries for one in query.found if one.method == name for r in one.results]
        names = dict.fromkeys([query.case for query in queries] + shown)
        try:
            attention = looker.look(name, record, [cases[case] for case in names])
        except (UserError, PluginError) as error:
            notes.append(f"Attention masks of {name} are left out: {error}")
            continue
        found += [attention] if attention else []
    return found, notes
