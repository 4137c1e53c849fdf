"""Compact runs under results/: the rankings of a published table and their records, without scores or texts.

RESULTS/DATASET/TASK/runs/judgments.safetensors
RESULTS/DATASET/TASK/runs/ROW.safetensors    array ``ranking`` (s, q, k) uint16: s seeds, q queries, k candidates
RESULTS/DATASET/TASK/runs/ROW.json           the record of each seed, in the same order
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors.numpy import save

from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.protocol import Judgments
from benchmark.records import EvaluationRecord, digest
from benchmark.report.table import Evaluated, stale
from benchmark.store import as_json, judgments_bytes, read_arrays, read_judgments, slug

FOLDER = "runs"
JUDGMENTS = "judgments.safetensors"
Identity = tuple[str, str]
"""Row and encoder."""
_RECORDS = TypeAdapter(list[EvaluationRecord])


@dataclass(frozen=True)
class CompactRow:
    """The seeds of one row: a record each, and ``ranking`` (s, q, k)."""

    records: tuple[EvaluationRecord, ...]
    ranking: NDArray[np.uint16]

    def seed(self, index: int) -> NDArray[np.uint16]:
        """Return the ranking (q, k) of the seed at ``index``."""
        return self.ranking[index]

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its seeds."""
        return frozenset(record.key for record in self.records)

    @property
    def stale(self) -> bool:
        """Whether a source of it has changed since."""
        return any(stale(record) for record in self.records)


@dataclass(frozen=True)
class CompactTable:
    """What one runs folder under results/ holds."""

    judgments: Judgments
    rows: Mapping[Identity, CompactRow]

    @property
    def judgments_hash(self) -> str:
        """The name under which records know the judgments."""
        return judgments_hash(self.judgments)


def judgments_hash(judgments: Judgments) -> str:
    """Return the content hash of judgments, as records hold it."""
    return digest(judgments_bytes(judgments).hex())[:32]


def read_compact(folder: Path) -> CompactTable | None:
    """Read a runs folder under results/, or return None where it holds nothing.

    Raises:
        UserError: a file is damaged, missing or left over.
    """
    names = {path.stem for path in (*folder.glob("*.json"), *folder.glob("*.safetensors"))}
    if not names:
        return None
    judgments = _read_judgments(folder / JUDGMENTS)
    known = judgments_hash(judgments)
    rows = [_read_row(folder, name, known) for name in sorted(names - {Path(JUDGMENTS).stem})]
    return CompactTable(judgments, {_identity(row): row for row in rows})


def write_compact(folder: Path, table: CompactTable) -> None:
    """Write a runs folder under results/, and remove the files of rows that it no longer has.

    Raises:
        UserError: the folder is read-only or full.
    """
    names = _file_names(table)
    contents = {JUDGMENTS: judgments_bytes(table.judgments)}
    for identity, row in table.rows.items():
        contents[f"{names[identity]}.safetensors"] = save({"ranking": np.ascontiguousarray(row.ranking)})
        contents[f"{names[identity]}.json"] = as_json([record.model_dump(mode="json") for record in row.records])
    for name, content in contents.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)
    for path in (*folder.glob("*.json"), *folder.glob("*.safetensors")):
        if path.name not in contents:
            path.unlink()


def from_published(results: Path) -> list[Evaluated]:
    """Return every published evaluation, read from the compact runs alone.

    Raises:
        UserError: a file is damaged.
    """
    found = []
    for folder in sorted(results.glob(f"*/*/{FOLDER}")):
        table = read_compact(folder)
        names = _file_names(table) if table else {}
        for identity, row in table.rows.items() if table else ():
            error = functools.partial(damaged_compact, folder / f"{names[identity]}.safetensors")
            truth = functools.partial(getattr, table, "judgments")
            found += [
                Evaluated(record, functools.partial(row.seed, index), truth, error)
                for index, record in enumerate(row.records)
            ]
    return found


def damaged_compact(path: Path, why: str) -> UserError:
    """Return the error for a published file that can't be trusted."""
    return UserError(
        f"{path} is damaged ({why}), so no table was built from it. Restore the published runs with `git checkout -- "
        f"{path.parent}`, then publish again."
    )


def _identity(row: CompactRow) -> Identity:
    return row.records[0].method.row, row.records[0].encoder.name


def _file_names(table: CompactTable) -> dict[Identity, str]:
    """Return a file name for each row; two rows that would share one get a part of their hash."""
    names = {identity: slug("-".join(identity)) for identity in table.rows}
    taken = [*names.values(), Path(JUDGMENTS).stem]
    return {
        identity: name if taken.count(name) == 1 else f"{name}-{digest(identity)[:8]}"
        for identity, name in names.items()
    }


def _read_judgments(path: Path) -> Judgments:
    try:
        return read_judgments(path)
    except UserError as error:
        raise damaged_compact(path, "it is missing or no whole safetensors file") from error


def _read_row(folder: Path, name: str, judgments: str) -> CompactRow:
    path = folder / f"{name}.json"
    try:
        records = tuple(_RECORDS.validate_json(path.read_bytes()))
    except (OSError, ValidationError) as error:
        raise damaged_compact(path, str(error).splitlines()[0]) from error
    row = CompactRow(records, _read_ranking(folder / f"{name}.safetensors"))
    identities = {(record.method.row, record.encoder.name, *record.table) for record in records}
    if len(identities) != 1 or len(row.ranking) != len(records):
        raise damaged_compact(path, f"{len(records)} records for {len(row.ranking)} rankings of one row")
    if {record.judgments for record in records} != {judgments}:
        raise damaged_compact(path, f"its records name other judgments than {JUDGMENTS} holds")
    return row


def _read_ranking(path: Path) -> NDArray[np.uint16]:
    try:
        ranking = read_arrays(path)[0]["ranking"]
    except (UserError, KeyError) as error:
        raise damaged_compact(path, "it is missing or no whole safetensors file") from error
    if ranking.dtype != np.uint16 or ranking.ndim != 3:
        found = f"its ranking is {ranking.dtype} {ranking.shape}"
        raise damaged_compact(path, f"{found}, not uint16 (seeds, queries, candidates)")
    return ranking
