"""Encoder outputs on disk, addressed by content: each image and text is encoded once a machine.

Features lie in shards, one safetensors file each, in half precision. A shard's name is the hash of what went in
(content hashes, encoder fingerprint, role); its header holds the SHA-256 of what came out, so that a truncated or
altered file is detected and computed again.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import struct
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.contracts import place_of
from benchmark.errors import PluginError, UserError
from benchmark.files import hash_files, write_atomic
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures, shown

VERSION = 1
"""Raise it when pictures or texts are handed to encoders in another way: caches and runs are then made anew."""
SHARD = 128
BATCH = 16
MAX_PIXELS = 64_000_000
Progress = Callable[[int], None]


class FeatureStore:
    """Computes features through ``encoder`` or takes them from ``folder``."""

    def __init__(self, folder: Path, encoder: Encoder, workers: int = 4):
        self.folder = folder / "features"
        self.encoder = encoder
        self.workers = workers

    def images(self, paths: Sequence[Path], progress: Progress = lambda done: None) -> ImageFeatures:
        """Return half-precision features of the pictures at ``paths``, in that order.

        Raises:
            UserError: a picture is missing or can't be decoded.
        """
        shards = [
            self._shard(key, partial(self._encode_images, part, progress)) for key, part in self._image_shards(paths)
        ]
        levels = [torch.cat([shard[f"level{i}"] for shard in shards]) for i in range(len(self.encoder.level_widths))]
        return ImageFeatures(tuple(levels), self.encoder.grids, torch.cat([shard["pooled"] for shard in shards]))

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """Return half-precision features of ``texts``, in that order; equal texts are encoded once."""
        unique = list(dict.fromkeys(texts))
        shards = []
        for start in range(0, len(unique), SHARD):
            part = unique[start : start + SHARD]
            key = shard_key("text", self.encoder.text_fingerprint, part)
            shards.append(self._shard(key, partial(self._encode_texts, part)))
        longest = max(shard["tokens"].shape[1] for shard in shards)
        tokens = torch.cat([_pad(shard["tokens"], longest) for shard in shards])
        mask = torch.cat([_pad(shard["mask"], longest) for shard in shards]).bool()
        pooled = torch.cat([shard["pooled"] for shard in shards])
        position = {text: row for row, text in enumerate(unique)}
        return TextFeatures(tokens, mask, pooled)[torch.tensor([position[text] for text in texts])]

    def has_images(self, paths: Sequence[Path]) -> bool:
        """Whether ``images`` would find a file for all of ``paths``; it is not read, so it may still be damaged."""
        return all(self._path(key).exists() for key, _ in self._image_shards(paths))

    def _image_shards(self, paths: Sequence[Path]) -> list[tuple[str, Sequence[Path]]]:
        """Return key and pictures of each shard."""
        contents, fingerprint = hash_files(paths), self.encoder.image_fingerprint
        parts = [slice(start, start + SHARD) for start in range(0, len(paths), SHARD)]
        return [(shard_key("image", fingerprint, contents[part]), paths[part]) for part in parts]

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _shard(self, key: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        path = self._path(key)
        if path.exists():
            try:
                return read_shard(path)
            except (OSError, ValueError, SafetensorError) as error:
                warnings.warn(f"{path}: {error}; the features are computed again.", stacklevel=2)
        tensors = {name: value.contiguous() for name, value in compute().items()}
        write_atomic(path, sealed_shard(tensors))
        return tensors

    def _encode_images(self, paths: Sequence[Path], progress: Progress) -> dict[str, Tensor]:
        batches: list[ImageFeatures] = []
        with ThreadPoolExecutor(self.workers) as pool, torch.inference_mode():
            inputs = pool.map(self._load, paths)
            for start in range(0, len(paths), BATCH):
                size = min(BATCH, len(paths) - start)
                encoded = self.encoder.encode_images(torch.stack([next(inputs) for _ in range(size)]))
                _refuse_type(self.encoder, "encode_images", encoded, ImageFeatures)
                batches.append(encoded)
                progress(size)
        tensors = {"pooled": torch.cat([batch.pooled for batch in batches])}
        for i in range(len(self.encoder.level_widths)):
            tensors[f"level{i}"] = torch.cat([batch.levels[i] for batch in batches])
        e, n = self.encoder, len(paths)
        promised: dict[str, tuple[int, ...]] = {"pooled": (n, e.image_width)}
        for i, ((height, width), channels) in enumerate(zip(e.grids, e.level_widths, strict=True)):
            promised[f"level{i}"] = (n, height * width, channels)
        _refuse_shapes(e, "encode_images", tensors, promised)
        return {name: _halved(e, "encode_images", name, value) for name, value in tensors.items()}

    def _load(self, path: Path) -> Tensor:
        return self.encoder.preprocess(open_image(path))

    def _encode_texts(self, texts: Sequence[str]) -> dict[str, Tensor]:
        with torch.inference_mode():
            features = self.encoder.encode_texts(list(texts))
        _refuse_type(self.encoder, "encode_texts", features, TextFeatures)
        given = {"tokens": features.tokens, "pooled": features.pooled}
        tensors = {name: _halved(self.encoder, "encode_texts", name, value) for name, value in given.items()}
        n, longest, width = len(texts), features.mask.shape[1], self.encoder.text_width
        _refuse_shapes(self.encoder, "encode_texts", tensors, {"tokens": (n, longest, width), "pooled": (n, width)})
        return {**tensors, "mask": features.mask.cpu().to(torch.uint8)}


def _refuse_type(encoder: Encoder, called: str, found: Any, promised: type) -> None:
    if not isinstance(found, promised):
        raise PluginError(
            f"encoder {type(encoder).__name__}: {called} returned {shown(found)}, not {promised.__name__} "
            f"({place_of(type(encoder))})."
        )


def _refuse_shapes(
    encoder: Encoder, called: str, found: dict[str, Tensor], promised: dict[str, tuple[int, ...]]
) -> None:
    """Refuse features of other shapes than the encoder declares, before they are stored."""
    for name, shape in promised.items():
        if tuple(found[name].shape) != shape:
            raise PluginError(
                f"encoder {type(encoder).__name__}: {called} gave {name} {tuple(found[name].shape)}, but its widths "
                f"and grids promise {shape}. Mend one or the other ({place_of(type(encoder))})."
            )


def _halved(encoder: Encoder, called: str, name: str, values: Tensor) -> Tensor:
    """Return ``values`` as they are stored, in half precision; what that can't hold is never stored."""
    halved = values.cpu().half()
    if not halved.isfinite().all():
        largest = values.abs().max().item()
        raise PluginError(
            f"encoder {type(encoder).__name__}: {called} gave {name} with values up to {largest:.3g}, which half "
            f"precision (at most {torch.finfo(torch.float16).max:.0f}) can't hold. Scale or normalise them there "
            f"({place_of(type(encoder))})."
        )
    return halved


def shard_key(role: str, fingerprint: str, contents: Sequence[str]) -> str:
    """Return the name of the shard that holds ``contents`` in that order."""
    return hashlib.sha256(json.dumps([VERSION, role, fingerprint, list(contents)]).encode()).hexdigest()[:32]


def sealed_shard(tensors: dict[str, Tensor]) -> bytes:
    """Return contiguous tensors as the content of a file that ``read_shard`` reads."""
    return save(tensors, metadata={"sha256": _digest(tensors)})


def read_shard(path: Path) -> dict[str, Tensor]:
    """Read a shard through a memory map and check it against the digest in its header.

    Raises:
        ValueError, OSError, SafetensorError: the file is truncated, altered or no shard.
    """
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        expected = (file.metadata() or {}).get("sha256")
    if _digest(tensors) != expected:
        raise ValueError("the content does not match its SHA-256")
    return tensors


def open_image(path: Path) -> Image.Image:
    """Decode a picture fully, upright and as RGB, 8 bits a channel; of an animated one, the first frame.

    Raises:
        UserError: it is missing, truncated, no picture, larger than ``MAX_PIXELS``, or of values without a known range.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width} x {image.height}"
                raise UserError(f"{path}: {size} pixels are too many; resize the picture first.")
            image.load()
            return eight_bits(ImageOps.exif_transpose(image), path).convert("RGB")
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels ({error}); resize the picture first.") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"There is no picture {str(path)!r}: give the path of a picture.") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UserError(
            f"{path}: can't be read as a picture ({error}). Replace the file by an intact copy; "
            "`python -m benchmark data verify` lists all such files."
        ) from error


def eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips, so that nearly all of it would be white.

    Raises:
        UserError: the values are 32-bit integers beyond 65535 or floats, whose range nobody can know.
    """
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise UserError(f"{path}: a picture of mode {image.mode} has no known range; save it with 8 bits a channel.")
    return Image.fromarray((values // 257).astype(np.uint8))


def release_memory() -> None:
    """Hand freed memory back to the system. The C library keeps what encoding used, some hundred MiB, while workers
    train beside it; only glibc has a call for that.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()


def _pad(values: Tensor, length: int) -> Tensor:
    """Pad (b, n, ...) with zeros to (b, length, ...)."""
    padding = values.new_zeros(values.shape[0], length - values.shape[1], *values.shape[2:])
    return torch.cat([values, padding], dim=1)
