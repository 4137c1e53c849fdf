"""Rows -> a leaderboard with numbers: what is averaged, tested and set apart.

Shapes: q queries, s seeds, k comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmark.errors import UserError
from benchmark.evaluation import Floats, aggregate, chance
from benchmark.modification import shared_references
from benchmark.protocol import Judgments
from benchmark.report.exact import exact_chance
from benchmark.report.table import Row, Table
from benchmark.statistics import holm, paired_interval, sign_flip_ps, standard_error, two_level_interval, wins

BOOTSTRAP_DRAWS = 10_000
TEST_DRAWS = 100_000
SEPARABLE = 0.05
CHANCE = "chance (closed form)"
Numbers = dict[str, float]


@dataclass(frozen=True)
class Line:
    """One line of a leaderboard. ``numbers`` holds raw values by the names of the csv's columns (``macro_map``,
    ``p_holm``, ...); what does not apply is absent.
    """

    label: str
    kind: Literal["method", "reads labels", "chance"]
    numbers: Mapping[str, float]
    row: Row | None = None
    reference: bool = False
    best: bool = False
    near_best: bool = False

    @property
    def encoder(self) -> str:
        """The encoder's name, empty for chance."""
        return self.row.encoder if self.row else ""


@dataclass(frozen=True)
class Leaderboard:
    """``lines`` are methods, best first; ``apart`` are reference points that are no methods.

    ``reference`` is the label of the row that the others are tested against, or the name that was asked for where no
    row has it (``has_reference`` is False then). ``family`` counts the tests that Holm's method adjusts for.
    """

    table: Table
    lines: tuple[Line, ...]
    apart: tuple[Line, ...]
    reference: str
    has_reference: bool
    family: int

    @property
    def cross_validated(self) -> bool:
        """Whether it is a mean over folds."""
        return self.table.protocol.evaluate == "cv"

    def name(self, line: Line) -> str:
        """How a line is called: with its encoder where the methods have several."""
        several = len({one.encoder for one in self.lines}) > 1
        return f"{line.label}, {line.encoder}" if several and line.kind == "method" else line.label

    @property
    def critical(self) -> str:
        """The csv name of the rate of missed critical cases, or empty."""
        judgments = next(iter(self.table.judgments.values()))
        asked = judgments.critical is not None and judgments.stratum_names[judgments.critical] in self.table.groups
        return column_name(f"missed {judgments.critical_name}@10") if asked else ""


def column_name(metric: str) -> str:
    """Return the csv column of a metric: ``nDCG@10`` -> ``ndcg_10``, ``AP[MEL]`` -> ``ap_mel``."""
    return re.sub(r"[\W_]+", "_", metric.lower()).strip("_")


def leaderboard(table: Table, reference: str | None) -> Leaderboard:
    """Rank the rows of ``table`` and test the method named ``reference`` against each of the others.

    With several encoders a row is compared with the reference row of its own encoder, and has no p where there is
    none; a row with options is not taken as the reference where one with the defaults exists.
    """
    measure = _on_folds if table.protocol.evaluate == "cv" else _on_test
    lines = [Line(row.method.row, _kind(row), measure(row, table), row) for row in table.rows]
    lines = _with_gaps(sorted(lines, key=_order))
    methods = [line for line in lines if line.kind == "method"]
    apart = [line for line in lines if line.kind != "method"]
    named = _mark_references(methods, reference)
    compare = _differences_over_folds if table.protocol.evaluate == "cv" else _tests
    methods = _mark_best(compare(named, table), table)
    if table.protocol.evaluate != "cv":
        expected = chance(_judgments(table)) | (exact_chance(_judgments(table)) if table.task.exact else {})
        apart.append(Line(CHANCE, "chance", _defined({column_name(name): v for name, v in expected.items()})))
    label = next((line.label for line in methods if line.reference), "")
    family = sum("p_raw" in line.numbers for line in methods)
    shown = label or reference or "reference"
    return Leaderboard(table, tuple(methods), tuple(apart), shown, bool(label), family)


def _kind(row: Row) -> Literal["method", "reads labels"]:
    return "reads labels" if row.method.reads_labels else "method"


def _order(line: Line) -> tuple[float, str, str]:
    return (-round(line.numbers["macro_map"], 9), line.label, line.encoder)


def _judgments(table: Table) -> Judgments:
    return next(iter(table.judgments.values()))


def units(table: Table) -> list[str] | None:
    """Return the reference of each query (q,) where several queries share one, else None."""
    return shared_references(_judgments(table).query_ids) if table.task.unit == "reference" else None


# ------------------------------------------------------------------------------------------------ a row's own numbers


def _on_test(row: Row, table: Table) -> Numbers:
    """Average over seeds; add the standard deviation over them and the two-level interval."""
    seeds = row.results[None]
    numbers = _mean_over_seeds(seeds, _judgments(table))
    macro = [aggregate(values, _judgments(table))["macro mAP"] for values in seeds.values()]
    if len(macro) > 1:
        numbers["macro_map_std"] = float(np.std(macro, ddof=1))
    ap, strata = precisions(row, row.seeds), _judgments(table).strata
    low, high = two_level_interval(ap, strata, draws=BOOTSTRAP_DRAWS, units=units(table))
    return numbers | {"macro_map_low": low, "macro_map_high": high, **_counts(row)}


def _on_folds(row: Row, table: Table) -> Numbers:
    """Average over the seeds of a fold, then over folds; add the standard error over folds of macro mAP."""
    folds = [_mean_over_seeds(seeds, table.judgments[fold]) for fold, seeds in row.results.items()]
    names = dict.fromkeys(name for fold in folds for name in fold)
    numbers = {name: float(np.mean([fold[name] for fold in folds if name in fold])) for name in names}
    error = _error([fold["macro_map"] for fold in folds])
    return numbers | ({} if error is None else {"macro_map_se": error}) | {"folds": len(folds), **_counts(row)}


def _counts(row: Row) -> Numbers:
    return {"seeds": len(row.seeds), "parameters": row.method.parameters}


def _mean_over_seeds(seeds: Mapping[int, Mapping[str, Floats]], judgments: Judgments) -> Numbers:
    single = [aggregate(values, judgments) for _, values in sorted(seeds.items())]
    refuse_shared_columns(list(single[0]))
    return _defined({column_name(name): float(np.mean([values[name] for values in single])) for name in single[0]})


def _defined(numbers: Numbers) -> Numbers:
    """Leave out what no query could be judged by, e.g. missed melanomas where a fold's only melanoma asks in vain."""
    return {name: value for name, value in numbers.items() if value == value}


def refuse_shared_columns(metrics: Sequence[str]) -> None:
    """Raise ``UserError`` where two metrics, which hold names of groups, would have one column."""
    owners: dict[str, str] = {}
    for name in metrics:
        first = owners.setdefault(column_name(name), name)
        if first != name:
            raise UserError(f"{first} and {name} would share the column {column_name(name)!r}: rename one group.")


def _error(values: Sequence[float]) -> float | None:
    return standard_error(values) if len(values) > 1 else None


def precisions(row: Row, seeds: Sequence[int]) -> Floats:
    """Return AP (s, q) of a row on test."""
    return np.stack([row.results[None][seed]["AP"] for seed in seeds])


# ------------------------------------------------------------------------------------------------ rows against rows


def _with_gaps(lines: Sequence[Line]) -> list[Line]:
    """Add the composition gap: macro mAP minus that of the better of the image-only and text-only rows."""
    single: dict[str, dict[str, float]] = {}
    for line in lines:
        if line.row and line.kind == "method":
            best = single.setdefault(line.encoder, {})
            modality = line.row.method.modality
            best[modality] = max(best.get(modality, -np.inf), line.numbers["macro_map"])
    return [_with_gap(line, single.get(line.encoder, {})) for line in lines]


def _with_gap(line: Line, single: Mapping[str, float]) -> Line:
    assert line.row is not None
    alone = line.kind != "method" or line.row.method.modality in ("image", "text")
    if alone or not {"image", "text"} <= set(single):
        return line
    gap = line.numbers["macro_map"] - max(single["image"], single["text"])
    return replace(line, numbers={**line.numbers, "composition_gap": gap})


def _mark_references(lines: Sequence[Line], reference: str | None) -> list[Line]:
    """Mark one row an encoder as the reference: the one with default options, else the first by name."""
    chosen: dict[str, Line] = {}
    for line in sorted(lines, key=lambda line: ("[" in line.label, line.label)):
        if line.row and line.row.method.name == reference:
            chosen.setdefault(line.encoder, line)
    return [replace(line, reference=chosen.get(line.encoder) is line) for line in lines]


def _against(lines: Sequence[Line]) -> list[tuple[int, Row, Row]]:
    """Return (position, reference row, row) of every line that has a reference to be compared with."""
    references = {line.encoder: line.row for line in lines if line.reference}
    return [
        (position, reference, line.row)
        for position, line in enumerate(lines)
        if not line.reference and line.row and (reference := references.get(line.encoder))
    ]


def _tests(lines: list[Line], table: Table) -> list[Line]:
    """Add the difference to the reference with its interval, p raw and by Holm, and wins over the shared seeds."""
    strata = _judgments(table).strata
    pairs = [(position, *_paired(reference, row)) for position, reference, row in _against(lines)]
    pairs = [pair for pair in pairs if len(pair[1])]
    if not pairs:
        return lines
    raw = _p_values([reference - row for _, reference, row in pairs], table)
    for (position, reference, row), p, adjusted in zip(pairs, raw, holm(raw), strict=True):
        low, high = paired_interval(reference - row, strata, draws=BOOTSTRAP_DRAWS, units=units(table))
        seeds = [[_macro(ap, table) for ap in side] for side in (reference, row)]
        added = {
            "reference_minus_row": float(np.mean(seeds[0]) - np.mean(seeds[1])),
            "reference_minus_row_low": low, "reference_minus_row_high": high,
            "p_raw": float(p), "p_holm": float(adjusted), "wins": wins(*seeds), "wins_of": len(reference),
        }  # fmt: skip
        lines[position] = replace(lines[position], numbers={**lines[position].numbers, **added})
    return lines


def _macro(precision: Floats, table: Table) -> float:
    return aggregate({"AP": precision}, _judgments(table))["macro mAP"]


def _paired(first: Row, second: Row) -> tuple[Floats, Floats]:
    """Return AP (s, q) of two rows over the seeds that both have; (0, 0) where they share none."""
    shared = sorted(set(first.seeds) & set(second.seeds))
    if not shared:
        return np.empty((0, 0)), np.empty((0, 0))
    return precisions(first, shared), precisions(second, shared)


def _p_values(differences: Sequence[Floats], table: Table) -> Floats:
    """Return the p value of each difference (s, q). Seeds are averaged first, so that rows may have different ones."""
    averaged = np.stack([difference.mean(axis=0, keepdims=True) for difference in differences])
    return sign_flip_ps(averaged, _judgments(table).strata, draws=TEST_DRAWS, units=units(table))


def _mark_best(lines: list[Line], table: Table) -> list[Line]:
    """Mark the best row and, on test, those that a paired test does not separate from it."""
    if not lines:
        return []
    lines = [replace(lines[0], best=True), *lines[1:]]
    best = lines[0].row
    if table.protocol.evaluate == "cv" or best is None:
        return lines
    pairs = [(index, *_paired(best, line.row)) for index, line in enumerate(lines) if index and line.row]
    pairs = [pair for pair in pairs if len(pair[1])]
    if not pairs:
        return lines
    near = _p_values([first - second for _, first, second in pairs], table)
    for (index, _, _), p in zip(pairs, near, strict=True):
        added = {**lines[index].numbers, "p_best": float(p)}
        lines[index] = replace(lines[index], numbers=added, near_best=bool(p > SEPARABLE))
    return lines


def _differences_over_folds(lines: list[Line], table: Table) -> list[Line]:
    """Add row minus reference, paired by fold, with its standard error over folds."""
    for position, reference, row in _against(lines):
        shared = [fold for fold in table.judgments if fold in reference.results and fold in row.results]
        means = [
            [_mean_over_seeds(side.results[fold], table.judgments[fold])["macro_map"] for fold in shared]
            for side in (row, reference)
        ]
        differences = np.subtract(means[0], means[1])
        if len(differences):
            error = _error(list(differences))
            added = {"row_minus_reference": float(differences.mean())}
            added |= {} if error is None else {"row_minus_reference_se": error}
            lines[position] = replace(lines[position], numbers={**lines[position].numbers, **added})
    return lines
