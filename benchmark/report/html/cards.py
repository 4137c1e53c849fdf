"""A card a row: whose work it is, its equation, its settings, where it was made, and the command for it."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.records import EvaluationRecord, MethodInfo
from benchmark.registry import Component, Registry
from benchmark.report.html import reproduce
from benchmark.report.html.surroundings import method_component
from benchmark.report.leaderboard import Line
from benchmark.report.wording import spans
from benchmark.sources import source_file

Pairs = list[tuple[str, str]]
LEGENDS = ("Legend:", "Shapes:")


@dataclass(frozen=True)
class Equation:
    """The equation of a component as its source states it, with the legend beside it and the module's name."""

    module: str
    text: str
    legend: str


@dataclass(frozen=True)
class Card:
    """What the page says of one row."""

    label: str
    summary: str
    citation: str
    facts: Pairs
    equations: list[Equation]
    options: Pairs
    training: Pairs
    environment: Pairs
    command: str
    notes: list[str]


def card(line: Line, records: Sequence[EvaluationRecord], registry: Registry, reference: str) -> Card:
    """Return the card of a line with a row; ``records`` are those of its seeds and folds."""
    last = records[-1]
    method = last.method
    return Card(
        label=line.label,
        summary=method.summary,
        citation=method.citation,
        facts=_facts(line, records),
        equations=equations(registry, method),
        options=_options(method.options),
        training=_options(last.training) if method.trained else [],
        environment=_environment(records),
        command=reproduce.command(records, registry, reference),
        notes=reproduce.notes(last, registry),
    )


def _facts(line: Line, records: Sequence[EvaluationRecord]) -> Pairs:
    method = records[-1].method
    seeds = spans(sorted({record.seed for record in records}))
    folds = sorted({record.protocol.fold for record in records if record.protocol.fold is not None})
    return [
        ("encoder", line.encoder),
        ("query reads", "the gallery's labels" if method.reads_labels else method.modality),
        ("parameters", f"{method.parameters:,}"),
        ("scorer", method.scorer or "its own"),
        ("seeds", seeds),
        *([("folds", spans(folds))] if folds else []),
        ("plugin", method.owner),
    ]


def _options(options: dict[str, Any], prefix: str = "") -> Pairs:
    found: Pairs = []
    for name, value in sorted(options.items()):
        if isinstance(value, dict):
            found += _options(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", "none" if value is None else str(value)))
    return found


def _environment(records: Iterable[EvaluationRecord]) -> Pairs:
    """Return hardware and versions; where seeds were made in different places, all of them."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, value in record.environment.items():
            found.setdefault(name, {})[value] = None
    return [(name, " / ".join(values)) for name, values in sorted(found.items())]


# ------------------------------------------------------------------------------------------------ equations


def equations(registry: Registry, method: MethodInfo) -> list[Equation]:
    """Return the equations of a method, or of a composer and its scorer, as far as their sources state one."""
    scorer = registry.components["scorers"].get(method.scorer or "")
    components = [component for component in (method_component(registry, method.name), scorer) if component]
    found = [equation for component in components if (equation := _equation(component))]
    return list(dict.fromkeys(found))


def _equation(component: Component) -> Equation | None:
    target = component.target
    module = target.partition(":")[0] if isinstance(target, str) else target.__module__
    file = source_file(module)
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file else None
    text, legend = stated(docstring or "")
    shown = file.name if file and module.startswith("dermcir_plugin_") else module
    return Equation(shown, text, legend) if text else None


def stated(docstring: str) -> tuple[str, str]:
    """Return the first indented block of a docstring and the paragraph that explains its letters; empty where none."""
    paragraphs = docstring.split("\n\n")
    block = next((part for part in paragraphs if part.startswith("    ")), "")
    legend = next((part for part in paragraphs if part.startswith(LEGENDS)), "") if block else ""
    return textwrap.dedent(block).rstrip(), " ".join(legend.split())
