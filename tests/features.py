"""Random features of a given shape, for tests of composers, scorers and training."""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmark.interfaces import FeatureSpec, ImageFeatures, LabelledSet, TextFeatures
from tests.toy import CRITERIA

SPEC = FeatureSpec((5, 7), ((4, 6), (2, 3)), image_width=11, text_width=9, groups=3, criteria=CRITERIA)
# Three groups, then two criteria of two values each (tests/toy.py).
EVIDENT = replace(SPEC, level_widths=(7, 7), image_width=7, evidence=True)


def images(count: int, seed: int = 0, spec: FeatureSpec = SPEC) -> ImageFeatures:
    draw = torch.Generator().manual_seed(seed)
    levels = tuple(
        torch.randn(count, h * w, d, generator=draw) for d, (h, w) in zip(spec.level_widths, spec.grids, strict=True)
    )
    return ImageFeatures(levels, spec.grids, torch.randn(count, spec.image_width, generator=draw))


def texts(count: int, seed: int = 0, length: int = 6, spec: FeatureSpec = SPEC) -> TextFeatures:
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randn(count, length, spec.text_width, generator=draw)
    mask = torch.arange(length)[None] < torch.randint(2, length + 1, (count, 1), generator=draw)
    return TextFeatures(tokens * mask[..., None], mask, torch.randn(count, spec.text_width, generator=draw))


def labelled(count: int, seed: int = 0, signal: float = 2.0) -> LabelledSet:
    """Cases of three groups that image and text both give away a little; the criteria follow the group."""
    groups = torch.arange(count) % 3
    criteria = torch.stack([groups % 2, (groups > 1).long()], dim=1)
    picture, words = images(count, seed), texts(count, seed)
    # The directions of the groups are the same in every set.
    marks = torch.nn.functional.one_hot(groups, 3).float() * signal
    picture.pooled[:, :3] += marks
    words.pooled[:, :3] += marks
    words.tokens[:, 0, :3] += marks
    picture.levels[1][:, 0, :3] += marks
    grades = (groups[:, None] == groups[None]).to(torch.uint8)
    grades.fill_diagonal_(0)
    ids = tuple(f"c{seed}-{i}" for i in range(count))
    return LabelledSet(ids, picture, groups, criteria, torch.arange(count), words, grades, groups)


def evident(count: int) -> ImageFeatures:
    """Log-probabilities everywhere."""
    draw = torch.Generator().manual_seed(1)

    def shown(*shape: int) -> torch.Tensor:
        parts = torch.randn(*shape, 7, generator=draw).split((3, 2, 2), dim=-1)
        return torch.cat([part.log_softmax(-1) for part in parts], dim=-1)

    levels = tuple(shown(count, h * w) for h, w in EVIDENT.grids)
    return ImageFeatures(levels, EVIDENT.grids, shown(count))
