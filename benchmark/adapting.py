"""Encoders that learn from the training cases, and the cross-fitting that keeps what they show honest.

An encoder that was fine-tuned on the training cases knows their labels by heart: on them its features look perfect,
and a method that trains on such features learns to ignore the text. So the training cases are dealt into parts, and for
each part an *expert* is taught on all the others. A training case is shown by the one expert that never saw it; any
other case by the mean of all experts. (Cross-fitting, as in stacking: Wolpert, Neural Networks, 1992; Chernozhukov et
al., Econometrics Journal, 2018.) It asks of the features to mean the same whichever expert made them: posteriors do,
the free embeddings of networks that were trained apart don't.

Shapes: n training cases, c criteria, k parts, b pictures, p positions, w width.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from benchmark.errors import PluginError
from benchmark.features import FeatureStore, Progress, read_shard, sealed_shard
from benchmark.files import hash_files, write_atomic
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from benchmark.records import digest


@dataclass(frozen=True)
class Labels:
    """What there is to learn: the number of groups, and the number of values of each criterion."""

    groups: int
    values: tuple[int, ...]


@dataclass(frozen=True)
class Lesson:
    """What an expert is taught: what ``views()`` makes of n pictures, and codes of their groups (n,) and criteria
    (n, c).
    """

    images: ImageFeatures
    groups: Tensor
    criteria: Tensor

    def __getitem__(self, rows: Tensor) -> Lesson:
        return Lesson(self.images[rows], self.groups[rows], self.criteria[rows])


class AdaptiveEncoder(Encoder):
    """An encoder whose image side is taught anew for every seed and fold. ``image_fingerprint`` covers the recipe; what
    was taught goes into the keys of a run besides.
    """

    parts: int
    """Number of experts; each is taught on all training cases but one part of them."""
    quick: ClassVar[Mapping[str, Any]] = {}
    """Options under which teaching takes a moment: conformance checks use them."""

    @abstractmethod
    def expect(self, labels: Labels) -> None:
        """Hear what there is to learn, before anything else is asked: widths may follow from it."""

    @abstractmethod
    def views(self) -> Encoder:
        """Return the fixed encoder whose image features the experts learn from, cached like those of any encoder."""

    @abstractmethod
    def teach(self, lesson: Lesson, seed: int) -> Mapping[str, Tensor]:
        """Return the weights of an expert taught by ``lesson``; the same on the same machine for the same seed."""

    @abstractmethod
    def experts(self, weights: Sequence[Mapping[str, Tensor]]) -> Encoder:
        """Return the fixed encoder that shows a picture to k experts: each level (b, p, k w) and pooled (b, k w)
        hold theirs side by side, the first expert first.
        """

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Refuse: what is seen depends on what was taught."""
        raise PluginError(f"{type(self).__name__} shows no picture before it is taught: use views() or experts().")


class Adaptation:
    """The experts of one lesson and seed, taught where they are not in the cache yet, and what they show."""

    def __init__(
        self,
        encoder: AdaptiveEncoder,
        cache: Path,
        pictures: Sequence[Path],
        studied: Callable[[], ImageFeatures],
        codes: tuple[Tensor, Tensor],
        *,
        seed: int,
        threads: int,
    ):
        """``studied`` returns what ``views()`` makes of the pictures; ``codes`` are of their groups and criteria."""
        self.encoder, self.cache, self.pictures, self.studied = encoder, cache, tuple(pictures), studied
        (self.groups, self.criteria), self.seed, self.threads = codes, seed, threads
        self.part = deal(self.groups, encoder.parts, seed)

    @property
    def taught(self) -> bool:
        """Whether every expert is in the cache."""
        return all(map(self.knows, range(self.encoder.parts)))

    def knows(self, part: int) -> bool:
        """Whether the expert that never sees ``part`` is in the cache."""
        return self._path(part).exists()

    def teach(self, part: int) -> Mapping[str, Tensor]:
        """Return the weights of the expert that never sees ``part``, from the cache or taught now."""
        path = self._path(part)
        if path.exists():
            try:
                return read_shard(path)
            except (OSError, ValueError, SafetensorError) as error:
                warnings.warn(f"{path}: {error}; the expert is taught again.", stacklevel=2)
        rows = (self.part != part).nonzero().flatten()
        lesson = Lesson(self.studied(), self.groups, self.criteria)
        learnt = self.encoder.teach(lesson[rows], self.seed * self.encoder.parts + part)
        weights = {name: value.detach().cpu().contiguous() for name, value in learnt.items()}
        write_atomic(path, sealed_shard(weights))
        return weights

    def show(self, paths: Sequence[Path], progress: Progress = lambda done: None) -> ImageFeatures:
        """Return the features of the pictures at ``paths``: of a training picture, known by its content, by the expert
        that never saw it, of any other the mean of all.
        """
        features = self._store().images(paths, progress)
        own = torch.tensor([self.dealt.get(content, -1) for content in hash_files(paths)])
        chosen = [_choose(tensor, own, self.encoder.parts) for tensor in (*features.levels, features.pooled)]
        return ImageFeatures(tuple(chosen[:-1]), features.grids, chosen[-1])

    def shown(self, paths: Sequence[Path]) -> bool:
        """Whether what the experts show of the pictures at ``paths`` is in the cache."""
        return self.taught and self._store().has_images(paths)

    def _store(self) -> FeatureStore:
        return FeatureStore(self.cache, self.encoder.experts([self.teach(part) for part in range(self.encoder.parts)]))

    @cached_property
    def dealt(self) -> dict[str, int]:
        """SHA-256 of each picture that teaches -> the expert that never sees it."""
        return dict(zip(self._contents, self.part.tolist(), strict=True))

    @cached_property
    def _contents(self) -> list[str]:
        return hash_files(self.pictures)

    def _path(self, part: int) -> Path:
        return self.cache / "experts" / f"{self._key(part)}.safetensors"

    def _key(self, part: int) -> str:
        taught = [self._contents, self.groups.tolist(), self.criteria.tolist()]
        dealt = [self.part.tolist(), part, self.seed, self.threads]
        return digest([self.encoder.image_fingerprint, taught, dealt])[:32]


class TaughtEncoder(Encoder):
    """The experts of an adaptive encoder as one fixed encoder. It shows any picture as the mean of all, unless it is
    told that the picture taught them.
    """

    def __init__(
        self, encoder: AdaptiveEncoder, weights: Sequence[Mapping[str, Tensor]], dealt: Mapping[str, int] | None = None
    ):
        """``dealt``: SHA-256 of each picture that taught -> the expert that never saw it."""
        self.adaptive, self.parts, self.dealt = encoder, len(weights), dict(dealt or {})
        self.shown = encoder.experts(weights)
        self.grids, self.text_width, self.aligned = self.shown.grids, encoder.text_width, encoder.aligned
        self.image_width = self.shown.image_width // self.parts
        self.level_widths = tuple(width // self.parts for width in self.shown.level_widths)

    @property
    def image_fingerprint(self) -> str:
        """Hex digest of the experts, of what comes before them, and of what they were not taught."""
        return digest(["taught", self.shown.image_fingerprint, self.dealt])

    @property
    def text_fingerprint(self) -> str:
        """Hex digest of the text side, which nobody teaches."""
        return self.adaptive.text_fingerprint

    def preprocess(self, image: Image.Image) -> Tensor:
        """Turn an RGB picture into an input (3, h, w)."""
        return self.shown.preprocess(image)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Encode (b, 3, h, w): the mean over the experts of each level (b, p, w) and of pooled (b, w)."""
        return self.encode_known(pixels, [""] * len(pixels))

    def encode_known(self, pixels: Tensor, contents: Sequence[str]) -> ImageFeatures:
        """The same for pictures of which ``contents`` says the SHA-256: one that taught is shown by the expert that
        never saw it.
        """
        every = self.shown.encode_images(pixels).to("cpu", torch.float16)  # as the cache keeps what each expert shows
        own = torch.tensor([self.dealt.get(content, -1) for content in contents])
        levels = tuple(_choose(level, own, self.parts) for level in every.levels)
        return ImageFeatures(levels, every.grids, _choose(every.pooled, own, self.parts))

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode b texts."""
        return self.adaptive.encode_texts(texts)

    def to(self, device: torch.device) -> None:
        """Move experts and text side to ``device``."""
        self.shown.to(device)
        self.adaptive.to(device)


def deal(groups: Tensor, parts: int, seed: int) -> Tensor:
    """Return the part (n,) of each case: every group is dealt out evenly, in random order."""
    draw = torch.Generator().manual_seed(seed)
    part = torch.zeros_like(groups)
    start = 0
    for group in groups.unique().tolist():
        rows = (groups == group).nonzero().flatten()
        shuffled = rows[torch.randperm(len(rows), generator=draw)]
        part[shuffled] = (torch.arange(len(rows)) + start) % parts
        start += len(rows)
    return part


def _choose(stacked: Tensor, own: Tensor, parts: int) -> Tensor:
    """Return (b, ..., w) of ``stacked`` (b, ..., k w): expert ``own`` (b,) of each, or the mean where that is -1."""
    share = torch.full((len(own), parts), 1 / parts)
    share[own >= 0] = torch.nn.functional.one_hot(own[own >= 0], parts).float()
    return torch.einsum("b...kw,bk->b...w", stacked.float().unflatten(-1, (parts, -1)), share).half()
