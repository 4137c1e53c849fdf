"""Compact runs under results/: the rows of a published table and what judges them, without scores or texts.

RESULTS/DATASET/TASK/runs/judgments.safetensors
RESULTS/DATASET/TASK/runs/ROW.safetensors    rankings, or what each query scored (compact_rows.py)
RESULTS/DATASET/TASK/runs/ROW.json           the record of each seed, in the same order
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.protocol import Judgments
from benchmark.records import EvaluationRecord, digest
from benchmark.report.compact_rows import CompactRow, damaged_compact, read_row
from benchmark.report.table import Evaluated
from benchmark.store import as_json, judgments_bytes, read_judgments, slug

FOLDER = "runs"
JUDGMENTS = "judgments.safetensors"
Identity = tuple[str, str]
"""Row and encoder."""
K = TypeVar("K", bound=tuple[str, ...])


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
        contents[f"{names[identity]}.safetensors"] = row.content()
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
        if table is None:
            continue
        names, truth = _file_names(table), functools.partial(_judgments_of, table)
        for identity, row in table.rows.items():
            found += row.evaluated(truth, folder / f"{names[identity]}.safetensors")
    return found


def _judgments_of(table: CompactTable, record: EvaluationRecord) -> Judgments:
    return table.judgments


def _identity(row: CompactRow) -> Identity:
    return row.records[0].method.row, row.records[0].encoder.name


def _file_names(table: CompactTable) -> dict[Identity, str]:
    return distinct_names({identity: slug("-".join(identity)) for identity in table.rows}, JUDGMENTS)


def distinct_names(names: Mapping[K, str], taken: str) -> dict[K, str]:
    """Return a file name for each row; those that would share one, or be called like the file ``taken``, get a part of
    their hash.
    """
    every = [*names.values(), Path(taken).stem]
    return {key: name if every.count(name) == 1 else f"{name}-{digest(key)[:8]}" for key, name in names.items()}


def _read_judgments(path: Path) -> Judgments:
    try:
        return read_judgments(path)
    except UserError as error:
        raise damaged_compact(path, "it is missing or no whole safetensors file") from error


def _read_row(folder: Path, name: str, judgments: str) -> CompactRow:
    row, path = read_row(folder, name), folder / f"{name}.json"
    if len({(record.method.row, record.encoder.name, *record.table) for record in row.records}) != 1:
        raise damaged_compact(path, "its records are of several rows")
    if {record.judgments for record in row.records} != {judgments}:
        raise damaged_compact(path, f"its records name other judgments than {JUDGMENTS} holds")
    return row
