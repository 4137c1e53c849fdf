"""Exact and approximate search in many vectors, beside NumPy over a memory-mapped half-precision matrix.

The vectors are synthetic: those of an index, perturbed block by block and brought back to unit blocks. Queries are
perturbed alike, with the weights on their side.

Shapes: n vectors, q queries, d width, k results.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.index.extras import require
from benchmark.index.model import weights
from benchmark.interfaces import Blocks
from benchmark.speed.latency import Row

K = 10
QUERIES = 40
"""Half choose the probes of the approximate index, the other half are reported."""
CHUNK = 16_384
NOISE = 0.5
"""Length of the noise beside a unit block."""
RECALL = 0.98
SMALLEST = 10_000
POINTS_A_CENTROID = 40
Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Sample:
    """Where candidates come from: vectors (m, d) of an index, and the layout of their blocks."""

    base: NDArray[np.float32]
    layout: Blocks

    def draw(self, start: int, count: int) -> NDArray[np.float32]:
        """Return perturbed vectors ``start`` to ``start + count``, the same in every run."""
        generator = np.random.default_rng([7, start])
        made = self.base[np.arange(start, start + count) % len(self.base)].copy()
        ends = np.cumsum([block.width for block in self.layout.blocks])[:-1]
        for block in np.split(made, ends, axis=1):
            length = np.linalg.norm(block, axis=1, keepdims=True) + 1e-9
            noise = generator.standard_normal(block.shape, dtype=np.float32) * (NOISE / math.sqrt(block.shape[1]))
            block /= length
            block += noise
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        return made

    def queries(self) -> NDArray[np.float32]:
        """Return weighted queries (q, d); none of them is a candidate."""
        return self.draw(2**40, QUERIES) * weights(self.layout)


def write_vectors(sample: Sample, path: Path, count: int) -> NDArray[np.float16]:
    """Write ``count`` vectors in half precision; return them memory-mapped."""
    matrix = np.lib.format.open_memmap(path, "w+", np.float16, (count, sample.base.shape[1]))
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        matrix[start : start + size] = sample.draw(start, size)
    matrix.flush()
    return np.load(path, mmap_mode="r")


def chunks(matrix: NDArray[np.float16], count: int) -> Iterator[NDArray[np.float32]]:
    """Return the first ``count`` vectors in single precision, part by part."""
    return (matrix[start : min(start + CHUNK, count)].astype(np.float32) for start in range(0, count, CHUNK))


def numpy_search(matrix: NDArray[np.float16], count: int, query: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rows (k,) of the ``count`` first vectors with the largest inner products, best first."""
    scores = np.concatenate([chunk @ query for chunk in chunks(matrix, count)])
    best = np.argpartition(-scores, K)[:K]
    order: NDArray[np.int64] = best[np.argsort(-scores[best], kind="stable")]
    return order


def measure_scale(sample: Sample, folder: Path, most: int, say: Callable[[str], None]) -> list[Row]:
    """Return a row a size and way of searching: bytes a vector, time to build, time a query, recall, speed-up."""
    matrix = write_vectors(sample, folder / "vectors.npy", most)
    queries = sample.queries()
    rows: list[Row] = []
    sizes = [size for size in (SMALLEST, 10 * SMALLEST, 100 * SMALLEST) if size < most]
    for count in (*sizes, most):
        say(f"{count:,} vectors")
        seconds, exact = _asked(lambda query, n=count: numpy_search(matrix, n, query), queries)  # type: ignore[misc]
        width = 2 * matrix.shape[1]
        rows.append(_row(count, "NumPy, memory-mapped halves", width, 0.0, seconds, 1.0, seconds))
        cells = 2 ** round(math.log2(2 * math.sqrt(count)))
        for name, recipe in (
            ("faiss, exact, float32", "Flat"),
            ("faiss, exact, halves", "SQfp16"),
            (f"faiss, {cells} cells, halves", f"IVF{cells},SQfp16"),
        ):
            rows.append(_measured(name, recipe, matrix, count, queries, exact, seconds, folder))
    return rows


def _measured(
    name: str,
    recipe: str,
    matrix: NDArray[np.float16],
    count: int,
    queries: NDArray[np.float32],
    exact: NDArray[np.int64],
    baseline: float,
    folder: Path,
) -> Row:
    faiss = require("faiss")
    start = time.perf_counter()
    index = faiss.index_factory(matrix.shape[1], recipe, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        index.train(_training_sample(matrix, count, index.nlist if recipe.startswith("IVF") else 1))
    for chunk in chunks(matrix, count):
        index.add(chunk)
    built = time.perf_counter() - start
    half = len(queries) // 2
    if recipe.startswith("IVF"):
        name += f", {_tune(index, queries[:half], exact[:half])} probed"
    seconds, found = _asked(lambda query: index.search(query[None], K)[1][0], queries[half:])
    file = folder / "index.faiss"
    faiss.write_index(index, str(file))
    size = file.stat().st_size / count
    file.unlink()
    return _row(count, name, size, built, seconds, recall(found, exact[half:]), baseline)


def _training_sample(matrix: NDArray[np.float16], count: int, cells: int) -> NDArray[np.float32]:
    wanted = min(count, max(CHUNK, POINTS_A_CENTROID * cells))
    rows = np.sort(np.random.default_rng(0).choice(count, wanted, replace=False))
    return matrix[rows].astype(np.float32)


def _tune(index: Any, queries: NDArray[np.float32], exact: NDArray[np.int64]) -> int:
    """Set the fewest probed cells, a power of two, that reach ``RECALL`` on these queries, and return them."""
    probes = 1
    index.nprobe = probes
    while recall(index.search(queries, K)[1], exact) < RECALL and probes < index.nlist:
        probes *= 2
        index.nprobe = probes
    return probes


def recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """Return the share of the exact results (q, k) that were found."""
    hits = [len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    return sum(hits) / exact.size


def _asked(
    search: Callable[[NDArray[np.float32]], NDArray[np.int64]], queries: NDArray[np.float32]
) -> tuple[float, NDArray[np.int64]]:
    """Return the median seconds a query, one query at a time, and what was found (q, k)."""
    times, found = [], []
    search(queries[0])
    for query in queries:
        start = time.perf_counter()
        found.append(search(query))
        times.append(time.perf_counter() - start)
    return float(np.median(times)), np.array(found)


def _row(count: int, way: str, size: float, built: float, seconds: float, reached: float, baseline: float) -> Row:
    return {
        "vectors": count,
        "search": way,
        "bytes a vector": round(size),
        "build s": round(built, 1),
        "ms a query": round(1000 * seconds, 2),
        "recall@10": round(reached, 4),
        "speed-up": round(baseline / seconds, 1),
    }
