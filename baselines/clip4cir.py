"""CLIP4Cir's combiner: a learned mixture of image and text plus a learned residual.

Alberto Baldrati, Marco Bertini, Tiberio Uricchio, Alberto Del Bimbo: Conditioned and Composed Image Retrieval
Combining and Partially Fine-Tuning CLIP-Based Features. CVPR Workshops 2022. Its code, github.com/ABaldrati/CLIP4Cir,
fixes what the paper leaves open; tests/baselines/parity/combiner.json holds its numbers.

Legend: b batch, i image width, t text width, d common width, p = 4d inner projection, h = 8d hidden width.

    u = [drop(relu(W_t text)) ; drop(relu(W_i image))]     (b, 2p)
    v = W_o drop(relu(W_c u))                              (b, d)
    s = sigmoid(w_2 drop(relu(W_1 u)))                     (b, 1)
    out = norm(v + s * text + (1 - s) * image)

What differs from the paper in the unified setting: the encoder is not CLIP and is not fine-tuned by the paper's first
stage, so linear maps bring the two pooled features to one width: the row is the combiner, not the whole of CLIP4Cir.
The common width is 256, not 640, which keeps a training of a few hundred cases quick on a CPU. The objective learns
its logit scale; the paper's is fixed at 100 (``native_loss``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.options import CLIP4CirOptions
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures

NATIVE_LOGIT_SCALE = 100.0


class Combiner(nn.Module):
    """The published combiner of an image (b, d) and a text (b, d)."""

    def __init__(self, width: int, projection: int, hidden: int, dropout: float = 0.5):
        super().__init__()
        self.text_branch = nn.Sequential(nn.Linear(width, projection), nn.ReLU(), nn.Dropout(dropout))
        self.image_branch = nn.Sequential(nn.Linear(width, projection), nn.ReLU(), nn.Dropout(dropout))
        self.residual = nn.Sequential(
            nn.Linear(2 * projection, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )
        self.text_share = nn.Sequential(
            nn.Linear(2 * projection, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1), nn.Sigmoid()
        )

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Return the composed features (b, d), unit length."""
        joint = torch.cat([self.text_branch(text), self.image_branch(image)], dim=-1)  # (b, 2p)
        share = self.text_share(joint)  # (b, 1)
        return F.normalize(self.residual(joint) + share * text + (1 - share) * image, dim=-1)


class CLIP4Cir(Composer):
    """The combiner on linear projections of the pooled features; both representations are ``global`` (b, d), unit
    length.
    """

    label = "clip4cir (combiner, projected)"

    def __init__(self, spec: FeatureSpec, options: CLIP4CirOptions):
        super().__init__(spec, options)
        width = options.width
        self.image_projection = nn.Linear(spec.image_width, width)
        self.text_projection = nn.Linear(spec.text_width, width)
        self.combiner = Combiner(
            width, options.projection_factor * width, options.hidden_factor * width, options.dropout
        )

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        return {"global": self.combiner(self.image_projection(images.pooled), self.text_projection(texts.pooled))}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images, by the projection that the reference image takes."""
        return {"global": F.normalize(self.image_projection(images.pooled), dim=-1)}


def native_loss(queries: Tensor, targets: Tensor, logit_scale: float = NATIVE_LOGIT_SCALE) -> Tensor:
    """Return the paper's loss for composed ``queries`` (b, d), unit length, and raw ``targets`` (b, d): cross entropy
    of the scaled cosines, where row i of ``targets`` is the target of query i.
    """
    logits = logit_scale * queries @ F.normalize(targets, dim=-1).T  # (b, b)
    return F.cross_entropy(logits, torch.arange(len(queries), device=queries.device))
