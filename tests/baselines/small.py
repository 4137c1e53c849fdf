"""What the tests of ported methods share: the rule of the parity fixtures, and a few small features.

Shapes: b batch; pooled image (b, 5), text (b, 7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.interfaces import FeatureSpec, ImageFeatures, TextFeatures

SPEC = FeatureSpec((3, 5), ((2, 2), (1, 1)), image_width=5, text_width=7, groups=2, criteria=())


def filled(shape: Sequence[int], tensor: int, scale: float, offset: float = 0.0) -> Tensor:
    """Fill by the rule that every fixture states: sines of the position and of the tensor's number."""
    values = [round(offset + scale * math.sin(0.9 * k + 1.3 * tensor), 4) for k in range(math.prod(shape))]
    return torch.tensor(values).reshape(tuple(shape))


def batch(size: int, seed: int = 0) -> tuple[ImageFeatures, TextFeatures]:
    """Return ``size`` images and texts drawn from ``seed``."""
    draw = torch.Generator().manual_seed(seed)
    pooled, text = torch.randn(size, 5, generator=draw), torch.randn(size, 7, generator=draw)
    levels = (torch.randn(size, 4, 3, generator=draw), pooled[:, None])
    texts = TextFeatures(text[:, None], torch.ones(size, 1, dtype=torch.bool), text)
    return ImageFeatures(levels, SPEC.grids, pooled), texts
