"""The outline of a lesion, and places in it.

``u`` is the distance from the centre relative to the outline (0 centre, 1 rim) and ``theta`` the angle around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plugins.datasets.synthetic.appearance import Look
from plugins.datasets.synthetic.canvas import Canvas, Field, Points, noise, smoothstep

FIRST_WAVE = 2
"""Waves around the outline start at two (an oval); one wave would only move the centre."""


@dataclass(frozen=True)
class Lesion:
    """``radius`` in pixels; ``waves`` (2, k) amplitude and phase of the outline's waves; ``axis`` the direction from
    which asymmetric findings are laid out; ``body`` (h, w) how much of each pixel is lesion, with its soft edge.
    """

    centre: Points
    radius: float
    stretch: float
    tilt: float
    waves: NDArray[np.float64]
    axis: float
    u: Field
    theta: Field
    body: Field

    def points(self, u: ArrayLike, theta: ArrayLike) -> Points:
        """Return the pixel coordinates (n, 2) of the places ``u`` (n,), ``theta`` (n,)."""
        theta = np.atleast_1d(np.asarray(theta, float))
        reach = self.radius * np.atleast_1d(np.asarray(u, float)) * outline(self.waves, theta)
        x, y = reach * np.cos(theta) * self.stretch, reach * np.sin(theta) / self.stretch
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        return self.centre + np.stack((x * cos - y * sin, x * sin + y * cos), axis=-1)

    def heading(self, theta: float) -> float:
        """Return the direction in the picture that points outwards at the angle ``theta``."""
        inner, outer = self.points((0.5, 1.0), (theta, theta))
        return float(np.arctan2(*(outer - inner)[::-1]))

    def area(self, canvas: Canvas, rng: np.random.Generator, direction: float, distance: float, extent: float) -> Field:
        """Return a soft, ragged patch (h, w), 0 to 1, ``extent`` radii wide, at ``distance``, ``direction``."""
        x, y = self.points(distance, direction)[0]
        rows, columns = np.ogrid[: canvas.shape[0], : canvas.shape[1]]
        away = np.hypot(columns - x, rows - y).astype(np.float32) / (extent * self.radius)
        ragged = away + 0.17 * noise(rng, canvas.shape, 0.4 * self.radius)
        return smoothstep(1.25, 0.6, ragged) * smoothstep(1.02, 0.85, self.u)

    def scatter(self, rng: np.random.Generator, n: int, u_max: float, gap: float) -> Points:
        """Return up to ``n`` random places (k, 2) inside ``u_max``, at least ``gap`` pixels apart."""
        candidates = self.points(u_max * np.sqrt(rng.random(3 * n)), rng.uniform(0, 2 * np.pi, 3 * n))
        kept = candidates[:1]
        for place in candidates[1:]:
            if len(kept) < n and np.hypot(*(kept - place).T).min() >= gap:
                kept = np.vstack((kept, place))
        return kept


def outline(waves: NDArray[np.float64], theta: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the relative radius of the outline at ``theta`` (any shape)."""
    total = np.ones(theta.shape)
    for k, (amplitude, phase) in enumerate(waves.T, start=FIRST_WAVE):
        total += amplitude * np.cos(k * theta + phase)
    return total


def make_lesion(canvas: Canvas, look: Look, rng: np.random.Generator) -> Lesion:
    """Draw the outline of a lesion of the given ``look`` at random."""
    height, width = canvas.shape
    centre = np.array((width, height)) * rng.uniform((0.42, 0.42), (0.58, 0.58))
    radius = rng.uniform(*look.radius) * canvas.unit
    stretch, tilt, axis = rng.uniform(0.88, 1.18), rng.uniform(-0.6, 0.6), rng.uniform(0, 2 * np.pi)
    unevenness = rng.uniform(*look.uneven)
    k = np.arange(FIRST_WAVE, 9)
    waves = np.stack((unevenness * rng.uniform(0.3, 1, k.size) / k, rng.uniform(0, 2 * np.pi, k.size)))
    dx, dy = np.meshgrid(np.arange(width) - centre[0], np.arange(height) - centre[1])
    cos, sin = np.cos(tilt), np.sin(tilt)
    x, y = (dx * cos + dy * sin) / stretch, (dy * cos - dx * sin) * stretch
    theta = np.arctan2(y, x)
    ragged = unevenness * 0.1 * noise(rng, canvas.shape, 14 * canvas.unit)
    u = (np.hypot(x, y) / (radius * outline(waves, theta)) + ragged).astype(np.float32)
    softness = rng.uniform(*look.edge)
    body = smoothstep(1 + softness / 2, 1 - softness, u)
    return Lesion(centre, radius, stretch, tilt, waves, axis, u, theta.astype(np.float32), body)
