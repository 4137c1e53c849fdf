"""The linear map from an encoder's space to a method's width, the same for every method (METHODS.md).

The packaged image and text spaces are not aligned and have different scales, so each input is normalised before the map.
"""

from __future__ import annotations

from torch import nn


def projection(width: int, d: int, dropout: float) -> nn.Sequential:
    """Return (..., width) -> (..., d): layer normalisation, dropout, linear."""
    return nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, d))
