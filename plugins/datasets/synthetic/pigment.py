"""Criteria made of melanin: network, streaks, diffuse or localized pigmentation, dots and globules.

Every function paints one value on the canvas and returns the region (h, w) in which it shows.
"""

from __future__ import annotations

import numpy as np

from plugins.datasets.synthetic.canvas import Canvas, Field, Ink, Mask, around, mesh, noise, smoothstep, spread
from plugins.datasets.synthetic.lesion import Lesion

Generator = np.random.Generator
GOLDEN_ANGLE = np.pi * (3 - 5**0.5)
DEEP_BLUE = (0.25, 0.29, 0.40)


def typical_network(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Thin brown lines around even holes, fading out towards the rim; in some lesions the centre is free of them."""
    pitch = rng.uniform(7.0, 11.0) * canvas.unit
    x, y = _coordinates(canvas, rng, 0.2 * pitch)
    lines = smoothstep(rng.uniform(0.24, 0.36), 0.05, mesh(rng, x, y, pitch, rng.uniform(0.16, 0.26)))
    lines *= np.clip(1 + 0.35 * noise(rng, canvas.shape, 34 * canvas.unit), 0.2, 1.6)
    presence = smoothstep(1.04, rng.uniform(0.5, 0.7), lesion.u)
    if rng.random() < 0.3:
        presence *= smoothstep(0.1, rng.uniform(0.3, 0.5), lesion.u)
    _lay_network(canvas, lines, presence, rng.uniform(0.28, 0.8))
    return presence > 0.25


def atypical_network(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Broad, broken lines of uneven width and darkness around uneven holes, in parts, ending abruptly at the rim."""
    pitch = rng.uniform(9.5, 14.0) * canvas.unit
    x, y = _coordinates(canvas, rng, 0.24 * pitch)
    width = 0.34 + 0.13 * noise(rng, canvas.shape, 20 * canvas.unit)
    edge = mesh(rng, x, y, pitch, 0.42)
    lines = np.clip((width - edge) / 0.22, 0, 1)
    lopsided = 1.1 * np.cos(lesion.theta - lesion.axis - rng.uniform(-1, 1))
    patchy = noise(rng, canvas.shape, 42 * canvas.unit) + lopsided + rng.uniform(-0.2, 0.5)
    presence = smoothstep(-0.6, 0.1, patchy) * smoothstep(1.03, 0.95, lesion.u)
    depth = np.clip(1.1 + 0.45 * noise(rng, canvas.shape, 26 * canvas.unit), 0.4, 2.2)
    _lay_network(canvas, lines * depth, presence, rng.uniform(0.45, 1.0))
    return presence > 0.25


def _coordinates(canvas: Canvas, rng: Generator, wobble: float) -> tuple[Field, Field]:
    """Pixel coordinates, turned by a random angle and bent by ``wobble`` pixels."""
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    x = x + wobble * noise(rng, canvas.shape, 24 * canvas.unit)
    y = y + wobble * noise(rng, canvas.shape, 24 * canvas.unit)
    turn = rng.uniform(0, np.pi)
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


def _lay_network(canvas: Canvas, lines: Field, presence: Field, strength: float) -> None:
    """Skin shows through the holes of a network: pigment moves from the holes to the lines."""
    canvas.fade(0.4 * presence * (1 - np.minimum(lines, 1)))
    canvas.melanin += strength * presence * lines


def regular_streaks(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Finger-like projections of one length, evenly spaced around the rim (starburst); a few may be missing."""
    n = int(2 * np.pi * lesion.radius / (rng.uniform(8, 13) * canvas.unit))
    angles = 2 * np.pi * (np.arange(n) + rng.normal(0, 0.15, n)) / n
    kept = rng.random(n) > rng.uniform(0.0, 0.25)
    reach = rng.uniform(1.04, 1.13) + rng.normal(0, 0.02, n)
    return _streaks(canvas, lesion, rng, angles[kept], reach[kept])


def irregular_streaks(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Projections of unequal length and thickness, crowded in one or two segments of the rim."""
    first = lesion.axis + np.pi / 2 + rng.uniform(-0.5, 0.5)
    segments = (first, first + rng.uniform(1.6, 3.6))[: int(rng.integers(1, 3))]
    angles = np.concatenate([a + rng.uniform(-0.6, 0.6, int(rng.integers(6, 13))) for a in segments])
    return _streaks(canvas, lesion, rng, angles, rng.uniform(1.02, 1.2, angles.size))


def _streaks(canvas: Canvas, lesion: Lesion, rng: Generator, angles: np.ndarray, reach: np.ndarray) -> Mask:
    """Fingers from inside the rim out to ``reach`` (n,) at ``angles`` (n,): tapered, or ending in a knob."""
    ink = Ink(canvas.shape)
    knob = rng.uniform(0.5, 0.75) if rng.random() < 0.4 else 0.2
    thick = rng.uniform(2.2, 4.2) * canvas.unit
    for angle, end in zip(angles, reach, strict=True):
        path = lesion.points(np.linspace(rng.uniform(0.8, 0.9), end, 4), angle + rng.normal(0, 0.03, 4).cumsum())
        width, level = thick * rng.uniform(0.7, 1.2), rng.uniform(0.55, 1.0)
        for k in range(3):
            ink.line(path[k : k + 2], width * (1 - 0.24 * k), level)
        ink.disc(path[-1], knob * width, level)
    drawn = spread(ink.field(), 0.7 * canvas.unit)
    canvas.melanin += rng.uniform(0.5, 1.2) * drawn
    return around(drawn, 2 * canvas.unit)


def diffuse_regular(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """One even tone over most of the lesion, under which its own mottling vanishes."""
    presence = smoothstep(0.97, 0.75, lesion.u)
    even = rng.uniform(1.2, 2.1) * (1 + 0.04 * noise(rng, canvas.shape, 6 * canvas.unit))
    canvas.melanin += 0.85 * presence * (even - canvas.melanin)
    return presence > 0.5


def diffuse_irregular(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Blotched tones from brown to black over much of the lesion, darker on one side."""
    lean = 0.7 * np.cos(lesion.theta - lesion.axis + rng.uniform(-1.5, 1.5)) * np.minimum(lesion.u, 1)
    ragged = 0.3 * noise(rng, canvas.shape, 9 * canvas.unit)
    blotches = noise(rng, canvas.shape, 0.55 * lesion.radius) + lean + ragged
    presence = smoothstep(-0.9, 0.8, blotches) * smoothstep(1.0, 0.9, lesion.u)
    tone = np.clip(1.6 + 0.75 * noise(rng, canvas.shape, 0.3 * lesion.radius), 0.5, 3.2)
    canvas.melanin += rng.uniform(0.8, 1.2) * tone * presence
    return presence > 0.4


def localized_regular(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """One round, even blotch at the centre."""
    presence = smoothstep(1.15, 0.8, lesion.u / rng.uniform(0.34, 0.48))
    canvas.melanin += rng.uniform(1.3, 2.2) * presence
    return presence > 0.5


def localized_irregular(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """One or two ragged, very dark blotches away from the centre."""
    presence = np.zeros(canvas.shape, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        direction = lesion.axis - np.pi / 2 + rng.uniform(-0.6, 0.6)
        patch = lesion.area(canvas, rng, direction, rng.uniform(0.4, 0.7), rng.uniform(0.32, 0.46))
        presence = np.maximum(presence, patch)
    tone = np.clip(2.4 + 0.8 * noise(rng, canvas.shape, 12 * canvas.unit), 1.2, 4.0)
    canvas.melanin += tone * presence
    return presence > 0.4


def regular_dots(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Brown globules of one size, evenly spread: over the whole lesion, or in two rings along its rim."""
    radius = rng.uniform(2.0, 3.0) * canvas.unit
    if rng.random() < 0.6:
        n = int(np.clip((lesion.radius / radius) ** 2 * 0.17, 30, 130))
        u, theta = 0.88 * np.sqrt((np.arange(n) + 0.5) / n), np.arange(n) * GOLDEN_ANGLE
    else:
        n = int(np.clip(2 * np.pi * 0.8 * lesion.radius / (3.4 * radius), 16, 60))
        u = np.repeat((0.86, 0.70), n)
        theta = np.concatenate((np.arange(n), np.arange(n) + 0.5)) * 2 * np.pi / n
    places = lesion.points(u, theta) + rng.normal(0, 0.4 * radius, (u.size, 2))
    ink = Ink(canvas.shape)
    for place in places:
        ink.disc(place, radius * rng.normal(1, 0.09))
    drawn = ink.field()
    canvas.melanin += rng.uniform(0.55, 1.2) * drawn
    return around(drawn, 1.5 * canvas.unit)


def irregular_dots(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """Dots and clumps of brown, black and blue-grey, of any size, crowded in some parts of the lesion."""
    dark, light, blue = Ink(canvas.shape), Ink(canvas.shape), Ink(canvas.shape)
    clusters = int(rng.integers(3, 5))
    for k in range(clusters):  # on several sides, so that no veil hides all of them
        direction, distance = 2 * np.pi * k / clusters + rng.uniform(-0.7, 0.7), rng.uniform(0.3, 0.9)
        n = int(rng.integers(5, 14))
        u = np.clip(distance + rng.normal(0, 0.16, n), 0, 1.02)
        for place in lesion.points(u, direction + rng.normal(0, 0.45, n)):
            ink = (dark, light, blue)[int(rng.choice(3, p=(0.45, 0.3, 0.25)))]
            radius = float(np.clip(rng.lognormal(0.7, 0.5), 0.9, 5.5)) * canvas.unit
            ink.disc(place, radius, rng.uniform(0.75, 1.0), rng.uniform(0.7, 1.2))
    depth = rng.uniform(0.7, 1.0)
    canvas.melanin += depth * (2.3 * dark.field() + 1.1 * light.field())
    canvas.tint(0.75 * blue.field(), DEEP_BLUE)
    return around(dark.field() + light.field() + blue.field(), 1.5 * canvas.unit)
