"""Descriptors -> the words of a query. Reads criteria and their values, and nothing else of a case."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.interfaces import Criterion


def render(criteria: Sequence[Criterion], descriptors: Mapping[str, str], style: str, key: str) -> str:
    """Return the text of one query.

    ``style`` is ``canonical``, ``paraphrase``, ``terse`` or ``partial:K`` (K of the criteria, canonical wording).
    ``key`` (the query's id) seeds what is drawn, so that a query reads the same in every run and on every machine.

    Raises:
        UserError: the style is unknown, or K exceeds the number of criteria.
    """
    draw = generator(style, key)
    if style == "terse":
        clauses = [criterion.phrases[descriptors[criterion.name]].terse for criterion in criteria]
        return ", ".join(clause for clause in clauses if clause) or "unremarkable"
    if style == "paraphrase":
        order = draw.permutation(len(criteria))
        return " ".join(_sentence(_paraphrase(criteria[i], descriptors, draw)) for i in order)
    stated = _stated(criteria, style, draw)
    return ", ".join(criterion.phrases[descriptors[criterion.name]].canonical for criterion in stated)


def generator(*keys: str) -> np.random.Generator:
    """Return a generator seeded by text, the same on every machine."""
    digest = hashlib.sha256("\n".join(keys).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _stated(criteria: Sequence[Criterion], style: str, draw: np.random.Generator) -> list[Criterion]:
    if style == "canonical":
        return list(criteria)
    name, _, count = style.partition(":")
    if name != "partial" or not count.isdigit():
        raise UserError(f"No text style is called {style!r}. Available: canonical, paraphrase, terse, partial:K.")
    if not 0 < int(count) <= len(criteria):
        raise UserError(f"Text style {style!r}: K must lie between 1 and {len(criteria)}, the number of criteria.")
    chosen = sorted(draw.permutation(len(criteria))[: int(count)])
    return [criteria[i] for i in chosen]


def _paraphrase(criterion: Criterion, descriptors: Mapping[str, str], draw: np.random.Generator) -> str:
    wordings = criterion.phrases[descriptors[criterion.name]].paraphrases
    return wordings[int(draw.integers(len(wordings)))]


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:].rstrip(".") + "."
