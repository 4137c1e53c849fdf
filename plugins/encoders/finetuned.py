"""The packaged image side as a network that can be trained together with a method: `run --finetune`.

As in the adapted encoder (expert.py) the blocks of EfficientNet-Lite before stride 8 stay as they are, so what they
make of a picture and of its augmented versions is computed once; the blocks from there on learn, under the published
batch statistics. Untrained, the network shows what the packaged encoder shows, to rounding.

Shapes: b pictures; stem (b, h/8 * w/8, 40); levels (b, h/16 * w/16, 112) and (b, h/32 * w/32, 320), of Lite2 48, 120
and 352 wide; pooled (b, 1280).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from benchmark.interfaces import ImageFeatures
from plugins.encoders.adapted import StemViews
from plugins.encoders.levels import flatten
from plugins.encoders.lite import FINE, FROZEN, Backbone
from plugins.encoders.packaged import PackagedEncoder
from plugins.encoders.weights import digest

VIEWS = 12
"""Augmented versions of a training picture: as many as the adapted encoder has by default, so that both share them."""


class StemPlain(StemViews):
    """What the frozen stem makes of a picture as it is."""

    def __init__(self, base: PackagedEncoder):
        super().__init__(base, 1)

    @property
    def image_fingerprint(self) -> str:
        return digest("plain 1", self.base.image_fingerprint, f"block {FROZEN}")

    def preprocess(self, image: Image.Image) -> Tensor:
        """Return the one version (1, 3, h, w)."""
        return self.base.preprocess(image)[None]


class Blocks(nn.Module):
    """EfficientNet-Lite from stride 8 on."""

    def __init__(self, backbone: Backbone, height: int, width: int):
        """``height`` and ``width`` are those of the pictures, in pixels."""
        super().__init__()
        network: Any = backbone.load().requires_grad_(True)
        self.grid = (height // 8, width // 8)
        self.blocks = nn.ModuleList(list(network.blocks)[FROZEN:])
        self.head, self.norm = network.conv_head, network.bn2
        self.to(memory_format=torch.channels_last)

    def forward(self, levels: Sequence[Tensor]) -> ImageFeatures:
        """Return the features of what the stem made of b pictures."""
        maps = levels[0].unflatten(1, self.grid).permute(0, 3, 1, 2)
        fine = maps
        for number, block in enumerate(self.blocks, start=FROZEN):
            maps = block(maps)
            fine = maps if number == FINE else fine
        tokens, grids = flatten([fine, maps])
        return ImageFeatures(tokens, grids, self.norm(self.head(maps)).mean((2, 3)))

    def train(self, mode: bool = True) -> Blocks:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # Batches that are balanced over groups have other statistics than pictures at large.
        return self
