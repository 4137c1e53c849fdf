"""Parts of the proposed composer: projections, experts, the transformer layer of a level, and prototypes.

Shapes: b batch, d width, v values of a block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def projection(width: int, d: int, dropout: float) -> nn.Module:
    """Return a map of (..., width) to (..., d)."""
    return nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, d))


def classifier(width: int, d: int, classes: int, dropout: float) -> nn.Sequential:
    """Return a classifier of one hidden layer: (b, width) to logits (b, classes)."""
    return nn.Sequential(projection(width, d, dropout), nn.GELU(), nn.Dropout(dropout), nn.Linear(d, classes))


class LevelBlock(nn.Module):
    """A pre-norm transformer encoder layer over [state ; image tokens] that returns the state alone.

    The image tokens are keys and values; what a layer would make of them is read by nobody, since only the state goes
    on to the next level, and is not computed.
    """

    def __init__(self, d: int, heads: int, dropout: float):
        super().__init__()
        self.norm_state, self.norm_image, self.norm_out = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * d, d)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor, image: Tensor, padding: Tensor) -> Tensor:
        """Return the new state (b, s, d); ``padding`` (b, s) is True where the state is to be ignored."""
        asked = self.norm_state(state)
        seen = torch.cat([asked, self.norm_image(image)], dim=1)
        ignored = F.pad(padding, (0, image.shape[1]))
        found, _ = self.attention(asked, seen, seen, key_padding_mask=ignored, need_weights=False)
        state = state + self.dropout(found)
        return self.norm_out(state + self.dropout(self.feed_forward(state)))


class Prototypes(nn.Module):
    """Unit vectors for the values that a block can have; a block is their mean under the evidence.

    The last coordinates are kept free. A candidate is completed to unit length in the first of them, which every query
    has as zero. With ``shares`` a second one, zero in every candidate, completes a query that counts only in part.
    """

    def __init__(self, count: int, d: int, shares: bool = False):
        super().__init__()
        self.free = 2 if shares else 1
        self.vectors = nn.Parameter(nn.init.orthogonal_(torch.empty(count, d - self.free)))

    def query(self, logits: Tensor, share: Tensor | None = None) -> Tensor:
        """Return (b, d) for logits (b, v). With ``share`` (b, 1) in [0, 1] it has unit length, and its cosine with a
        candidate is that share of what it would be.
        """
        mean = self._mean(logits)
        if share is None:
            return F.pad(mean, (0, self.free))
        return torch.cat([F.normalize(mean, dim=-1) * share, torch.zeros_like(share), _missing(share.square())], dim=-1)

    def candidate(self, logits: Tensor) -> Tensor:
        """Return (b, d) of unit length for logits (b, v)."""
        mean = self._mean(logits)
        rest = _missing(mean.square().sum(-1, keepdim=True))  # A mean of unit vectors is no longer than 1.
        return F.pad(torch.cat([mean, rest], dim=-1), (0, self.free - 1))

    def _mean(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=-1) @ F.normalize(self.vectors, dim=-1)


def _missing(squared: Tensor) -> Tensor:
    """Return the coordinate that completes a ``squared`` length to 1."""
    return (1 - squared).clamp(min=1e-6).sqrt()
