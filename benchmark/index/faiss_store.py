"""Vectors in a faiss file: exact search, everything in memory. The default.

    INDEX/states/NUMBER/vectors.faiss   IndexFlatIP, one vector a case
    INDEX/states/NUMBER/cases.json      the cases in the same order

Source: Johnson, Douze and Jegou, "Billion-scale similarity search with GPUs", IEEE Transactions on Big Data 2021.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import UserError
from benchmark.files import sha256, write_atomic
from benchmark.index.extras import require
from benchmark.index.records import Filters, IndexedCase, Place
from benchmark.index.stores import Found, Vectors, VectorStore

STATES = "states"
VECTORS, CASES = "vectors.faiss", "cases.json"


class FaissStore(VectorStore):
    """One flat index and a list of cases. Every change writes a whole new state."""

    def __init__(self, folder: Path, fingerprint: str):
        super().__init__(folder, fingerprint)
        self.faiss = require("faiss")
        self.index: Any = None
        self.cases: list[IndexedCase] = []

    def create(self, cases: Sequence[IndexedCase], vectors: Vectors) -> Place:
        """Write a state under the next free number."""
        index = self.faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        taken = [int(path.name) for path in (self.folder / STATES).glob("*") if path.name.isdigit()]
        name = str(max(taken, default=0) + 1)
        state = self.folder / STATES / name
        listed = {"fingerprint": self.fingerprint, "cases": [case.model_dump() for case in cases]}
        write_atomic(state / VECTORS, self.faiss.serialize_index(index).tobytes())
        write_atomic(state / CASES, json.dumps(listed, ensure_ascii=False).encode())
        return Place(kind="faiss", name=name, files={file: sha256(state / file) for file in (VECTORS, CASES)})

    def open(self, place: Place) -> None:
        """Read a state whose files have the hashes of its place."""
        state = self.folder / STATES / place.name
        for file, expected in place.files.items():
            if not (state / file).is_file() or sha256(state / file) != expected:
                raise UserError(f"{state / file} is missing or damaged. Build the index again with `index`.")
        listed = json.loads((state / CASES).read_bytes())
        if listed["fingerprint"] != self.fingerprint:
            raise UserError(f"The vectors in {state} were made by another model. Build the index again with `index`.")
        self.index = self.faiss.read_index(str(state / VECTORS))
        self.cases = [IndexedCase.model_validate(case) for case in listed["cases"]]
        self.__dict__.pop("_row", None)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {case.id: row for row, case in enumerate(self.cases)}

    def add(self, cases: Sequence[IndexedCase], vectors: Vectors) -> Place:
        """Write a state with the new cases after the old."""
        return self.create([*self.cases, *cases], np.concatenate([self._vectors(), vectors]))

    def delete(self, ids: Sequence[str]) -> Place:
        """Write a state of the other cases."""
        gone = {self._row[name] for name in ids if name in self._row}
        kept = [row for row in range(len(self.cases)) if row not in gone]
        return self.create([self.cases[row] for row in kept], self._vectors()[kept])

    def _vectors(self) -> Vectors:
        vectors: Vectors = self.index.reconstruct_n(0, len(self.cases))
        return vectors

    def tidy(self, keep: Place) -> None:
        """Remove the other states."""
        for state in (self.folder / STATES).glob("*"):
            if state.name != keep.name and state.name.isdigit():
                shutil.rmtree(state, ignore_errors=True)

    def search(self, queries: Vectors, k: int, filters: Filters) -> list[list[Found]]:
        """Search exactly; a filter is a bitmap over the rows."""
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        if not self.cases:
            return [[] for _ in asked]
        chosen = self._selected(filters)
        scores, rows = self.index.search(asked, min(k, len(self.cases)), params=chosen)
        return [
            [self._found(int(row), float(score)) for row, score in zip(*one, strict=True) if row >= 0]
            for one in zip(rows, scores, strict=True)
        ]

    def _selected(self, filters: Filters) -> Any:
        if not filters:
            return None
        passing = [all(case.facts.get(name) == value for name, value in filters.items()) for case in self.cases]
        bits = np.packbits(np.array(passing, dtype=bool), bitorder="little")
        return self.faiss.SearchParameters(sel=self.faiss.IDSelectorBitmap(bits))

    def _found(self, row: int, score: float) -> Found:
        return Found(self.cases[row], score, self.index.reconstruct(row))

    def get(self, ids: Sequence[str]) -> list[Found]:
        """Look rows up by id."""
        return [self._found(self._row[name], 0.0) for name in ids if name in self._row]

    def count(self) -> int:
        """Return the number of rows."""
        return len(self.cases)
