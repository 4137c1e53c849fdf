"""Encoders that show evidence instead of free features, and classifiers that start from it.

Where ``FeatureSpec.evidence`` is true, pooled features and every position of every level hold log-probabilities: of the
groups first, then of the values of each criterion, in the order of the dataset. Of several views pooled holds the first
one's first, and classifiers of the whole start from those; each level holds its own.

A classifier that has to find that out from some hundred cases loses more than it learns; one that starts from what the
encoder says, and learns a correction that starts at zero, keeps it.

Shapes: w width of the features, v classes.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from benchmark.interfaces import FeatureSpec


class Given(nn.Module):
    """What the encoder itself says of v classes, times a learned factor; zero where it says nothing."""

    def __init__(self, columns: slice | None):
        super().__init__()
        self.columns = columns
        self.factor = None if columns is None else nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., v) of features (..., w), to be added to a classifier's logits."""
        return features.new_zeros(()) if self.factor is None else self.factor * features[..., self.columns]


def given_groups(spec: FeatureSpec, correction: nn.Linear) -> Given:
    """Return what the encoder says of the groups; ``correction``, the last layer of a classifier of them, then starts
    at zero.
    """
    return _given(spec, 0, correction)


def given_values(spec: FeatureSpec, criterion: int, correction: nn.Linear) -> Given:
    """The same for the values of a criterion, by its number."""
    return _given(spec, 1 + criterion, correction)


def _given(spec: FeatureSpec, which: int, correction: nn.Linear) -> Given:
    if not spec.evidence:
        return Given(None)
    nn.init.zeros_(correction.weight)
    nn.init.zeros_(correction.bias)
    ends = accumulate([spec.groups, *(len(criterion.values) for criterion in spec.criteria)], initial=0)
    return Given(slice(*list(pairwise(ends))[which]))
