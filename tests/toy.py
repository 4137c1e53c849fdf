"""A tiny world that everything runs on in seconds: a dataset of 60 coloured squares and an encoder of mean colours.

It is a plugin like a stranger's: tests load it with ``--plugin tests/toy.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.hookspecs import hookimpl
from benchmark.interfaces import (
    Case,
    Criterion,
    CriticalGroup,
    Dataset,
    Encoder,
    ImageFeatures,
    Phrases,
    Split,
    TextFeatures,
)

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}
SIZES = {"train": 36, "valid": 12, "test": 24}
SIDE = 32


def _phrases(value: str, noun: str) -> Phrases:
    wordings = tuple(f"{opening} {value} {noun}" for opening in ("shows", "has", "with", "presents", "displays"))
    return Phrases(f"{value} {noun}", value[:3], wordings)


CRITERIA = (
    Criterion("border", ("thin", "thick"), 2.0, {v: _phrases(v, "border") for v in ("thin", "thick")}),
    Criterion("spot", ("none", "dark"), 1.0, {v: _phrases(v, "spot") for v in ("none", "dark")}),
)


class ToyDataset(Dataset):
    """Squares: the colour is the diagnosis, border and spot are the criteria."""

    name = "toy"
    licence = "Apache-2.0"
    citation = "dermcir tests"
    synthetic = True
    groups = ("R", "G", "B")
    taxonomy = {"red": "R", "green": "G", "blue": "B"}  # noqa: RUF012
    views = ("dermoscopic", "clinical")
    criteria = CRITERIA
    critical = CriticalGroup("R", "red", "G")
    subgroups = ("side",)

    def cases(self, split: Split) -> tuple[Case, ...]:
        folder = self.context.cache / "toy"
        folder.mkdir(parents=True, exist_ok=True)
        start = {"train": 0, "valid": 100, "test": 200}[split]
        return tuple(self._case(start + i, folder) for i in range(SIZES[split]))

    def _case(self, number: int, folder) -> Case:  # type: ignore[no-untyped-def]
        draw = np.random.default_rng(number)
        diagnosis = list(COLOURS)[number % 3]
        # The border goes with the colour three times out of four, so the text helps and does not decide.
        border = "thick" if (draw.random() < 0.75) == (diagnosis == "red") else "thin"
        spot = ("none", "dark")[int(draw.random() < 0.5)]
        path, other = folder / f"{number}.png", folder / f"{number}-clinical.png"
        if not other.exists():
            picture = self._draw(diagnosis, border, spot, draw)
            picture.save(path)
            picture.resize((8, 8)).save(other)
        images, side = {"dermoscopic": path, "clinical": other}, "left" if number % 4 else "right"
        return Case(f"toy-{number}", images, diagnosis, {"border": border, "spot": spot}, {"side": side})

    def _draw(self, diagnosis: str, border: str, spot: str, draw: np.random.Generator) -> Image.Image:
        pixels = np.full((SIDE, SIDE, 3), 220.0)
        edge = 2 if border == "thin" else 8
        pixels[edge:-edge, edge:-edge] = COLOURS[diagnosis]
        if spot == "dark":
            pixels[12:20, 12:20] = 20
        pixels += draw.normal(0, 40, pixels.shape)
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    def regions(self, case: Case) -> dict[str, np.ndarray]:
        border, spot = np.ones((SIDE, SIDE), np.bool_), np.zeros((SIDE, SIDE), np.bool_)
        edge = 2 if case.descriptors["border"] == "thin" else 8
        border[edge:-edge, edge:-edge] = False
        spot[12:20, 12:20] = case.descriptors["spot"] == "dark"
        return {"border": border, "spot": spot}

    def fingerprint(self) -> str:
        return "toy-1"


class ToyEncoder(Encoder):
    """Mean colours of a 4 x 4 and of a 2 x 2 grid; hashed bags of words."""

    level_widths = (3, 3)
    grids = ((4, 4), (2, 2))
    image_width = 6
    text_width = 16
    image_fingerprint = "toy-image-1"
    text_fingerprint = "toy-text-1"

    def __init__(self, name: str, options: object):
        self.name = name

    def preprocess(self, image: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.array(image.resize((SIDE, SIDE)), dtype=np.float32))
        return pixels.permute(2, 0, 1) / 127.5 - 1

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        levels = tuple(torch.nn.functional.adaptive_avg_pool2d(pixels, grid) for grid in self.grids)
        pooled = torch.cat([pixels.mean((2, 3)), pixels.std((2, 3))], dim=1)
        return ImageFeatures(tuple(x.flatten(2).transpose(1, 2) for x in levels), self.grids, pooled)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        words = [text.lower().replace(",", "").split() for text in texts]
        tokens = torch.zeros(len(texts), max(map(len, words)), self.text_width)
        mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        for row, line in enumerate(words):
            for column, word in enumerate(line):
                tokens[row, column] = _word_vector(word)
                mask[row, column] = True
        return TextFeatures(tokens, mask, tokens.sum(1) / mask.sum(1, keepdim=True))


def _word_vector(word: str) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


@hookimpl
def register_datasets(register):  # type: ignore[no-untyped-def]
    register("toy", ToyDataset, summary="coloured squares", citation="dermcir tests")


@hookimpl
def register_encoders(register):  # type: ignore[no-untyped-def]
    register("mean-colour", ToyEncoder, summary="mean colours and hashed words", citation="dermcir tests")
