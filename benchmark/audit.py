"""Which pictures of a dataset are copies of each other, or probably show the same lesion. Knows no dataset.

Two kinds of evidence, both free of labels:

- a perceptual hash (pHash: signs of the low frequencies of a discrete cosine transform against their median; Zauner,
  "Implementation and benchmarking of perceptual image hash functions", 2010), compared under the eight flips and
  quarter turns, and with the middle of the other picture, so that a closer photograph can match;
- the cosine of the encoder's pooled features, centred on their mean. Some pictures are near to everything ("hubs"), so
  a pair is judged by how far its cosine exceeds what its two cases have with their neighbours (Conneau et al., "Word
  translation without parallel data", ICLR 2018, cross-domain similarity local scaling).

Shapes: n cases, z zooms, d width, 256 bits a hash. Memory grows with n * n: 1,000 cases need 20 MB, 10,000 need 2 GB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
SIDE = 64
BLOCK = 16
ZOOMS = (1.0, 0.9, 0.8)
"""Central parts of a picture, in sides; the whole comes first."""
NEAR_BITS = 40
"""Copies that were re-encoded, resized, turned or brightened differ in fewer of the 256 bits than this."""
LIKELY_BITS = 60
"""About one in 10,000 pairs of unrelated dermoscopic pictures is as near at some zoom (their median is 108), so such a
pair counts only where the features agree."""
NEIGHBOURS = 20
MUTUAL = 5
OUTLYING = 3.0
NEAR_DUPLICATE = "near-duplicate"
SAME_LESION = "probable same lesion"


@dataclass(frozen=True)
class Pair:
    """Two rows (``first`` < ``second``), the bits in which their hashes differ at the best zoom, their cosine, and what
    they are.
    """

    first: int
    second: int
    bits: int
    cosine: float
    verdict: str


# ------------------------------------------------------------------------------------------------ evidence


class Distances(NamedTuple):
    """Differing bits (n, n) of the hashes of whole pictures, and of the best of all zooms."""

    whole: NDArray[np.int16]
    zoomed: NDArray[np.int16]


def grey_squares(image: Image.Image) -> Floats:
    """Return the brightness of the central parts of an image, (z, 64, 64): squares, so that quarter turns fit."""
    grey = image.convert("L")
    margins = [((1 - zoom) / 2 * grey.width, (1 - zoom) / 2 * grey.height) for zoom in ZOOMS]
    boxes = [(left, top, grey.width - left, grey.height - top) for left, top in margins]
    squares = [grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box) for box in boxes]
    return np.stack([np.asarray(square, dtype=np.float32) for square in squares])


def hash_distances(squares: Floats) -> Distances:
    """Return the fewest differing bits of each two cases of ``squares`` (n, z, 64, 64) over all flips and turns."""
    plain = _signs(_hash(squares[:, 0]))
    whole, *closer = (_nearest(plain, squares[:, zoom]) for zoom in range(squares.shape[1]))
    zoomed = np.minimum.reduce([whole, *closer])
    return Distances(*(np.minimum(bits, bits.T).round().astype(np.int16) for bits in (whole, zoomed)))


def _nearest(plain: Floats, squares: Floats) -> Floats:
    """Return (n, n): the fewest bits in which ``plain`` (n, 256) differs from any turn of ``squares`` (n, 64, 64)."""
    nearest = np.full((len(plain),) * 2, BLOCK * BLOCK, dtype=np.float32)
    for quarter in range(4):
        turned = np.rot90(squares, quarter, axes=(1, 2))
        for variant in (turned, turned[:, :, ::-1]):
            np.minimum(nearest, (BLOCK * BLOCK - plain @ _signs(_hash(variant)).T) / 2, out=nearest)
    return nearest


def _signs(bits: NDArray[np.bool_]) -> Floats:
    return np.where(bits, np.float32(1), np.float32(-1))


def _hash(squares: Floats) -> NDArray[np.bool_]:
    # Frequency 0 is left out both ways: it holds the brightness and its gradient from side to side.
    frequency, place = np.arange(1, BLOCK + 1)[:, None], np.arange(SIDE)[None]
    basis = np.cos(np.pi * frequency * (place + 0.5) / SIDE).astype(np.float32)
    coefficients = (basis @ squares @ basis.T).reshape(len(squares), -1)
    return coefficients > np.median(coefficients, axis=1, keepdims=True)


def cosines(pooled: Floats) -> Floats:
    """Return the cosines (n, n) of ``pooled`` (n, d) after their mean is taken off."""
    centred = pooled - pooled.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.maximum(lengths, np.finfo(np.float32).tiny)
    return np.asarray(unit @ unit.T, dtype=np.float32)


def excess(similarity: Floats) -> Floats:
    """Return (n, n): each similarity minus the mean of what its two cases have with their nearest neighbours.

    The diagonal is minus infinity.
    """
    others = _without_self(similarity)
    count = max(1, min(NEIGHBOURS, (len(others) - 1) // 3))
    local = np.sort(others, axis=1)[:, -count:].mean(axis=1)
    return _without_self(others - (local[:, None] + local[None]) / 2)


def _without_self(similarity: Floats) -> Floats:
    others = similarity.copy()
    np.fill_diagonal(others, -np.inf)
    return others


# ------------------------------------------------------------------------------------------------ verdicts


def find_pairs(
    distances: Distances, similarity: Floats, near_bits: int = NEAR_BITS, outlying: float = OUTLYING
) -> list[Pair]:
    """Return the pairs that are copies or probably show one lesion, surest first.

    ``near-duplicate``: at most ``near_bits`` bits of the whole pictures differ. ``probable same lesion``, one of:

    - one is the middle of the other, with at most ``near_bits`` bits;
    - they differ in at most ``LIKELY_BITS`` at some zoom, and their ``similarity`` (n, n) is above what half of all
      cases reach with their nearest neighbour;
    - each is among the other's five nearest, and their excess lies more than ``outlying`` robust standard deviations
      (1.4826 MAD) above the median of all cases' best excess.
    """
    if len(similarity) < 2:
        return []
    whole, zoomed = distances
    near = whole <= near_bits
    typical = np.median(_without_self(similarity).max(axis=1))
    alike = (zoomed <= near_bits) | ((zoomed <= LIKELY_BITS) & (similarity >= typical))
    alike |= _outliers(excess(similarity), outlying)
    rows = np.argwhere(np.triu(near | alike, k=1))
    pairs = [
        Pair(i, j, int(zoomed[i, j]), float(similarity[i, j]), NEAR_DUPLICATE if near[i, j] else SAME_LESION)
        for i, j in rows.tolist()
    ]
    return sorted(pairs, key=lambda pair: (pair.verdict != NEAR_DUPLICATE, -pair.cosine, pair.first, pair.second))


def _outliers(beyond: Floats, outlying: float) -> NDArray[np.bool_]:
    best = beyond.max(axis=1)
    middle = np.median(best)
    spread = 1.4826 * np.median(np.abs(best - middle))
    places = np.argsort(np.argsort(-beyond, axis=1), axis=1)
    return np.asarray((places < MUTUAL) & (places.T < MUTUAL) & (beyond > middle + outlying * spread))


def clusters(pairs: Sequence[Pair]) -> list[tuple[int, ...]]:
    """Join pairs that share a case; return the rows of each cluster in order, clusters by their first row."""
    member: dict[int, set[int]] = {}
    for pair in pairs:
        joined = member.get(pair.first, {pair.first}) | member.get(pair.second, {pair.second})
        member.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(joined)) for joined in member.values()})


def surplus(pairs: Sequence[Pair]) -> list[int]:
    """Return the rows to leave out: all of a cluster but its first.

    With the cases in the order train, valid, test that keeps the train side of a cluster that crosses splits, and the
    first case of a cluster within one.
    """
    return sorted(row for cluster in clusters(pairs) for row in cluster[1:])


def count(pairs: Sequence[Pair], splits: Sequence[str]) -> Counter[tuple[str, str, str]]:
    """Count pairs by (split of the first, split of the second, verdict); ``splits`` (n) are in the cases' order."""
    return Counter((splits[pair.first], splits[pair.second], pair.verdict) for pair in pairs)
