"""Intervals and tests: by hand, by enumeration, and by simulation where only the long run is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmark.evaluation import macro
from benchmark.statistics import holm, paired_interval, sign_flip_p, sign_flip_ps, two_level_interval, wins

STRATA = np.repeat([0, 1, 2], [40, 15, 5])


def simulated_ap(rng, seeds=5, seed_sd=0.01, query_sd=0.15, noise_sd=0.05, centre=(0.6, 0.4, 0.2)):
    """AP (s, q) whose expected macro mAP is the mean of ``centre``: query, seed and residual effects are normal."""
    q = len(STRATA)
    level = np.asarray(centre)[STRATA]
    noise = rng.normal(0, noise_sd, (seeds, q))
    return level + rng.normal(0, query_sd, q) + rng.normal(0, seed_sd, (seeds, 1)) + noise


# ------------------------------------------------------------------------------------------------ intervals


def test_without_variation_the_interval_is_the_macro_average():
    ap = np.tile([0.5, 0.5, 0.5, 0.1], (3, 1))
    assert two_level_interval(ap, [0, 0, 0, 1], draws=50) == pytest.approx((0.3, 0.3))


def test_two_queries_of_one_seed_by_hand():
    # A draw gives 0, 1/2 or 1 with probability 1/4, 1/2, 1/4: the quartiles of many draws are 0 or 1/2, and 1/2 or 1.
    low, high = two_level_interval([[0.0, 1.0]], [0, 0], draws=4_000, level=0.4)
    assert (low, high) == (0.5, 0.5)
    assert two_level_interval([[0.0, 1.0]], [0, 0], draws=4_000, level=0.6) == (0.0, 1.0)


def test_the_width_is_that_of_both_levels_of_variance():
    ap = simulated_ap(np.random.default_rng(0), seed_sd=0.03)
    averaged, seed_means = ap.mean(axis=0), [macro(row, STRATA) for row in ap]
    of_queries = sum(part.var() / len(part) for part in np.split(averaged, [40, 55])) / 9
    of_seeds = np.var(seed_means) / len(ap)
    low, high = two_level_interval(ap, STRATA, draws=20_000)
    # Residuals of the drawn seeds add a little to the sum of the two variances.
    assert (high - low) / (2 * 1.96) == pytest.approx(math.sqrt(of_queries + of_seeds), rel=0.05)
    assert (low + high) / 2 == pytest.approx(macro(averaged, STRATA), abs=0.005)


def test_seeds_share_the_drawn_queries():
    # Five identical seeds know no more than one.
    one = simulated_ap(np.random.default_rng(0), seeds=1)
    widths = [high - low for low, high in (two_level_interval(np.tile(one, (s, 1)), STRATA) for s in (1, 5))]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [two_level_interval(simulated_ap(rng), STRATA, draws=400, seed=i) for i in range(300)]
    covered = np.mean([low <= 0.4 <= high for low, high in intervals])
    # Bootstrapping five queries of a stratum underestimates their variance by a fifth, hence below 0.95.
    assert 0.87 <= covered <= 0.97


def test_a_wider_level_gives_a_wider_interval():
    ap = simulated_ap(np.random.default_rng(0))
    (low99, high99), (low50, high50) = (two_level_interval(ap, STRATA, draws=2_000, level=x) for x in (0.99, 0.5))
    assert low99 < low50 < high50 < high99


def test_a_paired_interval_is_free_of_what_both_methods_share():
    rng = np.random.default_rng(0)
    base = simulated_ap(rng)
    better = base + 0.02 + rng.normal(0, 0.01, base.shape)
    low, high = paired_interval(better - base, STRATA)
    assert 0.01 < low < 0.02 < high < 0.03
    single_low, single_high = two_level_interval(better, STRATA)
    assert high - low < (single_high - single_low) / 5


# ------------------------------------------------------------------------------------------------ sign flips


def exact_p(difference, strata):
    """Two-sided p by enumeration of all sign vectors."""
    averaged = np.mean(difference, axis=0)
    flipped = [abs(macro(averaged * signs, strata)) for signs in itertools.product([1, -1], repeat=len(averaged))]
    return np.mean(np.array(flipped) >= abs(macro(averaged, strata)) - 1e-12)


def test_three_queries_by_hand():
    # |+-1 +-2 +-4| >= 5 for 4 of 8 sign vectors: 7, 5 and their negatives.
    assert exact_p([[1.0, 2.0, -4.0]], [0, 0, 0]) == 1.0  # |T| = 1/3 is the smallest of all
    assert exact_p([[-1.0, 2.0, 4.0]], [0, 0, 0]) == 0.5
    assert sign_flip_p([[-1.0, 2.0, 4.0]], [0, 0, 0]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_p_equals_the_enumeration_of_all_signs(seed):
    rng = np.random.default_rng(seed)
    difference = rng.normal(0.3, 1, size=(2, 10))
    strata = [0] * 6 + [1] * 3 + [2]
    draws = 50_000
    expected = exact_p(difference, strata)
    error = math.sqrt(expected * (1 - expected) / draws)
    assert sign_flip_p(difference, strata, draws) == pytest.approx(expected, abs=4 * error + 2 / draws)


def test_a_stratum_weighs_the_same_whatever_its_size():
    # 60 queries of stratum 0 lean one way, the two of stratum 1 lean the other way, as strongly on average: T = 0.
    difference = np.array([[0.1] * 60 + [-0.1] * 2])
    assert sign_flip_p(difference, [0] * 60 + [1] * 2, draws=2_000) == 1.0


def test_p_is_uniform_under_the_null():
    rng = np.random.default_rng(0)
    p = np.array([sign_flip_p(rng.normal(size=(5, 60)), STRATA, draws=500, seed=i) for i in range(400)])
    for level in (0.05, 0.25, 0.5, 0.75):
        assert np.mean(p <= level) == pytest.approx(level, abs=3 * math.sqrt(level * (1 - level) / len(p)))


def test_a_strong_effect_reaches_the_smallest_p_and_its_sign_does_not_matter():
    difference = np.random.default_rng(0).normal(0.2, 0.05, size=(5, 60))
    assert sign_flip_p(difference, STRATA, draws=10_000) == 1 / 10_001
    assert sign_flip_p(-difference, STRATA, draws=10_000) == 1 / 10_001


def test_queries_of_one_unit_flip_together():
    # |+-3 +-4| >= 7 for 2 of 4 sign vectors; each query alone, |+-1 +-2 +-4| >= 7 for 2 of 8.
    difference = [[[1.0, 2.0, 4.0]]]
    assert sign_flip_ps(difference, [0, 0, 0], units=["a", "a", "b"])[0] == pytest.approx(0.5, abs=0.01)
    assert sign_flip_ps(difference, [0, 0, 0])[0] == pytest.approx(0.25, abs=0.01)


def test_queries_of_one_unit_are_drawn_together():
    """Three copies of each query tell no more than one: as a unit they leave the interval as wide as it was."""
    ap = simulated_ap(np.random.default_rng(0))[:, STRATA == 0]
    strata, copies = np.zeros(ap.shape[1], dtype=int), np.repeat(ap, 3, axis=1)
    alone = np.diff(two_level_interval(ap, strata))
    unit = np.repeat(np.arange(ap.shape[1]), 3)
    together = np.diff(two_level_interval(copies, np.repeat(strata, 3), units=unit))
    assert together == pytest.approx(alone, rel=0.05)
    assert np.diff(two_level_interval(copies, np.repeat(strata, 3))) < 0.9 * alone


def test_a_unit_brings_its_queries_of_every_stratum():
    # Two units, each with a query of both strata: macro mAP of a draw is 0 (b twice), 1 (a twice) or 1/2.
    ap, units = np.array([[1.0, 0.0, 1.0, 0.0]]), ["a", "b", "a", "b"]
    assert two_level_interval(ap, [0, 0, 1, 1], level=0.4, units=units) == (0.5, 0.5)
    assert two_level_interval(ap, [0, 0, 1, 1], level=0.95, units=units) == (0.0, 1.0)


def test_a_unit_of_one_query_changes_nothing_and_unjudged_queries_are_left_out_of_units():
    ap = simulated_ap(np.random.default_rng(0))
    assert two_level_interval(ap, STRATA, draws=500, units=range(len(STRATA))) == two_level_interval(ap, STRATA, 500)
    wider = np.hstack([np.full((len(ap), 2), np.nan), ap])
    units = np.arange(len(STRATA)) // 2
    left = two_level_interval(wider, np.concatenate([[0, 7], STRATA]), draws=500, units=[0, 99, *units])
    assert left == two_level_interval(ap, STRATA, draws=500, units=units)


def test_no_difference_at_all_is_p_one():
    assert sign_flip_p(np.zeros((5, 60)), STRATA, draws=100) == 1.0


def test_several_comparisons_at_once_equal_each_alone():
    differences = np.random.default_rng(0).normal(0.02, 0.1, size=(4, 5, 60))
    together = sign_flip_ps(differences, STRATA, draws=5_000, seed=3)
    assert together.tolist() == [sign_flip_p(one, STRATA, draws=5_000, seed=3) for one in differences]


# ------------------------------------------------------------------------------------------------ shared rules


@pytest.mark.parametrize("function", [two_level_interval, paired_interval, sign_flip_p])
def test_queries_that_cannot_be_judged_are_left_out(function):
    ap = simulated_ap(np.random.default_rng(0)) - 0.3
    unjudged = np.full((5, 2), np.nan)
    wider, strata = np.hstack([unjudged, ap]), np.concatenate([[1, 7], STRATA])  # stratum 7 vanishes with its query
    assert function(wider, strata, draws=500) == function(ap, STRATA, draws=500)


@pytest.mark.parametrize("function", [two_level_interval, paired_interval, sign_flip_p])
def test_the_same_seed_gives_the_same_answer_and_another_one_a_near_one(function):
    ap = simulated_ap(np.random.default_rng(0), centre=(0.02, 0.03, 0.0))
    first, again, other = (function(ap, STRATA, draws=3_000, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first == pytest.approx(other, abs=0.03)


@pytest.mark.parametrize("function", [two_level_interval, paired_interval, sign_flip_p])
def test_values_that_do_not_fit_are_refused(function):
    with pytest.raises(ValueError, match=r"values are \(5, 3\) \(seeds, queries\), but strata are \(4,\)"):
        function(np.zeros((5, 3)), [0, 0, 0, 0])
    with pytest.raises(ValueError, match="NaN for some seeds or comparisons only"):
        function([[0.1, 0.2], [np.nan, 0.2]], [0, 0])
    with pytest.raises(ValueError, match="no query can be judged"):
        function([[np.nan, np.nan]], [0, 0])


# ------------------------------------------------------------------------------------------------ holm and wins


def test_holm_by_hand():
    # Sorted: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04 -> 0.06 (never below the one before).
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_and_takes_any_number():
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_probability(bad):
    with pytest.raises(ValueError, match=r"p values must lie in \[0, 1\]"):
        holm([0.5, bad])


def test_wins_counts_strictly_better_seeds():
    assert wins([0.5, 0.6, 0.7], [0.4, 0.6, 0.8]) == 1
    with pytest.raises(ValueError, match="pair them by seed"):
        wins([0.5, 0.6], [0.5])
