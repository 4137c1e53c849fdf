"""One row of a published table: the record of each seed, and their rankings or, where those are too large, what each
query scored.

ROW.json           the records
ROW.safetensors    array ``ranking`` (s, q, k) uint16: s records, q queries, k candidates; or
                   array ``per_query`` (m, n) float64: m metrics, n queries, those of one record after the other; the
                   metadata of that name hold the metrics, the number of queries of each record, and a SHA-256
"""

from __future__ import annotations

import functools
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors.numpy import save

from benchmark.errors import UserError
from benchmark.evaluation import Floats
from benchmark.protocol import Judgments
from benchmark.records import EvaluationRecord
from benchmark.report.table import Evaluated, measure, stale
from benchmark.store import read_arrays

PER_QUERY = "per_query"
_RECORDS = TypeAdapter(list[EvaluationRecord])


@dataclass(frozen=True)
class CompactRow(ABC):
    """The evaluations of one row: a record each, and what a table needs of them."""

    records: tuple[EvaluationRecord, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its records."""
        return frozenset(record.key for record in self.records)

    @property
    def stale(self) -> bool:
        """Whether a source of it has changed since."""
        return any(stale(record) for record in self.records)

    @abstractmethod
    def content(self) -> bytes:
        """Return the safetensors file; equal rows give equal bytes."""

    @abstractmethod
    def evaluated(self, truth: Callable[[EvaluationRecord], Judgments], path: Path) -> list[Evaluated]:
        """Return its evaluations, judged by ``truth``; ``path`` is the file that they were read from."""


@dataclass(frozen=True)
class RankedRow(CompactRow):
    """``ranking`` (s, q, k): a ranking for each record."""

    ranking: NDArray[np.uint16]

    def content(self) -> bytes:
        """Return the rankings as a safetensors file."""
        return save({"ranking": np.ascontiguousarray(self.ranking)})

    def evaluated(self, truth: Callable[[EvaluationRecord], Judgments], path: Path) -> list[Evaluated]:
        """Return evaluations that are measured anew from their rankings."""
        return [
            Evaluated(record, functools.partial(self._of, index), functools.partial(truth, record), _error(path))
            for index, record in enumerate(self.records)
        ]

    def _of(self, index: int) -> NDArray[np.uint16]:
        return self.ranking[index]


@dataclass(frozen=True)
class MeasuredRow(CompactRow):
    """``values``: metric -> values (q,), for each record; q may differ, as in the folds of a cross-validation."""

    values: tuple[Mapping[str, Floats], ...]

    def content(self) -> bytes:
        """Return the values as a safetensors file."""
        names = list(self.values[0])
        counts = [len(of_one[names[0]]) for of_one in self.values]
        joined = np.stack([np.concatenate([of_one[name] for of_one in self.values]) for name in names])
        told = {"metrics": names, "queries": counts, "sha256": _digest(joined, names, counts)}
        # One entry: safetensors writes several in an order that differs from call to call.
        return save({PER_QUERY: joined}, metadata={PER_QUERY: json.dumps(told)})

    def evaluated(self, truth: Callable[[EvaluationRecord], Judgments], path: Path) -> list[Evaluated]:
        """Return evaluations that bring their values and have no ranking."""
        lost = functools.partial(_no_ranking, path)
        return [
            Evaluated(record, lost, functools.partial(truth, record), _error(path), functools.partial(self._of, index))
            for index, record in enumerate(self.records)
        ]

    def _of(self, index: int) -> Mapping[str, Floats]:
        return self.values[index]


def ranked_row(members: Sequence[Evaluated]) -> RankedRow:
    """Stack the rankings of the evaluations of one row, which all have the same queries.

    Raises:
        UserError: a ranking is damaged.
    """
    rankings = []
    for one in members:
        try:
            rankings.append(one.ranking())
        except KeyError as error:
            raise one.damaged("it holds no ranking") from error
        if rankings[-1].shape != rankings[0].shape:
            raise one.damaged(f"its ranking is {rankings[-1].shape}, that of another seed {rankings[0].shape}")
    return RankedRow(tuple(one.record for one in members), np.stack(rankings))


def measured_row(
    members: Sequence[Evaluated], kept: Callable[[Evaluated], Mapping[str, Floats]] = measure
) -> MeasuredRow:
    """Take what each query of the evaluations of one row scored, or what of it is ``kept``.

    Raises:
        UserError: a ranking or its judgments are damaged.
    """
    return MeasuredRow(tuple(one.record for one in members), tuple(kept(one) for one in members))


def read_row(folder: Path, name: str) -> CompactRow:
    """Read one row of a runs folder under results/.

    Raises:
        UserError: a file is damaged, or holds something else than its record says.
    """
    path = folder / f"{name}.json"
    try:
        records = tuple(_RECORDS.validate_json(path.read_bytes()))
    except (OSError, ValidationError) as error:
        raise damaged_compact(path, str(error).splitlines()[0]) from error
    row, count = _read_values(folder / f"{name}.safetensors", records)
    if not records or count != len(records):
        raise damaged_compact(path, f"{len(records)} records for the results of {count}")
    return row


def _read_values(path: Path, records: tuple[EvaluationRecord, ...]) -> tuple[CompactRow, int]:
    """Return the row and of how many records its file holds results."""
    try:
        arrays, metadata = read_arrays(path)
        if PER_QUERY in arrays:
            values = _split(arrays[PER_QUERY], json.loads(metadata[PER_QUERY]))
            return MeasuredRow(records, values), len(values)
        ranking = arrays["ranking"]
    except (UserError, KeyError) as error:
        raise damaged_compact(path, "it is missing or no whole safetensors file") from error
    except ValueError as error:
        raise damaged_compact(path, str(error)) from error
    if ranking.dtype != np.uint16 or ranking.ndim != 3:
        found = f"its ranking is {ranking.dtype} {ranking.shape}"
        raise damaged_compact(path, f"{found}, not uint16 (seeds, queries, candidates)")
    return RankedRow(records, ranking), len(ranking)


def _split(joined: NDArray[Any], told: Mapping[str, Any]) -> tuple[Mapping[str, Floats], ...]:
    names, counts = told["metrics"], told["queries"]
    if told["sha256"] != _digest(joined, names, counts):
        raise ValueError("its content does not match its SHA-256")
    parts = np.split(joined, np.cumsum(counts)[:-1], axis=1)
    return tuple(dict(zip(names, part, strict=True)) for part in parts)


def _digest(joined: NDArray[Any], names: Sequence[str], counts: Sequence[int]) -> str:
    return hashlib.sha256(json.dumps([names, counts]).encode() + joined.tobytes()).hexdigest()


def damaged_compact(path: Path, why: str) -> UserError:
    """Return the error for a published file that can't be trusted."""
    return UserError(
        f"{path} is damaged ({why}), so no table was built from it. Restore the published runs with `git checkout -- "
        f"{path.parent}`, then publish again."
    )


def _error(path: Path) -> Callable[[str], UserError]:
    return functools.partial(damaged_compact, path)


def _no_ranking(path: Path) -> NoReturn:
    raise UserError(f"{path} holds what each query scored and no ranking; the runs folder that it came from has them.")
