"""A study: trials of one method's settings, which of them tie, and its files. The sampler is Optuna's.

A study keeps no state but its results. Sampler and first trial are seeded and what a trial scored is stored, so a study
that goes on asks for the same trials again, finds them stored, and arrives where it stopped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from benchmark.search_space import Choice, Range, Space
from benchmark.statistics import standard_error, tie


@dataclass(frozen=True)
class Score:
    """What a trial reached: macro mAP of each fold, averaged over seeds; ``reason`` says why there is none."""

    folds: tuple[float, ...] = ()
    parameters: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """One trial: its number from 0, its settings by the names that ``--set`` takes, and its score."""

    number: int
    settings: Mapping[str, Any]
    score: Score

    @property
    def state(self) -> Literal["complete", "failed"]:
        """Whether it has a score."""
        return "failed" if self.score.reason else "complete"

    @property
    def mean(self) -> float:
        """Macro mAP, averaged over folds."""
        return float(np.mean(self.score.folds))

    @property
    def error(self) -> float:
        """Standard error of the mean over folds."""
        return standard_error(self.score.folds)


def run_trials(
    space: Space, first: Mapping[str, Any], count: int, seed: int, measure: Callable[[Mapping[str, Any]], Score]
) -> Iterator[Trial]:
    """Yield ``count`` trials, the settings ``first`` before those that the sampler (TPE) asks for.

    ``count`` changes how many trials there are, not which: the first n of more are the same n.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict(first))
    distributions = {name: _distribution(one) for name, one in space.items()}
    for number in range(count):
        asked = study.ask(distributions)
        settings = {name: space[name].nearest(value) for name, value in asked.params.items()}
        trial = Trial(number, settings, measure(settings))
        if trial.state == "complete":
            study.tell(asked, trial.mean)
        else:
            study.tell(asked, state=TrialState.FAIL)
        yield trial


def _distribution(one: Range | Choice) -> BaseDistribution:
    if isinstance(one, Choice):
        return CategoricalDistribution(one.values)
    if one.whole:
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial of the highest mean, the earlier one where two are equal."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: trial.mean) if complete else None


def tied(trials: Sequence[Trial]) -> list[Trial]:
    """Return the best trial and those that tie with it: the difference to the best, paired by fold, is below two of its
    standard errors.
    """
    top = best(trials)
    return [trial for trial in trials if top and trial.state == "complete" and (trial is top or _ties(top, trial))]


def _ties(top: Trial, trial: Trial) -> bool:
    return tie(list(np.subtract(top.score.folds, trial.score.folds)))


def simplest(trials: Sequence[Trial], first: Mapping[str, Any]) -> Trial | None:
    """Return the simplest of the trials that tie with the best: the fewest settings that differ from ``first``, then
    the fewest parameters, then the highest mean.
    """

    def complexity(trial: Trial) -> tuple[int, int, float]:
        changed = sum(trial.settings[name] != value for name, value in first.items())
        return changed, trial.score.parameters, -trial.mean

    return min(tied(trials), key=complexity, default=None)


def trials_csv(trials: Sequence[Trial], names: Sequence[str]) -> bytes:
    """Return the table of the trials: macro mAP and its standard error in per cent, each fold, then every setting."""
    ties = {trial.number for trial in tied(trials)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "state", "macro_map", "se", "ties_with_best", "parameters", "folds", *names, "reason"])
    for trial in trials:
        done = trial.state == "complete"
        numbers = [_percent(trial.mean), _percent(trial.error), trial.number in ties] if done else ["", "", ""]
        folds = " ".join(map(_percent, trial.score.folds))
        parameters = trial.score.parameters if done else ""
        settings = [trial.settings[name] for name in names]
        writer.writerow([trial.number, trial.state, *numbers, parameters, folds, *settings, trial.score.reason])
    return text.getvalue().encode()


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
