"""ARTEMIS: the text says how a candidate has to look, and in what it has to resemble the reference image.

Ginger Delmas, Rafael Sampaio de Rezende, Gabriela Csurka, Diane Larlus: ARTEMIS: Attention-based Retrieval with
Text-Explicit Matching and Implicit Similarity. ICLR 2022 (arXiv 2203.08101). Its code, github.com/naver/artemis, fixes
what the paper leaves open; tests/baselines/parity/artemis.json holds its numbers.

Legend: q queries, g candidates, b batch, d common width; r reference, m text, t candidate, each (d,) of unit length.

    A(m) = softmax(W_2 relu(W_1 m)) over the channels, one A for each of the two terms
    EM   = <norm(W m), norm(A_EM(m) * t)>              explicit matching
    IS   = <norm(A_IS(m) * r), norm(A_IS(m) * t)>      implicit similarity
    s    = EM + IS

The length of A(m) * t belongs to a pair, so s is no inner product of one vector a side. All pairs still need four
matrix products and no tensor (q, g, d), since <u, A * t> = <A * u, t> and |A * t|^2 = <A^2, t^2>.

What differs from the paper in the unified setting: linear maps bring the two pooled features to one width, where the
paper trains a ResNet-50 with generalised-mean pooling and a GRU; the logit scale is learned from the objective's own
start, where the paper's starts at exp(2.65926) = 14.3 (``native_loss``).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.artemis_options import ARTEMISOptions
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, Representation, Scorer, TextFeatures

NATIVE_SCALE = math.exp(2.65926)
SHORTEST = 1e-24
"""Least squared length of A(m) * t: the guard of ``F.normalize``, kept away from the square root's pole."""


class Attention(nn.Sequential):
    """A(m): from a text (b, d) to weights of the channels (b, d) that sum to 1."""

    def __init__(self, width: int):
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Softmax(dim=1))


class TextMatching(nn.Module):
    """The query's side of both terms, from a reference (b, d) and a text (b, d), each of unit length."""

    def __init__(self, width: int):
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.explicit = Attention(width)
        self.implicit = Attention(width)

    def forward(self, reference: Tensor, text: Tensor) -> Tensor:
        """Return (b, 2, 2, d): for EM and for IS the vector A * u that a candidate meets, and A itself."""
        explicit, implicit = self.explicit(text), self.implicit(text)  # (b, d) each
        wanted = F.normalize(self.transform(text), dim=-1)
        alike = F.normalize(implicit * reference, dim=-1)
        sides = [explicit * wanted, explicit, implicit * alike, implicit]
        return torch.stack(sides, dim=1).unflatten(1, (2, 2))


def matching_scores(query: Tensor, targets: Tensor) -> Tensor:
    """Return EM and IS (q, 2, g), each in [-1, 1], of queries (q, 2, 2, d) and candidates (g, d)."""
    vectors, attention = query.unbind(dim=2)  # (q, 2, d) each
    lengths = (attention.square() @ targets.square().T).clamp_min(SHORTEST).sqrt()  # (q, 2, g)
    return (vectors @ targets.T) / lengths


class ARTEMIS(Composer):
    """ARTEMIS on linear projections of the pooled features.

    Both representations hold ``matching``: of a query (b, 2, 2, d), as ``TextMatching`` returns it; of a candidate the
    unit vector (b, d).
    """

    provides = frozenset({"matching"})
    scorer = "artemis"
    criterion_key = "matching"
    label = "artemis (projected)"

    def __init__(self, spec: FeatureSpec, options: ARTEMISOptions):
        super().__init__(spec, options)
        self.image_projection = nn.Linear(spec.image_width, options.width)
        self.text_projection = nn.Linear(spec.text_width, options.width)
        self.matching = TextMatching(options.width)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        text = F.normalize(self.text_projection(texts.pooled), dim=-1)
        return {"matching": self.matching(self.embed(images)["matching"], text)}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images, by the projection that the reference image takes."""
        return {"matching": F.normalize(self.image_projection(images.pooled), dim=-1)}


class ARTEMISScorer(Scorer):
    """s = EM + IS, in [-2, 2]. Its weights are the composer's: all of them belong to the query's side."""

    requires = frozenset({"matching"})
    pairwise = True

    def score(self, query: Representation, candidates: Representation) -> Tensor:
        """Return the scores (q, g)."""
        return matching_scores(query["matching"], candidates["matching"]).sum(dim=1)


def native_loss(scores: Tensor, scale: Tensor | float = NATIVE_SCALE) -> Tensor:
    """Return the paper's batch softmax loss of scores (b, b), where candidate i is the target of query i."""
    return F.cross_entropy(scale * scores, torch.arange(len(scores), device=scores.device))
