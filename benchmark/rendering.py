"""Descriptors -> the words of a query. Reads criteria and their values, and nothing else of a case."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.interfaces import Criterion, Phrases


UNSTATED = "unspecified"
"""The text of a query of which no finding is stated. It is a word, since some encoders can't make a vector of none (the
mean over no tokens), and it is no word such as "lesion", which belongs to one kind of picture.
"""
UNREMARKABLE = "unremarkable"
"""The terse text where findings are known and a clinician would mention none of them."""
LIKE_THIS = (
    "Like this lesion, with these differences.",
    "Alike in all but what follows.",
    "A case such as this one, except for this.",
    "Similar, apart from the following.",
    "One that matches this picture, save for what is said here.",
)
"""How a paraphrased change begins; the canonical one is "the same, but with"."""


class Contradiction(NamedTuple):
    """What the text style ``contradicting`` states falsely: the position of a criterion, its true and its stated value,
    both as positions in the criterion's values.
    """

    criterion: int
    true: int
    stated: int


def contradiction(criteria: Sequence[Criterion], descriptors: Mapping[str, str], key: str) -> Contradiction | None:
    """Draw the one false statement of a query: a criterion whose value is known, then another of its values.

    Every such criterion is as likely as another, and so is every false value of it, whether common or rare. None where
    no criterion has a known value and another one that can be stated.
    """
    draw = generator("contradicting", key)
    places: list[tuple[int, int, list[int]]] = []
    for place, criterion in enumerate(criteria):
        told = [i for i, value in enumerate(criterion.values) if criterion.phrases[value].canonical]
        true = criterion.values.index(descriptors[criterion.name])
        if true in told and len(told) > 1:
            places.append((place, true, [i for i in told if i != true]))
    if not places:
        return None
    place, true, others = places[int(draw.integers(len(places)))]
    return Contradiction(place, true, others[int(draw.integers(len(others)))])


def render(criteria: Sequence[Criterion], descriptors: Mapping[str, str], style: str, key: str) -> str:
    """Return the text of one query.

    ``style`` is ``canonical``, ``paraphrase``, ``terse``, ``partial:K`` (K of the criteria), ``contradicting`` (all of
    them, one with a false value) or ``none`` (no finding); the last three word what they state canonically.
    ``key`` (the query's id) seeds what is drawn, so that a query reads the same in every run and on every machine.
    A value whose canonical wording is empty (nobody knows it) is stated in no style, and K counts only what can be
    stated. A query without anything to state, or a dataset without criteria, gets the one text ``UNSTATED``.

    Raises:
        UserError: the style is unknown, or K exceeds the number of criteria.
    """
    if style == "none":
        return UNSTATED
    if style == "contradicting":
        descriptors, style = _contradicted(criteria, descriptors, key), "canonical"
    draw = generator(style, key)
    wordings = [criterion.phrases[descriptors[criterion.name]] for criterion in criteria]
    known = [wording for wording in wordings if wording.canonical]
    if style == "terse":
        text = ", ".join(wording.terse for wording in known if wording.terse) or UNREMARKABLE
    elif style == "paraphrase":
        text = " ".join(_sentence(_paraphrase(known[i], draw)) for i in draw.permutation(len(known)))
    else:
        text = ", ".join(wording.canonical for wording in _stated(known, style, draw, len(criteria)))
    return text if known else UNSTATED


def render_changes(
    criteria: Sequence[Criterion], descriptors: Mapping[str, str], changed: Sequence[bool], style: str, key: str
) -> str:
    """Return the text that asks for a case like the reference but for the ``changed`` (c) criteria, whose new values
    are in ``descriptors``: "the same, but with blue-whitish veil and irregular streaks".

    ``style`` is ``canonical``, ``paraphrase`` or ``terse``; ``key`` seeds what is drawn, as in ``render``. What the
    shorthand would leave out is worded canonically there, since without it the query would be another.

    Raises:
        UserError: the style is unknown, or states a part of the changes only.
    """
    draw = generator(style, key)
    named = [criterion for criterion, new in zip(criteria, changed, strict=True) if new]
    wordings = [criterion.phrases[descriptors[criterion.name]] for criterion in named]
    if style == "canonical":
        return f"the same, but with {_listed([wording.canonical for wording in wordings])}"
    if style == "terse":
        return f"same, but {', '.join(wording.terse or wording.canonical for wording in wordings)}"
    if style == "paraphrase":
        opening = LIKE_THIS[int(draw.integers(len(LIKE_THIS)))]
        clauses = [_sentence(_paraphrase(wordings[i], draw)) for i in draw.permutation(len(wordings))]
        return " ".join([opening, *clauses])
    if style.startswith("partial:") or style in ("contradicting", "none"):
        raise UserError(
            f"Text style {style!r} does not state all changes as they are, which in this task makes another query: its "
            "text names only what changes. Use canonical, paraphrase or terse."
        )
    raise UserError(f"No text style is called {style!r}. Available: canonical, paraphrase, terse.")


def _contradicted(criteria: Sequence[Criterion], descriptors: Mapping[str, str], key: str) -> Mapping[str, str]:
    false = contradiction(criteria, descriptors, key)
    if false is None:
        return descriptors
    criterion = criteria[false.criterion]
    return {**descriptors, criterion.name: criterion.values[false.stated]}


def _listed(phrases: Sequence[str]) -> str:
    """Return ``A``, ``A and B`` or ``A, B and C``."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


def generator(*keys: str) -> np.random.Generator:
    """Return a generator seeded by text, the same on every machine."""
    digest = hashlib.sha256("\n".join(keys).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _stated(known: list[Phrases], style: str, draw: np.random.Generator, criteria: int) -> list[Phrases]:
    if style == "canonical":
        return known
    name, _, count = style.partition(":")
    if name != "partial" or not count.isdigit():
        raise UserError(
            f"No text style is called {style!r}. Available: canonical, paraphrase, terse, partial:K, "
            "contradicting, none."
        )
    if not 0 < int(count) <= criteria:
        limits = f"K must lie between 1 and {criteria}, the number of criteria" if criteria else "there are no criteria"
        raise UserError(f"Text style {style!r}: {limits}.")
    chosen = sorted(draw.permutation(len(known))[: int(count)])
    return [known[i] for i in chosen]


def _paraphrase(wording: Phrases, draw: np.random.Generator) -> str:
    return wording.paraphrases[int(draw.integers(len(wording.paraphrases)))]


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:].rstrip(".") + "."
