"""Image features of several lists of pictures, or of several views of the same cases, as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmark.interfaces import ImageFeatures


def stacked(parts: Sequence[ImageFeatures]) -> ImageFeatures:
    """Return the features of several lists of pictures as those of one."""
    levels = tuple(torch.cat(level) for level in zip(*(part.levels for part in parts), strict=True))
    return ImageFeatures(levels, parts[0].grids, torch.cat([part.pooled for part in parts]))


def join_views(views: Sequence[ImageFeatures]) -> ImageFeatures:
    """Return the features of cases seen in several views: all levels, view after view, and pooled vectors joined."""
    levels = tuple(level for view in views for level in view.levels)
    grids = tuple(grid for view in views for grid in view.grids)
    return ImageFeatures(levels, grids, torch.cat([view.pooled for view in views], dim=-1))
