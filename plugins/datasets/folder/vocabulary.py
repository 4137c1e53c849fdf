"""Groups, criteria and metadata of a folder: declared in ``dataset.toml``, or inferred from ``cases.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmark.errors import near_misses
from benchmark.interfaces import Criterion, CriticalGroup
from plugins.datasets.folder import declaration
from plugins.datasets.folder.contents import FILE, Contents
from plugins.datasets.folder.declaration import CriterionDeclaration, Declaration
from plugins.datasets.folder.wording import UNKNOWN, phrases
from plugins.datasets.tables import Problem, Row

MOST_VALUES = 20
"""A column with more distinct values is metadata unless it is declared as a criterion."""
MOST_GROUPS = 255
"""Groups are stored as one byte."""


@dataclass
class Vocabulary:
    """Group of each diagnosis, groups in order, criteria, the critical group, columns of metadata with the reason, and
    what is wrong.
    """

    taxonomy: Mapping[str, str]
    groups: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    metadata: Mapping[str, str]
    critical: CriticalGroup | None
    problems: list[Problem]


def read_vocabulary(contents: Contents, declared: Declaration) -> Vocabulary:
    """Infer what is not declared. Raises nothing."""
    groups = declared.groups or {name: (name,) for name in sorted({row.cells["diagnosis"] for row in contents.rows})}
    taxonomy = {diagnosis: group for group, diagnoses in groups.items() for diagnosis in diagnoses}
    metadata: dict[str, str] = {}
    criteria: list[Criterion] = []
    problems = [*_group_problems(contents.rows, taxonomy, declared), *_critical_problems(declared, groups)]
    for column in contents.columns:
        if column in (*declaration.OWN, *contents.views):
            continue
        found = {value_of(row, column) for row in contents.rows}
        if reason := _why_metadata(column, found, declared):
            metadata[column] = reason
            continue
        known = declared.criteria.get(column, CriterionDeclaration())
        problems += _value_problems(column, contents.rows, known)
        criteria.append(_criterion(column, found, known))
    return Vocabulary(taxonomy, tuple(groups), tuple(criteria), metadata, _critical(declared), problems)


def value_of(row: Row, column: str) -> str:
    """Return the value of a criterion; an empty cell is the value that no text states."""
    value = row.cells[column]
    return UNKNOWN if not value or value.casefold() == UNKNOWN else value


def _why_metadata(column: str, found: set[str], declared: Declaration) -> str:
    if column in declared.metadata:
        return "declared"
    if column in declared.criteria:
        return ""
    if len(found) > MOST_VALUES:
        return f"{len(found)} distinct values"
    return "one value for all" if len(found) < 2 else ""


def _criterion(name: str, found: set[str], known: CriterionDeclaration) -> Criterion:
    values = known.values or tuple(sorted(found - {UNKNOWN}, key=_numbers_first))
    if UNKNOWN in found and UNKNOWN not in values:
        values = (*values, UNKNOWN)
    words = {value: phrases(name, value, values, known.phrases.get(value)) for value in values}
    return Criterion(name, values, known.weight, words)


def _numbers_first(value: str) -> tuple[bool, int, str]:
    number = value.isascii() and value.isdigit()
    return not number, int(value) if number else 0, value


def _critical(declared: Declaration) -> CriticalGroup | None:
    critical = declared.critical
    return CriticalGroup(critical.group, critical.name or critical.group, critical.lookalike) if critical else None


def _critical_problems(declared: Declaration, groups: Iterable[str]) -> Iterator[Problem]:
    named = (declared.critical.group, declared.critical.lookalike) if declared.critical else ()
    for key, group in zip(("group", "lookalike"), named, strict=False):
        if group not in groups:
            message = f"critical.{key} = {group!r} is no group. {near_misses(group, groups)}"
            yield Problem("vocabulary", declaration.FILE, message)


def _group_problems(rows: Sequence[Row], taxonomy: Mapping[str, str], declared: Declaration) -> Iterator[Problem]:
    if declared.groups:
        yield from _unlisted(rows, "diagnosis", taxonomy, "is in no group of dataset.toml")
    else:
        yield from _spellings((row.cells["diagnosis"] for row in rows), "diagnosis")
    if (count := len(set(taxonomy.values()))) > MOST_GROUPS:
        message = f"{count} groups are too many: gather diagnoses under [groups] in dataset.toml"
        yield Problem("vocabulary", FILE, message)


def _value_problems(column: str, rows: Sequence[Row], known: CriterionDeclaration) -> Iterator[Problem]:
    found = {value_of(row, column) for row in rows}
    if known.values:
        yield from _unlisted(rows, column, {*known.values, ""}, "is no declared value")
    else:
        yield from _spellings(found, column)
    for value in known.phrases:
        if not known.values and value not in found:
            place = f"dataset.toml [criteria.{column}]"
            message = f"has phrases of {value!r}, a value of no case. {near_misses(value, found)}"
            yield Problem("vocabulary", place, message)


def _unlisted(rows: Sequence[Row], column: str, known: Iterable[str], what: str) -> Iterator[Problem]:
    """Yield each value that is not ``known`` once, where it stands first."""
    known = set(known)
    places: dict[str, list[str]] = {}
    for row in rows:
        if (value := row.cells[column]) not in known and (column == "diagnosis" or value.casefold() != UNKNOWN):
            places.setdefault(value, []).append(row.at(column))
    for value, found in places.items():
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield Problem("vocabulary", found[0] + more, f"{value!r} {what}. {near_misses(value, known - {''})}")


def _spellings(values: Iterable[str], column: str) -> Iterator[Problem]:
    """Yield values that differ in capitals and spaces alone."""
    spelled: dict[str, set[str]] = {}
    for value in values:
        spelled.setdefault(" ".join(value.casefold().replace("_", " ").split()), set()).add(value)
    for same in spelled.values():
        if len(same) > 1:
            listed = " and ".join(repr(value) for value in sorted(same))
            yield Problem("vocabulary", f"{FILE}, column {column}", f"{listed} look like one value: spell it one way")


def telling(criterion: Criterion, rows: Sequence[Row], taxonomy: Mapping[str, str]) -> bool:
    """Whether a criterion follows from the group (one value in each), or the group from every stated value of it."""
    values: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    for row in rows:
        group, value = taxonomy[row.cells["diagnosis"]], value_of(row, criterion.name)
        values.setdefault(group, set()).add(value)
        groups.setdefault(value, set()).add(group)
    follows = all(len(found) == 1 for found in values.values())
    stated = [found for value, found in groups.items() if value != UNKNOWN]
    return len(values) > 1 and len(groups) > 1 and (follows or all(len(found) == 1 for found in stated))
