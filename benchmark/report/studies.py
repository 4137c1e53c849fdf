"""Studies of ``tune`` on disk: read from a runs folder, and published.

RUNS/tune/STUDY/study.json, trials.csv          what a study is, and its trials
RESULTS/DATASET/TASK/tuning/STUDY.json          the same in one file, without the reasons of failures, which hold paths
RESULTS/DATASET/TASK/tuning.md .csv             the tables (tuning.py)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.config import Strict
from benchmark.files import write_atomic
from benchmark.report.compact_rows import damaged_compact
from benchmark.report.table import stale, table_folder
from benchmark.store import Store, as_json, damaged
from benchmark.study import Score, Trial

FOLDER = "tuning"
COLUMNS = ("number", "state", "macro_map", "se", "ties_with_best", "parameters", "folds")
"""Columns of a study's trials.csv that come before its settings; ``reason`` comes after them."""


class StudyTrial(Strict):
    """One trial; ``folds`` is macro mAP of each fold in points with two decimals, empty where the trial failed."""

    number: int
    folds: tuple[float, ...]
    parameters: int
    ties: bool
    settings: dict[str, str]

    @property
    def trial(self) -> Trial:
        """The same as the study has it."""
        shares = tuple(round(value / 100, 6) for value in self.folds)
        return Trial(self.number, self.settings, Score(shares, self.parameters, "" if shares else "failed"))


class PublishedStudy(Strict):
    """A study: what was searched on which data, what was ``held``, and its trials, the defaults first."""

    name: str
    method: str
    dataset: str
    synthetic: bool
    task: str
    encoder: str
    commit: str
    seeds: tuple[int, ...]
    held: dict[str, str]
    trials: tuple[StudyTrial, ...]

    @property
    def folder(self) -> Path:
        """DATASET/TASK."""
        return table_folder(self.dataset, self.task)

    @property
    def tied(self) -> list[Trial]:
        """The best trial and those that tie with it, as the study found from unrounded numbers."""
        return [one.trial for one in self.trials if one.ties]

    @property
    def best(self) -> Trial:
        """The trial of the highest mean."""
        return max(self.tied, key=lambda trial: trial.mean)

    @property
    def default(self) -> Trial:
        """The first trial."""
        return self.trials[0].trial

    @property
    def simplest(self) -> Trial:
        """Of the trials that tie with the best the one that changes fewest settings, then the smallest."""

        def complexity(trial: Trial) -> tuple[int, int, float]:
            return len(changed_settings(self, trial)), trial.score.parameters, -trial.mean

        return min(self.tied, key=complexity)


def changed_settings(study: PublishedStudy, trial: Trial) -> dict[str, str]:
    """Return the settings of ``trial`` that are not the defaults."""
    first = study.default.settings
    return {name: value for name, value in trial.settings.items() if value != first[name]}


def read_studies(runs: Path) -> tuple[list[PublishedStudy], list[str]]:
    """Return the studies of a runs folder, and a sentence for each that can't be reported.

    Raises:
        UserError: a file is damaged.
    """
    found, told = [], []
    for path in sorted((runs / "tune").glob("*/study.json")):
        study = _read(path.parent)
        if isinstance(study, str):
            told.append(f"Study {path.parent.name} is left out: {study}.")
        else:
            found.append(study)
    return found, told


def published_studies(results: Path) -> list[PublishedStudy]:
    """Return the studies under results/.

    Raises:
        UserError: a file is damaged.
    """
    return [_read_published(path) for path in sorted(results.glob(f"*/*/{FOLDER}/*.json"))]


def import_studies(studies: Iterable[PublishedStudy], results: Path) -> list[str]:
    """Bring studies into ``results``; return what changed, a sentence each.

    Raises:
        UserError: a published file is damaged, or the folder is read-only or full.
    """
    told = []
    for study in studies:
        path = results / study.folder / FOLDER / f"{study.name}.json"
        if not path.is_file() or _read_published(path) != study:
            write_atomic(path, as_json(study.model_dump(mode="json")))
            told.append(f"Study {study.name} ({study.dataset}, {study.task}): {len(study.trials)} trials.")
    return told


def _read_published(path: Path) -> PublishedStudy:
    try:
        return PublishedStudy.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise damaged_compact(path, str(error).splitlines()[0]) from error


def _read(folder: Path) -> PublishedStudy | str:
    """Return the study of a runs folder, or why it can't be reported."""
    if not (folder / "trials.csv").is_file():
        return "it has no trial yet"
    records = [record for _, record in Store(folder).evaluations()]
    if not records:
        return "its evaluations are gone, which say what data it saw"
    identity, trials = read_identity(folder / "study.json"), _read_trials(folder / "trials.csv")
    if not trials or not trials[0].folds:
        return "the defaults have no score"
    # A study that was run again after a change of the code holds the evaluations of both versions.
    records = [record for record in records if not stale(record)]
    settings = {tuple(one.settings.items()) for one in trials if one.folds}
    if len(records) < len(settings) * len(trials[0].folds) * len(identity["seeds"]):
        return "its sources have changed since; run it again"
    return PublishedStudy(
        name=folder.name,
        method=identity["method"],
        dataset=identity["dataset"][0],
        synthetic=records[0].dataset.synthetic,
        task=identity["task"],
        encoder=identity["encoder"]["name"],
        commit=" ".join(sorted({record.environment.get("commit", "unknown") for record in records})),
        seeds=tuple(identity["seeds"]),
        held=_held(identity),
        trials=trials,
    )


def read_identity(path: Path) -> dict[str, Any]:
    """Read what a study is, from its study.json.

    Raises:
        UserError: it is damaged.
    """
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise damaged(path, str(error), unit=path, command="tune") from error
    if not isinstance(found, dict):
        raise damaged(path, "it holds no object", unit=path, command="tune")
    return found


def _read_trials(path: Path) -> tuple[StudyTrial, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_trial(row) for row in csv.DictReader(file))
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # a cut row lacks cells
        raise damaged(path, f"a row can't be read: {error}", unit=path, command="tune") from error


def _trial(row: Mapping[str, str]) -> StudyTrial:
    return StudyTrial(
        number=int(row["number"]),
        folds=tuple(float(value) for value in row["folds"].split()),
        parameters=int(row["parameters"] or 0),
        ties=row["ties_with_best"] == "True",
        settings={name: value for name, value in row.items() if name not in (*COLUMNS, "reason")},
    )


def _held(identity: Mapping[str, Any]) -> dict[str, str]:
    """Return what the user set, and the conditions that are not the defaults."""
    held = identity["held"]
    found: dict[str, str] = {}
    for name, options in {**held["options"], "training": held["training"]}.items():
        found |= {f"{name}.{key}": str(value) for key, value in options.items()}
    found |= {name: identity[name] for name in ("view", "excluded") if identity[name]}
    return found | ({"text_style": identity["text_style"]} if identity["text_style"] != "canonical" else {})
