"""Rankings, metrics and the chance row, on examples small enough to work out by hand or to enumerate."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmark.evaluation import aggregate, chance, macro, oracle_scores, per_query, rank, validation_score
from benchmark.protocol import Judgments

NEVUS, MELANOMA = 0, 1
CRITICAL = {"critical": MELANOMA, "critical_name": "melanoma", "lookalike": NEVUS}


def judge(gains, excluded=None, strata=None, gallery_groups=None, query_ids=None, **critical) -> Judgments:
    """Judgments over ``gains`` (q, g) with made-up ids; no own case and a single stratum unless told."""
    table = np.asarray(gains, dtype=np.uint8)
    q, g = table.shape
    return Judgments(
        query_ids=query_ids or tuple(f"q{i}" for i in range(q)),
        gallery_ids=tuple(f"c{i}" for i in range(g)),
        gains=table,
        excluded=np.asarray([-1] * q if excluded is None else excluded, dtype=np.int32),
        strata=np.asarray([0] * q if strata is None else strata, dtype=np.uint8),
        stratum_names=("nevus", "melanoma", "other"),
        gallery_groups=np.asarray([0] * g if gallery_groups is None else gallery_groups, dtype=np.uint8),
        **critical,
    )


def same_group(groups, query_ids=None) -> Judgments:
    """The case-search task: every case is a query, its own case is excluded, the same group is relevant."""
    codes = np.asarray(groups, dtype=np.uint8)
    gains = codes[:, None] == codes
    own = np.arange(len(codes))
    return judge(gains, own, codes, codes, query_ids, **CRITICAL)


# ------------------------------------------------------------------------------------------------ rank


def test_the_best_score_comes_first():
    ranking = rank([[0.1, 0.9, 0.5], [3, 1, 2]], judge([[1, 0, 0], [1, 0, 0]]))
    assert ranking.dtype == np.uint16
    assert ranking.tolist() == [[1, 2, 0], [0, 2, 1]]


@pytest.mark.parametrize("own_score", [-100.0, 0.0, 100.0])
def test_the_own_case_is_removed_by_identity_wherever_it_ranks(own_score):
    scores = np.array([[0.0, 3, 2, 1], [4, 0.0, 2, 1], [4, 3, 0.0, 1], [4, 3, 2, 0.0]])
    np.fill_diagonal(scores, own_score)
    assert rank(scores, same_group([0, 0, 1, 1])).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_the_own_case_may_lie_anywhere_in_the_gallery():
    judgments = judge([[1, 0, 1], [0, 1, 0]], excluded=[2, 0])
    assert rank([[1, 2, 3], [1, 2, 3]], judgments).tolist() == [[1, 0], [2, 1]]


def test_own_cases_for_some_queries_only_are_refused():
    judgments = judge([[1, 0, 1], [0, 1, 0]], excluded=[2, -1])
    with pytest.raises(ValueError, match="excluded for 1 of 2 queries"):
        rank(np.zeros((2, 3)), judgments)


def test_ties_follow_a_permutation_of_the_query_id():
    judgments = judge(np.ones((2, 6)), query_ids=("first", "second"))
    ranking = rank(np.zeros((2, 6)), judgments)
    # Written down once: sha256 and PCG64's raw stream give the same order in every process and on every platform.
    assert ranking.tolist() == [[2, 0, 3, 5, 1, 4], [0, 3, 4, 2, 1, 5]]


def test_ties_stay_where_they_are_when_candidates_are_added():
    small = rank(np.zeros((1, 6)), judge(np.ones((1, 6))))[0]
    large = rank(np.zeros((1, 9)), judge(np.ones((1, 9))))[0]
    assert [row for row in large if row < 6] == small.tolist()


def test_ties_do_not_cross_a_difference_in_score():
    scores = np.repeat([[2.0, 1.0, 3.0]], 4, axis=1)  # rows 0-3 score 2, rows 4-7 score 1, rows 8-11 score 3
    ranking = rank(scores, judge(np.ones((1, 12))))[0]
    assert [set(ranking[:4]), set(ranking[4:8]), set(ranking[8:])] == [{8, 9, 10, 11}, {0, 1, 2, 3}, {4, 5, 6, 7}]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_counted_and_located(bad):
    scores = np.zeros((3, 4))
    scores[1, 2] = scores[2, 0] = scores[2, 1] = bad
    with pytest.raises(ValueError, match="3 of 12 scores are NaN or infinite, first in query 'q1'"):
        rank(scores, judge(np.ones((3, 4))))


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"scores are \(2, 2\), expected \(1, 3\)"):
        rank(np.zeros((2, 2)), judge([[1, 0, 0]]))


def test_a_ranking_holds_at_most_65535_candidates():
    with pytest.raises(ValueError, match="65,536 candidates"):
        rank(np.zeros((1, 65_536)), judge(np.ones((1, 65_536))))
    own_excluded = judge(np.ones((1, 65_536)), excluded=[0])
    assert rank(np.arange(65_536)[None], own_excluded)[0, :2].tolist() == [65_535, 65_534]


# ------------------------------------------------------------------------------------------------ per_query


def test_metrics_of_one_ranking_by_hand():
    # In ranking order the gains are 0 3 0 1 0 0 0 0 0 0 | 2 0: relevant at ranks 2, 4 and 11.
    gains = [[0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0]]
    values = per_query(np.arange(12, dtype=np.uint16)[None], judge(gains))
    assert values["AP"] == pytest.approx((1 / 2 + 2 / 4 + 3 / 11) / 3)
    dcg = 3 / math.log2(3) + 1 / math.log2(5)
    assert values["nDCG@10"] == pytest.approx(dcg / (3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)))
    assert values["P@1"] == 0
    assert values["P@5"] == pytest.approx(2 / 5)
    assert values["P@10"] == pytest.approx(2 / 10)
    assert values["Recall@10"] == pytest.approx(2 / 3)
    assert values["Hit@10"] == 1
    assert values["MRR"] == pytest.approx(1 / 2)


def test_precision_divides_by_the_depth_even_with_fewer_candidates():
    values = per_query(np.array([[1, 0]], dtype=np.uint16), judge([[0, 1]]))
    assert (values["P@1"], values["P@5"], values["P@10"]) == (1, 1 / 5, 1 / 10)
    assert (values["AP"], values["nDCG@10"], values["Recall@10"]) == (1, 1, 1)


def test_a_query_without_relevant_candidates_is_nan_everywhere():
    values = per_query(np.array([[0, 1], [0, 1]], dtype=np.uint16), judge([[0, 0], [0, 1]]))
    assert all(math.isnan(value[0]) and not math.isnan(value[1]) for value in values.values())


def test_the_gain_of_the_own_case_counts_neither_as_hit_nor_in_the_ideal():
    judgments = judge([[3, 1, 0]], excluded=[0])
    values = per_query(np.array([[1, 2]], dtype=np.uint16), judgments)
    assert (values["AP"], values["nDCG@10"], values["Recall@10"]) == (1, 1, 1)


def test_safety_rates_of_melanoma_queries():
    # Rows 0-10 are nevi, rows 11 and 12 melanomas, row 13 another group; both queries are melanomas.
    groups = [NEVUS] * 11 + [MELANOMA] * 2 + [2]
    judgments = judge(
        np.tile(np.equal(groups, MELANOMA), (3, 1)),
        strata=[MELANOMA, MELANOMA, NEVUS],
        gallery_groups=groups,
        **CRITICAL,
    )
    mixed = [11, 13, *range(11), 12]  # top 10: one melanoma, one other, eight nevi
    values = per_query(np.array([range(14), mixed, mixed], dtype=np.uint16), judgments)
    np.testing.assert_array_equal(values["missed melanoma@10"], [1, 0, np.nan])
    np.testing.assert_array_equal(values["hard negatives@10"], [1, 0.8, np.nan])
    means = aggregate(values, judgments)
    assert (means["missed melanoma@10"], means["hard negatives@10"]) == pytest.approx((0.5, 0.9))


def test_without_a_critical_group_there_are_no_safety_rates():
    values = per_query(np.array([[0, 1]], dtype=np.uint16), judge([[0, 1]]))
    assert list(values) == ["AP", "nDCG@10", "P@1", "P@5", "P@10", "Recall@10", "Hit@10", "MRR"]


def test_a_gallery_that_holds_only_the_own_case_has_nothing_to_rank():
    judgments = judge([[1]], excluded=[0])
    ranking = rank([[0.5]], judgments)
    assert ranking.shape == (1, 0)
    assert math.isnan(aggregate(per_query(ranking, judgments), judgments)["macro mAP"])
    assert math.isnan(chance(judgments)["macro mAP"])


@pytest.mark.parametrize(
    ("ranking", "problem"),
    [
        ([[1, 2], [0, 1], [0, 1]], "1 rankings .* query 'q1'"),  # q1 ranks its own case
        ([[1, 2], [0, 0], [0, 1]], "1 rankings .* query 'q1'"),  # a candidate twice
        ([[1, 2], [0, 9], [0, 1]], "rankings do not hold each candidate once"),  # no such row
        ([[1], [0], [0]], r"the ranking is \(3, 1\)"),  # cut short
    ],
)
def test_a_ranking_that_is_not_of_all_candidates_is_refused(ranking, problem):
    with pytest.raises(ValueError, match=problem):
        per_query(np.array(ranking, dtype=np.uint16), same_group([0, 0, 0]))


# ------------------------------------------------------------------------------------------------ means


def test_macro_is_the_mean_of_stratum_means():
    assert macro([0.2, 0.4, 0.9], [0, 0, 4]) == pytest.approx((0.3 + 0.9) / 2)


def test_macro_leaves_out_nan_and_strata_that_hold_nothing_else():
    assert macro([0.2, np.nan, np.nan], [0, 0, 1]) == pytest.approx(0.2)
    assert math.isnan(macro([np.nan], [0]))


def test_aggregate_by_hand():
    judgments = judge([[1, 0], [1, 0], [1, 0], [0, 0]], strata=[0, 0, 2, 1])
    ranking = np.array([[0, 1], [1, 0], [1, 0], [0, 1]], dtype=np.uint16)
    means = aggregate(per_query(ranking, judgments), judgments)  # AP 1, 1/2, 1/2, and one without relevant candidates
    assert means["macro mAP"] == pytest.approx((0.75 + 0.5) / 2)
    assert means["mAP"] == means["MRR"] == pytest.approx(2 / 3)
    assert means["P@1"] == pytest.approx(1 / 3)
    assert {name for name in means if name.startswith("AP[")} == {"AP[nevus]", "AP[other]"}
    assert (means["AP[nevus]"], means["AP[other]"]) == (0.75, 0.5)


# ------------------------------------------------------------------------------------------------ validation


def test_validation_score_is_the_macro_map_of_the_ranking():
    groups = np.arange(40) % 3
    judgments = same_group(groups)
    scores = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    expected = aggregate(per_query(rank(scores, judgments), judgments), judgments)["macro mAP"]
    score = validation_score(scores, judgments.gains, judgments.excluded, judgments.strata)
    assert score == pytest.approx(expected)


def test_validation_score_takes_queries_with_and_without_an_own_case():
    scores = [[9, 2, 1], [1, 2, 3]]  # the first query's own row 0 would be a hit at rank 1
    grades = [[3, 0, 1], [1, 0, 1]]  # AP: candidates 1, 2 -> 1/2; candidates 2, 1, 0 -> (1 + 2/3) / 2
    assert validation_score(scores, grades, [0, -1], [0, 1]) == pytest.approx((1 / 2 + 5 / 6) / 2)


def test_validation_score_does_not_reward_a_constant_scorer_for_a_sorted_gallery():
    judgments = same_group(np.repeat([0, 1, 2], [60, 30, 10]))
    score = validation_score(np.zeros((100, 100)), judgments.gains, judgments.excluded, judgments.strata)
    assert score == pytest.approx(chance(judgments)["macro mAP"], abs=0.03)


def test_validation_score_refuses_nan_and_leaves_its_inputs_alone():
    with pytest.raises(ValueError, match="1 of 2 scores are NaN or infinite, first in row 0"):
        validation_score([[np.nan, 0]], [[1, 0]], [-1], [0])
    scores, grades = np.ones((1, 2)), np.ones((1, 2), dtype=np.uint8)
    validation_score(scores, grades, np.array([0]), np.array([0]))
    assert scores.tolist() == [[1, 1]] and grades.tolist() == [[1, 1]]


# ------------------------------------------------------------------------------------------------ reference points


def test_expected_average_precision_of_one_in_two_by_hand():
    assert chance(judge([[1, 0]]))["mAP"] == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize("gains", [[1, 0, 0, 0, 0], [3, 1, 0, 2, 0], [1, 1, 1, 1, 2], [0, 0, 0, 0, 0], [2]])
def test_chance_is_the_mean_over_all_permutations(gains):
    orders = np.array(list(itertools.permutations(range(len(gains)))), dtype=np.uint16)
    every = judge(np.tile(gains, (len(orders), 1)))
    assert chance(judge([gains])) == pytest.approx(aggregate(per_query(orders, every), every), nan_ok=True)


def test_chance_is_the_mean_over_all_places_of_the_special_rows_below_the_cut_too():
    # 13 rows, row 12 is the own case: two melanomas (gains 3 and 1), one nevus, and nine that are all alike.
    groups = [MELANOMA, MELANOMA, NEVUS] + [2] * 9 + [MELANOMA]
    places = list(itertools.permutations(range(12), 3))
    orders = np.empty((len(places), 12), dtype=np.uint16)
    for order, place in zip(orders, places, strict=True):
        order[list(place)] = [0, 1, 2]
        order[[i for i in range(12) if i not in place]] = range(3, 12)
    gains = [3, 1] + [0] * 10 + [3]
    n = len(places)
    every = judge(np.tile(gains, (n, 1)), [12] * n, [MELANOMA] * n, groups, **CRITICAL)
    expected = chance(judge([gains], [12], [MELANOMA], groups, **CRITICAL))
    assert expected == pytest.approx(aggregate(per_query(orders, every), every))
    assert expected["missed melanoma@10"] == pytest.approx(2 / 12 * 1 / 11)  # both at ranks 11 and 12


def test_a_constant_scorer_lies_within_three_standard_errors_of_chance():
    groups = np.repeat([NEVUS, MELANOMA, 2], [120, 60, 20])
    judgments = same_group(groups, tuple(f"case{i}" for i in range(200)))
    values = per_query(rank(np.zeros((200, 200)), judgments), judgments)
    means, expected = aggregate(values, judgments), chance(judgments)
    for name, value in values.items():
        kept = ~np.isnan(value)
        parts = [value[kept & (groups == code)] for code in np.unique(groups[kept])]
        error = math.sqrt(sum(len(part) * part.var(ddof=1) for part in parts)) / kept.sum()
        mean = "mAP" if name == "AP" else name
        assert abs(means[mean] - expected[mean]) < 3 * error, name
    parts = [values["AP"][groups == code] for code in (0, 1, 2)]
    error = math.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / 3
    assert abs(means["macro mAP"] - expected["macro mAP"]) < 3 * error


def test_oracle_counts_equal_criteria():
    queries = [[0, 1, 2], [1, 1, 1]]
    gallery = [[0, 1, 2], [0, 1, 0], [2, 2, 2], [1, 1, 0]]
    assert oracle_scores(queries, gallery).tolist() == [[3, 2, 1, 1], [1, 1, 0, 2]]


def test_map_of_grade_two_comes_from_judgments_without_grade_one():
    judgments = judge([[3, 1, 0], [2, 0, 3]])
    exact = replace(judgments, gains=np.where(judgments.gains >= 2, judgments.gains, 0).astype(np.uint8))
    values = per_query(np.array([[1, 0, 2], [0, 2, 1]], dtype=np.uint16), exact)
    assert values["AP"].tolist() == [1 / 2, 1]
