"""What tuning gave: of each study the number of trials, the defaults, the best, and the simplest that ties with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.files import write_atomic
from benchmark.report.columns import parameters_text, points, raw, signed_points, yes_or_no
from benchmark.report.formats import csv_text
from benchmark.report.studies import PublishedStudy, changed_settings
from benchmark.report.wording import SYNTHETIC, spans
from benchmark.statistics import standard_error
from benchmark.study import Trial

STEM = "tuning"
HEADINGS = ("study", "encoder", "trials", "failed", "defaults", "best", "best minus defaults", "simplest", "ties")
HEADER = (
    "dataset", "synthetic", "task", "study", "method", "encoder", "commit", "seeds", "trial", "state", "macro_map",
    "macro_map_se", "folds", "ties_with_best", "best", "simplest", "parameters", "settings", "held",
)  # fmt: skip
SUMMARY = (
    "dataset", "synthetic", "task", "study", "method", "encoder", "trials", "failed", "defaults", "defaults_se", "best",
    "best_se", "best_minus_defaults", "best_minus_defaults_se", "simplest", "simplest_se", "ties", "defaults_tie",
)  # fmt: skip
ABOVE = (
    "Numbers are percentage points of macro mAP in cross-validation over train and valid, the mean over folds ± its "
    "standard error. The first trial is the defaults; the others are asked for by a seeded sampler (TPE). Trials tie "
    "where their difference, paired by fold, is under two standard errors. Simplest is the one of those that tie with "
    "the best that changes the fewest settings, then the smallest. The best of many trials looks better than it is: it "
    "was chosen on the folds that measure it. All trials stand in tuning.csv, this table in tuning-summary.csv."
)


def write_tuning(studies: Iterable[PublishedStudy], folder: Path) -> list[Path]:
    """Write tuning.md, tuning.csv and tuning-summary.csv of every data set and task under ``folder``; return the pages.

    Raises:
        UserError: the folder is read-only or full.
    """
    shared: dict[Path, list[PublishedStudy]] = {}
    for study in studies:
        shared.setdefault(study.folder, []).append(study)
    for place, members in shared.items():
        members.sort(key=lambda study: (study.encoder, -study.best.mean, study.name))
        write_atomic(folder / place / f"{STEM}.md", tuning_markdown(members).encode())
        write_atomic(folder / place / f"{STEM}.csv", tuning_csv(members).encode())
        write_atomic(folder / place / f"{STEM}-summary.csv", csv_text([SUMMARY, *map(_summary, members)]).encode())
    return [folder / place / f"{STEM}.md" for place in shared]


def tuning_markdown(studies: Sequence[PublishedStudy]) -> str:
    """Return the page of the studies of one data set and task."""
    from tabulate import tabulate

    first = studies[0]
    kind = "**Synthetic** tuning" if first.synthetic else "Tuning"
    align = ("left", "left", *["right"] * (len(HEADINGS) - 2))
    table = tabulate(list(map(_cells, studies)), HEADINGS, tablefmt="pipe", colalign=align, disable_numparse=True)
    parts = [
        f"# {kind}: {first.dataset}, {first.task}",
        *([SYNTHETIC] if first.synthetic else []),
        ABOVE,
        *_uneven(studies),
        str(table),
        *_again(studies),
        "## Settings",
        "\n".join(_settings(study) for study in studies),
    ]
    return "\n\n".join(parts) + "\n"


def _cells(study: PublishedStudy) -> list[str]:
    failed = sum(not one.folds for one in study.trials)
    gain = " ± ".join(write(value) for write, value in zip((signed_points, points), _gain(study), strict=True))
    results = [_result(study.default), _result(study.best), gain, _result(study.simplest)]
    return [study.name, study.encoder, str(len(study.trials)), str(failed), *results, str(len(study.tied))]


def _gain(study: PublishedStudy) -> tuple[float, float]:
    """Return best minus defaults, paired by fold, and its standard error."""
    gains = [b - a for a, b in zip(study.default.score.folds, study.best.score.folds, strict=True)]
    return sum(gains) / len(gains), standard_error(gains)


def _summary(study: PublishedStudy) -> list[str]:
    failed = sum(not one.folds for one in study.trials)
    first, best, simplest = ((trial.mean, trial.error) for trial in (study.default, study.best, study.simplest))
    about = [study.dataset, yes_or_no(study.synthetic), study.task, study.name, study.method, study.encoder]
    numbers = [raw(value) for value in (*first, *best, *_gain(study), *simplest)]
    counts = [str(len(study.tied)), yes_or_no(study.trials[0].ties)]
    return [*about, str(len(study.trials)), str(failed), *numbers, *counts]


def _result(trial: Trial) -> str:
    return f"{points(trial.mean)} ± {points(trial.error)}"


def _uneven(studies: Sequence[PublishedStudy]) -> list[str]:
    if len({len(study.trials) for study in studies}) == 1:
        return []
    return ["The studies differ in their number of trials: a comparison is fair where all have the same."]


def _again(studies: Sequence[PublishedStudy]) -> list[str]:
    """Return the command of studies that were asked for alike."""
    if len({(study.encoder, len(study.trials)) for study in studies}) > 1:
        return []
    first = studies[0]
    asked = f"--dataset {first.dataset} --task {first.task} --encoder {first.encoder} --trials {len(first.trials)}"
    return [f"A study again: `python -m benchmark tune --method METHOD {asked}`."]


def _settings(study: PublishedStudy) -> str:
    """Return what is best and what is simplest, as a bullet."""
    best, simplest = study.best, study.simplest
    words = f"- `{study.name}` ({study.method}): best, trial {best.number}: {_changes(study, best)}"
    words += "; the simplest too." if simplest.number == best.number else (
        f"; simplest, trial {simplest.number}: {_changes(study, simplest)}."
    )  # fmt: skip
    held = ", ".join(f"{name} = {value}" for name, value in study.held.items())
    seeds = f"Seed{'s' if len(study.seeds) > 1 else ''} {spans(list(study.seeds))}"
    return f"{words} {seeds}, commit `{study.commit}`{f'; held: {held}' if held else ''}."


def _changes(study: PublishedStudy, trial: Trial) -> str:
    changed = ", ".join(f"{name} = {value}" for name, value in changed_settings(study, trial).items())
    return f"{changed or 'the defaults'} ({parameters_text(trial.score.parameters)} parameters)"


def tuning_csv(studies: Sequence[PublishedStudy]) -> str:
    """Return every trial of the studies; shares in [0, 1]."""
    return csv_text([HEADER, *(row for study in studies for row in _rows(study))])


def _rows(study: PublishedStudy) -> list[list[str]]:
    held = "; ".join(f"{k}={v}" for k, v in study.held.items())
    about = [
        study.dataset,
        yes_or_no(study.synthetic),
        study.task,
        study.name,
        study.method,
        study.encoder,
        study.commit,
    ]
    rows = []
    for one in study.trials:
        trial = one.trial
        done = trial.state == "complete"
        numbers = [raw(trial.mean), raw(trial.error), " ".join(map(raw, trial.score.folds))] if done else [""] * 3
        marks = map(yes_or_no, (one.ties, *(one.number == n.number for n in (study.best, study.simplest))))
        settings = "; ".join(f"{name}={value}" for name, value in one.settings.items())
        parameters = str(one.parameters) if done else ""
        seeds = spans(list(study.seeds))
        rows.append([*about, seeds, str(one.number), trial.state, *numbers, *marks, parameters, settings, held])
    return rows
