"""VAL in its native setting: semi-hard triplets in both directions at every level (val.py, native.py).

    loss = sum over levels and directions of mean_i relu(D_ii - min_j D_ij + margin),  D_ij = |q_i - t_j|^2

where the minimum is over the semi-hard negatives of an anchor: those that are not nearer to it than their own query is
(as in the authors' code), and not left out. An anchor without one costs nothing.

Adam at 2e-4 with L2 4e-5 and batches of 32, as in the paper. Batches of so few leave rare groups six cases a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.cosine import CosineScorer
from baselines.native import NativeMethod
from baselines.val import VAL
from benchmark.interfaces import Batch, Representation


class VALNative(NativeMethod):
    """VAL as its authors train it, on frozen features."""

    composer_class = VAL
    scorer_class = CosineScorer
    label = "val-native (projected)"

    def losses(self, batch: Batch, query: Representation, target: Representation) -> Mapping[str, Tensor]:
        levels = zip(*(_levels(side["global"], self.settings.width) for side in (query, target)), strict=True)
        margin = self.settings.margin
        losses = [triplets(composed, image, batch.excluded, margin) for composed, image in levels]
        return {f"triplet_{number}": loss for number, loss in enumerate(losses)}

    def optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay)


def _levels(vectors: Tensor, width: int) -> tuple[Tensor, ...]:
    """Return the l unit vectors (b, d) that stand in a row in (b, l d)."""
    return vectors.split(width, dim=1)


def triplets(queries: Tensor, targets: Tensor, excluded: Tensor, margin: float) -> Tensor:
    """Return the loss of one level: unit vectors (b, d) of queries and targets, ``excluded`` (b, b) pairs."""
    distances = (queries[:, None] - targets).square().sum(dim=-1)  # (b, b)
    return _semi_hard(distances, excluded, margin) + _semi_hard(distances.T, excluded.T, margin)


def _semi_hard(distances: Tensor, excluded: Tensor, margin: float) -> Tensor:
    own = torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    positives = distances.diagonal()
    negatives = distances.masked_fill((distances < positives) | own | excluded, math.inf)
    return F.relu(positives - negatives.amin(dim=1) + margin).mean()
