"""What a text was understood as: the descriptor whose wording the text encoder finds nearest to each clause.

It is an echo for the reader and takes no part in the score: the method reads the whole text.

Shapes: p phrases, n clauses, d width of the text encoder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.index.model import SearchModel
from benchmark.interfaces import Criterion

NEAR = 0.55
"""Below this cosine a clause is near no descriptor. Clauses of all-MiniLM-L6-v2 on other matters lie below it."""
MOST_CLAUSES = 24
BREAKS = re.compile(r"[,;.\n]+|\s+(?:and|but|with)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Understood:
    """One clause and what it came closest to; without criterion and value where nothing is near."""

    clause: str
    similarity: float
    criterion: str | None = None
    value: str | None = None
    wording: str | None = None

    def sentence(self) -> str:
        """Return it for a reader."""
        if self.criterion is None:
            return f"'{self.clause}': near no descriptor ({self.similarity:.2f})"
        name = f"{self.criterion.replace('_', ' ')}: {self.value}"
        return f"'{self.clause}': {name} ({self.similarity:.2f})"


def wordings(criteria: Sequence[Criterion]) -> list[tuple[str, str, str]]:
    """Return criterion, value and wording of every phrase, in a fixed order."""
    return [
        (criterion.name, value, wording)
        for criterion in criteria
        for value in criterion.values
        for wording in (criterion.phrases[value].canonical, *criterion.phrases[value].paraphrases)
        if wording
    ]


def embed_wordings(model: SearchModel, criteria: Sequence[Criterion]) -> Tensor:
    """Return the unit vectors (p, d) of all wordings."""
    texts = [wording for _, _, wording in wordings(criteria)]
    return F.normalize(model.texts(texts).pooled.float(), dim=-1) if texts else torch.zeros(0, 1)


def clauses(text: str) -> list[str]:
    """Split a text at commas, full stops, semicolons, new lines and between findings: ``and``, ``but``, ``with``."""
    return [part.strip() for part in BREAKS.split(text) if part.strip()][:MOST_CLAUSES]


def understand(text: str | None, model: SearchModel, criteria: Sequence[Criterion], known: Tensor) -> list[Understood]:
    """Return what each clause of ``text`` came closest to among the ``known`` (p, d) wordings of ``criteria``."""
    said = clauses(text or "")
    if not said or not len(known):
        return []
    nearest = (F.normalize(model.texts(said).pooled.float(), dim=-1) @ known.T).max(dim=1)
    phrases = wordings(criteria)
    pairs = zip(said, nearest.values.tolist(), nearest.indices.tolist(), strict=True)
    return [
        Understood(clause, cosine, *phrases[place]) if cosine >= NEAR else Understood(clause, cosine)
        for clause, cosine, place in pairs
    ]
