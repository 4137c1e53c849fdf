"""A picture under a mask: green where it looks; the true region, where it is known, as a line."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from benchmark.masks.measures import Box, Floats, Region, on_picture

SIDE = 384
"""Longer side of an overlay in pixels."""
LOOKED = (0, 230, 120)
"""Green occurs neither in skin nor in lesions."""
COVER = 0.7
"""How much of the picture the colour hides where a mask looks most."""
LINE = (255, 0, 220)


def shrunk(image: Image.Image) -> Image.Image:
    """Return ``image`` with its longer side at most ``SIDE``."""
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    return small


def overlay(image: Image.Image, mask: Floats, box: Box, region: Region | None = None) -> Image.Image:
    """Return ``image`` (h, w) under a mask (r, c) whose grid covers ``box``; ``region`` is drawn as a line."""
    spread = on_picture(mask[None], box, image.height, image.width)[0]
    share = COVER * (spread / max(spread.max(), np.finfo(float).tiny))[..., None]
    pixels = (1 - share) * np.asarray(image, dtype=np.float64) + share * np.array(LOOKED)
    if region is not None:
        pixels[_rim(_resized(region, image.size))] = LINE
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _resized(region: Region, size: tuple[int, int]) -> Region:
    return np.asarray(Image.fromarray(region).resize(size, Image.Resampling.NEAREST), dtype=np.bool_)


def _rim(region: Region) -> Region:
    """Return the pixels of ``region`` that have a neighbour outside it."""
    padded = np.pad(region, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(region & ~inner)


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
