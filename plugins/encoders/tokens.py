"""What the text sides of the dual encoders share: the identity of a tokenizer, and texts no longer than they are."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor, nn

from benchmark.interfaces import TextFeatures
from plugins.encoders.weights import digest


def tokenizer_digest(tokenizer: Any) -> str:
    """Return a hex digest of vocabulary and rules of a tokenizer of transformers or open_clip.

    Call it before the tokenizer is used: a call may leave its padding and truncation in the serialised rules.
    """
    length = str(getattr(tokenizer, "context_length", ""))
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is not None:
        return digest(length, backend.to_str())
    vocabulary = inner.get_vocab() if hasattr(inner, "get_vocab") else inner.encoder
    return digest(length, json.dumps(vocabulary, sort_keys=True))


def project(tokens: Tensor, projection: nn.Module | Tensor | None) -> Tensor:
    """Apply a text projection, a module, a matrix or none, to every token (b, n, d)."""
    if projection is None:
        return tokens
    projected: Tensor = projection(tokens) if isinstance(projection, nn.Module) else tokens @ projection
    return projected


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (b, d) of the tokens (b, n, d) that are real."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1)


def shorten(texts: TextFeatures) -> TextFeatures:
    """Cut the padding that all texts share, so that n is the longest of them in tokens."""
    longest = max(1, int((texts.mask.any(dim=0).nonzero().max() + 1).item())) if texts.mask.any() else 1
    return TextFeatures(texts.tokens[:, :longest], texts.mask[:, :longest], texts.pooled)
