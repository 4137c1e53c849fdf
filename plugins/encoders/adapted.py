"""The packaged encoder, its image side adapted to the training cases: `--encoder packaged+adapted`.

Each expert is EfficientNet-Lite0 whose blocks from stride 8 on are fine-tuned to tell groups and criteria of the
training cases apart, on batches that hold equally many of every group. Two linear classifiers, on the last feature map
(stride 32) and on the one at stride 16, are applied at every position before pooling (class activation maps; Zhou et
al., CVPR 2016), so what methods see of a picture is evidence: at every position of both levels, and pooled, the
log-probability of each group and of each value of each criterion. Evidence means the same for every expert, so the
experts of benchmark/adapting.py can be averaged and exchanged, and methods train on evidence of cases that the expert
had not seen.

The blocks before stride 8 stay as they are, so what they make of strongly augmented views of the training pictures is
computed once and shared by all experts and seeds. The text side is the packaged one.

Shapes: b pictures, v views, e classes (groups and all values of all criteria), p positions, k experts; stem (b, 40,
h/8, w/8), levels (b, h/16 * w/16, e) and (b, h/32 * w/32, e), pooled (b, e).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.adapting import AdaptiveEncoder, Labels, Lesson
from benchmark.errors import PluginError
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from plugins.encoders.augmentation import augmented
from plugins.encoders.minilm import MiniLM
from plugins.encoders.options import AdaptedOptions
from plugins.encoders.packaged import PackagedEncoder, fold_batch_norm, load_lite0
from plugins.encoders.weights import digest

FROZEN = 3
"""Blocks of EfficientNet-Lite0 that stay as they are; the next one begins at stride 8."""
FINE = 4
"""The last block at stride 16."""
STEM_WIDTH, FINE_WIDTH, LAST_WIDTH = 40, 112, 1280
RECIPE = "evidence 2"
"""Raise it when the same options teach otherwise."""
VIEWS = "views 1"
"""Raise it when pictures are augmented otherwise."""


class AdaptedEncoder(AdaptiveEncoder):
    """Evidence for groups and criteria from experts that were fine-tuned on the training cases."""

    text_width = MiniLM.width
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
        return digest(RECIPE, self.base.image_fingerprint, self.options.model_dump_json(exclude={"text"}))

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
            return teach(Expert(self.classes), lesson, self.classes, self.options, seed).state_dict()

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
        """Return (b, 40, h/8, w/8) of pictures (b, 3, h, w)."""
        return torch.cat([self._stem(few.contiguous(memory_format=torch.channels_last)) for few in pixels.split(4)])

    @cached_property
    def _stem(self) -> nn.Module:
        network = load_lite0()
        first = nn.Sequential(network.conv_stem, network.bn1, *list(network.blocks)[:FROZEN])
        return fold_batch_norm(first).to(memory_format=torch.channels_last)


class StemViews(_Fixed):
    """What the frozen stem makes of v augmented views of a picture; the views follow from the picture alone."""

    def __init__(self, base: PackagedEncoder, views: int):
        super().__init__(base)
        height, width = base.options.height // 8, base.options.width // 8
        self.count, self.level_widths, self.image_width = views, (STEM_WIDTH,), 1
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
        """Encode views (b, v, 3, h, w): one level (b, v h/8 w/8, 40)."""
        maps = self.stem(pixels.flatten(0, 1)).flatten(2).transpose(1, 2)
        level = maps.reshape(len(pixels), -1, STEM_WIDTH)
        return ImageFeatures((level,), self.grids, level.new_zeros(len(pixels), 1))


class Expert(nn.Module):
    """The part of the network that learns: blocks from stride 8 on, and a classifier on each of two maps."""

    def __init__(self, classes: Sequence[int]):
        super().__init__()
        network: Any = load_lite0().requires_grad_(True)
        self.blocks = nn.ModuleList(list(network.blocks)[FROZEN:])
        self.head, self.norm = network.conv_head, network.bn2
        self.fine, self.coarse = (nn.Linear(width, sum(classes)) for width in (FINE_WIDTH, LAST_WIDTH))
        for classifier in self.classifiers():
            nn.init.normal_(classifier.weight, std=0.01)
            nn.init.zeros_(classifier.bias)

    def classifiers(self) -> tuple[nn.Linear, nn.Linear]:
        """Return the classifiers of stride 16 and 32."""
        return self.fine, self.coarse

    def maps(self, stem: Tensor) -> tuple[Tensor, Tensor]:
        """Return the feature maps (b, 112, h/16, w/16) and (b, 1280, h/32, w/32)."""
        fine = stem
        for number, block in enumerate(self.blocks, start=FROZEN):
            stem = block(stem)
            fine = stem if number == FINE else fine
        return fine, self.norm(self.head(stem))

    def train(self, mode: bool = True) -> Expert:
        """Learn with the published batch statistics: batches that are balanced over groups have others."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


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
            expert = Expert(self.classes)
            expert.load_state_dict(dict(weights))
            made.append(expert.eval().requires_grad_(False).to(memory_format=torch.channels_last))
        return made


def evidence(expert: Expert, stems: Sequence[Tensor], classes: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the levels (b, p, e) at strides 16 and 32 and the pooled evidence (b, e) of pictures, from what the stem
    makes of them and of their mirror images.
    """
    straight, mirrored = (_logits(expert, stem) for stem in stems)
    fine, coarse = ((one + other.flip(2)) / 2 for one, other in zip(straight, mirrored, strict=True))
    pooled = coarse.mean((1, 2))
    shown = tuple(_log_probabilities(logits, classes) for logits in (fine.flatten(1, 2), coarse.flatten(1, 2), pooled))
    return shown[0], shown[1], shown[2]


def _logits(expert: Expert, stem: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of every position, (b, h/16, w/16, e) and (b, h/32, w/32, e)."""
    pairs = zip(expert.classifiers(), expert.maps(stem), strict=True)
    fine, coarse = (classifier(maps.permute(0, 2, 3, 1)) for classifier, maps in pairs)
    return fine, coarse


def _log_probabilities(logits: Tensor, classes: Sequence[int]) -> Tensor:
    return torch.cat([part.log_softmax(-1) for part in logits.split(list(classes), dim=-1)], dim=-1)


def teach(expert: Expert, lesson: Lesson, classes: Sequence[int], options: AdaptedOptions, seed: int) -> Expert:
    """Fine-tune ``expert`` on a lesson of stem views; return the moving average of its weights.

    The loss is the cross entropy of the group plus the mean of those of the criteria, on the last map, plus half of the
    same at stride 16. AdamW with one cycle of the learning rate, ten times as high for the classifiers. ``seed`` draws
    the batches; dropout draws from torch's generator.
    """
    expert.train().to(memory_format=torch.channels_last)
    average = copy.deepcopy(expert)
    optimiser = _optimiser(expert, options)
    peaks = [group["lr"] for group in optimiser.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, total_steps=options.steps, pct_start=0.15)
    for step, (stem, codes) in enumerate(_batches(lesson, options, np.random.default_rng(seed))):
        optimiser.zero_grad(set_to_none=True)
        for few, their in zip(stem.split(20), codes.split(20), strict=True):  # Half the memory, the same gradient.
            (_loss(expert, few, their, classes, options) * len(few) / len(stem)).backward()
        nn.utils.clip_grad_norm_(expert.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        _follow(average, expert, kept=(1 + step) / (10 + step))
    if not all(bool(torch.isfinite(value).all()) for value in average.state_dict().values()):
        raise PluginError("adaptation diverged: lower the option learning_rate")
    return average.eval()


def _optimiser(expert: Expert, options: AdaptedOptions) -> torch.optim.Optimizer:
    last = [value for classifier in expert.classifiers() for value in classifier.parameters()]
    known = {id(value) for value in last}
    body = [value for value in expert.parameters() if id(value) not in known]
    rate = options.learning_rate
    return torch.optim.AdamW([{"params": body, "lr": rate}, {"params": last, "lr": 10 * rate}], weight_decay=0.02)


def _batches(lesson: Lesson, options: AdaptedOptions, draw: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the stem's maps (b, 40, h/8, w/8) of one view each, and codes (b, 1 + c) of group and criteria."""
    height, width = options.height // 8, options.width // 8
    views = lesson.images.levels[0].unflatten(1, (options.views, height, width))
    codes = torch.cat([lesson.groups[:, None], lesson.criteria], dim=1)
    members = [(lesson.groups == group).nonzero().flatten().numpy() for group in lesson.groups.unique()]
    share = max(1, options.batch_size // len(members))
    for _ in range(options.steps):
        rows = np.concatenate([draw.choice(rows, share, replace=len(rows) < share) for rows in members])
        chosen = torch.from_numpy(rows)
        stem = views[chosen, torch.from_numpy(draw.integers(0, options.views, len(rows)))]
        yield stem.float().permute(0, 3, 1, 2), codes[chosen]


def _loss(expert: Expert, stem: Tensor, codes: Tensor, classes: Sequence[int], options: AdaptedOptions) -> Tensor:
    total = stem.new_zeros(())
    pairs = zip(expert.classifiers(), expert.maps(stem), (0.5, 1.0), (0.0, options.dropout), strict=True)
    for classifier, maps, weight, dropout in pairs:
        logits = classifier(F.dropout(maps.mean((2, 3)), dropout))
        group, *criteria = logits.split(list(classes), dim=1)
        loss = F.cross_entropy(group, codes[:, 0], label_smoothing=0.1)
        terms = [F.cross_entropy(one, codes[:, 1 + i], label_smoothing=0.05) for i, one in enumerate(criteria)]
        total = total + weight * (loss + torch.stack(terms).mean() if terms else loss)
    return total


@torch.no_grad()
def _follow(average: nn.Module, module: nn.Module, kept: float) -> None:
    for slow, fast in zip(average.parameters(), module.parameters(), strict=True):
        slow.lerp_(fast, 1 - min(0.98, kept))
