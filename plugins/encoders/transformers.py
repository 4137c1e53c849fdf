"""Models of the Hugging Face library transformers, from a folder or from the hub.

``transformers:NAME`` is a dual encoder like CLIP or SigLIP, image and text in one space (Radford et al., ICML 2021;
Zhai et al., ICCV 2023); ``transformers:VISION+TEXT`` a vision and a text model apart, not aligned. Each is a hub name
or a folder that ``save_pretrained`` wrote, with image processor and tokenizer.

Shapes: levels (b, n_l, d_l) as ``levels.py`` says. Dual: pooled image and text (b, e) in the common space, as the model
gives them (not normalised), and text tokens (b, n, e) projected into it one by one. Apart: the pooled image is the
class token of the last state, or the mean over positions where there is none; the pooled text is the mean over real
tokens. Poolers are left out: many checkpoints don't hold their weights. No code of a repository is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import BaseModel
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
from transformers.utils import logging

from benchmark.errors import UserError
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from plugins.encoders.levels import Grids, flatten, level_indices, two_thirds
from plugins.encoders.tokens import masked_mean, project, shorten, tokenizer_digest
from plugins.encoders.weights import (
    digest,
    first_line,
    hub_places,
    quiet,
    read_checkpoint,
    tensor_digest,
    unreachable,
)

VOLATILE = frozenset({"transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype"})
"""Entries of a configuration that say where a model came from, not what it computes."""
LONGEST = 512
"""Texts are cut after this many tokens, or where the model says so."""


class TransformersEncoder(Encoder):
    """A frozen dual encoder, or a frozen vision model beside a frozen text model."""

    def __init__(self, name: str, options: BaseModel):
        logging.disable_progress_bar()
        self.name = name.removeprefix("transformers:")
        vision, plus, text = self.name.partition("+")
        self.aligned = not plus or Path(self.name).is_dir()
        image_source, text_source = (self.name, self.name) if self.aligned else (vision, text)
        self.image_model = load_model(image_source)
        self.text_model = self.image_model if self.aligned else load_model(text_source)
        self._choose_sides()
        self.processor = _pretrained(AutoImageProcessor, image_source, "preprocessor_config.json")
        self.tokenizer = _pretrained(AutoTokenizer, text_source, "the tokenizer files")
        self.tokenizer_digest = tokenizer_digest(self.tokenizer)  # before it is used: use may set padding
        self.device = torch.device("cpu")
        self._measure()

    def _choose_sides(self) -> None:
        dual = all(hasattr(self.image_model, f"get_{side}_features") for side in ("image", "text"))
        if self.aligned and not dual:
            raise UserError(
                f"transformers:{self.name} is no dual encoder ({type(self.image_model).__name__}). Name a CLIP- or "
                "SigLIP-like model, or a vision and a text model apart: transformers:VISION+TEXT."
            )
        if not self.aligned:
            self.image_model = getattr(self.image_model, "vision_model", self.image_model)
            self.text_model = getattr(self.text_model, "text_model", self.text_model)

    def _measure(self) -> None:
        """Take the widths and grids from one empty picture and one word."""
        with torch.inference_mode():
            seen = self.encode_images(self.preprocess(Image.new("RGB", (64, 64)))[None])
            words = self.encode_texts(["a"])
        self.level_widths = tuple(int(level.shape[2]) for level in seen.levels)
        self.grids, self.image_width = seen.grids, int(seen.pooled.shape[1])
        self.text_width = int(words.pooled.shape[1])
        if words.tokens.shape[2] != self.text_width:
            raise UserError(
                f"transformers:{self.name}: its text tokens have width {words.tokens.shape[2]}, its pooled text "
                f"{self.text_width}, and no projection of it is known; choose another model."
            )

    @cached_property  # asked for with every shard of features
    def image_fingerprint(self) -> str:
        weights = tensor_digest(self._state(self.image_model, ("vision_model.", "visual_projection."), True))
        config = describe_config(side_config(self.image_model, "vision").to_dict())
        return digest("transformers image", config, weights, self.processor.to_json_string())

    @cached_property
    def text_fingerprint(self) -> str:
        skipped = ("vision_model.", "visual_projection.", "logit_")
        weights = tensor_digest(self._state(self.text_model, skipped, False))
        config = describe_config(side_config(self.text_model, "text").to_dict())
        return digest("transformers text, projected tokens", config, weights, self.tokenizer_digest)

    def _state(self, model: Any, prefixes: tuple[str, ...], wanted: bool) -> dict[str, Tensor]:
        state: dict[str, Tensor] = model.state_dict()
        return {k: v for k, v in state.items() if not self.aligned or k.startswith(prefixes) == wanted}

    def preprocess(self, image: Image.Image) -> Tensor:
        pixels: Tensor = self.processor(images=image, return_tensors="pt")["pixel_values"][0]
        return pixels

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        call = self.image_model.get_image_features if self.aligned else self.image_model
        found = call(pixel_values=pixels.to(self.device), output_hidden_states=True)
        patch = getattr(side_config(self.image_model, "vision"), "patch_size", 1)
        tokens, grids, prefix = image_levels(found, pixels.shape[2:], patch)
        pooled = found.pooler_output if self.aligned else whole_image(found.last_hidden_state, prefix)
        return ImageFeatures(tokens, grids, pooled)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        positions = getattr(side_config(self.text_model, "text"), "max_position_embeddings", LONGEST)
        # Dual encoders are trained on texts of one length, and SigLIP reads its padding.
        inputs = self.tokenizer(
            list(texts),
            padding="max_length" if self.aligned else True,
            truncation=True,
            max_length=min(positions, self.tokenizer.model_max_length, LONGEST),
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self.device)
        mask = inputs["attention_mask"].bool()
        if not self.aligned:
            tokens = self.text_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]
            return TextFeatures(tokens, mask, masked_mean(tokens, mask))
        return shorten(self._aligned_texts(inputs, mask))

    def _aligned_texts(self, inputs: Any, mask: Tensor) -> TextFeatures:
        model = self.text_model
        attends = {} if model.config.model_type.startswith("siglip") else {"attention_mask": inputs["attention_mask"]}
        found = model.get_text_features(input_ids=inputs["input_ids"], **attends)
        projection = getattr(model, "text_projection", None) or getattr(model.text_model, "head", None)
        return TextFeatures(project(found.last_hidden_state, projection), mask, found.pooler_output)

    def to(self, device: torch.device) -> None:
        self.device = device
        self.image_model.to(device)
        self.text_model.to(device)


def load_model(source: str) -> Any:
    """Return the model ``source``, a folder or a hub name, in evaluation mode and frozen.

    Raises:
        UserError: it can't be had, or its weights are of another architecture.
    """
    folder = Path(source).expanduser()
    if folder.is_dir() and not list(folder.glob("*.safetensors")):
        for file in sorted(folder.glob("pytorch_model*.bin")):
            read_checkpoint(file)  # says in a sentence what is wrong with a file that is no plain set of tensors
    model, report = _pretrained(
        AutoModel,
        source,
        "config.json and model.safetensors",
        output_loading_info=True,
        weights_only=True,
        dtype=torch.float32,
    )
    missing = sorted(key for key in report["missing_keys"] if "pooler." not in key)
    if missing:
        raise UserError(
            f"{source} does not hold the weights of a {type(model).__name__} ({len(missing)} are missing, the first is "
            f"{missing[0]}). Name the folder or the model that they were saved with."
        )
    return model.eval().requires_grad_(False)


def _pretrained(loader: Any, source: str, wanted: str, **settings: Any) -> Any:
    folder = Path(source).expanduser()
    local = folder.is_dir()
    try:
        with quiet():
            return loader.from_pretrained(
                folder if local else source, local_files_only=local, trust_remote_code=False, **settings
            )
    except Exception as error:  # transformers, safetensors and the hub's client each raise kinds of their own
        if local:
            raise UserError(
                f"{folder}: can't load {wanted} from it ({first_line(error)}). It must hold what "
                "save_pretrained writes for model, image processor and tokenizer, whole."
            ) from error
        instead = "a folder that save_pretrained wrote, as --encoder transformers:FOLDER"
        raise unreachable(f"{wanted} of {source}", hub_places(), instead, error) from error


def image_levels(found: Any, size: Sequence[int], patch: Any) -> tuple[tuple[Tensor, ...], Grids, int]:
    """Return the two levels of a vision model, their grids, and how many tokens precede the patches.

    ``size`` is the height and width of the input, ``patch`` that of a patch.
    """
    states = getattr(found, "reshaped_hidden_states", None) or found.hidden_states
    if states[-1].ndim == 4:
        indices = level_indices([round(size[0] / state.shape[2]) for state in states])
        return (*flatten([states[i] for i in indices]), 0)
    height, width = (patch, patch) if isinstance(patch, int) else patch
    grid = (size[0] // height, size[1] // width)
    prefix = states[-1].shape[1] - grid[0] * grid[1]
    # The first state is the embedding, so block i leaves state i + 1.
    indices = [i + 1 for i in two_thirds(len(states) - 1)]
    return tuple(states[i][:, prefix:] for i in indices), (grid, grid), prefix


def whole_image(states: Tensor, prefix: int) -> Tensor:
    """Return (b, d): the class token of (b, n, d), or the mean over the positions of (b, n, d) or (b, d, h, w)."""
    if states.ndim == 4:
        return states.mean((2, 3))
    return states[:, 0] if prefix else states.mean(1)


def side_config(model: Any, side: str) -> Any:
    """Return the configuration of the ``vision`` or ``text`` side of a dual encoder, or of a model that is one."""
    return getattr(model.config, f"{side}_config", model.config)


def describe_config(config: Any) -> str:
    """Return what a configuration computes, as sorted JSON without ``VOLATILE``."""
    if isinstance(config, dict):
        kept = {str(key): describe_config(value) for key, value in config.items() if key not in VOLATILE}
        return json.dumps(kept, sort_keys=True)
    return json.dumps(config, default=str)
