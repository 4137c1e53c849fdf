"""The mean picture and the mean text of train: what a query has that is asked without its own (``--without``).

Shapes: b cases, n tokens or places, d width.
"""

from __future__ import annotations

import torch

from benchmark.interfaces import ImageFeatures, TextFeatures


def mean_image(images: ImageFeatures, count: int) -> ImageFeatures:
    """Return ``count`` times the mean of ``images``, place by place: what a method that was trained with pictures
    expects where it is shown none. Zeros, or a grey picture, would be a picture unlike any that it has seen.
    """
    levels = tuple(_mean(level, count) for level in images.levels)
    return ImageFeatures(levels, images.grids, _mean(images.pooled, count))


def mean_text(texts: TextFeatures, count: int) -> TextFeatures:
    """Return ``count`` times the mean of ``texts``, with one token, the mean over the real ones of each text: what a
    method expects where it is told nothing. Any sentence, even an empty one, lies far from all texts of training.
    """
    mask = texts.mask.unsqueeze(-1)
    tokens = (texts.tokens.float() * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)  # (b, 1, d)
    mean = _mean(tokens.to(texts.tokens.dtype), count)
    return TextFeatures(mean, torch.ones(count, 1, dtype=torch.bool), _mean(texts.pooled, count))


def _mean(values: torch.Tensor, count: int) -> torch.Tensor:
    # Features are stored in half precision, in which a sum over hundreds of cases loses digits.
    return values.float().mean(0, keepdim=True).to(values.dtype).expand(count, *values.shape[1:])
