"""Vectors in Milvus: a local file through milvus-lite, or with a URI a server or a cluster; the same code.

One collection a state, named by the model and at random, so that several indexes share a server. Rows carry the batch
they came with; rows of a batch that no manifest has committed are never found, and are removed by the next writer. The
manifest names what was deleted before its rows are removed, so that a process that dies in between changes nothing.

Source: Wang et al., "Milvus: A Purpose-Built Vector Data Management System", SIGMOD 2021.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.index.extras import require
from benchmark.index.records import Filters, IndexedCase, Place
from benchmark.index.stores import Found, Vectors, VectorStore

LOCAL, PENDING = "milvus.db", "pending.json"
ROWS = 1000
"""Rows a request."""
PATIENCE_S = 10.0
CONNECTS = 3
"""Attempts to connect where the server closes the line for pings."""
LOOK_UP = 500
"""Ids a request."""


class MilvusStore(VectorStore):
    """One collection with fields ``id``, ``vector``, ``batch`` and ``case`` (JSON). Exact: its index is FLAT."""

    def __init__(self, folder: Path, fingerprint: str, uri: str = ""):
        super().__init__(folder, fingerprint)
        self.uri = uri
        self.place: Place | None = None
        self.milvus = require("pymilvus")
        if not uri:
            require("milvus_lite")
            folder.mkdir(parents=True, exist_ok=True)
        with self._speaking():
            self.client = self._connected(os.environ.get("DERMCIR_MILVUS_TOKEN", ""))

    def _connected(self, token: str) -> Any:
        """Connect. The client pings every ten seconds, which servers answer by closing a line that was idle; another
        client of this process may share that line, and it is opened anew.
        """
        refused: Exception = RuntimeError("no attempt was made")
        for _ in range(CONNECTS):
            try:
                return self.milvus.MilvusClient(self.uri or self._local, token=token, timeout=PATIENCE_S)
            except self.milvus.MilvusException as error:
                if "too many pings" not in str(error.__cause__).lower():
                    raise
                refused = error
        raise refused

    def create(self, cases: Sequence[IndexedCase], vectors: Vectors) -> Place:
        """Fill a new collection. It is noted as pending first, so that a crash leaves none behind for ever."""
        place = Place(kind="milvus", name=f"{self._prefix}{uuid.uuid4().hex[:16]}", uri=self.uri)
        write_atomic(self.folder / PENDING, json.dumps([*self._pending(), place.name]).encode())
        with self._speaking():
            schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
            kinds = self.milvus.DataType
            schema.add_field("id", kinds.VARCHAR, is_primary=True, max_length=1024)
            schema.add_field("vector", kinds.FLOAT_VECTOR, dim=vectors.shape[1])
            schema.add_field("batch", kinds.INT64)
            schema.add_field("case", kinds.JSON)
            index = self.client.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="IP")
            self.client.create_collection(place.name, schema=schema, index_params=index, consistency_level="Strong")
        self._insert(place, cases, vectors)
        return place

    def open(self, place: Place) -> None:
        """Check the collection's fingerprint, which is part of its name."""
        if not place.name.startswith(self._prefix):
            raise UserError(f"Collection {place.name} was made by another model. Build the index again with `index`.")
        with self._speaking():
            if not self.client.has_collection(place.name):
                where = self.uri or self.folder / LOCAL
                raise UserError(f"{where} has no collection {place.name}. Build the index again with `index`.")
            self.client.load_collection(place.name)
        self.place = place

    def add(self, cases: Sequence[IndexedCase], vectors: Vectors) -> Place:
        """Insert the cases as the next batch."""
        place = self._opened.model_copy(update={"batch": self._opened.batch + 1, "deleted": ()})
        with self._speaking():
            self.client.delete(place.name, filter=f"batch >= {place.batch}")
        self._remove(self._opened)
        self._insert(place, cases, vectors)
        return place

    def delete(self, ids: Sequence[str]) -> Place:
        """Name the ids as deleted; ``tidy`` removes their rows."""
        self._remove(self._opened)
        return self._opened.model_copy(update={"deleted": tuple(ids)})

    def tidy(self, keep: Place) -> None:
        """Drop the collections that were pending, but for ``keep``, and the rows that it names as deleted."""
        self._remove(keep)
        for name in self._pending():
            if name != keep.name:
                with self._speaking():
                    self.client.drop_collection(name)
        write_atomic(self.folder / PENDING, json.dumps([keep.name]).encode())

    def search(self, queries: Vectors, k: int, filters: Filters) -> list[list[Found]]:
        """Search exactly, under the filters and the committed batches."""
        with self._speaking():
            answers = self.client.search(
                self._opened.name,
                data=np.asarray(queries, dtype=np.float32).tolist(),
                limit=k,
                filter=self._expression(filters),
                output_fields=["case", "vector"],
            )
        return [[_found(row["entity"], row["distance"]) for row in answer] for answer in answers]

    def get(self, ids: Sequence[str]) -> list[Found]:
        """Look cases up by id, in the order of ``ids``."""
        found: dict[str, Found] = {}
        with self._speaking():
            for part in _parts(ids, LOOK_UP):
                rows = self.client.query(
                    self._opened.name,
                    filter=f"{self._expression({})} and id in {_literal(list(part))}",
                    output_fields=["case", "vector"],
                )
                found.update((one.case.id, one) for one in (_found(row, 0.0) for row in rows))
        return [found[name] for name in ids if name in found]

    def count(self) -> int:
        """Ask the server."""
        with self._speaking():
            answer = self.client.query(self._opened.name, filter=self._expression({}), output_fields=["count(*)"])
        return int(answer[0]["count(*)"])

    def close(self) -> None:
        """Close the connection, and the local file, so that another process may open it."""
        self.client.close()
        if not self.uri:
            require("milvus_lite.server_manager").server_manager_instance.release_server(self._local)

    @property
    def _local(self) -> str:
        return str((self.folder / LOCAL).resolve())

    @property
    def _prefix(self) -> str:
        # milvus-lite keeps no description of a collection, so the name says whose vectors it holds.
        return f"dermcir_{self.fingerprint[:16]}_"

    @property
    def _opened(self) -> Place:
        assert self.place is not None, "open a place first"
        return self.place

    def _insert(self, place: Place, cases: Sequence[IndexedCase], vectors: Vectors) -> None:
        rows = [
            {"id": case.id, "vector": vector.tolist(), "batch": place.batch, "case": case.model_dump()}
            for case, vector in zip(cases, vectors, strict=True)
        ]
        with self._speaking():
            for part in _parts(rows, ROWS):
                self.client.insert(place.name, list(part))

    def _expression(self, filters: Filters) -> str:
        terms = [f'case["facts"][{_literal(name)}] == {_literal(value)}' for name, value in filters.items()]
        gone = [f"id not in {_literal(list(self._opened.deleted))}"] if self._opened.deleted else []
        return " and ".join([f"batch <= {self._opened.batch}", *gone, *terms])

    def _remove(self, place: Place) -> None:
        """Remove the rows that a committed ``place`` names as deleted; those that are gone already don't matter."""
        with self._speaking():
            for part in _parts(place.deleted, LOOK_UP):
                self.client.delete(place.name, filter=f"id in {_literal(list(part))}")

    def _pending(self) -> list[str]:
        path = self.folder / PENDING
        names: list[str] = json.loads(path.read_bytes()) if path.exists() else []
        return names

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what the client raises into a sentence."""
        try:
            yield
        except self.milvus.MilvusException as error:
            place = self.uri or self.folder / LOCAL
            raise UserError(
                f"Milvus at {place}: {error.message or error}. A local file is opened by one process at a time: where "
                "several need it, start a server and name it with --uri; a server must be up and let you in "
                "(DERMCIR_MILVUS_TOKEN)."
            ) from error


def _literal(value: str | list[str]) -> str:
    """Return a string, or a list of some, of Milvus's expressions: those of JSON, but for its escapes by number."""
    return json.dumps(value, ensure_ascii=False)


def _found(row: Any, score: float) -> Found:
    return Found(IndexedCase.model_validate(row["case"]), float(score), np.asarray(row["vector"], dtype=np.float32))


def _parts(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))
