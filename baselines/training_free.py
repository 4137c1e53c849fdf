"""Training-free composition: the similarity to the reference image and the similarity to the text, added or multiplied.

It needs an encoder whose images and texts lie in one space (CLIP; Radford et al., ICML 2021) and is the control that
zero-shot composed retrieval starts from (image + text of Vo et al., CVPR 2019). There is no code to be equal to.

Legend: q queries, g candidates, d width of the common space, v views of a case (their vectors stand one after another
in the pooled image). cos over several views is the mean over views: like with like for images, each with the text.

    sum      s = cos(q_image, c) + cos(q_text, c)
    product  s = (1 + cos(q_image, c)) / 2 * (1 + cos(q_text, c)) / 2

The cosines are moved to 0..1 before they are multiplied: the product of two negative ones would be a high score.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch.nn.functional as F
from pydantic import BaseModel
from torch import Tensor

from benchmark.errors import UserError
from benchmark.interfaces import FeatureSpec, FitContext, Gallery, LabelledSet, Method, Queries


class TrainingFree(Method):
    """Ranks by two cosines of pooled features; a subclass says how they are joined."""

    trained = False

    def __init__(self, spec: FeatureSpec, options: BaseModel):
        super().__init__(spec, options)
        if not spec.aligned:
            raise UserError(
                "sum and product compare images with texts, which needs an encoder whose two spaces are aligned: "
                "open_clip:... or transformers:NAME (a CLIP- or SigLIP-like model). Name one with --encoder, or leave "
                "these methods out."
            )

    @abstractmethod
    def join(self, image: Tensor, text: Tensor) -> Tensor:
        """Join the cosines to the reference images and those to the texts, both (q, g)."""

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """There is nothing to learn."""

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return the joined cosines (q, g) on the CPU."""
        width = self.spec.text_width
        references = unit_views(queries.images.pooled, width)  # (q, v, d)
        candidates = unit_views(gallery.images.pooled, width)  # (g, v, d)
        texts = F.normalize(queries.texts.pooled.float(), dim=-1)  # (q, d)
        image = (references.flatten(1) @ candidates.flatten(1).T) / candidates.shape[1]
        return self.join(image, texts @ candidates.mean(1).T).cpu()

    def state(self) -> dict[str, Tensor]:
        """Return nothing: there are no weights."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """There is nothing to restore."""


class SumOfSimilarities(TrainingFree):
    """s = cos(q_image, c) + cos(q_text, c), in -2..2."""

    def join(self, image: Tensor, text: Tensor) -> Tensor:
        return image + text


class ProductOfSimilarities(TrainingFree):
    """s = (1 + cos(q_image, c)) / 2 * (1 + cos(q_text, c)) / 2, in 0..1."""

    def join(self, image: Tensor, text: Tensor) -> Tensor:
        return (1 + image) / 2 * (1 + text) / 2


def unit_views(pooled: Tensor, width: int) -> Tensor:
    """Return the pooled images (n, v * d) as unit vectors (n, v, d), one a view."""
    return F.normalize(pooled.float().unflatten(-1, (-1, width)), dim=-1)
