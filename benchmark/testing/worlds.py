"""Tiny worlds of random features in which group and findings can be learnt: no picture, no encoder, always the same.

Shapes: n cases, q queries (one a case), t tokens, c criteria. Features come in half precision, as the cache holds them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.interfaces import Criterion, FeatureSpec, ImageFeatures, LabelledSet, Phrases, TextFeatures

MARK = 3.0
"""How far pooled features of a group are moved in its own direction, in standard deviations of the noise there."""
NUISANCE = 2.0
"""How much larger the noise is in directions that tell nothing: without learning, it blurs what is near."""
THIN = 0.4
"""How much of the mark a single position or token has: there are several of them."""
LONGEST = 7
SIZES = {"train": (20, 16, 12), "valid": (8, 6, 6), "test": (12, 10, 8)}
"""Cases of each of the three groups."""


@dataclass(frozen=True)
class World:
    """What a method is built for, what it learns from, and what it has not seen."""

    spec: FeatureSpec
    train: LabelledSet
    valid: LabelledSet
    test: LabelledSet


def _criterion(name: str, values: tuple[str, ...], weight: float) -> Criterion:
    phrases = {v: Phrases(f"{v} {name}", v[:3], tuple(f"{v} {name}, {i}" for i in range(5))) for v in values}
    return Criterion(name, values, weight, phrases)


CRITERIA = (
    _criterion("border", ("thin", "thick"), 2.0),
    _criterion("spot", ("none", "pale", "dark"), 1.0),
    _criterion("network", ("absent", "typical", "atypical", "lost"), 1.0),
)
SPEC = FeatureSpec((5, 7), ((4, 6), (2, 3)), image_width=11, text_width=9, groups=3, criteria=CRITERIA)
PLAIN = FeatureSpec((6, 10), ((3, 3), (2, 1)), image_width=8, text_width=13, groups=3, criteria=())
ALIGNED = replace(SPEC, image_width=9, aligned=True)


def world(spec: FeatureSpec = SPEC) -> World:
    """Return the world of ``spec``. Image and text each tell the group with some noise, on every level and token."""
    names = list(SIZES)
    return World(spec, *(_labelled(spec, name, seed) for seed, name in enumerate(names)))


def _labelled(spec: FeatureSpec, name: str, seed: int) -> LabelledSet:
    draw = torch.Generator().manual_seed(seed)
    groups = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES[name]))
    groups = groups[torch.randperm(len(groups), generator=draw)]
    criteria = _findings(spec, groups, draw)
    return LabelledSet(
        ids=tuple(f"{name}-{row}" for row in range(len(groups))),
        images=_images(spec, groups, draw),
        groups=groups,
        criteria=criteria,
        reference=torch.arange(len(groups)),
        texts=_texts(spec, groups, draw),
        grades=_grades(groups, criteria),
        strata=groups,
    )


def _findings(spec: FeatureSpec, groups: Tensor, draw: torch.Generator) -> Tensor:
    """Return codes (n, c): half of them follow the group, half are drawn."""
    columns = []
    for position, criterion in enumerate(spec.criteria):
        count = len(criterion.values)
        follows = torch.rand(len(groups), generator=draw) < 0.5
        drawn = torch.randint(count, (len(groups),), generator=draw)
        columns.append(torch.where(follows, (groups + position) % count, drawn))
    return torch.stack(columns, dim=1) if columns else torch.zeros(len(groups), 0, dtype=torch.int64)


def _grades(groups: Tensor, criteria: Tensor) -> Tensor:
    """Return (q, n) uint8: 1 for the same group, 2 where all findings agree too, 0 for a case and itself."""
    same = groups[:, None] == groups[None]
    alike = (criteria[:, None] == criteria[None]).all(-1)
    grades = same.to(torch.uint8) * (1 + alike.to(torch.uint8))
    return grades.fill_diagonal_(0)


def _images(spec: FeatureSpec, groups: Tensor, draw: torch.Generator) -> ImageFeatures:
    levels = tuple(
        _marked(groups, (h * w,), width, draw) for (h, w), width in zip(spec.grids, spec.level_widths, strict=True)
    )
    return ImageFeatures(levels, spec.grids, _marked(groups, (), spec.image_width, draw))


def _texts(spec: FeatureSpec, groups: Tensor, draw: torch.Generator) -> TextFeatures:
    lengths = torch.randint(2, LONGEST, (len(groups),), generator=draw)
    lengths[0] = LONGEST
    mask = torch.arange(LONGEST)[None] < lengths[:, None]
    tokens = _marked(groups, (LONGEST,), spec.text_width, draw) * mask[..., None]
    return TextFeatures(tokens, mask, _marked(groups, (), spec.text_width, draw))


def _marked(groups: Tensor, between: tuple[int, ...], width: int, draw: torch.Generator) -> Tensor:
    """Return noise (n, *between, width) plus the group's direction, the same in all sets and on all sides."""
    mark = MARK * THIN if between else MARK
    marks = F.pad(F.one_hot(groups, 3).float() * mark, (0, width - 3))
    noise = torch.randn(len(groups), *between, width, generator=draw)
    noise[..., 3:] *= NUISANCE
    return (noise + marks.reshape(len(groups), *(1 for _ in between), width)).half()
