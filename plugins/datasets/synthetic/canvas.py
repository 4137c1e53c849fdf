"""What every structure is drawn with: pigment fields, overlays, ink, noise and meshes.

Colour follows the Beer-Lambert law: light crosses a density of melanin and of blood, so that more of the same pigment
goes from tan through brown to black, or from pink to red. What scatters light (veil, scar, deep blue pigment) and what
lies on top (vessels, hair) is blended over that. Shapes: a field is (h, w) float32, points are (n, 2) as x, y in
pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]

DERMIS = np.array((0.98, 0.87, 0.80), np.float32)
"""Colour of the light that comes back from the dermis where no pigment lies above it."""
MELANIN = np.array((0.66, 0.98, 1.42), np.float32)
BLOOD = np.array((0.12, 0.95, 0.75), np.float32)
"""Absorption of one unit of pigment in red, green and blue."""
REFERENCE_WIDTH = 384
"""Lengths in the drawing code are pixels of a picture of this width; ``Canvas.unit`` scales them."""


class Canvas:
    """A picture under construction: densities of skin and lesion pigment, then overlays in the order of painting."""

    def __init__(self, width: int):
        self.shape = (round(width * 2 / 3), width)
        self.unit = width / REFERENCE_WIDTH
        self.skin = np.zeros(self.shape, np.float32)
        self.melanin = np.zeros(self.shape, np.float32)
        self.blood = np.zeros(self.shape, np.float32)
        self.regressed: Field | None = None
        self._overlays: list[tuple[Field, Colour]] = []

    def tint(self, alpha: Field, colour: Colour) -> None:
        """Blend ``colour`` (0 to 1) over everything painted before, by ``alpha`` (h, w)."""
        self._overlays.append((alpha, colour))

    def fade(self, alpha: Field) -> None:
        """Take the share ``alpha`` (h, w) of the lesion's melanin away."""
        self.melanin *= 1 - alpha

    def compose(self) -> NDArray[np.float32]:
        """Return the picture (h, w, 3), 0 to 1."""
        melanin, blood = np.maximum(self.skin + self.melanin, 0), np.maximum(self.blood, 0)
        picture: NDArray[np.float32] = DERMIS * np.exp(-melanin[..., None] * MELANIN - blood[..., None] * BLOOD)
        for alpha, colour in self._overlays:
            picture += np.clip(alpha, 0, 1)[..., None] * (np.array(colour, np.float32) - picture)
        return picture


class Ink:
    """Anti-aliased lines and discs: drawn ``SCALE`` times too large and averaged down."""

    SCALE = 3

    def __init__(self, shape: tuple[int, int]):
        self._image = Image.new("L", (shape[1] * self.SCALE, shape[0] * self.SCALE))
        self._pen = ImageDraw.Draw(self._image)

    def line(self, points: Points, width: float, level: float = 1.0) -> None:
        """Draw a line through ``points``, ``width`` pixels wide, with opacity ``level``."""
        path = [(float(x), float(y)) for x, y in points * self.SCALE]
        self._pen.line(path, fill=round(255 * level), width=max(1, round(width * self.SCALE)), joint="curve")

    def disc(self, centre: Points, radius: float, level: float = 1.0, flatness: float = 1.0) -> None:
        """Draw a filled ellipse with the half axes ``radius`` and ``radius * flatness`` around ``centre`` (2,)."""
        x, y = (float(v) for v in centre * self.SCALE)
        a, b = radius * self.SCALE, radius * flatness * self.SCALE
        self._pen.ellipse((x - a, y - b, x + a, y + b), fill=round(255 * level))

    def field(self) -> Field:
        """Return the coverage (h, w), 0 to 1."""
        return np.asarray(self._image.reduce(self.SCALE), np.float32) / np.float32(255)


def smoothstep(start: float, end: float, value: Field) -> Field:
    """Return 0 where ``value`` is at ``start``, 1 at ``end``, a smooth ramp between; ``start`` may be the larger."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, shape: tuple[int, int], pitch: float) -> Field:
    """Return smooth noise (h, w), mean 0, about unit deviation, with bumps ``pitch`` and ``pitch / 2`` pixels wide."""
    total = np.zeros(shape, np.float32)
    for weight, cell in ((0.9, pitch), (0.45, pitch / 2)):
        grid = rng.standard_normal((int(shape[0] / cell) + 3, int(shape[1] / cell) + 3)).astype(np.float32)
        total += weight * np.asarray(Image.fromarray(grid).resize(shape[::-1], Image.Resampling.BICUBIC))
    return total * 1.5


def mesh(rng: np.random.Generator, x: Field, y: Field, pitch: float, jitter: float) -> Field:
    """Return how far each point lies from a border between cells of a honeycomb, in units of ``pitch``.

    The borders of jittered cells are those of a Voronoi diagram, so 0 gives a regular mesh and 0.5 a distorted one.
    """
    across, down = (x / pitch).astype(np.float32), (y / (0.866 * pitch)).astype(np.float32)
    row, lowest, left = np.floor(down).astype(np.int32), int(np.floor(down.min())) - 1, int(np.floor(across.min())) - 2
    size = (2, int(row.max()) - lowest + 2, int(across.max()) - left + 4)
    offsets = jitter * rng.uniform(-1, 1, size).astype(np.float32)
    near = np.full(x.shape, np.inf, np.float32)
    next_near = near.copy()
    for step in (-1, 0, 1):
        r = row + step
        shift = (0.5 * (r & 1)).astype(np.float32)
        middle = np.floor(across - shift + 0.5).astype(np.int32)
        for c in (middle - 1, middle, middle + 1):
            cell = (r - lowest) * size[2] + (c - left)
            dx = c.astype(np.float32) + (shift - across) + offsets[0].take(cell)
            dy = np.float32(0.866) * (r.astype(np.float32) + np.float32(0.5) - down) + offsets[1].take(cell)
            d = dx * dx + dy * dy
            next_near = np.minimum(next_near, np.maximum(near, d))
            near = np.minimum(near, d)
    return np.sqrt(next_near) - np.sqrt(near)


def spread(field: Field, radius: float) -> Field:
    """Return ``field`` (0 to 1) blurred by a Gaussian of ``radius`` pixels."""
    image = Image.fromarray(np.asarray(np.clip(field, 0, 1) * 255, np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


def around(ink: Field, margin: float) -> Mask:
    """Return the region (h, w) within about ``margin`` pixels of what was inked."""
    size = 2 * max(1, round(margin)) + 1
    image = Image.fromarray(np.asarray(ink > 0.25, np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.MaxFilter(size))) > 0


def curve(start: Points, heading: float, length: float, bend: float, steps: int = 8) -> Points:
    """Return an arc (steps + 1, 2) that leaves ``start`` at ``heading`` and turns by ``bend`` over ``length``."""
    headings = heading + bend * (np.arange(steps) + 0.5) / steps
    moves = np.stack((np.cos(headings), np.sin(headings)), axis=1) * length / steps
    return np.vstack((start, start + np.cumsum(moves, axis=0)))
