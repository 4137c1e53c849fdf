"""Which pictures of a dataset are copies of each other, or probably show the same lesion. Knows no dataset.

Two kinds of evidence, both free of labels:

- a perceptual hash (pHash: signs of the low frequencies of a discrete cosine transform against their median; Zauner,
  "Implementation and benchmarking of perceptual image hash functions", 2010), compared under the eight flips and
  quarter turns;
- the cosine of the encoder's pooled features, centred on their mean. Some pictures are near to everything ("hubs"), so
  a pair is judged by how far its cosine exceeds what its two cases have with their neighbours (Conneau et al., "Word
  translation without parallel data", ICLR 2018, cross-domain similarity local scaling).

Shapes: n cases, d width, 255 bits a hash. Memory grows with n * n: 1,000 cases need 20 MB, 10,000 need 2 GB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
SIDE = 64
BLOCK = 16
NEAR_BITS = 32
"""Copies that were re-encoded, resized, turned or brightened differ in fewer of the 255 bits than this."""
LIKELY_BITS = 60
"""About one in 50,000 pairs of unrelated dermoscopic pictures is nearer than this (their median is 112); a pair counts
only where the features agree."""
NEIGHBOURS = 20
MUTUAL = 5
OUTLYING = 3.0
NEAR_DUPLICATE = "near-duplicate"
SAME_LESION = "probable same lesion"


@dataclass(frozen=True)
class Pair:
    """Two rows (``first`` < ``second``), the bits in which their hashes differ, their cosine, and what they are."""

    first: int
    second: int
    bits: int
    cosine: float
    verdict: str


# ------------------------------------------------------------------------------------------------ evidence


def grey_square(image: Image.Image) -> Floats:
    """Return an image's brightness as a (64, 64) square, so that quarter turns need no resizing."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float32)


def hashes(squares: Floats) -> NDArray[np.bool_]:
    """Return the hashes (8, n, 255) of ``squares`` (n, 64, 64) under each flip and quarter turn, the identity first."""
    turned = [np.rot90(squares, quarter, axes=(1, 2)) for quarter in range(4)]
    return np.stack([_hash(each) for turn in turned for each in (turn, turn[:, :, ::-1])])


def _hash(squares: Floats) -> NDArray[np.bool_]:
    frequency, place = np.arange(BLOCK)[:, None], np.arange(SIDE)[None]
    basis = np.cos(np.pi * frequency * (place + 0.5) / SIDE).astype(np.float32)
    coefficients = (basis @ squares @ basis.T).reshape(len(squares), -1)[:, 1:]  # without the mean brightness
    return coefficients > np.median(coefficients, axis=1, keepdims=True)


def hash_distances(variants: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Return (n, n): the fewest differing bits of two cases over all ``variants`` (8, n, 255) of one of them."""
    signs = np.where(variants, np.float32(1), np.float32(-1))
    nearest = np.full((signs.shape[1],) * 2, signs.shape[2], dtype=np.float32)
    for variant in signs:
        np.minimum(nearest, (signs.shape[2] - signs[0] @ variant.T) / 2, out=nearest)
    return np.minimum(nearest, nearest.T).round().astype(np.int16)


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
    distances: NDArray[np.int16], similarity: Floats, near_bits: int = NEAR_BITS, outlying: float = OUTLYING
) -> list[Pair]:
    """Return the pairs that are copies or probably show one lesion, surest first.

    ``near-duplicate``: at most ``near_bits`` bits of ``distances`` (n, n) differ. ``probable same lesion``: either the
    hashes are unusually near for unrelated pictures and the ``similarity`` (n, n) is above what half of all cases reach
    with their nearest neighbour; or each is among the other's five nearest, and their excess lies more than
    ``outlying`` robust standard deviations (1.4826 MAD) above the median of all cases' best excess.
    """
    if len(distances) < 2:
        return []
    near = distances <= near_bits
    typical = np.median(_without_self(similarity).max(axis=1))
    alike = ((distances <= LIKELY_BITS) & (similarity >= typical)) | _outliers(excess(similarity), outlying)
    rows = np.argwhere(np.triu(near | alike, k=1))
    pairs = [
        Pair(i, j, int(distances[i, j]), float(similarity[i, j]), NEAR_DUPLICATE if near[i, j] else SAME_LESION)
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
