"""What a picture shows beside the lesion: the skin below it; the light, lens and sensor above it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plugins.datasets.synthetic.canvas import Canvas, mesh, noise, smoothstep

Generator = np.random.Generator
Picture = NDArray[np.float32]

SKIN_TONES = ((0.02, 0.15), (0.12, 0.32), (0.3, 0.6), (0.6, 1.0), (1.0, 1.5))
"""Melanin of the skin, from very fair to very dark."""
TONE_WEIGHTS = (0.36, 0.3, 0.17, 0.11, 0.06)
JPEG_QUALITIES = (62, 96)
"""Lowest and highest quality that a picture is compressed with; above ``FULL_COLOUR`` colour keeps its resolution."""
FULL_COLOUR = 80


def lay_skin(canvas: Canvas, rng: Generator) -> None:
    """Fill the canvas with skin: tone, redness, mottling and its fine lines."""
    tone = rng.uniform(*SKIN_TONES[int(rng.choice(len(SKIN_TONES), p=TONE_WEIGHTS))])
    mottle = 0.035 * noise(rng, canvas.shape, 60 * canvas.unit) + 0.025 * noise(rng, canvas.shape, 5 * canvas.unit)
    canvas.skin += tone * (1 + mottle)
    canvas.blood += rng.uniform(0.02, 0.26) + 0.02 * noise(rng, canvas.shape, 70 * canvas.unit)
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    furrows = smoothstep(0.22, 0.0, mesh(rng, along * 0.6, across, rng.uniform(9, 13) * canvas.unit, 0.4))
    canvas.skin += rng.uniform(0.0, 0.06) * (0.6 + tone) * furrows


def photograph(picture: Picture, unit: float, rng: Generator) -> Image.Image:
    """Turn the composed ``picture`` (h, w, 3) into a photo: colour cast, light, vignette, blur, grain, border."""
    height, width = picture.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lit = picture * (_light(x, y, rng)[..., None] * rng.normal(1, (0.03, 0.03, 0.06))).astype(np.float32)
    photo = Image.fromarray(np.asarray(np.clip(lit, 0, 1) * 255, np.uint8))
    photo = photo.filter(ImageFilter.GaussianBlur(_blur(rng) * unit))
    grain = rng.normal(0, rng.uniform(1.0, 4.5), (height, width, 1)) + rng.normal(0, 1.0, (height, width, 3))
    pixels = np.asarray(photo, np.float32) + grain.astype(np.float32)
    pixels *= _aperture(x, y, rng)[..., None]
    return Image.fromarray(np.asarray(np.clip(pixels, 0, 255), np.uint8))


def _light(x: NDArray[np.float64], y: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Exposure, a lamp that stands to one side, and a vignette: (h, w), about 1."""
    lamp = (x - rng.uniform(-0.3, 0.3)) ** 2 + (y * 0.67 - rng.uniform(-0.3, 0.3)) ** 2
    vignette = rng.uniform(0.0, 0.45) ** 1.5 * lamp
    turn, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.14)
    return rng.uniform(0.88, 1.08) * (1 - vignette) * (1 + slope * (x * np.cos(turn) + y * np.sin(turn)))


def _blur(rng: Generator) -> float:
    """Radius of the blur in pixels of a picture 384 wide: sharp in most pictures, out of focus in one of six."""
    return float(rng.uniform(0.9, 1.5) if rng.random() < 0.16 else rng.uniform(0.25, 0.8))


def _aperture(x: NDArray[np.float64], y: NDArray[np.float64], rng: Generator) -> NDArray[np.float32]:
    """Black outside a round tube (some pictures), outside a slide frame (some), nowhere (most)."""
    kind, reach = rng.random(), rng.uniform(1.0, 1.15)
    if kind < 0.14:
        return smoothstep(reach, reach - rng.uniform(0.02, 0.12), np.hypot(x, y * 0.67).astype(np.float32))
    if kind < 0.3:
        frame = np.maximum(np.abs(x) + 0 * y, np.abs(y) + 0 * x).astype(np.float32)
        return smoothstep(0.985, 0.97, frame)
    return np.ones((y.size, x.size), np.float32)


def jpeg_settings(rng: Generator) -> dict[str, Any]:
    """Return ``quality`` and ``subsampling`` for PIL to save a picture with, as cameras and archives differ."""
    quality = int(rng.integers(*JPEG_QUALITIES))
    return {"quality": quality, "subsampling": 0 if quality >= FULL_COLOUR else 2}
