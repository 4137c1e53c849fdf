"""What a dataset holds, counted: the tables of ``data stats``. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Dataset

SPLITS = ("train", "valid", "test")
LEVELS_SHOWN = 12
Cell = str | int
Cases = Mapping[str, tuple["Case", ...]]
"""Split -> its cases."""


@dataclass(frozen=True)
class Tally:
    """A table of counts: a title, column names, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tallies(dataset: Dataset) -> tuple[Tally, ...]:
    """Count groups, criteria, views and metadata by split."""
    cases: Cases = {split: dataset.cases(split) for split in SPLITS}  # type: ignore[arg-type]
    found = (_groups(dataset, cases), _criteria(dataset, cases), _views(dataset, cases), _metadata(cases))
    return (_summary(dataset, cases), *(tally for tally in found if tally.rows))


def _summary(dataset: Dataset, cases: Cases) -> Tally:
    every = [case for split in SPLITS for case in cases[split]]
    profiles = {tuple(case.descriptors[criterion.name] for criterion in dataset.criteria) for case in every}
    counted = {"cases": len(every), "fine diagnoses": len({case.diagnosis for case in every})}
    if dataset.criteria:
        counted |= {"criteria": len(dataset.criteria), "distinct profiles": len(profiles)}
    return Tally("Summary", ("what", "count"), tuple(counted.items()))


def _groups(dataset: Dataset, cases: Cases) -> Tally:
    rows: list[tuple[Cell, ...]] = [
        (name, *_counts(cases, lambda case: dataset.taxonomy[case.diagnosis], name)) for name in dataset.groups
    ]
    sizes = tuple(len(cases[split]) for split in SPLITS)
    return Tally("Groups", ("group", *SPLITS, "all"), (*rows, ("all", *sizes, sum(sizes))))


def _criteria(dataset: Dataset, cases: Cases) -> Tally:
    rows: list[tuple[Cell, ...]] = []
    for criterion in dataset.criteria:
        values = {split: Counter(case.descriptors[criterion.name] for case in cases[split]) for split in SPLITS}
        for value in criterion.values:
            counts = tuple(values[split][value] for split in SPLITS)
            rows.append((criterion.name, value, *counts, sum(counts)))
    return Tally("Criteria", ("criterion", "value", *SPLITS, "all"), tuple(rows))


def _views(dataset: Dataset, cases: Cases) -> Tally:
    def usable(case: Case, view: str) -> bool:
        return view in case.images and dataset.unusable(case, view) is None

    rows: list[tuple[Cell, ...]] = []
    for view in dataset.views:
        counts = tuple(sum(usable(case, view) for case in cases[split]) for split in SPLITS)
        total = sum(len(cases[split]) for split in SPLITS)
        rows.append((view, *counts, sum(counts), total - sum(counts)))
    return Tally("Cases with a usable image", ("view", *SPLITS, "all", "left out"), tuple(rows))


def _metadata(cases: Cases) -> Tally:
    every = [case.metadata for split in SPLITS for case in cases[split]]
    names = dict.fromkeys(name for metadata in every for name in metadata)
    rows = [(name, *_levels([metadata.get(name, "") for metadata in every])) for name in names]
    return Tally("Metadata", ("field", "levels", "blank", "cases a level"), tuple(rows))


def _levels(values: Iterable[str]) -> tuple[int, int, str]:
    """Return how many levels there are, how many values are blank, and the levels where they are few."""
    counted = Counter(values)
    blank = counted.pop("", 0)
    shown = counted.most_common() if len(counted) <= LEVELS_SHOWN else []
    return len(counted), blank, ", ".join(f"{level} {count}" for level, count in shown)


def _counts(cases: Cases, of: Callable[[Case], str], value: str) -> tuple[int, ...]:
    counts = tuple(sum(of(case) == value for case in cases[split]) for split in SPLITS)
    return (*counts, sum(counts))


def markdown(tally: Tally) -> str:
    """Return a heading and a pipe table."""
    from tabulate import tabulate

    numeric = [all(isinstance(row[i], int) for row in tally.rows) for i in range(len(tally.columns))]
    align = ["right" if number else "left" for number in numeric]
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell.replace("|", "\\|") for cell in row] for row in tally.rows]
    table = tabulate(cells, tally.columns, tablefmt="pipe", colalign=align, disable_numparse=True)
    return f"## {tally.title}\n\n{table}\n"


def as_rows(tally: Tally) -> list[dict[str, Cell]]:
    """Return the rows as mappings, for JSON."""
    return [dict(zip(tally.columns, row, strict=True)) for row in tally.rows]
