"""A sound composer, scorer and method, which the tests break in one place each, and what the checks say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.interfaces import (
    Composer,
    FitContext,
    Gallery,
    ImageFeatures,
    LabelledSet,
    Method,
    Queries,
    Representation,
    Scorer,
    TextFeatures,
)
from benchmark.testing import CheckResult
from benchmark.testing.method_checks import ON_GPU


class Sound(Composer):
    """Image plus text."""

    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.image, self.text = nn.Linear(spec.image_width, 16), nn.Linear(spec.text_width, 16)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        return {"global": self.image(images.pooled) + self.text(texts.pooled)}

    def embed(self, images: ImageFeatures) -> Representation:
        return {"global": self.image(images.pooled)}


class SoundScorer(Scorer):
    """Cosine."""

    def score(self, query: Representation, candidates: Representation) -> Tensor:
        return self.as_vectors(query, "query") @ self.as_vectors(candidates, "candidate").T

    def as_vectors(self, representation, side):  # type: ignore[no-untyped-def]
        return F.normalize(representation["global"], dim=-1)


class SoundMethod(Method):
    """Nearest centroids: the image or the text nearest to the mean of a group votes for the group."""

    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.means = {
            "image": torch.zeros(spec.groups, spec.image_width),
            "text": torch.zeros(spec.groups, spec.text_width),
        }

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        for group in range(self.spec.groups):
            rows = train.groups == group
            self.means["image"][group] = train.images.pooled[rows].float().mean(0)
            self.means["text"][group] = train.texts.pooled[rows].float().mean(0)

    def votes(self, side: str, pooled: Tensor) -> Tensor:
        return -torch.cdist(pooled.float(), self.means[side])

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        asked = self.votes("image", queries.images.pooled) + self.votes("text", queries.texts.pooled)
        return asked.softmax(1) @ self.votes("image", gallery.images.pooled).softmax(1).T

    def state(self) -> dict[str, Tensor]:
        return dict(self.means)

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.means = dict(state)


def not_passed(results: Sequence[CheckResult]) -> list[str]:
    """Return the checks that failed or were skipped, but for that on a GPU, which not every machine has."""
    return [str(result) for result in results if result.status != "passed" and result.name != ON_GPU]


def the_failure(results: Sequence[CheckResult]) -> CheckResult:
    """Return the one check that failed."""
    (failed,) = [result for result in results if not result.passed]
    return failed
