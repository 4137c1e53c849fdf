"""Which part of a picture an encoder sees: found by showing it a ramp, so that no encoder has to be known by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.errors import UserError

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in shares of the picture's width and height; beyond [0, 1] where the input is padded."""
Preprocess = Callable[[Image.Image], Any]

RIM = 0.1
"""Share of the input at each end that the fit leaves out: resampling bends a ramp there."""
STRAIGHT = 0.02
"""How far a ramp may lie off its line, in shares of the picture."""
SNAP = 0.005
DECIMALS = 4


def seen_part(preprocess: Preprocess, width: int, height: int) -> Box:
    """Return the part of a ``width`` x ``height`` picture that an input (3, h, w) of the encoder covers.

    Raises:
        UserError: the input is no upright, unbent part of the picture, or not linear in its grey values.
    """
    black, white = (_grey(preprocess, np.full((height, width), value)) for value in (0.0, 1.0))
    span = white - black
    left, right = _ends(_middle(_ramp(preprocess, width, height) - black, span, axis=0))
    top, bottom = _ends(_middle(_ramp(preprocess, height, width, down=True) - black, span, axis=1))
    return left, top, right, bottom


def _grey(preprocess: Preprocess, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the input (h, w), averaged over channels, made from grey values in [0, 1]."""
    picture = Image.fromarray(np.rint(255 * values).astype(np.uint8)).convert("RGB")
    return np.asarray(preprocess(picture), dtype=np.float64).mean(axis=0)


def _ramp(preprocess: Preprocess, length: int, across: int, down: bool = False) -> NDArray[np.float64]:
    """Return the input made from a picture whose value is where it lies along its ``length``, from 0 to 1."""
    ramp = np.tile((np.arange(length) + 0.5) / length, (across, 1))
    return _grey(preprocess, ramp.T if down else ramp)


def _middle(values: NDArray[np.float64], span: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return where the middle line of the input lies in the picture; NaN on padding, which no picture changes."""
    centre = values.shape[axis] // 2
    numbers, scale = values.take(centre, axis), span.take(centre, axis)
    visible = np.abs(scale) > 1e-3 * max(np.abs(scale).max(), 1e-9)
    return np.where(visible, numbers / np.where(visible, scale, 1.0), np.nan)


def _ends(places: NDArray[np.float64]) -> tuple[float, float]:
    """Return where the line through ``places`` begins and ends."""
    known = np.flatnonzero(np.isfinite(places))
    rim = int(RIM * len(known))
    inner = known[rim : len(known) - rim]
    if len(inner) >= 2:
        slope, start = np.polyfit(inner + 0.5, places[inner], 1)
        bend = np.abs(start + slope * (inner + 0.5) - places[inner]).max()
        if slope > 0 and bend < STRAIGHT:
            return _snapped(start), _snapped(start + slope * len(places))
    raise UserError("its encoder turns or warps pictures, so that a mask can't be laid over one.")


def _snapped(end: float) -> float:
    """Return an end, exactly on the picture's edge where it lies within ``SNAP`` of it."""
    near = float(round(end))
    return near if abs(end - near) < SNAP else round(float(end), DECIMALS)
