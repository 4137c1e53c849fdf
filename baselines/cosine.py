"""Cosine of two global vectors, the score of most composed-retrieval methods.

Shapes: q queries, g candidates, d width.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from benchmark.interfaces import Representation, Scorer


class CosineScorer(Scorer):
    """s = cos(q_g, c_g)."""

    def score(self, query: Representation, candidates: Representation) -> Tensor:
        """Return the cosines (q, g)."""
        return self.as_vectors(query, "query") @ self.as_vectors(candidates, "candidate").T

    def as_vectors(self, representation: Representation, side: Literal["query", "candidate"]) -> Tensor:
        """Return the normalised global vectors (b, d)."""
        return F.normalize(representation["global"], dim=-1)
