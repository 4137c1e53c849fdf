"""Trials of a study: which are asked for, which tie, which is simplest. Numbers are worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from benchmark.search_space import Choice, Range, Space
from benchmark.study import Score, Trial, best, run_trials, simplest, standard_error, tied, trials_csv

SPACE: Space = {"m.width": Choice(values=(8, 16)), "m.rate": Range(low=0.001, high=1.0, log=True)}
FIRST = {"m.width": 8, "m.rate": 0.1}


def measure(settings: Mapping[str, Any]) -> Score:
    """Narrow fails; else the nearer the rate to 0.5 the better."""
    if settings["m.width"] == 16 and settings["m.rate"] < 0.01:
        return Score(reason="refused")
    return Score((1 - abs(settings["m.rate"] - 0.5), 0.5), parameters=settings["m.width"])


def asked(count: int, seed: int = 0) -> list[Trial]:
    return list(run_trials(SPACE, FIRST, count, seed, measure))


def test_the_first_trial_is_the_defaults_and_a_seed_fixes_the_rest() -> None:
    trials = asked(14)
    assert trials[0].settings == FIRST
    assert trials == asked(14)
    assert trials[1:] != asked(14, seed=1)[1:]


def test_more_trials_begin_with_the_same() -> None:
    assert asked(16)[:12] == asked(12)


def test_a_failed_trial_has_no_score_and_the_others_go_on() -> None:
    trials = asked(16)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert failed and len(trials) == 16
    assert not set(map(id, failed)) & set(map(id, tied(trials)))


def trial(number: int, *folds: float, width: int = 8, parameters: int = 100) -> Trial:
    return Trial(number, {"width": width}, Score(folds, parameters))


def test_the_standard_error_of_three_folds() -> None:
    # values 1, 2, 3: standard deviation 1, over the root of three
    assert standard_error((1.0, 2.0, 3.0)) == pytest.approx(3**-0.5)
    assert trial(0, 1.0, 2.0, 3.0).mean == 2.0


def test_a_difference_below_two_standard_errors_is_a_tie() -> None:
    top = trial(0, 0.50, 0.60, 0.70)
    # differences 0.01, 0.02, 0.03: mean 0.02, standard error 0.01 / root 3 = 0.0058, so 3.5 of them: apart
    apart = trial(1, 0.49, 0.58, 0.67)
    # differences -0.02, 0.01, 0.04: mean 0.01, standard error 0.0173, so 0.6 of them: a tie
    near = trial(2, 0.52, 0.59, 0.66)
    equal = trial(3, 0.50, 0.60, 0.70)
    failed = Trial(4, {"width": 8}, Score(reason="no"))
    trials = [top, apart, near, equal, failed]
    assert best(trials) is top
    assert [one.number for one in tied(trials)] == [0, 2, 3]
    assert tied([failed]) == [] and best([failed]) is None and simplest([failed], {}) is None


def test_the_simplest_of_a_tie_changes_least_then_is_smallest() -> None:
    changed, small = trial(0, 0.5, 0.6, width=16), trial(1, 0.5, 0.6, width=32, parameters=10)
    assert simplest([changed, small], {"width": 8}) is small
    default = trial(2, 0.5, 0.6, parameters=1_000)
    assert simplest([changed, small, default], {"width": 8}) is default


def test_the_table_is_in_per_cent_and_keeps_failures() -> None:
    trials = [trial(0, 0.25, 0.35), Trial(1, {"width": 16}, Score(reason="NaN, at once"))]
    # mean 30, standard deviation 0.0707 over the root of two: 5
    assert trials_csv(trials, ["width"]).decode().splitlines() == [
        "number,state,macro_map,se,ties_with_best,parameters,folds,width,reason",
        "0,complete,30.00,5.00,True,100,25.00 35.00,8,",
        '1,failed,,,,,,16,"NaN, at once"',
    ]
