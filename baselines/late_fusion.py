"""Late fusion: the sum of the normalised image and the normalised text, the control that composes nothing.

The sum of embeddings is the additive baseline of composed retrieval, e.g. the image + text rows of Vo et al., CVPR
2019 and of Baldrati et al., CVPR 2022; there is no code of it to be equal to. The linear maps are trained.

Legend: b batch, d common width; P_i, P_t linear maps of the pooled image and text to d.

    query     = norm(norm(P_i image) + norm(P_t text))
    candidate = norm(P_i image)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from baselines.options import LateFusionOptions
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures


class LateFusion(Composer):
    """The sum of two unit vectors; both representations are ``global`` (b, d), unit length."""

    def __init__(self, spec: FeatureSpec, options: LateFusionOptions):
        super().__init__(spec, options)
        self.image_projection = nn.Linear(spec.image_width, options.width)
        self.text_projection = nn.Linear(spec.text_width, options.width)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        text = F.normalize(self.text_projection(texts.pooled), dim=-1)  # (b, d)
        return {"global": F.normalize(self.embed(images)["global"] + text, dim=-1)}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images."""
        return {"global": F.normalize(self.image_projection(images.pooled), dim=-1)}
