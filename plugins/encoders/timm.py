"""Any timm backbone as image side, with the packaged text side: ``timm:NAME`` or ``timm:NAME//path.safetensors``.

Wightman, *PyTorch Image Models*, 2019. Weights come from the hub that timm names for the model, unless a path is given.
The two spaces are not aligned. Shapes: levels (b, n_l, d_l) as ``levels.py`` says, pooled (b, d) is what the model's
classifier would see (``forward_head(pre_logits=True)``), text tokens (b, n, 384).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageOps
from timm.data import resolve_model_data_config
from torch import Tensor

from benchmark.errors import UserError
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from plugins.encoders.levels import flatten, level_indices
from plugins.encoders.minilm import MiniLM
from plugins.encoders.options import TimmOptions
from plugins.encoders.weights import (
    digest,
    first_line,
    hub_places,
    quiet,
    read_checkpoint,
    split_path,
    suggest,
    tensor_digest,
    unreachable,
    wrong_architecture,
)


class TimmEncoder(Encoder):
    """A frozen timm backbone and all-MiniLM-L6-v2."""

    text_width = MiniLM.width

    def __init__(self, name: str, options: TimmOptions):
        self.name, path = split_path(name.removeprefix("timm:"))
        self.model = load_backbone(self.name, path, options).eval().requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)
        self.language = MiniLM()
        self.device = torch.device("cpu")
        config = resolve_model_data_config(self.model)
        self.size = (options.height or config["input_size"][1], options.width or config["input_size"][2])
        self.interpolation = "bicubic" if config["interpolation"] == "random" else config["interpolation"]
        self.mean, self.std = (np.array(config[key], dtype=np.float32) for key in ("mean", "std"))
        self.indices = level_indices([stage["reduction"] for stage in stages(self.model, self.name)])
        self._measure()

    def _measure(self) -> None:
        """Take widths and grids from one empty picture: no table of models could know them all."""
        try:
            with torch.inference_mode():
                seen = self.encode_images(torch.zeros(1, 3, *self.size))
        except (AssertionError, RuntimeError, ValueError) as error:
            size = f"{self.size[0]} x {self.size[1]}"
            raise UserError(
                f"timm:{self.name} can't take pictures of {size} pixels ({first_line(error)}). Leave height and width "
                "out, or choose multiples of its stride or patch size."
            ) from error
        self.level_widths = tuple(int(level.shape[2]) for level in seen.levels)
        self.grids, self.image_width = seen.grids, int(seen.pooled.shape[1])

    @cached_property  # asked for with every shard of features
    def image_fingerprint(self) -> str:
        values = " ".join(f"{float(v):.6f}" for v in (*self.mean, *self.std))
        preprocessing = f"cover {self.size[0]}x{self.size[1]} {self.interpolation} {values}"
        architecture = self.name.rsplit("/", 1)[-1].split(".")[0]
        return digest("timm", architecture, tensor_digest(self.model.state_dict()), preprocessing)

    @property
    def text_fingerprint(self) -> str:
        return self.language.fingerprint

    def preprocess(self, image: Image.Image) -> Tensor:
        fitted = ImageOps.fit(image, (self.size[1], self.size[0]), Image.Resampling[self.interpolation.upper()])
        pixels = (np.asarray(fitted, dtype=np.float32) / 255 - self.mean) / self.std
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        # Depthwise convolutions are several times faster on CPU with channels last.
        pixels = pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        final, maps = self.model.forward_intermediates(pixels, indices=self.indices)
        tokens, grids = flatten(maps)
        return ImageFeatures(tokens, grids, self.model.forward_head(final, pre_logits=True))

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        return self.language.encode(texts)

    def to(self, device: torch.device) -> None:
        self.device = device
        self.model.to(device)
        self.language.to(device)


def load_backbone(name: str, path: Path | None, options: TimmOptions) -> Any:
    """Return the backbone ``name`` without classifier, with weights from ``path``, from its hub, or random ones.

    Raises:
        UserError: timm has no such model, the hub is out of reach, or the file does not fit.
    """
    if not name.startswith("hf-hub:"):
        _refuse_unknown(name)
    if path is not None:
        model = _create(name, options, pretrained=False)
        _load(model, name, path)
        return model
    if not options.pretrained:
        # One fixed draw, so that the fingerprint is the same in every process.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _create(name, options, pretrained=False)
    try:
        with quiet():
            return _create(name, options, pretrained=True)
    except Exception as error:  # timm, huggingface_hub and its HTTP client each raise kinds of their own
        raise unreachable(_wanted(name), hub_places(), f"--encoder timm:{name}//PATH.safetensors", error) from error


def _refuse_unknown(name: str) -> None:
    architecture = name.split(".")[0]
    if timm.is_model(architecture):
        return
    hint = suggest(architecture, timm.list_models())
    raise UserError(f"timm has no model {name!r}. {hint}All names: python -c 'import timm; print(timm.list_models())'.")


def _create(name: str, options: TimmOptions, pretrained: bool) -> Any:
    if options.height is None and options.width is None:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    known = None if name.startswith("hf-hub:") else timm.get_pretrained_cfg(name)
    _, height, width = known.input_size if known else (3, 224, 224)
    size = (options.height or height, options.width or width)
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=size)
    except TypeError:  # convolutional networks take any size and know no img_size
        return timm.create_model(name, pretrained=pretrained, num_classes=0)


def _load(model: Any, name: str, path: Path) -> None:
    state: Mapping[str, Tensor] = read_checkpoint(path)
    classifier = model.pretrained_cfg.get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    # Where an architecture brings one, timm's own filter renames and resamples what other sizes and sources call else.
    adapt = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        state = adapt(state, model) if adapt else state
        kept = {key: value for key, value in state.items() if key.rpartition(".")[0] not in heads}
        model.load_state_dict(kept)
    except (RuntimeError, KeyError, ValueError, AttributeError, IndexError) as error:
        raise wrong_architecture(path, f"timm:{name}", error) from error


def _wanted(name: str) -> str:
    if name.startswith("hf-hub:"):
        return f"config.json and model.safetensors of {name.removeprefix('hf-hub:')}"
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None or not (config.hf_hub_id or config.url):
        return f"pretrained weights of timm:{name} (timm knows none)"
    return f"model.safetensors of {config.hf_hub_id}" if config.hf_hub_id else str(config.url)


def stages(model: Any, name: str) -> list[Mapping[str, Any]]:
    """Return timm's description of each stage of ``model``.

    Raises:
        UserError: the model gives no intermediate features.
    """
    info = getattr(model, "feature_info", None)
    if not info or not hasattr(model, "forward_intermediates"):
        raise UserError(f"timm:{name} gives no intermediate features, so it has no levels; choose another backbone.")
    return list(getattr(info, "info", info))
