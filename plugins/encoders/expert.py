"""An expert of the adapted encoder: the part of EfficientNet-Lite that learns, how it is taught, and its evidence.

Shapes: b pictures, e classes (groups and all values of all criteria), p positions; stem (b, s, h/8, w/8) with s = 40,
48 of Lite2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.adapting import Lesson
from benchmark.errors import PluginError
from plugins.encoders.lite import FINE, FROZEN, Backbone
from plugins.encoders.options import AdaptedOptions


class Expert(nn.Module):
    """The part of the network that learns: blocks from stride 8 on, and a classifier on each of two maps."""

    def __init__(self, backbone: Backbone, classes: Sequence[int]):
        super().__init__()
        network: Any = backbone.load().requires_grad_(True)
        self.blocks = nn.ModuleList(list(network.blocks)[FROZEN:])
        self.head, self.norm = network.conv_head, network.bn2
        self.fine, self.coarse = (nn.Linear(width, sum(classes)) for width in (backbone.fine, backbone.last))
        for classifier in self.classifiers():
            nn.init.normal_(classifier.weight, std=0.01)
            nn.init.zeros_(classifier.bias)

    def classifiers(self) -> tuple[nn.Linear, nn.Linear]:
        """Return the classifiers of stride 16 and 32."""
        return self.fine, self.coarse

    def maps(self, stem: Tensor) -> tuple[Tensor, Tensor]:
        """Return the feature maps (b, f, h/16, w/16) with f = 112, 120 of Lite2, and (b, 1280, h/32, w/32)."""
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
    """Yield the stem's maps (b, s, h/8, w/8) of one view each, and codes (b, 1 + c) of group and criteria."""
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
