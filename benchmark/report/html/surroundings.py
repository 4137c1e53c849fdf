"""What a page is made from besides the evaluations, and names that records hold in one piece."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.assignments import parse_assignments
from benchmark.config import RunConfig
from benchmark.records import EvaluationRecord, plain_name
from benchmark.registry import Component, Registry
from benchmark.report.leaderboard import Leaderboard, Line
from benchmark.report.table import Evaluated, select

LABEL = re.compile(r"(?P<name>.*?) \[(?P<settings>.*)\]", re.DOTALL)
SPECIFYING = ("criterion_weight",)
"""Settings of the training on which the shape of a method depends."""
Rows = Mapping[tuple[str, str], Sequence[Evaluated]]
"""Row and encoder -> its evaluations, by fold and seed."""


@dataclass(frozen=True)
class Surroundings:
    """Where components, weights (``runs``; None for published runs, which have none), drawn pictures and the user's own
    copy of the dataset are found.
    """

    registry: Registry
    runs: Path | None = None
    cache: Path | None = None
    root: Path | None = None


def rows_of(board: Leaderboard, evaluations: Sequence[Evaluated]) -> Rows:
    """Return the evaluations that the rows of ``board`` were made from."""
    key = board.table.protocol.table(board.table.dataset.name)
    chosen, _ = select([one for one in evaluations if one.record.table == key])
    rows: dict[tuple[str, str], list[Evaluated]] = {}
    for one in chosen:
        rows.setdefault((one.record.method.row, one.record.encoder.name), []).append(one)
    return rows


def of_line(rows: Rows, line: Line) -> Sequence[Evaluated]:
    """Return the evaluations of one line; chance has none."""
    return rows[line.label, line.encoder] if line.row else ()


def split_label(label: str) -> tuple[str, dict[str, str]]:
    """Return ``("synthetic", {"seed": "3"})`` for ``synthetic [seed=3]``: a name and what differs from its defaults."""
    match = LABEL.fullmatch(label)
    if not match:
        return label, {}
    parts = re.split(r", (?=\w+=)", match["settings"])
    return match["name"], {name: value for name, _, value in (part.partition("=") for part in parts)}


def dataset_component(label: str) -> str:
    """Return the registered name of a dataset: ``folder`` for ``folder:rings [seed=3]``."""
    return split_label(label)[0].partition(":")[0]


def label_assignments(label: str) -> list[str]:
    """Return what ``--set`` needs for a label, e.g. ``["timm.height=256"]`` for ``timm:resnet50 [height=256]``."""
    name, settings = split_label(label)
    return [f"{name.split(':')[0]}.{option}={value}" for option, value in settings.items()]


def run_config(record: EvaluationRecord, around: Surroundings) -> RunConfig:
    """Return the configuration under which dataset and encoder of ``record`` can be made again."""
    taught = record.protocol.trained_on
    encoder = plain_name(record.encoder.name)
    words = [word for label in (record.dataset.name, encoder, taught) for word in label_assignments(label)]
    searched = dataset_component(record.dataset.name)
    named = {"train": dataset_component(taught), "test": searched} if taught else {"dataset": searched}
    values: dict[str, Any] = {
        **named,
        "encoder": split_label(encoder)[0],
        "finetune": record.encoder.finetuned,
        "task": record.protocol.task,
        "evaluate": record.protocol.evaluate,
        "view": record.protocol.view,
        "threads": int(record.environment.get("threads", "1")),
        "training": {name: record.training[name] for name in SPECIFYING if name in record.training},
        "cache": around.cache,
        "root": around.root,
        "options": parse_assignments(tuple(words)),
    }
    return RunConfig(**values)


def method_component(registry: Registry, name: str) -> Component | None:
    """Return the method or composer ``name``, or None where its plugin is not loaded."""
    return registry.components["methods"].get(name) or registry.components["composers"].get(name)
