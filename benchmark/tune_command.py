"""What ``python -m benchmark tune`` does: run the trials of a study, keep them, and say which settings are best."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import tomli_w
from rich.table import Table

from benchmark.commands import banner, run_units
from benchmark.config import RunConfig, build_config, read_config
from benchmark.errors import UserError
from benchmark.evaluation import aggregate, per_query
from benchmark.files import only_writer, write_atomic
from benchmark.flags import complain, err, out
from benchmark.registry import Registry, load_registry
from benchmark.report.studies import read_identity
from benchmark.runner import Runner, Unit
from benchmark.search_space import Space, applied, defaults, search_space
from benchmark.store import Store, as_json, read_ranking, slug
from benchmark.study import Score, Trial, best, run_trials, simplest, tied, trials_csv

SHOWN = 10


@dataclass(frozen=True)
class Request:
    """What the user asked for: the flags of a run, and those of the study."""

    flags: Mapping[str, Any]
    file: Path | None
    assignments: tuple[str, ...]
    plugins: tuple[str, ...]
    method: str
    trials: int
    sampler_seed: int
    training: bool
    study: str | None


@dataclass(frozen=True)
class Study:
    """One study on disk. ``config`` is that of its trials without their settings; its runs lie in ``folder``."""

    folder: Path
    config: RunConfig
    registry: Registry
    method: str
    space: Space
    first: Mapping[str, Any]


def tune_command(request: Request, *, quiet: bool, as_json: bool, show_traces: bool) -> int:
    """Run the trials that are missing and report. Return 0, 1 where a trial failed, 130 where it was interrupted."""
    config = _config(request)
    registry = load_registry(config.plugins)
    runner = Runner(config, registry)
    banner(runner)
    study = _open(request, config, registry, runner)
    trials: list[Trial] = []
    try:
        with only_writer(study.folder):
            _refuse_other_study(study, _identity(request, study, runner), request.trials)
            measure = partial(_measure, study, quiet=quiet, show_traces=show_traces)
            for trial in run_trials(study.space, study.first, request.trials, request.sampler_seed, measure):
                trials.append(trial)
                _say(trial, request.trials)
                _write(study, trials, request.trials)
    except KeyboardInterrupt:
        complain(f"Stopped: {len(trials)} of {request.trials} trials are stored; the same command goes on from there.")
        return 130
    _report(study, trials, config.runs, as_json)
    return 1 if any(trial.state == "failed" for trial in trials) else 0


def _config(request: Request) -> RunConfig:
    given = read_config(request.file) if request.file else {}
    if "test" in (request.flags["evaluate"], given.get("evaluate")):
        raise UserError(
            "--evaluate test: tune chooses settings in cross-validation over train + valid alone, so that test stays "
            "unseen. Leave --evaluate out; then evaluate the best on test: run --config RUNS/tune/STUDY/best.toml."
        )
    if given.get("finetune"):
        raise UserError("finetune: tune searches with the encoder as it is; leave finetune out of its TOML file.")
    if "," in request.method:
        raise UserError(f"--method {request.method}: name one method; tune the others in commands of their own.")
    flags = {**request.flags, "evaluate": "cv", "controls": False}
    if flags["seeds"] is None and "seeds" not in given:
        flags["seeds"] = "0"
    config = build_config(flags, request.file, request.assignments)
    plugins = (*config.plugins, *request.plugins)
    return config.model_copy(update={"plugins": plugins, "reference": None})


def _open(request: Request, config: RunConfig, registry: Registry, runner: Runner) -> Study:
    plan = runner.plans[request.method]
    space = search_space(registry, plan, config, request.training)
    name = slug(request.study or f"{request.method}-{runner.session.dataset_label}")
    if not re.search(r"[a-z0-9]", name):
        raise UserError(f"--study {request.study}: no name for a folder; use letters and digits.")
    folder = config.runs / "tune" / name
    kept = config.model_copy(update={"runs": folder})
    return Study(folder, kept, registry, request.method, space, defaults(space, plan))


def _identity(request: Request, study: Study, runner: Runner) -> dict[str, Any]:
    """Return what the trials of one study share; the code is not part of it, since changed code is run again."""
    session, config = runner.session, study.config
    return {
        "method": request.method,
        "dataset": [session.dataset_label, session.dataset_info.fingerprint],
        "encoder": session.encoder_info.model_dump(),
        "task": config.task,
        "view": config.view,
        "text_style": config.text_style,
        "excluded": session.excluded,
        "seeds": list(config.seeds),
        "sampler_seed": request.sampler_seed,
        "space": {name: one.model_dump() for name, one in study.space.items()},
        "held": {"options": config.options, "training": config.training.model_dump(exclude_unset=True)},
        "optuna": optuna.__version__,
    }


def _refuse_other_study(study: Study, identity: Mapping[str, Any], trials: int) -> None:
    """Write what the study is, unless the folder holds another one or more trials than are asked for."""
    path = study.folder / "study.json"
    content = as_json(identity)
    if path.exists():
        stored = read_identity(path)
        other = sorted(name for name in identity if json.loads(content)[name] != stored.get(name))
        if other:
            raise UserError(
                f"{study.folder} holds a study of other {', '.join(other)}. Give this one a name of its own with "
                "--study, or remove the folder."
            )
    held = _stored_trials(study.folder)
    if held > trials:
        raise UserError(f"{study.folder} holds {held} trials already; ask for as many at least: --trials {held}.")
    write_atomic(path, content)


def _stored_trials(folder: Path) -> int:
    path = folder / "trials.csv"
    if not path.exists():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _measure(study: Study, settings: Mapping[str, Any], *, quiet: bool, show_traces: bool) -> Score:
    """Run one trial, or find it stored."""
    try:
        runner = Runner(applied(study.config, settings), study.registry)
    except UserError as error:
        return Score(reason=f"refused: {error}")  # settings that are fine one by one may not go together
    runner.store.clean()
    units = runner.units()
    outcome = run_units(runner, units, quiet)
    if outcome.failures:
        if show_traces:
            err.print(outcome.failures[0].trace, markup=False, highlight=False)
        return Score(reason=str(outcome.failures[0].error))
    _drop_weights(runner.store, units)
    return _score(runner.store, units)


def _drop_weights(store: Store, units: list[Unit]) -> None:
    """Remove the trained weights: a study has a hundred of them, and only rankings are compared."""
    for unit in units:
        path = store.find("trainings", unit.training_key)
        if path:
            shutil.rmtree(path)


def _score(store: Store, units: list[Unit]) -> Score:
    folds: dict[int, list[float]] = {}
    parameters = 0
    for unit in units:
        path = store.find("evaluations", unit.key)
        assert path is not None
        record = store.evaluation(path)
        judgments = store.judgments(record.judgments)
        macro = aggregate(per_query(read_ranking(path), judgments), judgments)["macro mAP"]
        folds.setdefault(unit.trial, []).append(macro)
        parameters = record.method.parameters
    return Score(tuple(float(np.mean(folds[fold])) for fold in sorted(folds)), parameters)


def _write(study: Study, trials: list[Trial], asked: int) -> None:
    """Write the study's files, unless the table has rows of later trials that are not asked for again yet."""
    if len(trials) < min(asked, _stored_trials(study.folder)):
        return
    write_atomic(study.folder / "trials.csv", trials_csv(trials, list(study.space)))
    for name, trial in (("best", best(trials)), ("simplest", simplest(trials, study.first))):
        if trial:
            write_atomic(study.folder / f"{name}.toml", _toml(study, trial, name))


def _toml(study: Study, trial: Trial, name: str) -> bytes:
    """Return a file for ``run --config``: method, data and settings; what is evaluated is left to the user."""
    run = applied(study.config, trial.settings)
    asked = ("methods", "dataset", "root", "encoder", "task", "view", "exclude", "threads", "plugins")
    names = (*asked, "training", "options")
    values = run.model_dump(mode="json", exclude_unset=True, exclude_none=True, include=set(names))
    words = f"# {name} trial of {study.folder.name}: number {trial.number}, {_result(trial)}, cross-validation\n"
    return (words + tomli_w.dumps({key: values[key] for key in names if values.get(key)})).encode()


def _result(trial: Trial) -> str:
    if trial.state == "failed":
        return trial.score.reason
    return f"macro mAP {100 * trial.mean:.1f} ± {100 * trial.error:.1f} (SE)"


def _settings(trial: Trial) -> str:
    return ", ".join(f"{name}={value}" for name, value in trial.settings.items())


def _say(trial: Trial, asked: int) -> None:
    line = f"Trial {trial.number + 1} of {asked}: {_result(trial)}; {_settings(trial)}"
    err.print(line, style="red" if trial.state == "failed" else "", markup=False, highlight=False, soft_wrap=True)


def _report(study: Study, trials: list[Trial], runs: Path, as_json: bool) -> None:
    ties, top, plain = tied(trials), best(trials), simplest(trials, study.first)
    counts = _trial_counts(runs, study)
    if as_json:
        rows = [{**_row(trial), "ties_with_best": trial in ties} for trial in trials]
        chosen = {"best": top and top.number, "simplest": plain and plain.number}
        print(json.dumps({"study": str(study.folder), "trials": rows, **chosen, "trials_per_method": counts}, indent=1))
        return
    if top is None or plain is None:
        complain("No trial has a score; the reasons stand in trials.csv and run.log.")
        return
    table = Table("trial", "macro mAP ± SE", "settings", title=f"{study.method}: best trials", title_justify="left")
    for trial in sorted(ties, key=lambda trial: -trial.mean)[:SHOWN]:
        table.add_row(str(trial.number), _result(trial).removeprefix("macro mAP "), _settings(trial))
    out.print(table)
    plural = f"{len(ties)} of {len(trials)} trials tie with the best (difference below 2 SE over folds): "
    words = plural + ", ".join(str(trial.number) for trial in ties)
    out.print(f"{words}. Simplest of them: {plain.number}.", markup=False, highlight=False)
    _say_counts(counts)
    err.print(f"Table and settings: {study.folder}", markup=False, highlight=False, soft_wrap=True)


def _row(trial: Trial) -> dict[str, Any]:
    row: dict[str, Any] = {"number": trial.number, "state": trial.state, "settings": dict(trial.settings)}
    if trial.state == "failed":
        return {**row, "reason": trial.score.reason}
    return {**row, "macro_map": trial.mean, "macro_map_se": trial.error, "folds": list(trial.score.folds)}


def _trial_counts(runs: Path, study: Study) -> dict[str, int]:
    """Return study -> number of trials, of all studies on the same data."""
    dataset = read_identity(study.folder / "study.json")["dataset"][0]
    found = sorted((runs / "tune").glob("*/study.json"))
    same = [path.parent for path in found if read_identity(path)["dataset"][0] == dataset]
    return {folder.name: _stored_trials(folder) for folder in same}


def _say_counts(counts: Mapping[str, int]) -> None:
    words = ", ".join(f"{name} {count}" for name, count in counts.items())
    out.print(f"Trials on this data set: {words}.", markup=False, highlight=False)
    if len(set(counts.values())) > 1:
        complain(
            "The studies differ in their number of trials: a comparison is fair where all have the same.", "yellow"
        )
