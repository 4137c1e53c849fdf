"""The command that makes a row again, from the records of the row alone."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.assignments import write_assignments
from benchmark.config import NoOptions, RunConfig, Training
from benchmark.errors import PluginError
from benchmark.records import EvaluationRecord, plain_name
from benchmark.registry import Component, Registry
from benchmark.report.html.surroundings import (
    dataset_component,
    label_assignments,
    method_component,
    split_label,
)
from benchmark.report.wording import spans

FOLDER, TAUGHT = "FOLDER", "TRAINING_FOLDER"
"""What stands for the user's folders of the cases that are searched, and of those that taught."""


def command(records: Sequence[EvaluationRecord], registry: Registry, reference: str) -> str:
    """Return the shell command that makes the row of ``records`` (its seeds and folds), one flag a line.

    A row that the harness adds by itself (it reads labels) comes with the controls of a run of ``reference``.
    """
    first = records[0]
    flags = list(_data_flags(first))
    by_harness = first.method.reads_labels and method_component(registry, first.method.name) is None
    flags.append(("--methods", reference if by_harness else first.method.name))
    if not by_harness:
        flags.append(("--encoder", split_label(plain_name(first.encoder.name))[0]))
    seeds = spans(sorted({record.seed for record in records})).replace(", ", ",")
    flags += [("--seeds", seeds), *_protocol_flags(first), *_machine_flags(first)]
    flags += [("--set", words) for words in _settings(first, registry)]
    flags += [("--plugin", source) for source in _plugins(first, registry)]
    words = [f"{name} {shlex.quote(value)}" for name, value in flags]
    words += ["--finetune"] if first.encoder.finetuned and not by_harness else []
    words += [] if by_harness else ["--no-controls"]
    return " \\\n  ".join(["python -m benchmark run", *words])


def notes(record: EvaluationRecord, registry: Registry) -> list[str]:
    """Return what has to be in place before the command gives the same numbers."""
    found = []
    commit = record.environment.get("commit", "")
    if re.fullmatch(r"[0-9a-f]{7,40}", commit):
        found.append(f"Made at commit `{commit}`.")
    elif commit:
        found.append(f"Made from `{commit}`: no clean commit that could be checked out.")
    dataset = registry.components["datasets"].get(dataset_component(record.dataset.name))
    variable = _root_variable(dataset)
    if variable and ":" not in _data_flag(record.dataset.name, FOLDER):
        found.append(f"It needs your own copy of the data: set `{variable}` to its folder.")
    for label, word in ((record.dataset.name, FOLDER), (record.protocol.trained_on, TAUGHT)):
        if f":{word}" in _data_flag(label, word):
            found.append(f"{word} is where {label} lies on your machine.")
    if record.protocol.queries:
        found.append(f"QUERIES is the file of own queries ({record.protocol.queries}); the record holds its name only.")
    if record.protocol.excluded:
        found.append(f"FILE is the list of cases to leave out ({record.protocol.excluded}); the record holds its name.")
    if not _known(record, registry):
        found.append(f"The plugin `{record.method.owner}` is not loaded here: add `--plugin` with its file or module.")
    return found


def _data_flags(record: EvaluationRecord) -> Iterator[tuple[str, str]]:
    searched, taught = _data_flag(record.dataset.name, FOLDER), _data_flag(record.protocol.trained_on, TAUGHT)
    yield from (("--train", taught), ("--test", searched)) if taught else (("--dataset", searched),)
    if record.protocol.queries:
        yield "--queries", "QUERIES"


def _data_flag(label: str, word: str) -> str:
    """Return ``synthetic``, or ``folder:`` and a word for the folder where the label says more than the component."""
    return split_label(label)[0].partition(":")[0] + (f":{word}" if ":" in split_label(label)[0] else "")


def _protocol_flags(record: EvaluationRecord) -> Iterator[tuple[str, str]]:
    names = ("task", "evaluate", "gallery", "text_style", "without")
    usual = {name: RunConfig.model_fields[name].default for name in names}
    for name, default in {**usual, "view": record.dataset.view}.items():
        value = getattr(record.protocol, name)
        if value != default:
            yield f"--{name.replace('_', '-')}", value
    if record.protocol.excluded:
        yield "--exclude", "FILE"


def _machine_flags(record: EvaluationRecord) -> Iterator[tuple[str, str]]:
    device, threads = record.environment.get("device", ""), record.environment.get("threads", "")
    if device:
        yield "--device", device.split(" ")[0]
    if threads and threads != str(RunConfig.model_fields["threads"].default):
        yield "--threads", threads


def _settings(record: EvaluationRecord, registry: Registry) -> Iterator[str]:
    yield from label_assignments(record.dataset.name)
    yield from label_assignments(plain_name(record.encoder.name))
    yield from write_assignments({"training": _other(record.training, Training().model_dump())})
    method = record.method
    component = method_component(registry, method.name)
    own = {name: value for name, value in method.options.items() if name != "scorer"}
    yield from write_assignments({method.name: _other(own, _defaults(component))})
    scorer = dict(method.options.get("scorer") or {})
    if scorer:
        yield from _scorer_settings(method.name, scorer, component, registry)


def _scorer_settings(
    method: str, scorer: dict[str, Any], component: Component | None, registry: Registry
) -> Iterator[str]:
    name = scorer.pop("name")
    usual = getattr(component.load(), "scorer", None) if component else None
    if name != usual:
        yield from write_assignments({method: {"scorer": {"name": name}}})
    others = _other(scorer, _defaults(registry.components["scorers"].get(name)))
    yield from write_assignments({method: {"scorer": others}})


def _defaults(component: Component | None) -> dict[str, Any]:
    """Return the options of a component by default; none where it is not here, so that all are written out."""
    model = component.options_model() if component else NoOptions
    fields = model.model_fields.items()
    chosen = {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}
    return json.loads(json.dumps(chosen, default=str))


def _other(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs from the defaults."""
    return {name: value for name, value in values.items() if name not in defaults or defaults[name] != value}


def _plugins(record: EvaluationRecord, registry: Registry) -> list[str]:
    """Return the files and modules that brought method, dataset or encoder and have to be named."""
    datasets, encoders = registry.components["datasets"], registry.components["encoders"]
    dataset = datasets.get(dataset_component(record.dataset.name))
    encoder = encoders.get(split_label(plain_name(record.encoder.name))[0])
    owners = {record.method.owner, *(component.owner for component in (dataset, encoder) if component)}
    named = [plugin for plugin in registry.plugins if plugin.name in owners]
    return [
        plugin.name if plugin.source == "module" else plugin.source
        for plugin in named
        if plugin.source == "module" or plugin.source.endswith(".py")
    ]


def _known(record: EvaluationRecord, registry: Registry) -> bool:
    return record.method.owner == "benchmark" or record.method.owner in {plugin.name for plugin in registry.plugins}


def _root_variable(dataset: Component | None) -> str | None:
    try:
        return getattr(dataset.load(), "root_variable", None) if dataset else None
    except PluginError:
        return None
