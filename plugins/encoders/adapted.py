"""The packaged encoder, its image side adapted to the training cases: `--encoder packaged+adapted`.

Each expert is EfficientNet-Lite (Lite0, or what the option ``backbone`` names) whose blocks from stride 8 on are
fine-tuned to tell groups and criteria of the training cases apart, on batches that hold equally many of every group.
Two linear classifiers, on the last feature map (stride 32) and on the one at stride 16, are applied at every position
before pooling (class activation maps; Zhou et al., CVPR 2016), so what methods see of a picture is evidence: at every
position of both levels, and pooled, the log-probability of each group and of each value of each criterion. Evidence
means the same for every expert, so the experts of benchmark/adapting.py can be averaged and exchanged, and methods
train on evidence of cases that the expert had not seen.

The blocks before stride 8 stay as they are, so what they make of strongly augmented views of the training pictures is
computed once and shared by all experts and seeds. The text side is the packaged one.

Shapes: b pictures, v views, e classes (groups and all values of all criteria), p positions, k experts; stem (b, s,
h/8, w/8) with s = 40, 48 of Lite2, levels (b, h/16 * w/16, e) and (b, h/32 * w/32, e), pooled (b, e).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmark.adapting import AdaptiveEncoder, Labels, Lesson
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from plugins.encoders.augmentation import augmented
from plugins.encoders.expert import Expert, evidence, teach
from plugins.encoders.lite import FROZEN
from plugins.encoders.minilm import MiniLM
from plugins.encoders.options import AdaptedOptions
from plugins.encoders.packaged import PackagedEncoder, fold_batch_norm
from plugins.encoders.weights import digest

RECIPE = "evidence 2"
"""Raise it when the same options teach otherwise."""
VIEWS = "views 1"
"""Raise it when pictures are augmented otherwise."""


class AdaptedEncoder(AdaptiveEncoder):
    """Evidence for groups and criteria from experts that were fine-tuned on the training cases."""

    text_width = MiniLM.width
    evidence = True
    quick: ClassVar[Mapping[str, Any]] = {"height": 64, "width": 64, "views": 1, "steps": 1}

    def __init__(self, name: str, options: AdaptedOptions):
        self.options, self.parts = options, options.parts
        self.base = PackagedEncoder("packaged", options)
        self.grids = self.base.grids
        self.labels = Labels(1, ())

    def expect(self, labels: Labels) -> None:
        self.labels = labels

    @property
    def classes(self) -> tuple[int, ...]:
        """The number of groups, and of values of each criterion."""
        return (self.labels.groups, *self.labels.values)

    @property
    def image_width(self) -> int:  # type: ignore[override]  # known once the labels are
        return sum(self.classes)

    @property
    def level_widths(self) -> tuple[int, ...]:  # type: ignore[override]  # known once the labels are
        return (self.image_width, self.image_width)

    @property
    def image_fingerprint(self) -> str:
        return digest(RECIPE, self.base.image_fingerprint, self.options.model_dump_json(exclude={"text", "backbone"}))

    @property
    def text_fingerprint(self) -> str:
        return self.base.text_fingerprint

    def preprocess(self, image: Image.Image) -> Tensor:
        return self.base.preprocess(image)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        return self.base.encode_texts(texts)

    def views(self) -> Encoder:
        return StemViews(self.base, self.options.views)

    def teach(self, lesson: Lesson, seed: int) -> Mapping[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # before the classifiers are drawn
            return teach(
                Expert(self.base.backbone, self.classes), lesson, self.classes, self.options, seed
            ).state_dict()

    def experts(self, weights: Sequence[Mapping[str, Tensor]]) -> Encoder:
        return Experts(self.base, self.classes, weights)


class _Fixed(Encoder):
    """An encoder that shows pictures through the frozen stem of the packaged one, and reads no text."""

    def __init__(self, base: PackagedEncoder):
        self.base, self.text_width = base, base.text_width

    @property
    def text_fingerprint(self) -> str:
        return self.base.text_fingerprint

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        return self.base.encode_texts(texts)

    def stem(self, pixels: Tensor) -> Tensor:
        """Return (b, s, h/8, w/8) of pictures (b, 3, h, w)."""
        return torch.cat([self._stem(few.contiguous(memory_format=torch.channels_last)) for few in pixels.split(4)])

    @cached_property
    def _stem(self) -> nn.Module:
        network = self.base.backbone.load()
        first = nn.Sequential(network.conv_stem, network.bn1, *list(network.blocks)[:FROZEN])
        return fold_batch_norm(first).to(memory_format=torch.channels_last)


class StemViews(_Fixed):
    """What the frozen stem makes of v augmented views of a picture; the views follow from the picture alone."""

    def __init__(self, base: PackagedEncoder, views: int):
        super().__init__(base)
        height, width = base.options.height // 8, base.options.width // 8
        self.count, self.level_widths, self.image_width = views, (base.backbone.stem,), 1
        self.grids = ((views * height, width),)

    @property
    def image_fingerprint(self) -> str:
        return digest(VIEWS, self.base.image_fingerprint, f"{self.count} views of block {FROZEN}")

    def preprocess(self, image: Image.Image) -> Tensor:
        """Return views (v, 3, h, w)."""
        seed = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big")
        draw, size = np.random.default_rng(seed), (self.base.options.width, self.base.options.height)
        return torch.stack([self.base.preprocess(augmented(image, size, draw)) for _ in range(self.count)])

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Encode views (b, v, 3, h, w): one level (b, v h/8 w/8, s)."""
        maps = self.stem(pixels.flatten(0, 1)).flatten(2).transpose(1, 2)
        level = maps.reshape(len(pixels), -1, self.base.backbone.stem)
        return ImageFeatures((level,), self.grids, level.new_zeros(len(pixels), 1))


class Experts(_Fixed):
    """k experts side by side. Each sees a picture and its mirror image; what it makes of both is averaged."""

    def __init__(self, base: PackagedEncoder, classes: tuple[int, ...], weights: Sequence[Mapping[str, Tensor]]):
        super().__init__(base)
        self.classes, self.weights, self.grids = classes, weights, base.grids
        self.image_width = sum(classes) * len(weights)
        self.level_widths = (self.image_width, self.image_width)

    @cached_property
    def image_fingerprint(self) -> str:
        hashed = hashlib.sha256()
        for one in self.weights:
            for name in sorted(one):
                hashed.update(one[name].numpy().tobytes())
        return digest(RECIPE, self.base.image_fingerprint, f"{self.classes}", hashed.hexdigest())

    def preprocess(self, image: Image.Image) -> Tensor:
        return self.base.preprocess(image)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        stems = [self.stem(pixels), self.stem(pixels.flip(-1))]
        shown = [evidence(expert, stems, self.classes) for expert in self._experts]
        fine, coarse, pooled = (torch.cat(parts, dim=-1) for parts in zip(*shown, strict=True))
        return ImageFeatures((fine, coarse), self.grids, pooled)

    @cached_property
    def _experts(self) -> list[Expert]:
        made = []
        for weights in self.weights:
            expert = Expert(self.base.backbone, self.classes)
            expert.load_state_dict(dict(weights))
            made.append(expert.eval().requires_grad_(False).to(memory_format=torch.channels_last))
        return made
