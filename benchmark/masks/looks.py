"""What looks at pictures: the masks of a trained composer, the middle of every picture.

Shapes: b cases, m masks, n positions of all levels, (r, c) the finest grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.errors import PluginError, UserError
from benchmark.features import open_image
from benchmark.interfaces import Case, Encoder, FeatureSpec, ImageFeatures, Method
from benchmark.masks.fit import Maps
from benchmark.masks.measures import Box, Floats
from benchmark.report.html.attention import blank_features, candidate_masks, upsampled
from benchmark.report.html.footprint import seen_part
from benchmark.training import ComposedMethod

BATCH = 64
WIDTH = 0.25
"""Standard deviation of the centre's bell, in shares of the picture's width and height."""
CENTRE_GRID = (48, 72)


def seen_parts(encoder: Encoder, cases: Sequence[Case], view: str) -> list[Box]:
    """Return the part of each case's picture that the encoder sees; it is asked once a size."""
    sizes = [open_image(case.images[view]).size for case in cases]
    parts = {size: seen_part(encoder.preprocess, *size) for size in sorted(set(sizes))}
    return [parts[size] for size in sizes]


def masked(method: Method, spec: FeatureSpec, name: str) -> ComposedMethod:
    """Return ``method`` where it has masks.

    Raises:
        UserError: it has none.
    """
    if not isinstance(method, ComposedMethod) or candidate_masks(method, blank_features(spec)) is None:
        raise UserError(
            f"Method {name} has no masks: it is no composer whose embed returns masks (b, m, n) beside the regions "
            "(plugins/README.md). Name one that has."
        )
    return method


def mask_maps(method: ComposedMethod, images: ImageFeatures, encoder: Encoder, boxes: Sequence[Box]) -> Maps:
    """Return the masks of ``method`` on b images, spread over the finest grid of ``encoder``.

    Raises:
        PluginError: a mask is negative or not finite.
    """
    parts = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
    masks = np.concatenate([_masks(method, images[part]) for part in parts])
    if not np.isfinite(masks).all() or masks.min() < 0:
        raise PluginError(f"{type(method.composer).__name__}.embed returned masks below 0, NaN or infinite.")
    count = masks.shape[1]
    tied = method.composer.criterion_key == "local" and count == len(method.spec.criteria)
    return Maps(np.stack([upsampled(one, encoder.grids) for one in masks]), boxes, tied)


def _masks(method: ComposedMethod, images: ImageFeatures) -> Floats:
    found = candidate_masks(method, images)
    if found is None:
        raise PluginError(f"{type(method.composer).__name__}.embed returned masks for some images only.")
    return found.astype(np.float64)


def centre(cases: int) -> Maps:
    """Return a bell in the middle of each picture: what anybody would guess who has not seen it."""
    rows, columns = ((np.arange(length) + 0.5) / length - 0.5 for length in CENTRE_GRID)
    bell = np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * WIDTH**2))
    return Maps(np.broadcast_to(bell, (cases, 1, *CENTRE_GRID)), [(0.0, 0.0, 1.0, 1.0)] * cases, False)
