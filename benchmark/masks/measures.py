"""How well a map of attention fits a true region: pointing game and intersection over union. Imports no torch.

Shapes: m maps, (r, c) a map's grid, (h, w) the picture, t thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Region = NDArray[np.bool_]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom of what a grid covers, in shares of the picture (report/html/footprint.py)."""

THRESHOLDS = tuple(k / 20 for k in range(1, 20))
"""Shares of a map's maximum at which it may be cut into a mask."""
TIE = 1e-6
"""Places within this share of the maximum are the maximum: interpolation rounds."""


def on_picture(maps: ArrayLike, box: Box, height: int, width: int) -> Floats:
    """Spread maps (m, r, c) over the picture, (m, h, w): linear between the centres of cells, 0 outside ``box``."""
    values = np.asarray(maps, dtype=np.float64)
    left, top, right, bottom = box
    down = _interpolation(height, values.shape[1], top, bottom)
    across = _interpolation(width, values.shape[2], left, right)
    return np.asarray(down @ values @ across.T)


def _interpolation(length: int, cells: int, start: float, end: float) -> Floats:
    """Return (length, cells): how much each pixel takes of each cell of a grid that lies from ``start`` to ``end``."""
    places = ((np.arange(length) + 0.5) / length - start) / (end - start)
    inner = np.clip(places * cells - 0.5, 0, cells - 1)
    low = np.minimum(np.floor(inner).astype(int), max(cells - 2, 0))
    share = inner - low
    matrix = np.zeros((length, cells))
    rows = np.arange(length)
    matrix[rows, low] += 1 - share
    matrix[rows, np.minimum(low + 1, cells - 1)] += share
    matrix[(places < 0) | (places > 1)] = 0
    return matrix


def pointing(spread: Floats, region: Region) -> float:
    """Return 1 where the maximum of ``spread`` (h, w) lies in ``region`` (h, w), else 0; where several places are the
    maximum, the share of them inside, so that a flat map points by chance (Zhang et al., IJCV 2018).
    """
    highest = spread.max()
    return float(region[spread >= highest - TIE * abs(highest)].mean())


def overlaps(spread: Floats, region: Region) -> Floats:
    """Return the intersection over union (t,) of ``region`` (h, w) with ``spread`` (h, w), cut at ``THRESHOLDS``.

    A map without a positive value is an empty mask at every threshold.
    """
    highest = spread.max()
    if highest <= 0:
        return np.zeros(len(THRESHOLDS))
    steps = len(THRESHOLDS) + 1
    # Rounding must not push a maximum, or a value that is a threshold, below it.
    level = np.clip(np.floor(spread / highest * steps + TIE), 0, steps).astype(np.int64)
    areas, shared = (np.bincount(part.ravel(), minlength=steps + 1) for part in (level, level[region]))
    above, inside = (np.cumsum(counts[::-1])[::-1][1:steps] for counts in (areas, shared))
    return np.asarray(inside / (above + region.sum() - inside))


def best_threshold(values: Sequence[Floats]) -> int:
    """Return the place of the threshold with the best mean of ``values``, (t,) a picture; the lowest of equals."""
    return int(np.mean(values, axis=0).argmax())


def match(scores: ArrayLike) -> list[int]:
    """Return which of m masks stands for each criterion, so that the sum of ``scores`` (m, criteria) is highest.

    A mask stands for one criterion, unless there are fewer masks than criteria (Hungarian method, scipy).
    """
    from scipy.optimize import linear_sum_assignment

    values = np.asarray(scores, dtype=np.float64)
    masks, criteria = values.shape
    copies = -(-criteria // masks)
    rows, columns = linear_sum_assignment(np.tile(values, (copies, 1)), maximize=True)
    return [int(rows[columns == criterion][0]) % masks for criterion in range(criteria)]
