"""TIRG: the text gates the image and adds a residual to it.

Nam Vo, Lu Jiang, Chen Sun, Kevin Murphy, Li-Jia Li, Li Fei-Fei, James Hays: Composing Text and Image for Image
Retrieval - An Empirical Odyssey. CVPR 2019 (arXiv 1812.07119). Its code, github.com/google/tirg, fixes what the
paper leaves open; tests/baselines/parity/tirg.json holds its numbers.

Legend: b batch, i image width, t text width, d common width; z = [image ; text] (b, 2d).

    out = a0 * sigmoid(gate(z)) * image + a1 * residual(z)

What differs from the paper in the unified setting: linear maps bring the two pooled features to one width; the
similarity is a cosine under the objective's own learned scale, where the paper normalises both sides and multiplies
each by one learned scalar that starts at 4 (``native_loss``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.options import TIRGOptions
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures

NATIVE_SCALE = 4.0


class TIRGCompose(nn.Module):
    """The published composition of an image (b, d) and a text (b, d).

    The authors' weight vector ``a`` has four entries of which the last two are never used; here it has the two.
    """

    def __init__(self, width: int, gate_weight: float = 1.0, residual_weight: float = 10.0):
        super().__init__()
        both = 2 * width
        self.weights = nn.Parameter(torch.tensor([gate_weight, residual_weight]))
        self.gate = nn.Sequential(nn.BatchNorm1d(both), nn.ReLU(), nn.Linear(both, width))
        self.residual = nn.Sequential(
            nn.BatchNorm1d(both), nn.ReLU(), nn.Linear(both, both), nn.ReLU(), nn.Linear(both, width)
        )

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Return the composed features (b, d), not normalised. In training b must exceed 1 (batch normalisation)."""
        z = torch.cat([image, text], dim=1)  # (b, 2d)
        return self.weights[0] * torch.sigmoid(self.gate(z)) * image + self.weights[1] * self.residual(z)


class TIRG(Composer):
    """TIRG on linear projections of the pooled features; both representations are ``global`` (b, d), unit length."""

    label = "tirg (projected)"

    def __init__(self, spec: FeatureSpec, options: TIRGOptions):
        super().__init__(spec, options)
        self.image_projection = nn.Linear(spec.image_width, options.width)
        self.text_projection = nn.Linear(spec.text_width, options.width)
        self.composition = TIRGCompose(options.width, options.gate_weight, options.residual_weight)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        image, text = self.image_projection(images.pooled), self.text_projection(texts.pooled)  # (b, d) each
        return {"global": F.normalize(self.composition(image, text), dim=-1)}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images, by the projection that the reference image takes."""
        return {"global": F.normalize(self.image_projection(images.pooled), dim=-1)}


def native_loss(queries: Tensor, targets: Tensor, scale: Tensor | float = NATIVE_SCALE) -> Tensor:
    """Return the paper's batch softmax loss: row i of ``targets`` (b, d) is the target of query i.

    ``scale`` multiplies the unit vectors of both sides, so the logits are scale**2 times the cosine: 16 at the start.
    """
    queries, targets = scale * F.normalize(queries, dim=-1), scale * F.normalize(targets, dim=-1)
    return F.cross_entropy(queries @ targets.T, torch.arange(len(queries), device=queries.device))
