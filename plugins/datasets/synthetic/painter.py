"""A case profile -> its picture, and the true region of every criterion in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from plugins.datasets.synthetic import camera, clutter, haze, pigment, vessels
from plugins.datasets.synthetic.appearance import Look, look_of
from plugins.datasets.synthetic.canvas import Canvas, Ink, Mask, mesh, noise, smoothstep
from plugins.datasets.synthetic.lesion import Lesion, make_lesion
from plugins.datasets.synthetic.profile import ABSENT, CaseProfile

Draw = Callable[[Canvas, Lesion, np.random.Generator], Mask]

STRUCTURES: Mapping[str, Mapping[str, Draw]] = {
    "pigmentation": {
        "diffuse regular": pigment.diffuse_regular,
        "diffuse irregular": pigment.diffuse_irregular,
        "localized regular": pigment.localized_regular,
        "localized irregular": pigment.localized_irregular,
    },
    "pigment_network": {"typical": pigment.typical_network, "atypical": pigment.atypical_network},
    "dots_and_globules": {"regular": pigment.regular_dots, "irregular": pigment.irregular_dots},
    "streaks": {"regular": pigment.regular_streaks, "irregular": pigment.irregular_streaks},
    "regression_structures": {
        "blue areas": haze.blue_areas,
        "white areas": haze.white_areas,
        "combinations": haze.combinations,
    },
    "blue_whitish_veil": {"present": haze.blue_whitish_veil},
    "vascular_structures": {
        "arborizing": vessels.arborizing,
        "comma": vessels.comma,
        "hairpin": vessels.hairpin,
        "within regression": vessels.within_regression,
        "wreath": vessels.wreath,
        "dotted": vessels.dotted,
        "linear irregular": vessels.linear_irregular,
    },
}
"""Criterion -> value -> how it is drawn, in the order of painting: what comes later lies on top."""

COVERING = frozenset({"regression_structures", "blue_whitish_veil"})
"""Criteria that hide what was painted before them."""

_SHAPE, _SKIN, _BODY, _CLUTTER, _CAMERA, _FILE, _FIRST_STRUCTURE = range(7)
"""Each part of a picture draws from a random stream of its own, so that one criterion can change and the rest stays."""


def paint(profile: CaseProfile, seed: int, size: int) -> tuple[Image.Image, dict[str, Mask]]:
    """Return the RGB picture of ``profile``, ``size`` pixels wide and two thirds of it high, and its regions.

    Regions are boolean (h, w), one a criterion, and empty where the value is absent. What a veil or a regression covers
    is taken out of the regions below it. The same profile, seed and size give the same pixels.
    """
    look = look_of(profile.group, profile.diagnosis)
    canvas = Canvas(size)
    lesion = make_lesion(canvas, look, _stream(profile, seed, _SHAPE))
    camera.lay_skin(canvas, _stream(profile, seed, _SKIN))
    _lay_body(canvas, lesion, look, _stream(profile, seed, _BODY))
    masks = _draw_structures(canvas, lesion, profile, seed)
    clutter.lay_clutter(canvas, _stream(profile, seed, _CLUTTER))
    return camera.photograph(canvas.compose(), canvas.unit, _stream(profile, seed, _CAMERA)), masks


def save_options(profile: CaseProfile, seed: int) -> dict[str, Any]:
    """Return PIL's options for the JPEG file of ``profile``: compression differs from picture to picture."""
    return camera.jpeg_settings(_stream(profile, seed, _FILE))


def _stream(profile: CaseProfile, seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng((seed, profile.index, part))


def _draw_structures(canvas: Canvas, lesion: Lesion, profile: CaseProfile, seed: int) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for part, (criterion, drawers) in enumerate(STRUCTURES.items(), start=_FIRST_STRUCTURE):
        value = profile.descriptors[criterion]
        if value == ABSENT:
            masks[criterion] = np.zeros(canvas.shape, np.bool_)
            continue
        mask = drawers[value](canvas, lesion, _stream(profile, seed, part))
        if criterion in COVERING:
            masks = {name: below & ~mask for name, below in masks.items()}
        masks[criterion] = mask
    return {name: masks[name] for name in profile.descriptors}


def _lay_body(canvas: Canvas, lesion: Lesion, look: Look, rng: np.random.Generator) -> None:
    """Lay the lesion's own pigment and blood, and what marks some diagnoses beside the criteria."""
    mottle = rng.uniform(*look.mottle) * noise(rng, canvas.shape, 0.4 * lesion.radius)
    texture = 0.07 * noise(rng, canvas.shape, 5 * canvas.unit)
    lean = rng.uniform(*look.lean) * (0.6 - np.minimum(lesion.u, 1))
    canvas.melanin += rng.uniform(*look.melanin) * lesion.body * np.clip(1 + mottle + texture + lean, 0.2, 2)
    canvas.blood += rng.uniform(*look.blood) * lesion.body
    blue = rng.uniform(*look.blue)
    if blue > 0:
        canvas.tint(blue * lesion.body, (0.38, 0.43, 0.56))
    if rng.random() < look.lacunae:
        _lay_lacunae(canvas, lesion, rng)
    if rng.random() < look.cysts:
        _lay_cysts(canvas, lesion, rng)


def _lay_lacunae(canvas: Canvas, lesion: Lesion, rng: np.random.Generator) -> None:
    """Red lakes parted by paler septa, as in an angioma."""
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    lakes = smoothstep(0.05, 0.35, mesh(rng, x, y, 0.35 * lesion.radius, 0.4))
    canvas.blood += rng.uniform(0.4, 1.1) * lakes * lesion.body


def _lay_cysts(canvas: Canvas, lesion: Lesion, rng: np.random.Generator) -> None:
    """White milia-like cysts and brown comedo-like openings, as in a seborrheic keratosis."""
    white, brown = Ink(canvas.shape), Ink(canvas.shape)
    for place in lesion.scatter(rng, int(rng.integers(4, 14)), 0.9, 9 * canvas.unit):
        ink = white if rng.random() < 0.6 else brown
        ink.disc(place, rng.uniform(1.2, 3.2) * canvas.unit, rng.uniform(0.5, 0.9), rng.uniform(0.6, 1.0))
    canvas.melanin += 1.1 * brown.field()
    canvas.tint(0.6 * white.field(), (0.95, 0.9, 0.82))
