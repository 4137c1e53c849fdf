"""Global-local scorer: a convex, domain-informed mix of cosines that is one inner product.

    s = (1 - a) cos(q_g, c_g) + a sum_i w_i cos(q_i, c_i),   w convex, a in [0, 1]

"Domain-informed" is our reading of arXiv 2603.09108: where there is one region a criterion, w comes from the weights of
the dataset's checklist (for Derm7pt majors 2, minors 1), normalised; else w is uniform.

Shapes: q queries, g candidates, m regions, d width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.interfaces import Block, Blocks, FeatureSpec, Representation, Scorer
from plugins.proposed.options import GlobalLocalOptions


class GlobalLocalScorer(Scorer):
    """All weights stand on the query's side, so that candidates are indexed once, whatever the weights."""

    checklist: Tensor
    requires = frozenset({"global", "local"})

    def __init__(self, spec: FeatureSpec, options: GlobalLocalOptions):
        super().__init__(spec, options)
        self.kind = options.weights
        checklist = torch.tensor([criterion.weight for criterion in spec.criteria])
        self.register_buffer("checklist", checklist / checklist.sum(), persistent=False)
        logit = torch.tensor(options.a).logit(eps=1e-6)
        self.a_logit = nn.Parameter(logit) if options.learn_a else None
        self.fixed_a = options.a
        # A learned w starts uniform; without criteria it stays so, since the number of masks is the composer's choice.
        learned = self.kind == "learned" and len(spec.criteria) > 0
        self.w_logits = nn.Parameter(torch.zeros(len(spec.criteria))) if learned else None

    @property
    def a(self) -> Tensor | float:
        """The share of the local similarity, in [0, 1]."""
        return self.fixed_a if self.a_logit is None else self.a_logit.sigmoid()

    def weights(self, regions: int) -> Tensor:
        """Return w (m,), which sums to 1: the checklist's or the learned one where there is one region a criterion,
        else uniform.
        """
        if regions != len(self.checklist) or self.kind == "uniform":
            return self.checklist.new_full((regions,), 1 / regions)
        return self.checklist if self.w_logits is None else self.w_logits.softmax(0)

    def score(self, query: Representation, candidates: Representation) -> Tensor:
        """Return s (q, g)."""
        parts = self.parts(query, candidates)
        return (1 - self.a) * parts["global"] + self.a * parts["local"]

    def parts(self, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        """Return the global and the local similarity, each (q, g) in [-1, 1]."""
        whole = F.normalize(query["global"], dim=-1) @ F.normalize(candidates["global"], dim=-1).T
        regional = self.regional(query, candidates)
        return {"global": whole, "local": regional @ self.weights(regional.shape[-1])}

    def regional(self, query: Representation, candidates: Representation) -> Tensor:
        """Return the cosine of every region (q, g, m): the evidence behind a score."""
        return torch.einsum(
            "qmd,gmd->qgm", F.normalize(query["local"], dim=-1), F.normalize(candidates["local"], dim=-1)
        )

    def as_vectors(self, representation: Representation, side: Literal["query", "candidate"]) -> Tensor:
        """Return (b, (1 + m) d): unit blocks, on the query's side times (1 - a), a w_1, ..., a w_m."""
        blocks = torch.cat([representation["global"][:, None], representation["local"]], dim=1)
        blocks = F.normalize(blocks, dim=-1)
        if side == "query":
            w = self.weights(representation["local"].shape[1])
            blocks = blocks * torch.cat([(1 - self.a) * w.new_ones(1), self.a * w])[:, None]
        return blocks.flatten(1)

    def blocks(self, representation: Representation) -> Blocks:
        """Return the global block and one a region, called by its criterion where there is one region a criterion."""
        local = representation["local"]
        criteria = [criterion.name for criterion in self.spec.criteria]
        names = criteria if len(criteria) == local.shape[1] else [f"region {i + 1}" for i in range(local.shape[1])]
        shares = zip(names, self.weights(local.shape[1]).tolist(), strict=True)
        regions = [Block(name, local.shape[2], share, local=True) for name, share in shares]
        return Blocks((Block("global", representation["global"].shape[1], 1.0), *regions), float(self.a))
