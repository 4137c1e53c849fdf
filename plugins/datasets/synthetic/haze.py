"""Criteria that scatter light: regression structures and the blue-whitish veil.

Every function paints one value on the canvas and returns the region (h, w) in which it shows. Regression lies towards
the lesion's axis and the veil away from it, so that one seldom hides the other.
"""

from __future__ import annotations

import numpy as np

from plugins.datasets.synthetic.canvas import Canvas, Field, Ink, Mask, noise, spread
from plugins.datasets.synthetic.lesion import Lesion

Generator = np.random.Generator
GREY_BLUE = (0.57, 0.57, 0.62)
PEPPER = (0.26, 0.30, 0.40)
SCAR = (0.95, 0.89, 0.87)
STEEL_BLUE = (0.27, 0.32, 0.46)
MILK = (0.78, 0.82, 0.90)


def blue_areas(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """A grey-blue zone strewn with fine granules (peppering)."""
    area = _zone(canvas, lesion, rng, rng.uniform(0.52, 0.7))
    _pepper(canvas, lesion, rng, area)
    return _regressed(canvas, area)


def white_areas(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """A scar-like zone, paler than the skin around the lesion."""
    area = _zone(canvas, lesion, rng, rng.uniform(0.52, 0.7))
    _scar(canvas, rng, area)
    return _regressed(canvas, area)


def combinations(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """A white scar and a peppered grey-blue zone side by side."""
    sideways = rng.uniform(0.5, 0.75) * rng.choice((-1, 1))
    blue = _zone(canvas, lesion, rng, rng.uniform(0.45, 0.57), sideways)
    white = _zone(canvas, lesion, rng, rng.uniform(0.43, 0.55), -sideways)
    _pepper(canvas, lesion, rng, blue * (1 - white))
    _scar(canvas, rng, white)
    return _regressed(canvas, np.maximum(blue, white))


def _zone(canvas: Canvas, lesion: Lesion, rng: Generator, extent: float, sideways: float = 0.0) -> Field:
    direction = lesion.axis + rng.uniform(-0.35, 0.35) + sideways
    return lesion.area(canvas, rng, direction, rng.uniform(0.4, 0.6), extent)


def _regressed(canvas: Canvas, area: Field) -> Mask:
    """Keep the zone, because vessels within regression are drawn in it."""
    canvas.regressed = area
    return area > 0.4


def _pepper(canvas: Canvas, lesion: Lesion, rng: Generator, area: Field) -> None:
    canvas.fade(0.85 * area)
    mist = rng.uniform(0.52, 0.72) + 0.15 * noise(rng, canvas.shape, 16 * canvas.unit)
    canvas.tint(np.clip(mist, 0.15, 0.85) * area, GREY_BLUE)
    grains = Ink(canvas.shape)
    for place in lesion.scatter(rng, 340, 1.0, 3.6 * canvas.unit):
        grains.disc(place, rng.uniform(0.8, 1.7) * canvas.unit, rng.uniform(0.6, 1.0))
    canvas.tint(grains.field() * area, PEPPER)


def _scar(canvas: Canvas, rng: Generator, area: Field) -> None:
    canvas.fade(0.95 * area)
    pale = rng.uniform(0.74, 0.9) + 0.1 * noise(rng, canvas.shape, 12 * canvas.unit)
    canvas.tint(np.clip(pale, 0.3, 0.95) * area, SCAR)


def blue_whitish_veil(canvas: Canvas, lesion: Lesion, rng: Generator) -> Mask:
    """A confluent, structureless blue zone under a milky film, which thins out over its surroundings."""
    direction = lesion.axis + np.pi + rng.uniform(-0.5, 0.5)
    area = lesion.area(canvas, rng, direction, rng.uniform(0.3, 0.58), rng.uniform(0.42, 0.68))
    area = spread(area, rng.uniform(2, 6) * canvas.unit)
    canvas.fade(0.15 * area)
    canvas.tint(rng.uniform(0.5, 0.78) * area, STEEL_BLUE)
    film = rng.uniform(0.1, 0.3) + 0.13 * noise(rng, canvas.shape, 0.35 * lesion.radius)
    canvas.tint(np.clip(film, 0.03, 0.6) * area, MILK)
    return area > 0.4
