"""What a score is made of: the part of the global vector and of each region.

Shapes: g candidates, m regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.interfaces import Representation, Scorer

CLOSE = 1e-4
"""Parts must add up to the score within this; cosines are computed in single precision."""


@dataclass(frozen=True)
class Parts:
    """``whole`` (g,) comes from the global vectors, ``regions`` (g, m) from each region; together they are the
    score.
    """

    whole: Tensor
    regions: Tensor


def score_parts(scorer: Scorer, query: Representation, candidates: Representation) -> Parts | None:
    """Return the parts of the score of one query; None where the score is no sum over ``global`` and ``local``.

    A part is what the score loses when that vector of the query is zero, so that no scorer has to be known by name. In
    a sum of cosines this is the weighted cosine itself.
    """
    if not {"global", "local"} <= scorer.requires & query.keys() & candidates.keys():
        return None
    score = scorer.score(query, candidates)[0]
    silent = {**query, "global": torch.zeros_like(query["global"])}
    whole = score - scorer.score(silent, candidates)[0]
    count = query["local"].shape[1]
    regions = torch.stack([score - _without(scorer, query, candidates, region) for region in range(count)], dim=1)
    adds_up = torch.allclose(whole + regions.sum(1), score, atol=CLOSE)
    return Parts(whole, regions) if adds_up else None


def _without(scorer: Scorer, query: Representation, candidates: Representation, region: int) -> Tensor:
    local = query["local"].clone()
    local[:, region] = 0
    return scorer.score({**query, "local": local}, candidates)[0]
