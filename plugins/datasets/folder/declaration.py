"""``dataset.toml``: what a user declares of a folder of cases. Everything in it is optional.

Example::

    name = "rings"
    licence = "CC BY 4.0"
    citation = "Our clinic, 2026"
    synthetic = false                     # true only where a program drew the pictures: pages then show some of them
    views = ["image", "clinical"]         # columns that hold pictures; the first is the default view
    metadata = ["site", "age"]            # columns that no text states
    critical = {group = "malignant", name = "malignant tumour", lookalike = "benign"}

    [groups]                              # in order of display
    benign = ["ring", "disc"]
    malignant = ["blob"]

    [criteria.edge]                       # a column of cases.csv
    values = ["sharp", "blurred"]
    weight = 2
    phrases.sharp = {canonical = "sharp edge", terse = "edge+", paraphrases = ["...", "(five or more)"]}
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from benchmark.config import Strict, parse_model
from benchmark.errors import UserError, near_misses
from benchmark.protocol import BOTH

FILE = "dataset.toml"
OWN = ("id", "diagnosis", "split")
"""Columns with a meaning of their own."""
VIEWS = ("image", "image2")
"""Columns that hold pictures unless ``views`` says otherwise; the second may be missing."""
FEWEST_PARAPHRASES = 5


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty: write a text, or leave the key out")
    return text.strip()


def _plain(text: str) -> str:
    if not re.fullmatch(r"[\w .-]+", text):
        raise ValueError("a name holds letters, digits, spaces, dots, hyphens and underscores only")
    return text


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands in it twice")
    return texts


Text = Annotated[str, AfterValidator(_filled)]
Name = Annotated[Text, AfterValidator(_plain)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_distinct)]


class Wording(Strict):
    """Declared words of one value; what is left out is generated from the names."""

    canonical: Text | None = None
    terse: str | None = None
    paraphrases: Annotated[tuple[Text, ...], Field(min_length=FEWEST_PARAPHRASES)] | None = None


class CriterionDeclaration(Strict):
    """Declared values (in order), weight and words of one criterion."""

    values: Texts | None = None
    weight: float = Field(1.0, gt=0)
    phrases: Mapping[str, Wording] = Field(default_factory=dict)


class Critical(Strict):
    """The group that must not be missed, how a table calls it, and the group that it is confused with."""

    group: Text
    name: Text | None = None
    lookalike: Text


class Declaration(Strict):
    """All of ``dataset.toml``. ``views`` is None where nothing is declared."""

    name: Name | None = None
    licence: Text = "not declared (your own data)"
    citation: Text = "not declared (your own data)"
    synthetic: bool = False
    views: Texts | None = None
    metadata: Annotated[tuple[Text, ...], AfterValidator(_distinct)] = ()
    critical: Critical | None = None
    groups: Mapping[str, Texts] = Field(default_factory=dict)
    criteria: Mapping[str, CriterionDeclaration] = Field(default_factory=dict)


def read_declaration(root: Path) -> Declaration:
    """Return what ``root`` declares, or the defaults where there is no ``dataset.toml``.

    Raises:
        UserError: it can't be read, is no TOML, or holds something unknown or contradictory.
    """
    path = root / FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Declaration()
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: is no valid TOML: {error}. Texts stand in quotes.") from error
    return _parse(values, str(path))


def _parse(values: dict[str, Any], path: str) -> Declaration:
    """Validate from the leaves up, so that an unknown key is compared with the keys of its own table."""
    criteria = values.get("criteria")
    if isinstance(criteria, dict):
        values["criteria"] = {name: _parse_criterion(table, path, name) for name, table in criteria.items()}
    if isinstance(values.get("critical"), dict):
        values["critical"] = parse_model(Critical, values["critical"], f"{path} [critical]")
    declaration = parse_model(Declaration, values, path)
    found = [*_misplaced_columns(declaration), *_placed_twice(declaration), *_values_without_criterion(declaration)]
    if found:
        raise UserError("\n".join(f"{path}: {sentence}" for sentence in found))
    return declaration


def _parse_criterion(table: Any, path: str, name: str) -> Any:
    where = f"{path} [criteria.{name}]"
    if not isinstance(table, dict):
        raise UserError(f"{where}: must be a table with values, weight or phrases, not {table!r}.")
    phrases = table.get("phrases")
    if isinstance(phrases, dict):
        words = {value: f"{where} phrases.{value}" for value in phrases}
        wrong = [value for value, found in phrases.items() if not isinstance(found, dict)]
        if wrong:
            raise UserError(f"{words[wrong[0]]}: must be a table with canonical, terse or paraphrases.")
        table = {**table, "phrases": {value: parse_model(Wording, phrases[value], words[value]) for value in phrases}}
    return parse_model(CriterionDeclaration, table, where)


def _misplaced_columns(declaration: Declaration) -> Iterator[str]:
    views = declaration.views or VIEWS
    for view in views:
        if view in (*OWN, BOTH):
            yield f"views: {view!r} can't be a column of pictures. Name the column otherwise."
    for column in (*declaration.metadata, *declaration.criteria):
        if column in (*OWN, *views):
            yield f"{column!r} is neither a criterion nor metadata. Take it out."
    for column in sorted(set(declaration.metadata) & set(declaration.criteria)):
        yield f"{column!r} is declared as a criterion and as metadata. Choose one."


def _placed_twice(declaration: Declaration) -> Iterator[str]:
    placed: dict[str, str] = {}
    for group, diagnoses in declaration.groups.items():
        for diagnosis in diagnoses:
            if diagnosis in placed:
                yield f"diagnosis {diagnosis!r} is in the groups {placed[diagnosis]!r} and {group!r}. Choose one."
            placed[diagnosis] = group


def _values_without_criterion(declaration: Declaration) -> Iterator[str]:
    for name, criterion in declaration.criteria.items():
        for value in criterion.phrases:
            if criterion.values is not None and value not in criterion.values:
                hint = near_misses(value, criterion.values)
                yield f"[criteria.{name}] has phrases of {value!r}, which is none of its values. {hint}"
