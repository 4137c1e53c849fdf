"""Dual encoders of open_clip, image and text in one space. Four ways to name one:

``open_clip:NAME/TAG`` takes weights from the hub that open_clip names for the tag; ``open_clip:NAME//path`` takes a
local checkpoint; ``open_clip:hf-hub:ORG/REPO`` a model of the Hugging Face hub; ``open_clip:FOLDER`` a local copy of
such a model (open_clip_config.json, weights, tokenizer).

Ilharco et al., *OpenCLIP*, 2021; Radford et al., ICML 2021. Shapes: levels (b, n_l, d_l) as ``levels.py`` says (layer3
and layer4 of a ModifiedResNet); pooled image and text (b, e), e the width of the common space, as the model gives them
(not normalised). Text tokens (b, n, e) are the last states after the final norm, each projected into the common space
as the pooled one is: for CLIP, the pooled text *is* the token at the end of the text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import load_checkpoint
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from pydantic import BaseModel
from torch import Tensor

from benchmark.errors import UserError
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from plugins.encoders.levels import flatten, level_indices, two_thirds
from plugins.encoders.tokens import project, shorten, tokenizer_digest
from plugins.encoders.weights import (
    digest,
    hub_places,
    quiet,
    read_checkpoint,
    split_path,
    suggest,
    tensor_digest,
    unreachable,
    wrong_architecture,
)


class OpenClipEncoder(Encoder):
    """A frozen dual encoder; the cosine of its two pooled vectors is what it was trained for."""

    aligned = True

    def __init__(self, name: str, options: BaseModel):
        self.name = name.removeprefix("open_clip:")
        self.model, self.tokenizer, self.architecture = load_dual(self.name)
        self.model.eval().requires_grad_(False)
        self.tokenizer_digest = tokenizer_digest(self.tokenizer)  # before it is used: use may set padding
        self.device = torch.device("cpu")
        self.preprocessing = PreprocessCfg(**self.model.visual.preprocess_cfg)
        self.transform = image_transform_v2(self.preprocessing, is_train=False)
        self.indices = visual_indices(self.model.visual, self.name)
        with torch.inference_mode():
            seen = self.encode_images(torch.zeros(1, *self.preprocessing.input_size))
        self.level_widths = tuple(int(level.shape[2]) for level in seen.levels)
        self.grids = seen.grids
        self.image_width = self.text_width = int(seen.pooled.shape[1])

    @cached_property  # asked for with every shard of features
    def image_fingerprint(self) -> str:
        preprocessing = json.dumps(asdict(self.preprocessing), sort_keys=True)
        return digest("open_clip image", self.architecture, tensor_digest(self._side("visual.")), preprocessing)

    @cached_property
    def text_fingerprint(self) -> str:
        weights = tensor_digest(self._side(""))
        return digest("open_clip text, projected tokens", self.architecture, weights, self.tokenizer_digest)

    def _side(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors of the image side, or with an empty prefix those of the text side."""
        state = self.model.state_dict()
        skipped = ("visual.", "logit_")
        return {k: v for k, v in state.items() if (k.startswith(prefix) if prefix else not k.startswith(skipped))}

    def preprocess(self, image: Image.Image) -> Tensor:
        pixels: Tensor = self.transform(image)
        return pixels

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        found = self.model.visual.forward_intermediates(pixels.to(self.device), indices=self.indices)
        tokens, grids = flatten(found["image_intermediates"])
        return ImageFeatures(tokens, grids, found["image_features"])

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        ids = self.tokenizer(list(texts)).to(self.device)
        tokens, pooled = encode_ids(self.model, ids)
        return shorten(TextFeatures(tokens, real_tokens(self.tokenizer, ids)[:, : tokens.shape[1]], pooled))

    def to(self, device: torch.device) -> None:
        self.device = device
        self.model.to(device)


def load_dual(name: str) -> tuple[Any, Any, str]:
    """Return the model ``name`` with its weights, its tokenizer, and a text that identifies its architecture.

    Raises:
        UserError: the name is unknown, the hub is out of reach, or the file does not fit.
    """
    if Path(name).expanduser().is_dir():
        return _from_folder(Path(name).expanduser())
    if name.startswith("hf-hub:"):
        return _from_hub(name, name, None)
    architecture, path = split_path(name)
    if path is None:
        architecture, _, tag = name.partition("/")
        _refuse_unknown(architecture)
        _refuse_unknown_tag(architecture, tag)
        return _from_hub(name, architecture, tag)
    _refuse_unknown(architecture)
    model = _untrained(architecture, architecture)
    _load(model, path, f"open_clip:{architecture}")
    return model, _tokenizer(architecture), json.dumps(open_clip.get_model_config(architecture), sort_keys=True)


def _from_folder(folder: Path) -> tuple[Any, Any, str]:
    try:
        config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: has no open_clip_config.json with a model_cfg ({type(error).__name__}), so it is no copy of an "
            "open_clip model. Copy that file from the model's repository."
        ) from error
    files = [file for pattern in ("*.safetensors", "*.bin", "*.pt", "*.pth") for file in sorted(folder.glob(pattern))]
    if not files:
        raise UserError(f"{folder}: has no weights (.safetensors, .bin, .pt); copy them there.")
    named = f"local-dir:{folder}"
    model = _untrained(named, str(folder))
    _load(model, files[0], f"open_clip:{folder}")
    return model, _tokenizer(named), json.dumps(config, sort_keys=True)


def _from_hub(name: str, architecture: str, tag: str | None) -> tuple[Any, Any, str]:
    try:
        with quiet():
            model = open_clip.create_model(architecture, pretrained=tag, require_pretrained=True, weights_only=True)
    except Exception as error:  # open_clip and the hub's client each raise kinds of their own
        instead = f"--encoder open_clip:{architecture}//PATH.safetensors" if tag else "--encoder open_clip:FOLDER"
        raise unreachable(_wanted(architecture, tag), hub_places(), instead, error) from error
    config = open_clip.get_model_config(architecture) if tag else name
    return model, _tokenizer(architecture), json.dumps(config, sort_keys=True)


def _untrained(named: str, shown: str) -> Any:
    try:
        with quiet():
            return open_clip.create_model(named, load_weights=False, pretrained_text=False)
    except Exception as error:  # a text tower from transformers asks the hub for its configuration
        raise unreachable(
            f"the configuration of the towers of open_clip:{shown}", hub_places(), "--encoder open_clip:FOLDER", error
        ) from error


def _load(model: Any, path: Path, shown: str) -> None:
    read_checkpoint(path)  # refuses what is no plain set of tensors before the library opens the file
    try:
        with quiet():
            load_checkpoint(model, str(path))
    except (RuntimeError, KeyError, ValueError, AttributeError, TypeError, IndexError, AssertionError) as error:
        raise wrong_architecture(path, shown, error) from error


def _tokenizer(named: str) -> Any:
    try:
        with quiet():
            return open_clip.get_tokenizer(named)
    except Exception as error:  # OSError, ValueError or an HTTP error, by version
        text = (open_clip.get_model_config(named) or {}).get("text_cfg", {}) if ":" not in named else {}
        source = text.get("hf_tokenizer_name") or named
        raise unreachable(
            f"the tokenizer of {named}, which comes from {source} and not with open_clip",
            hub_places(),
            "a folder with open_clip_config.json, weights and tokenizer files, as --encoder open_clip:FOLDER",
            error,
        ) from error


def _refuse_unknown(architecture: str) -> None:
    if open_clip.get_model_config(architecture) is None:
        raise UserError(
            f"open_clip has no model {architecture!r}, and there is no such folder. "
            f"{suggest(architecture, open_clip.list_models())}All names: "
            "python -c 'import open_clip; print(open_clip.list_models())'."
        )


def _refuse_unknown_tag(architecture: str, tag: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        known = ", ".join(sorted(tags)) or "none"
        raise UserError(
            f"open_clip:{architecture}/{tag} names no weights; write open_clip:{architecture}/TAG or "
            f"open_clip:{architecture}//PATH. {suggest(tag, tags)}Tags: {known}."
        )


def _wanted(architecture: str, tag: str | None) -> str:
    if tag is None:
        return f"open_clip_config.json and open_clip_model.safetensors of {architecture.removeprefix('hf-hub:')}"
    source = open_clip.get_pretrained_cfg(architecture, tag)
    return f"the weights of open_clip:{architecture}/{tag} ({source.get('hf_hub') or source.get('url')})"


def visual_indices(visual: Any, name: str) -> list[int]:
    """Return which stages of an image tower become levels.

    Raises:
        UserError: the tower gives no intermediate features.
    """
    if isinstance(visual, open_clip.modified_resnet.ModifiedResNet):
        return [3, 4]
    if hasattr(visual, "transformer"):
        return two_thirds(len(visual.transformer.resblocks))
    info = getattr(getattr(visual, "trunk", None), "feature_info", None)
    if not info:
        raise UserError(f"open_clip:{name} gives no intermediate features, so it has no levels; choose another model.")
    return level_indices([stage["reduction"] for stage in getattr(info, "info", info)])


def encode_ids(model: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the projected tokens (b, n, e) and the pooled text (b, e) of token ids (b, n)."""
    if isinstance(getattr(model, "text", None), open_clip.hf_model.HFTextEncoder):
        tower = model.text
        attended = (ids != tower.config.pad_token_id).long()
        states = tower.transformer(input_ids=ids, attention_mask=attended)
        return tower.proj(states.last_hidden_state), tower.proj(tower.pooler(states, attended))
    if hasattr(model, "text"):
        tower = model.text
        found = tower.forward_intermediates(ids, indices=1, normalize_intermediates=True, output_fmt="NLC")
    else:
        tower = model
        found = model.forward_intermediates(text=ids, text_indices=1, normalize_intermediates=True, normalize=False)
    return project(found["text_intermediates"][0], tower.text_projection), found["text_features"]


def real_tokens(tokenizer: Any, ids: Tensor) -> Tensor:
    """Return the mask (b, n) of what is no padding."""
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is not None:
        return ids != inner.pad_token_id
    # CLIP's own tokenizer pads with 0, which is also a word; its text ends at the highest id.
    return torch.arange(ids.shape[1], device=ids.device) <= ids.argmax(dim=1, keepdim=True)
