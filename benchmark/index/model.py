"""Pictures and words -> vectors: the encoder, composer and scorer of one trained method.

Shapes: b pictures or queries, d width of a vector, m masks, (h, w) the finest grid.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmark.adapting import TaughtEncoder
from benchmark.containment import contained
from benchmark.errors import PluginError, UserError
from benchmark.index.stores import Vectors
from benchmark.interfaces import Block, Blocks, Encoder, ImageFeatures, Representation, TextFeatures
from benchmark.methods import MethodPlan
from benchmark.report.html.attention import candidate_masks, mask_names, upsampled
from benchmark.report.html.footprint import Box, seen_part
from benchmark.training import ComposedMethod, evaluating

WHOLE = "whole"
"""Name of the one part of a score that has no blocks."""
TOLERANCE = 1e-4
ONE_AT_A_TIME = threading.RLock()
"""Held while a plugin's code runs: none promises to be safe in several threads, and ``contained`` is the process's."""


@contextmanager
def computing(module: nn.Module) -> Iterator[None]:
    """Run a plugin's code alone, contained and without gradients."""
    with ONE_AT_A_TIME, contained(), torch.inference_mode(), evaluating(module):
        yield


@dataclass(frozen=True)
class Asked:
    """One query before it is weighted: its vector (d,), whose blocks ``layout`` names; None where it is one whole."""

    vector: Vectors
    layout: Blocks


@dataclass(frozen=True)
class Look:
    """Where a method looks on a picture: masks (m, h, w) in [0, 1], and the part of it that the grid covers."""

    names: tuple[str, ...]
    masks: NDArray[np.float64]
    seen: Box


class SearchModel:
    """One trained method whose score is an inner product."""

    def __init__(self, method: ComposedMethod, encoder: Encoder, neutral: ImageFeatures | None = None):
        self.method, self.encoder, self.neutral = method, encoder, neutral
        self._seen: dict[tuple[int, int], Box] = {}

    def features(self, pictures: Sequence[Image.Image], contents: Sequence[str] = ()) -> ImageFeatures:
        """Encode pictures, in half precision like everything that was trained on. ``contents``, the SHA-256 of each,
        lets an encoder that was taught by one of them show it as if it had not been.
        """
        with computing(self.method.model):
            pixels = torch.stack([self.encoder.preprocess(picture) for picture in pictures])
            if contents and isinstance(self.encoder, TaughtEncoder):
                return self.encoder.encode_known(pixels, contents).to("cpu", torch.float16)
            return self.encoder.encode_images(pixels).to("cpu", torch.float16)

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode texts, in half precision."""
        with computing(self.method.model):
            return self.encoder.encode_texts(list(texts)).to("cpu", torch.float16)

    def candidates(self, images: ImageFeatures) -> Vectors:
        """Return the candidate vectors (b, d)."""
        with computing(self.method.model):
            representation = self.method.composer.embed(images.to("cpu"))
            vectors: Vectors = self._vectors(representation, "candidate").numpy()
        return vectors

    def ask(self, images: ImageFeatures | None, text: str | None) -> Asked:
        """Return the query of one picture, of a text, or of both.

        What either alone asks is up to the composer; unless it says otherwise, a text is composed with the mean
        features of the cases that the index was built from, and a picture is compared as a case is with cases.

        Raises:
            UserError: there is neither, or the text alone has no picture to be composed with.
        """
        if images is None and not text:
            raise UserError("A query needs a picture, a text or both.")
        modality = self.method.composer.modality
        if (modality == "text" and not text) or (modality == "image" and images is None):
            raise UserError(f"This method reads the {modality} of a query alone: give it one.")
        with computing(self.method.model):
            return self._asked(self._query(images, text))

    def _query(self, images: ImageFeatures | None, text: str | None) -> Representation:
        composer = self.method.composer
        if images is None:
            assert text and self.neutral is not None, "ask() has looked, and an index has neutral features"
            return composer.compose_text(self.texts([text]).to("cpu"), self.neutral.to("cpu"))
        if not text:
            return composer.compose_image(images.to("cpu"))
        return composer.compose(images.to("cpu"), self.texts([text]).to("cpu"))

    def _asked(self, query: Representation) -> Asked:
        layout = self.method.scorer.blocks(query)
        weighted = self._vectors(query, "query")
        if layout is None:
            return Asked(weighted[0].numpy(), whole(weighted.shape[1]))
        plain = self._vectors(query, "candidate")[0].numpy()
        if not np.allclose(plain * weights(layout), weighted[0].numpy(), atol=TOLERANCE):
            raise PluginError(
                f"Scorer {type(self.method.scorer).__name__}: blocks() promises that a query's vector is its candidate "
                "vector with each block times its weight, and as_vectors() gives another one. Mend one of them."
            )
        return Asked(plain, layout)

    def _vectors(self, representation: Representation, side: str) -> Tensor:
        vectors: Tensor = self.method.scorer.as_vectors(representation, side)  # type: ignore[arg-type]
        return vectors.float().cpu()

    def look(self, images: ImageFeatures, size: tuple[int, int]) -> Look | None:
        """Return where the method looks on one picture of ``size`` (width, height), or None where it has no masks.

        Raises:
            UserError: the encoder warps pictures, so that nothing can be laid over one.
        """
        with computing(self.method.model):
            masks = candidate_masks(self.method, images)
            if masks is None:
                return None
            if size not in self._seen:
                self._seen[size] = seen_part(self.encoder.preprocess, *size)
        names = mask_names(self.method, masks.shape[1])
        return Look(names, upsampled(masks[0], self.encoder.grids), self._seen[size])


def whole(width: int) -> Blocks:
    """Return the layout of a vector that is one whole."""
    return Blocks((Block(WHOLE, width, 1.0),), 0.0)


def weights(layout: Blocks, local_weight: float | None = None) -> Vectors:
    """Return the weight of every place (d,) of a vector, with the scorer's own local weight or another one."""
    local = layout.local_weight if local_weight is None else local_weight
    shares = [block.share * (local if block.local else 1 - local) for block in layout.blocks]
    return np.repeat(np.array(shares, dtype=np.float32), [block.width for block in layout.blocks])


def parts(layout: Blocks, weighted: Vectors, candidate: Vectors) -> dict[str, float]:
    """Return what each block of a weighted query (d,) and a candidate (d,) adds to their score."""
    products = weighted * candidate
    ends = np.cumsum([block.width for block in layout.blocks])
    pieces = np.split(products, ends[:-1])
    return {block.name: float(piece.sum()) for block, piece in zip(layout.blocks, pieces, strict=True)}


def refuse_unsearchable(plan: MethodPlan) -> None:
    """Raise ``UserError`` for a method that no index of vectors can serve."""
    if plan.scorer is None:
        raise UserError(f"{plan.row} is no composer with a scorer, so its score is no inner product of two vectors; "
                        "an index can't hold it. Choose a composer; see `list`.")  # fmt: skip
    if plan.scorer.load().pairwise:  # type: ignore[attr-defined]
        raise UserError(f"The scorer {plan.scorer.name} of {plan.row} is pairwise: its score is no inner product of "
                        "two vectors, so an index can't hold it. Choose another method.")  # fmt: skip


def mean_features(images: ImageFeatures) -> ImageFeatures:
    """Return the mean of b pictures' features, as of one picture."""
    levels = tuple(level.float().mean(0, keepdim=True) for level in images.levels)
    return ImageFeatures(levels, images.grids, images.pooled.float().mean(0, keepdim=True))


def pack_features(images: ImageFeatures) -> dict[str, Tensor]:
    """Return features as named tensors for a file."""
    return {"pooled": images.pooled, **{f"level{i}": level for i, level in enumerate(images.levels)}}


def unpack_features(tensors: Mapping[str, Tensor], grids: tuple[tuple[int, int], ...]) -> ImageFeatures:
    """Return features that ``pack_features`` named."""
    return ImageFeatures(tuple(tensors[f"level{i}"] for i in range(len(grids))), grids, tensors["pooled"])
