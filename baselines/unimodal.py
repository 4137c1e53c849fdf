"""The one-modality controls: what a query's image alone, or its text alone, finds.

A composed method that does not beat the better of the two has composed nothing. They are trained like every other
method, so that the comparison is about the modality and not about training (Vo et al., CVPR 2019, report the same two
controls); there is no code of them to be equal to.

Legend: b batch, d width; P_i, P_t linear maps of the pooled image and text to d.

    image-only: query = norm(P_i image)      candidate = norm(P_i image)
    text-only:  query = norm(P_t text)       candidate = norm(P_i image)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from baselines.options import ImageOnlyOptions, TextOnlyOptions
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures


class ImageOnly(Composer):
    """Ignores the text; both representations are ``global`` (b, d), unit length."""

    modality = "image"

    def __init__(self, spec: FeatureSpec, options: ImageOnlyOptions):
        super().__init__(spec, options)
        self.image_projection = nn.Linear(spec.image_width, options.width)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images; ``texts`` is not read."""
        return self.embed(images)

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images."""
        return {"global": F.normalize(self.image_projection(images.pooled), dim=-1)}


class TextOnly(Composer):
    """Ignores the reference image; both representations are ``global`` (b, d), unit length."""

    modality = "text"

    def __init__(self, spec: FeatureSpec, options: TextOnlyOptions):
        super().__init__(spec, options)
        self.text_projection = nn.Linear(spec.text_width, options.width)
        self.image_projection = nn.Linear(spec.image_width, options.width)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b texts; ``images`` is not read."""
        return {"global": F.normalize(self.text_projection(texts.pooled), dim=-1)}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images."""
        return {"global": F.normalize(self.image_projection(images.pooled), dim=-1)}
