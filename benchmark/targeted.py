"""Training of composers in ``modification``: the target of every query is among the candidates of its batch.

A batch's candidates are the references of its queries (training.py). In ``case-search`` a group has many cases, so that
each query finds positives among them. Here a query has about 25 positives among 400 cases, and few batches of 40 would
hold its target. So each query brings another one that is asked *from* its target: the target is then a reference like
the others, and the query that came with it is an anchor like the others, with a target or not.

Shapes: b queries of a batch, q queries, n cases.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Training
from benchmark.interfaces import LabelledSet
from benchmark.training import ComposedMethod


class TargetedMethod(ComposedMethod):
    """A composed method whose batches hold the target of each drawn query, by way of a query asked from it."""

    def _loss(
        self, train: LabelledSet, rows: Tensor, objective: nn.ModuleDict, settings: Training, device: torch.device
    ) -> dict[str, Tensor]:
        return super()._loss(train, with_targets(train, rows), objective, settings, device)


def with_targets(data: LabelledSet, rows: Tensor) -> Tensor:
    """Return query ``rows`` (b,) and, for each, one of the queries whose reference is its target, drawn at random.

    Queries of one reference lie one after the other. A target that asks nothing brings none; neither does any query of
    data without targets.
    """
    if data.targets is None:
        return rows
    asked = torch.bincount(data.reference, minlength=len(data.ids))  # (n,) queries of each case
    first = asked.cumsum(0) - asked  # (n,) the first of them
    targets = data.targets[rows]
    targets = targets[asked[targets] > 0]
    drawn = (torch.rand(len(targets)) * asked[targets]).long()
    return torch.cat([rows, first[targets] + drawn])
