"""A text side that knows nothing: every word a fixed random vector, so that a method's own text map is its embedding.

A linear map of nearly orthogonal vectors can give each word any vector that fits: embeddings learned from scratch. A
word alone forgets its order ("no streaks, dotted vessels"), so each token adds the vector of the word and the one
before it (Joulin et al., *Bag of Tricks for Efficient Text Classification*, EACL 2017: hashed word n-grams).

Shapes: tokens (b, n, 384), pooled (b, 384).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from benchmark.interfaces import TextFeatures
from plugins.encoders.minilm import MiniLM
from plugins.encoders.tokens import masked_mean
from plugins.encoders.weights import digest

WORD = re.compile(r"[^\W_][\w'+-]*|[,.;:]")
"""A word, with its hyphens and a trailing plus (``BWV+``), or a mark that ends a phrase."""
START = "<start>"
"""What stands before the first word of a phrase."""


class WordVectors:
    """Random vectors of words and of pairs of words, always the same ones; as wide as the MiniLM that it replaces."""

    width = MiniLM.width

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    @property
    def fingerprint(self) -> str:
        """Hex digest of how words become vectors."""
        return digest("word vectors", WORD.pattern, f"normal {self.width}, seed sha256", "word + pair", "masked mean")

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Encode b texts; n is the longest of them in words, pooled is the mean over real words."""
        said = [pairs(text) or [(START, START)] for text in texts]
        tokens = torch.zeros(len(texts), max(map(len, said), default=1), self.width)
        mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        for row, words in enumerate(said):
            vectors = [_vector(word) + _vector(f"{before} {word}") for before, word in words]
            tokens[row, : len(words)] = torch.stack(vectors) / 2**0.5
            mask[row, : len(words)] = True
        return TextFeatures(tokens, mask, masked_mean(tokens, mask)).to(self.device)

    def to(self, device: torch.device) -> None:
        """Encode onto ``device``."""
        self.device = device


def pairs(text: str) -> list[tuple[str, str]]:
    """Return each word of a text after the word before it in its phrase, in lower case."""
    found, before = [], START
    for token in WORD.findall(text.lower()):
        if token in ",.;:":
            before = START
        else:
            found.append((before, token))
            before = token
    return found


@lru_cache(maxsize=10_000)
def _vector(word: str) -> Tensor:
    """Return a standard normal vector (384,), the same on every machine."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") >> 1
    return torch.randn(WordVectors.width, generator=torch.Generator().manual_seed(seed))


def text_side(name: Literal["minilm", "words"]) -> MiniLM | WordVectors:
    """Return the text side that an encoder's option names."""
    return WordVectors() if name == "words" else MiniLM()
