"""What surrounds a lesion: skin below it; hair, gel and the lens above it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plugins.datasets.synthetic.canvas import Canvas, Ink, curve, mesh, noise, smoothstep

Generator = np.random.Generator
Picture = NDArray[np.float32]

SKIN_TONES = ((0.02, 0.15), (0.12, 0.32), (0.3, 0.6), (0.6, 1.1))
"""Melanin of the skin, from very fair to dark."""
TONE_WEIGHTS = (0.4, 0.3, 0.18, 0.12)


def lay_skin(canvas: Canvas, rng: Generator) -> None:
    """Fill the canvas with skin: tone, redness, mottling and its fine lines."""
    tone = rng.uniform(*SKIN_TONES[int(rng.choice(len(SKIN_TONES), p=TONE_WEIGHTS))])
    canvas.skin += tone * (1 + 0.06 * noise(rng, canvas.shape, 45 * canvas.unit))
    canvas.blood += rng.uniform(0.02, 0.22) + 0.018 * noise(rng, canvas.shape, 70 * canvas.unit)
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    furrows = smoothstep(0.22, 0.0, mesh(rng, along * 0.6, across, rng.uniform(9, 13) * canvas.unit, 0.4))
    canvas.skin += rng.uniform(0.0, 0.05) * furrows


def lay_hair(canvas: Canvas, rng: Generator) -> None:
    """Lay hairs over the picture: none in half of the cases, a few or many in the others."""
    if rng.random() < 0.5:
        return
    ink = Ink(canvas.shape)
    lean, height_width = rng.uniform(0, np.pi), np.array(canvas.shape[::-1], float)
    for _ in range(int(rng.integers(2, 15))):
        start = rng.random(2) * height_width
        length = rng.uniform(60, 260) * canvas.unit
        path = curve(start, lean + rng.normal(0, 0.5), length, rng.normal(0, 0.7), steps=16)
        ink.line(path, rng.uniform(0.7, 1.5) * canvas.unit, rng.uniform(0.7, 1.0))
    shade = rng.uniform(0.08, 0.34)
    canvas.tint(0.85 * ink.field(), (shade * 1.1, shade * 0.8, shade * 0.6))


def lay_bubbles(canvas: Canvas, rng: Generator) -> None:
    """Leave a few gel bubbles and specular glints in some pictures."""
    ring, hole = Ink(canvas.shape), Ink(canvas.shape)
    n = int(rng.integers(1, 7)) if rng.random() < 0.3 else 0
    for _ in range(n):
        centre = rng.random(2) * np.array(canvas.shape[::-1])
        radius = rng.uniform(2, 7) * canvas.unit
        ring.disc(centre, radius)
        hole.disc(centre, radius - 0.9 * canvas.unit)
    if n:
        canvas.tint(0.45 * np.clip(ring.field() - hole.field(), 0, 1), (0.97, 0.97, 0.99))


def photograph(picture: Picture, unit: float, rng: Generator) -> Image.Image:
    """Turn the composed ``picture`` (h, w, 3) into a photo: colour cast, light fall-off, blur, grain, border."""
    height, width = picture.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lamp = (x - rng.uniform(-0.3, 0.3)) ** 2 + (y * 0.67 - rng.uniform(-0.3, 0.3)) ** 2
    light = rng.uniform(0.9, 1.06) * (1 - rng.uniform(0.0, 0.26) * lamp)
    balance = rng.normal(1, (0.03, 0.03, 0.06))
    lit = picture * (light[..., None] * balance).astype(np.float32)
    photo = Image.fromarray(np.asarray(np.clip(lit, 0, 1) * 255, np.uint8))
    photo = photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.25, 0.75) * unit))
    grain = rng.normal(0, rng.uniform(1.0, 4.0), (height, width, 1)) + rng.normal(0, 1.0, (height, width, 3))
    pixels = np.asarray(photo, np.float32) + grain.astype(np.float32)
    pixels *= _aperture(height, width, rng)[..., None]
    return Image.fromarray(np.asarray(np.clip(pixels, 0, 255), np.uint8))


def _aperture(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """Black outside a round tube (some pictures), outside a slide frame (some), nowhere (most)."""
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    kind, reach = rng.random(), rng.uniform(1.02, 1.15)
    if kind < 0.12:
        return smoothstep(reach, reach - 0.03, np.hypot(x, y * 0.67).astype(np.float32))
    if kind < 0.3:
        frame = np.maximum(np.abs(x) + 0 * y, np.abs(y) + 0 * x).astype(np.float32)
        return smoothstep(0.985, 0.97, frame)
    return np.ones((height, width), np.float32)
