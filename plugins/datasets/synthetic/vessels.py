"""Vascular structures. Each function paints one value on the canvas and returns the region (h, w) in which it shows."""

from __future__ import annotations

import numpy as np

from plugins.datasets.synthetic.canvas import Canvas, Colour, Ink, Mask, Points, around, curve, spread
from plugins.datasets.synthetic.lesion import Lesion

Generator = np.random.Generator
RED: Colour = (0.74, 0.10, 0.16)
DEEP_RED: Colour = (0.66, 0.10, 0.17)
PALE_PINK: Colour = (0.93, 0.74, 0.71)


def arborizing(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Two or three bright, sharply focused trunks that divide into ever finer branches."""
    ink = Ink(canvas.shape)
    start = rng.uniform(0, 2 * np.pi)
    for k in range(int(rng.integers(2, 4))):
        theta = start + 2.2 * k + rng.uniform(-0.4, 0.4)
        inwards = lesion.heading(theta) + np.pi + rng.uniform(-0.5, 0.5)
        trunk = (lesion.points(1.0, theta)[0], inwards, lesion.radius * rng.uniform(0.55, 0.8), 2.7 * canvas.unit)
        _grow(ink, rng, *trunk)
    return _bleed(canvas, ink, RED)


def _grow(ink: Ink, rng: Generator, start: Points, heading: float, length: float, width: float) -> None:
    """Draw a branch and, as long as it is wide enough to divide, two to three thinner ones along it."""
    path = curve(start, heading, length, rng.normal(0, 0.8), steps=10)
    path[1:-1] += rng.normal(0, 0.02 * length, path[1:-1].shape)
    ink.line(path, width)
    if width < 0.33 * Ink.SCALE or length < 6:
        return
    for node in (4, 7, 10):
        side = rng.choice((-1, 1)) * rng.uniform(0.4, 1.0)
        _grow(ink, rng, path[node], heading + side, length * rng.uniform(0.45, 0.7), width * rng.uniform(0.5, 0.68))


def comma(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Short, stout, gently bent vessels."""
    ink = Ink(canvas.shape)
    for place in lesion.scatter(rng, int(rng.integers(10, 19)), 0.82, 13 * canvas.unit):
        bend = rng.choice((-1, 1)) * rng.uniform(1.2, 2.2)
        path = curve(place, rng.uniform(0, 2 * np.pi), rng.uniform(9, 14) * canvas.unit, bend)
        ink.line(path[:6], rng.uniform(3.0, 3.8) * canvas.unit)
        ink.line(path[4:], 1.9 * canvas.unit)
    return _bleed(canvas, ink, DEEP_RED)


def hairpin(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Narrow U-shaped loops, each in a whitish halo."""
    ink = Ink(canvas.shape)
    for place in lesion.scatter(rng, int(rng.integers(12, 21)), 0.88, 13 * canvas.unit):
        heading = rng.uniform(0, 2 * np.pi)
        leg, gap = rng.uniform(6, 11) * canvas.unit, rng.uniform(3.6, 4.6) * canvas.unit
        out = curve(place, heading, leg, 0.25, steps=3)
        bow = curve(out[-1], heading + 0.25, gap * np.pi / 2, np.pi, steps=6)
        back = curve(bow[-1], heading + 0.25 + np.pi, leg * rng.uniform(0.7, 1.0), -0.2, steps=3)
        ink.line(np.vstack((out, bow[1:], back[1:])), rng.uniform(1.4, 1.9) * canvas.unit)
    halo = np.clip(3 * spread(ink.field(), 3 * canvas.unit), 0, 1)
    canvas.tint(0.3 * halo, (0.96, 0.86, 0.80))
    return _bleed(canvas, ink, RED)


def within_regression(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Fine dotted and linear vessels inside the regressed zone; where there is none, inside a pale pink one."""
    zone = canvas.regressed
    if zone is None:
        zone = lesion.area(canvas, rng, lesion.axis, 0.45, 0.42)
        canvas.fade(0.85 * zone)
        canvas.tint(0.6 * zone, PALE_PINK)
    ink = Ink(canvas.shape)
    height, width = canvas.shape
    for place in lesion.scatter(rng, 160, 0.95, 6.5 * canvas.unit):
        column, row = np.clip(place.astype(int), 0, (width - 1, height - 1))
        if zone[row, column] > 0.6:
            length = rng.uniform(1.5, 8) * canvas.unit
            ink.line(curve(place, rng.uniform(0, 2 * np.pi), length, rng.normal(0, 1.2)), 1.4 * canvas.unit)
    return _bleed(canvas, ink, RED)


def wreath(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Vessels that bend in from the whole rim and never cross the centre."""
    ink = Ink(canvas.shape)
    n = int(rng.integers(15, 23))
    for theta in 2 * np.pi * np.arange(n) / n + rng.normal(0, 0.06, n):
        start = lesion.points(rng.uniform(1.0, 1.1), theta)[0]
        inwards = lesion.heading(theta) + np.pi + rng.normal(0, 0.35)
        bend = rng.choice((-1, 1)) * rng.uniform(0.5, 1.3)
        path = curve(start, inwards, lesion.radius * rng.uniform(0.28, 0.46), bend)
        ink.line(path, rng.uniform(1.4, 2.2) * canvas.unit)
    return _bleed(canvas, ink, RED)


def dotted(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Many pinpoint vessels of one size, close together."""
    ink = Ink(canvas.shape)
    for place in lesion.scatter(rng, int(rng.integers(70, 140)), 0.92, 5.5 * canvas.unit):
        ink.disc(place, rng.uniform(1.5, 2.1) * canvas.unit)
    return _bleed(canvas, ink, RED)


def linear_irregular(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Winding lines of uneven course, length and thickness."""
    ink = Ink(canvas.shape)
    for place in lesion.scatter(rng, int(rng.integers(12, 22)), 0.85, 11 * canvas.unit):
        heading, thick = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 2.6) * canvas.unit
        for _ in range(int(rng.integers(2, 6))):
            path = curve(place, heading, rng.uniform(4, 9) * canvas.unit, rng.normal(0, 1.1), steps=4)
            ink.line(path, thick * rng.uniform(0.6, 1.2))
            place, heading = path[-1], heading + rng.normal(0, 0.8)
    return _bleed(canvas, ink, RED)


def _bleed(canvas: Canvas, ink: Ink, colour: Colour) -> Mask:
    """Lay vessels over the lesion: around them pigment thins out and skin reddens, as where vessels are seen at all."""
    drawn = ink.field()
    glow = np.clip(2.5 * spread(drawn, 5 * canvas.unit), 0, 1)
    canvas.fade(0.7 * glow)
    canvas.blood += 0.3 * glow
    canvas.tint(0.9 * drawn, colour)
    return around(drawn, 2 * canvas.unit)
