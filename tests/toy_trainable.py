"""A trainable encoder in a few lines, for the tests: the toy encoder's mean colours through a linear map that learns.

Augmented versions of a picture are its four brightnesses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn

from benchmark.finetuning import TrainableEncoder
from benchmark.hookspecs import hookimpl
from benchmark.interfaces import Encoder, ImageFeatures
from tests.toy import ToyEncoder

GRIDS = ((4, 4), (2, 2))


class TrainableColour(ToyEncoder, TrainableEncoder):
    """Shows what ``ToyEncoder`` shows, as long as nobody trains it."""

    image_fingerprint = "trainable-colour-1"

    def plain(self) -> Encoder:
        return Grids((1.0,))

    def views(self) -> Encoder:
        return Grids((0.7, 0.9, 1.1, 1.3))

    def network(self) -> nn.Module:
        return Colours()


class Grids(ToyEncoder):
    """Mean colours of a 4 x 4 grid of a picture in some brightnesses, one after the other; pooled as ``ToyEncoder``."""

    level_widths = (3, 6)

    def __init__(self, brightness: Sequence[float]):
        self.brightness = brightness
        self.grids = ((4 * len(brightness), 4), (len(brightness), 1))
        self.image_fingerprint = f"grids {brightness}"

    def preprocess(self, image: Image.Image) -> Tensor:
        versions = [ImageEnhance.Brightness(image).enhance(factor) for factor in self.brightness]
        return torch.stack([super(Grids, self).preprocess(version) for version in versions])

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        versions = [ToyEncoder("", None).encode_images(version) for version in pixels.unbind(1)]
        levels = (torch.cat([one.levels[0] for one in versions], 1), torch.stack([one.pooled for one in versions], 1))
        return ImageFeatures(levels, self.grids, versions[0].pooled)


class Colours(nn.Module):
    """A linear map of colours, at first the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.colour, self.whole = nn.Linear(3, 3), nn.Linear(6, 6)
        for layer in (self.colour, self.whole):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, levels: tuple[Tensor, ...]) -> ImageFeatures:
        fine = self.colour(levels[0])  # (b, 16, 3)
        coarse = fine.unflatten(1, (2, 2, 2, 2)).mean((2, 4)).flatten(1, 2)  # (b, 4, 3)
        return ImageFeatures((fine, coarse), GRIDS, self.whole(levels[1][:, 0]))


@hookimpl
def register_encoders(register):  # type: ignore[no-untyped-def]
    register("trainable-colour", TrainableColour, summary="mean colours that learn", citation="dermcir tests")
