"""The baseline of the literature: Grad-CAM of a classifier of the criteria (Selvaraju et al., ICCV 2017), by captum.

The classifier learns from the same frozen features and labels as a method: standardised features of one level, a 1 x 1
convolution with ReLU, the mean over all places, a linear layer. Grad-CAM explains the logit of the case's true value,
as in the pointing game of its paper: masks of a composer are told no label.

Shapes: b cases, d width of a level, (r, c) its grid, c criteria, k values of all criteria together.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.config import Training
from benchmark.errors import UserError
from benchmark.interfaces import Criterion, ImageFeatures, LabelledSet
from benchmark.masks.fit import Maps
from benchmark.masks.measures import Box

WIDTH = 128


class CriterionClassifier(nn.Module):
    """Logits (b, k) of every value of every criterion from a level's map (b, d, r, c)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, values: Sequence[int], examples: Tensor):
        super().__init__()
        self.values = list(values)
        self.register_buffer("mean", examples.mean((0, 2, 3), keepdim=True))
        self.register_buffer("deviation", examples.std((0, 2, 3), keepdim=True) + 1e-6)
        self.stage = nn.Sequential(nn.Conv2d(examples.shape[1], WIDTH, 1), nn.ReLU())
        self.head = nn.Linear(WIDTH, sum(values))

    def forward(self, level: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.stage((level - self.mean) / self.deviation).mean((2, 3)))
        return logits

    def loss(self, level: Tensor, codes: Tensor) -> Tensor:
        """Return the cross entropy of ``codes`` (b, c), averaged over the criteria."""
        parts = self(level).split(self.values, dim=1)
        return torch.stack([F.cross_entropy(part, codes[:, i]) for i, part in enumerate(parts)]).mean()


def as_map(images: ImageFeatures, level: int) -> Tensor:
    """Return one level as a map (b, d, r, c), float32."""
    tokens = images.levels[level].float()
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], *images.grids[level]).contiguous()


def train_classifier(
    train: LabelledSet, valid: LabelledSet, criteria: Sequence[Criterion], level: int, settings: Training, seed: int
) -> CriterionClassifier:
    """Return a classifier at its best epoch on valid, trained as long and by the optimiser that every method gets."""
    torch.manual_seed(seed)
    inputs, checked = as_map(train.images, level), as_map(valid.images, level)
    model = CriterionClassifier([len(criterion.values) for criterion in criteria], inputs)
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    best, best_state, waited = math.inf, copy.deepcopy(model.state_dict()), 0
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(inputs)).split(settings.batch_size):
            optimiser.zero_grad()
            model.loss(inputs[rows], train.criteria[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            reached = model.loss(checked, valid.criteria).item()
        waited += 1
        if reached < best:
            best, best_state, waited = reached, copy.deepcopy(model.state_dict()), 0
        if waited >= settings.patience:
            break
    model.load_state_dict(best_state)
    return model.eval()


def gradcam_maps(
    model: CriterionClassifier, images: ImageFeatures, codes: Tensor, level: int, boxes: Sequence[Box]
) -> Maps:
    """Return the Grad-CAM of the true value of each criterion, ``codes`` (b, c), on the grid of a level.

    Raises:
        UserError: captum is not installed.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError as error:
        raise UserError(
            'Grad-CAM comes from captum, which is not installed: pip install "dermcir[masks]", or leave that row out '
            "with --no-grad-cam."
        ) from error
    explain = LayerGradCam(model, model.stage)
    inputs, starts = as_map(images, level), itertools.accumulate([0, *model.values[:-1]])
    maps = [
        explain.attribute(inputs, target=start + codes[:, place], relu_attributions=True)
        for place, start in enumerate(starts)
    ]
    return Maps(torch.cat(maps, dim=1).detach().numpy().astype(np.float64), boxes, True)
