"""An adaptive encoder in a few lines, for the tests: the log-probability of each group by the nearest mean colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from benchmark.adapting import AdaptiveEncoder, Labels, Lesson
from benchmark.hookspecs import hookimpl
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from tests.toy import ToyEncoder


class NearestColour(AdaptiveEncoder):
    """Each expert knows the mean colours of the groups in its lesson."""

    parts = 3
    level_widths = (1,)
    grids = ((1, 1),)
    image_width = 1
    text_width = ToyEncoder.text_width
    image_fingerprint = "nearest-colour-1"
    text_fingerprint = ToyEncoder.text_fingerprint

    def __init__(self, name: str, options: object):
        self.base = ToyEncoder("mean-colour", options)

    def expect(self, labels: Labels) -> None:
        self.image_width, self.level_widths = labels.groups, (labels.groups,)

    def views(self) -> Encoder:
        return self.base

    def teach(self, lesson: Lesson, seed: int) -> Mapping[str, Tensor]:
        colours = lesson.images.pooled.float()
        return {"centres": torch.stack([colours[lesson.groups == g].mean(0) for g in range(self.image_width)])}

    def experts(self, weights: Sequence[Mapping[str, Tensor]]) -> Encoder:
        return Judges(self.base, torch.stack([one["centres"] for one in weights]))

    def preprocess(self, image: Image.Image) -> Tensor:
        return self.base.preprocess(image)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        return self.base.encode_texts(texts)


class Judges(ToyEncoder):
    """All experts side by side; ``centres`` are (k, groups, 6)."""

    grids = ((1, 1),)

    def __init__(self, base: ToyEncoder, centres: Tensor):
        self.base, self.centres = base, centres
        self.image_width = centres.shape[0] * centres.shape[1]
        self.level_widths = (self.image_width,)
        self.image_fingerprint = f"nearest-colour {centres.flatten().tolist()}"

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        colours = self.base.encode_images(pixels).pooled
        distance = (colours[:, None, None] - self.centres).square().sum(-1)  # (b, k, groups)
        pooled = (-4 * distance).log_softmax(-1).flatten(1)
        return ImageFeatures((pooled[:, None],), self.grids, pooled)


@hookimpl
def register_encoders(register):  # type: ignore[no-untyped-def]
    register("nearest-colour", NearestColour, summary="evidence for groups by mean colour", citation="dermcir tests")
