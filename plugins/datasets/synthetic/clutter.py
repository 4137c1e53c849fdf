"""What lies over the skin and hides or mimics findings: hair of all kinds, gel bubbles, glare, a ruler."""

from __future__ import annotations

import numpy as np

from plugins.datasets.synthetic.canvas import Canvas, Colour, Ink, curve

Generator = np.random.Generator
GLARE: Colour = (0.97, 0.97, 0.99)


def lay_clutter(canvas: Canvas, rng: Generator) -> None:
    """Lay hair, bubbles and a ruler over the picture, each in some pictures only."""
    kind = rng.random()
    if kind < 0.42:
        _hairs(canvas, rng, int(rng.integers(2, 18)), (60, 260), (0.6, 1.7))
    if kind > 0.25 and rng.random() < 0.45:  # short down, which looks like streaks and network lines
        _hairs(canvas, rng, int(rng.integers(8, 30)), (14, 60), (0.4, 0.9))
    if rng.random() < 0.3:
        _bubbles(canvas, rng)
    if rng.random() < 0.16:
        _ruler(canvas, rng)


def _hairs(canvas: Canvas, rng: Generator, n: int, lengths: tuple[int, int], widths: tuple[float, float]) -> None:
    """Hairs of one person: they share a colour, from black through red to white, and roughly a direction."""
    ink = Ink(canvas.shape)
    lean, corner = rng.uniform(0, np.pi), np.array(canvas.shape[::-1], float)
    scale = rng.uniform(0.8, 1.5)
    for _ in range(n):
        length = rng.uniform(*lengths) * canvas.unit
        path = curve(rng.random(2) * corner, lean + rng.normal(0, 0.5), length, rng.normal(0, 0.7), steps=12)
        ink.line(path, scale * rng.uniform(*widths) * canvas.unit, rng.uniform(0.6, 1.0))
    shade, light = rng.uniform(0.08, 0.36), rng.random() < 0.25
    colour = (0.92, 0.84, 0.7) if light else (shade * 1.15, shade * 0.8, shade * 0.58)
    canvas.tint(np.float32(rng.uniform(0.6, 0.9)) * ink.field(), colour)


def _bubbles(canvas: Canvas, rng: Generator) -> None:
    """Gel bubbles: a bright rim, a glint, and a clear middle."""
    ring, hole = Ink(canvas.shape), Ink(canvas.shape)
    for _ in range(int(rng.integers(1, 12))):
        centre = rng.random(2) * np.array(canvas.shape[::-1])
        radius = float(np.clip(rng.lognormal(1.2, 0.6), 1.5, 14)) * canvas.unit
        ring.disc(centre, radius, rng.uniform(0.6, 1.0))
        hole.disc(centre, radius - 0.9 * canvas.unit)
        if radius > 4 * canvas.unit:
            hole.disc(centre - 0.45 * radius, 0.2 * radius, 0.0)
    rim = np.clip(ring.field() - 0.92 * hole.field(), 0, 1)
    canvas.tint(np.asarray(0.5 * rim, np.float32), GLARE)


def _ruler(canvas: Canvas, rng: Generator) -> None:
    """A millimetre scale along one edge: ticks, every fifth one longer, white or black as on the device's glass."""
    ink = Ink(canvas.shape)
    height, width = canvas.shape
    upright, far = rng.random() < 0.4, rng.random() < 0.5
    span, depth = (height, width) if upright else (width, height)
    inset, pitch = rng.uniform(6, 16) * canvas.unit, rng.uniform(8, 15) * canvas.unit
    level, inwards = (depth - inset, -1) if far else (inset, 1)
    for k, place in enumerate(np.arange(rng.uniform(0, pitch), span, pitch)):
        tick = (9 if k % 5 == 0 else 5) * canvas.unit
        ends = np.array(((place, level), (place, level + inwards * tick)))
        ink.line(ends[:, ::-1] if upright else ends, 1.1 * canvas.unit)
    colour = GLARE if rng.random() < 0.4 else (0.1, 0.1, 0.12)
    canvas.tint(rng.uniform(0.5, 0.85) * ink.field(), colour)
