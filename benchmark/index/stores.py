"""The interface of a store of vectors. Two are in the box: a faiss file, and Milvus (a local file, or a server).

A change is made beside what is there and counts only when the index's manifest names the place that it returned: a
process that dies in between leaves the old index as it was.

Shapes: q queries, n cases, d width of a vector. Scores are inner products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.index.records import Filters, IndexedCase, Place

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """One case of an answer with its score and its vector (d,)."""

    case: IndexedCase
    score: float
    vector: Vectors


class VectorStore(ABC):
    """Vectors with their cases, under one index folder."""

    def __init__(self, folder: Path, fingerprint: str):
        self.folder, self.fingerprint = folder, fingerprint

    @abstractmethod
    def create(self, cases: Sequence[IndexedCase], vectors: Vectors) -> Place:
        """Write a new state that holds these cases alone, and return its place."""

    @abstractmethod
    def open(self, place: Place) -> None:
        """Make ``place`` the state that is searched and changed.

        Raises:
            UserError: it is gone, damaged, or of another model.
        """

    @abstractmethod
    def add(self, cases: Sequence[IndexedCase], vectors: Vectors) -> Place:
        """Return the place of the opened state with these cases added; none of their ids is there already."""

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> Place:
        """Return the place of the opened state without the cases ``ids``."""

    @abstractmethod
    def tidy(self, keep: Place) -> None:
        """Remove every state but ``keep``. Call it as the only writer."""

    @abstractmethod
    def search(self, queries: Vectors, k: int, filters: Filters) -> list[list[Found]]:
        """Return the at most ``k`` best of the cases that pass the filters for each of ``queries`` (q, d), best
        first.
        """

    @abstractmethod
    def get(self, ids: Sequence[str]) -> list[Found]:
        """Return those of ``ids`` that are there, with score 0."""

    @abstractmethod
    def count(self) -> int:
        """Return how many cases the opened state holds."""

    def close(self) -> None:
        """Let go of files and connections."""
        return None


def make_store(kind: str, folder: Path, fingerprint: str, uri: str = "") -> VectorStore:
    """Return the store ``kind`` of the index in ``folder``.

    Raises:
        UserError: its library is not installed.
    """
    if kind == "milvus":
        from benchmark.index.milvus_store import MilvusStore

        return MilvusStore(folder, fingerprint, uri)
    from benchmark.index.faiss_store import FaissStore

    return FaissStore(folder, fingerprint)
