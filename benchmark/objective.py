"""The unified objective and the batches it sees (METHODS.md, "Unified objective").

Shapes: q queries, g candidates, c criteria, k values of a criterion.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.interfaces import Representation


def multi_positive_contrastive(logits: Tensor, positives: Tensor, excluded: Tensor) -> Tensor:
    """Return the mean of the query->candidate and the candidate->query loss.

    An anchor's loss is the mean over its positives of -log softmax over all candidates that are not excluded (Khosla
    et al., NeurIPS 2020, L_out). An anchor without a positive is skipped.

    Args:
        logits: scaled scores (q, g).
        positives: boolean (q, g).
        excluded: boolean (q, g); such a pair is neither positive nor negative.
    """
    forward = _one_direction(logits, positives, excluded)
    backward = _one_direction(logits.T, positives.T, excluded.T)
    return (forward + backward) / 2


def _one_direction(logits: Tensor, positives: Tensor, excluded: Tensor) -> Tensor:
    positives = positives & ~excluded
    log_probability = F.log_softmax(logits.masked_fill(excluded, -1e4), dim=1)
    count = positives.sum(1)
    anchors = count > 0
    if not anchors.any():
        return logits.sum() * 0.0
    per_anchor = -(log_probability * positives).sum(1)[anchors] / count[anchors]
    return per_anchor.mean()


class CriterionHeads(nn.Module):
    """One linear classifier a criterion on a candidate representation, ``"global"`` or ``"local"`` (region i)."""

    def __init__(self, width: int, values: tuple[int, ...], key: str):
        super().__init__()
        self.key = key
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in values)

    def forward(self, candidates: Representation, codes: Tensor) -> Tensor:
        """Return the cross entropy, averaged over the criteria, of codes (g, c)."""
        features = candidates[self.key]
        losses = [
            F.cross_entropy(head(features[:, i] if self.key == "local" else features), codes[:, i])
            for i, head in enumerate(self.heads)
        ]
        return torch.stack(losses).mean()


def balanced_batches(strata: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield one epoch of query rows: every batch holds equally many of each stratum, at least four.

    A stratum's rows come in random order without replacement; a small stratum starts anew when it is used up. The
    epoch has as many batches as the queries fill.
    """
    present = strata.unique().tolist()
    share = max(4, size // len(present))
    pools = {code: _cycle((strata == code).nonzero().flatten(), generator) for code in present}
    for _ in range(max(1, round(len(strata) / (share * len(present))))):
        yield torch.stack([next(pools[code]) for code in present for _ in range(share)])


def _cycle(rows: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from rows[torch.randperm(len(rows), generator=generator)]
