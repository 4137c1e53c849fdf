"""Tables and a figure of stored mask checks: masks.md, masks.csv, masks.svg. Computes nothing but means and intervals.

Shapes: s seeds, p pairs of a case and a criterion that is to be seen in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark import sources
from benchmark.evaluation import Floats
from benchmark.files import write_atomic
from benchmark.masks.records import MaskRecord
from benchmark.records import DatasetInfo
from benchmark.report.columns import STALE, points, raw, yes_or_no
from benchmark.report.formats import csv_text
from benchmark.report.table import table_folder
from benchmark.report.wording import REGISTERED, SYNTHETIC, spans
from benchmark.statistics import two_level_interval
from benchmark.tasks import CASE_SEARCH

if TYPE_CHECKING:
    from rich.table import Table

Identity = tuple[str, str]
"""Row and encoder."""
DRAWS = 2_000
CHANCE = "chance"
MEAN = "mean"
MEASURES = {"pointing": "Pointing game", "overlap": "Intersection over union"}
HEADER = ["dataset", "synthetic", "row", "encoder", "seeds", "stale", "criterion", "pictures"]
METHOD = (
    "Judged are the pictures in which a criterion is drawn. **Pointing game**: the share of them in which the maximum "
    "of the map, spread over the picture, lies in the true region; where several places are the maximum, the share of "
    "these. **Intersection over union**: the map is cut at a share of its maximum, one for each row, seed and "
    "criterion, the best of 0.05 to 0.95 on valid. Where no mask belongs to a criterion by design, an assignment on "
    "valid (Hungarian method, on the pointing game) says which mask stands for which, one for each where there are "
    "enough. Chance: a point drawn at random, and the whole picture as the mask; both equal the mean area of the "
    "region. The mean is over criteria, each weighing the same. Numbers are percentage points, means over seeds; "
    "[95 %] is a two-level bootstrap interval (seeds, then pictures with all of their criteria; {draws:,} draws)."
)


@dataclass(frozen=True)
class MaskRow:
    """The seeds of one row, in order."""

    records: tuple[MaskRecord, ...]

    @property
    def name(self) -> str:
        """The name, marked where a source of it has changed since."""
        return f"{self.records[0].row} {STALE}" if self.changed else self.records[0].row

    @property
    def changed(self) -> list[str]:
        """The sources that have changed since."""
        return sources.changed({name: value for one in self.records for name, value in one.sources.items()})

    @cached_property
    def numbers(self) -> dict[str, dict[str, tuple[float, float, float]]]:
        """Measure -> criterion, or ``mean`` -> value and interval."""
        criteria = self.records[0].criteria
        codes = np.repeat(np.arange(len(criteria)), [len(fit.places) for fit in criteria.values()])
        cases = np.concatenate([fit.places for fit in criteria.values()])
        found: dict[str, dict[str, tuple[float, float, float]]] = {}
        for measure in MEASURES:
            values = self._values(measure)
            of_each = {name: _interval(values[:, codes == code]) for code, name in enumerate(criteria)}
            found[measure] = {MEAN: _interval(values, codes, cases), **of_each}
        return found

    def _values(self, measure: str) -> Floats:
        """Return (s, p): criterion after criterion, case after case."""
        kind = "hits" if measure == "pointing" else "overlaps"
        return np.array([np.concatenate([getattr(fit, kind) for fit in one.criteria.values()]) for one in self.records])


@dataclass(frozen=True)
class MaskBoard:
    """Rows that were judged on the same cases; chance is the last."""

    dataset: DatasetInfo
    rows: tuple[MaskRow, ...]

    @property
    def folder(self) -> Path:
        """Where its files belong; masks are made by candidates alone, so that the task is always this one."""
        return table_folder(self.dataset.name, CASE_SEARCH.name)

    @property
    def pictures(self) -> dict[str, int]:
        """Criterion -> pictures that show it."""
        return {name: len(fit.places) for name, fit in self.rows[0].records[0].criteria.items()}


def _interval(
    values: Floats, codes: NDArray[np.intp] | None = None, cases: NDArray[np.intp] | None = None
) -> tuple[float, float, float]:
    """Return the mean of ``values`` (s, p) and its interval; with ``codes`` (p,) the mean over the means of codes."""
    strata = np.zeros(values.shape[1], dtype=np.intp) if codes is None else codes
    mean = float(np.mean([values[:, strata == code].mean() for code in np.unique(strata)]))
    return mean, *two_level_interval(values, strata, DRAWS, units=cases)


def boards(records: Iterable[MaskRecord]) -> list[MaskBoard]:
    """Sort records (oldest first) into boards. The newest record decides which data count, and of each encoder the
    newest that learnt decides which encoder and training.
    """
    shared: dict[str, list[MaskRecord]] = {}
    for record in records:
        shared.setdefault(record.dataset.name, []).append(record)
    return [_board(shared[name]) for name in sorted(shared)]


def _board(records: Sequence[MaskRecord]) -> MaskBoard:
    newest = {record.encoder.name: record for record in records}
    rows: dict[Identity, dict[int, MaskRecord]] = {}
    for record in records:
        if comparable(record, records[-1], newest[record.encoder.name]):
            rows.setdefault(identity(record), {})[record.seed] = record
    found = [MaskRow(tuple(seeds[seed] for seed in sorted(seeds))) for _, seeds in sorted(rows.items())]
    found.sort(key=lambda row: (not row.records[0].method, row.records[0].row == CHANCE))
    return MaskBoard(records[-1].dataset, tuple(found))


def identity(record: MaskRecord) -> Identity:
    """Return what the seeds of one row share: its name and its encoder."""
    return record.row, record.encoder.name


def comparable(record: MaskRecord, data: MaskRecord, learnt: MaskRecord) -> bool:
    """Whether a record comes from the same data as ``data``, and from the same image encoder and shared training as
    ``learnt``.
    """
    same_data = (record.dataset.fingerprint, record.cases) == (data.dataset.fingerprint, data.cases)
    same_encoder = record.encoder.image_fingerprint == learnt.encoder.image_fingerprint
    return same_data and same_encoder and record.training == learnt.training


# ------------------------------------------------------------------------------------------------ files


def write_masks(board: MaskBoard, folder: Path) -> None:
    """Write masks.md, masks.csv and masks.svg under ``folder``/DATASET/TASK; the figure only where numbers changed.

    Raises:
        UserError: the folder is read-only or full.
    """
    from benchmark.report.figures import svg
    from benchmark.report.mask_figure import draw_masks

    target, content = folder / board.folder, csv_text(csv_rows([board])).encode()
    picture, numbers = target / "masks.svg", target / "masks.csv"
    if not (picture.is_file() and numbers.is_file() and numbers.read_bytes() == content):
        write_atomic(picture, svg(draw_masks(board)))
        write_atomic(numbers, content)
    write_atomic(target / "masks.md", markdown(board).encode())


def csv_rows(boards: Sequence[MaskBoard]) -> list[list[str]]:
    """Return a header, and a line a row and criterion; shares, not points."""
    names = [f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")]
    lines = []
    for board in boards:
        pictures: Mapping[str, int] = {MEAN: len(board.rows[0].records[0].cases), **board.pictures}
        for row in board.rows:
            seeds = spans([record.seed for record in row.records])
            facts = [board.dataset.name, yes_or_no(board.dataset.synthetic), *identity(row.records[0]), seeds]
            for name, count in pictures.items():
                values = [raw(value) for measure in MEASURES for value in row.numbers[measure][name]]
                lines.append([*facts, yes_or_no(bool(row.changed)), name, str(count), *values])
    return [[*HEADER, *names], *lines]


def title(board: MaskBoard) -> str:
    """Return the heading; a drawn dataset is called synthetic."""
    kind = "SYNTHETIC images: do masks" if board.dataset.synthetic else "Do masks"
    return f"{kind} look where they should? ({board.dataset.name})"


def markdown(board: MaskBoard) -> str:
    """Return the page: what it is, a table a measure, how it was made, marks and rows."""
    seeds = sorted({record.seed for row in board.rows for record in row.records})
    cases = len(board.rows[0].records[0].cases)
    facts = f"Dataset {board.dataset.name}; {cases:,} test pictures; seeds {spans(seeds)}."
    marks = [
        f"- {row.name}: made with other versions of {', '.join(row.changed)}." for row in board.rows if row.changed
    ]
    rows = [f"- `{row.records[0].row}`: {row.records[0].summary}." for row in board.rows]
    parts = [
        f"# {title(board)}",
        *([SYNTHETIC] if board.dataset.synthetic else []),
        facts,
        *(part for measure, words in MEASURES.items() for part in (f"## {words}", _table(board, measure))),
        METHOD.format(draws=DRAWS),
        *(["\n".join(marks)] if marks else []),
        "## Rows",
        REGISTERED,
        "\n".join(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _table(board: MaskBoard, measure: str) -> str:
    from tabulate import tabulate

    headings, body = _cells(board, measure)
    align = ["left", "left", *["right"] * (len(headings) - 2)]
    return str(tabulate(body, headings, tablefmt="pipe", colalign=align, disable_numparse=True))


def _cells(board: MaskBoard, measure: str) -> tuple[list[str], list[list[str]]]:
    headings = ["row", "encoder", "seeds", "mean [95 %]"]
    headings += [f"{name.replace('_', ' ')} ({count})" for name, count in board.pictures.items()]
    body = []
    for row in board.rows:
        numbers = row.numbers[measure]
        mean, low, high = numbers[MEAN]
        each = [points(numbers[name][0]) for name in board.pictures]
        facts = [row.name, row.records[0].encoder.name, str(len(row.records))]
        body.append([*facts, f"{points(mean)} [{points(low)}, {points(high)}]", *each])
    return headings, body


def terminal(board: MaskBoard) -> Table:
    """Return a table for the terminal: the mean of both measures."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("row", "encoder", "seeds", *MEASURES.values(), title=title(board), title_justify="left")
    cells = [_cells(board, measure)[1] for measure in MEASURES]
    for pointing, overlap in zip(*cells, strict=True):
        table.add_row(*map(escape, [*pointing[:4], overlap[3]]))
    return table
