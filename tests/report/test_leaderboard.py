"""Numbers, order and tests of a leaderboard, against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import evaluated, judgments, one, record, study

from benchmark.errors import UserError
from benchmark.report import leaderboards, tables, unjudged
from benchmark.report.columns import columns, parameters, points, raw_rows, signed_points
from benchmark.report.formats import short_markdown
from benchmark.report.leaderboard import Line
from benchmark.report.wording import marks
from benchmark.statistics import holm

# Two groups of two: every query has one relevant case among three candidates, so AP is 1, 1/2 or 1/3 by its place.
PAIRS = judgments(np.array([0, 0, 1, 1], dtype=np.uint8))


def ranking(*places):
    """The ranking (4, 3) in which each query's relevant case stands at the given place."""
    rows = []
    for query, place in enumerate(places):
        relevant = query ^ 1
        others = [row for row in range(4) if row not in (query, relevant)]
        others.insert(place - 1, relevant)
        rows.append(others)
    return np.array(rows, dtype=np.uint16)


def by_hand(method, *seeds, **changes):
    return [evaluated(record(method, s, PAIRS, **changes), ranking(*p), PAIRS) for s, p in enumerate(seeds)]


TINY = [
    *by_hand("ours", (1, 1, 1, 1), (1, 1, 1, 1)),
    *by_hand("rival", (2, 1, 3, 3), (2, 2, 2, 2)),
    *by_hand("image-only", (3, 3, 3, 3), (3, 3, 3, 3)),
    *by_hand("text-only", (2, 2, 3, 3), (2, 2, 3, 3)),
]


def board(evaluations, reference="ours"):
    (only,) = leaderboards(evaluations, reference)
    return only


def line(found, label):
    return next(line for line in (*found.lines, *found.apart) if line.label == label)


def cells(found, label):
    return {column.heading: column.cell(line(found, label)) for column in columns(found)}


def test_averages_by_hand():
    rival = line(board(TINY), "rival").numbers
    # seed 0: NEV (1/2 + 1) / 2 = 3/4, MEL 1/3, macro 13/24; seed 1: 1/2.
    assert rival["macro_map"] == pytest.approx((13 / 24 + 1 / 2) / 2)
    assert rival["macro_map_std"] == pytest.approx((13 / 24 - 1 / 2) / np.sqrt(2))
    assert rival["ap_nev"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert rival["ap_mel"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert rival["p_1"] == pytest.approx(1 / 8) and rival["missed_melanoma_10"] == 0


def test_cells_by_hand():
    shown = cells(board(TINY), "rival")
    assert shown["macro mAP ± std [95 %]"].startswith("52.1 ± 2.9 [")
    assert (shown["mAP"], shown["P@1"], shown["P@10"]) == ("52.1", "12.5", "10.0")
    # text-only has (1/2 + 1/3) / 2 = 41.7 and is the better of the two single modalities.
    assert shown["composition gap"] == "+10.4"
    assert (shown["wins by seed"], shown["parameters"], shown["seeds"]) == ("2/2", "345k", "2")
    assert cells(board(TINY), "ours")["macro mAP ± std [95 %]"] == "100.0 ± 0.0 [100.0, 100.0]"


def test_single_modalities_have_no_gap_and_nobody_has_one_without_both():
    assert cells(board(TINY), "image-only")["composition gap"] == "–"
    assert cells(board(TINY[:6]), "ours")["composition gap"] == "–"


def test_p_by_hand_and_holm_over_all_other_rows():
    found = board([*TINY, *by_hand("oracle", (3, 3, 3, 3))])
    # All four differences have one sign, so 2 of 16 sign patterns are as extreme; Holm triples the smallest of three.
    for label in ("rival", "image-only", "text-only"):
        assert line(found, label).numbers["p_raw"] == pytest.approx(2 / 16, abs=0.005)
    raw = [line(found, label).numbers["p_raw"] for label in ("rival", "image-only", "text-only")]
    assert [line(found, label).numbers["p_holm"] for label in ("rival", "image-only", "text-only")] == list(holm(raw))
    assert found.family == 3
    assert cells(found, "ours")["p (ours vs row)"] == cells(found, "oracle")["p (ours vs row)"] == "–"


def test_best_first_and_reference_points_apart():
    found = board([*TINY, *by_hand("oracle", (1, 1, 1, 1))])
    assert [line.label for line in found.lines] == ["ours", "rival", "text-only", "image-only"]
    assert [(line.label, line.kind) for line in found.apart] == [
        ("oracle", "reads labels"), ("chance (closed form)", "chance"),
    ]  # fmt: skip
    assert [line.best for line in found.lines] == [True, False, False, False]


def test_chance_by_hand():
    # One relevant of three: E[AP] = (1 + 1/2 + 1/3) / 3.
    shown = cells(board(TINY), "chance (closed form)")
    assert (shown["macro mAP ± std [95 %]"], shown["P@1"]) == ("61.1", "33.3")
    assert shown["seeds"] == shown["encoder"] == "–"


def test_not_separable_from_the_best_is_marked():
    found = board(TINY)
    assert [line.near_best for line in found.lines] == [False, True, True, True]  # p can't be below 2/16
    assert cells(found, "rival")["method"] == "rival ≈"
    assert not any(line.near_best for line in board(study()).lines)


def test_one_seed_has_no_deviation():
    assert cells(board(by_hand("ours", (1, 1, 1, 1))), "ours")["macro mAP ± std [95 %]"] == "100.0 ± – [100.0, 100.0]"


def test_without_the_reference_p_and_wins_are_open():
    found = board(TINY, "proposed")
    assert not found.has_reference and found.family == 0
    assert cells(found, "rival")["p (proposed vs row)"] == cells(found, "rival")["wins by seed"] == "–"


def test_p_and_wins_use_the_shared_seeds():
    found = board([*by_hand("ours", (1, 1, 1, 1), (3, 3, 3, 3)), *by_hand("rival", (2, 2, 2, 2))])
    assert cells(found, "rival")["wins by seed"] == "1/1"
    assert line(found, "rival").numbers["reference_minus_row"] == pytest.approx(0.5)
    # All queries of the one seed differ alike, so there is nothing to be unsure of.
    assert cells(found, "rival")["ours minus row [95 %]"] == "+50.0 [+50.0, +50.0]"
    assert any("use only the seeds shared with `ours`" in mark and mark.endswith("rival.") for mark in marks(found))
    assert "seeds" in short_markdown(found, "x.md").split("\n\n")[1].splitlines()[0], "rows differ in their seeds"
    assert not any("use only the seeds" in mark for mark in marks(board(TINY)))


def test_a_row_that_shares_no_seed_with_the_best_is_not_called_separate():
    alike = [evaluated(record(name, seed, PAIRS), ranking(1, 1, 2, 2), PAIRS) for name, seed in
             (("a", 0), ("rival", 1), ("third", 0))]  # fmt: skip
    found = board(alike, "ours")
    assert [line.near_best for line in found.lines] == [False, False, True]
    assert "Not compared with the best row, with which it shares no seed: rival." in marks(found)
    assert not any("Not compared" in mark for mark in marks(board(TINY)))


def test_a_row_that_is_better_than_the_reference_has_a_negative_difference():
    found = board([*by_hand("ours", (2, 2, 2, 2)), *by_hand("rival", (1, 1, 1, 1))])
    assert cells(found, "rival")["ours minus row [95 %]"] == "−50.0 [−50.0, −50.0]"
    assert cells(found, "ours")["ours minus row [95 %]"] == "–"


def test_a_row_is_tested_against_the_reference_of_its_encoder():
    other = {"encoder": record().encoder.model_copy(update={"name": "other"})}
    found = board([*TINY, *by_hand("rival", (2, 2, 2, 2), **other)])
    tested = {(line.label, line.encoder): "p_raw" in line.numbers for line in found.lines}
    assert tested["rival", "packaged"] and not tested["rival", "other"]


def test_the_short_table_has_the_encoder_of_the_best_row_and_says_so():
    other = {"encoder": record().encoder.model_copy(update={"name": "other"})}
    several = board([*TINY, *by_hand("better", (1, 1, 1, 1), **other)])
    text = short_markdown(several, "full.md")
    shown = [one for one in several.lines if f"\n| {one.label}" in text]
    assert [one.label for one in shown] == [
        one.label for one in several.lines if one.encoder == several.lines[0].encoder
    ]
    assert 0 < len(shown) < len(several.lines)
    rest = ({"packaged", "other"} - {shown[0].encoder}).pop()
    assert f"encoder {shown[0].encoder}" in text and f"[full table, with the rows of encoder {rest}, and how" in text
    assert "encoder packaged, 4 test queries" in short_markdown(board(TINY), "full.md")


def test_columns_are_those_of_the_protocol():
    assert [column.heading for column in columns(board(TINY))] == [
        "method", "encoder", "seeds", "macro mAP ± std [95 %]", "mAP", "nDCG@10", "P@1", "P@10", "missed melanoma@10",
        "composition gap", "ours minus row [95 %]", "p (ours vs row)", "wins by seed", "parameters",
    ]  # fmt: skip


def test_csv_rounds_to_six_decimals():
    header, *lines = raw_rows(board(TINY))
    rival = dict(zip(header, lines[1], strict=True))
    assert (rival["method"], rival["macro_map"], rival["macro_map_std"]) == ("rival", "0.520833", "0.029463")
    assert (rival["dataset"], rival["synthetic"], rival["stale"], rival["wins"]) == ("toy", "no", "no", "2")


def test_formats_of_numbers():
    assert [points(x) for x in (0.384, 1, 0.0875 - 1e-16, -0.0001)] == ["38.4", "100.0", "8.8", "0.0"]
    assert [signed_points(x) for x in (0.02, -0.02, 0.0)] == ["+2.0", "−2.0", "0.0"]
    counts = (0, 512, 345_200, 999_600, 1_234_567)
    assert [parameters(Line("x", "method", {"parameters": n})) for n in counts] == ["0", "512", "345k", "1.0M", "1.2M"]


# ------------------------------------------------------------------------------------------------ which record counts


def test_the_later_of_two_records_counts():
    found = board([*by_hand("ours", (3, 3, 3, 3), training={"epochs": 1}), *by_hand("ours", (1, 1, 1, 1))])
    assert line(found, "ours").numbers["macro_map"] == 1


def test_an_unchanged_source_comes_before_a_later_but_changed_one():
    changed = {"sources": {"benchmark.errors": "another hash"}}
    found = board([*by_hand("ours", (1, 1, 1, 1)), *by_hand("ours", (3, 3, 3, 3), **changed)])
    assert line(found, "ours").numbers["macro_map"] == 1 and not line(found, "ours").row.changed


def test_a_changed_source_is_marked():
    found = board(by_hand("ours", (1, 1, 1, 1), sources={"benchmark.errors": "another hash"}))
    assert cells(found, "ours")["method"] == "ours †"


def test_trainings_never_mix_whatever_came_last():
    made = [
        *by_hand("rival", (1, 1, 1, 1), training={"epochs": 5}),
        evaluated(record("rival", 1, PAIRS, training={"epochs": 50}), ranking(2, 2, 2, 2), PAIRS),
    ]
    plain = record("random", 0, PAIRS)
    plain = plain.model_copy(update={"method": plain.method.model_copy(update={"trained": False})})
    for last in ([], [evaluated(plain, ranking(3, 3, 3, 3), PAIRS)]):
        (table,) = tables([*made, *last])
        assert {row.method.row: row.seeds for row in table.rows}["rival"] == (1,)
        assert "others than those of the newest rows: rival (packaged)" in table.notes[0]


def test_judgments_never_mix_and_what_is_left_out_is_named():
    (table,) = tables([*study(1, ("rival",), truth=judgments(prefix="old")), *study(1, ("ours",))])
    assert [row.method.row for row in table.rows] == ["ours"]
    assert "rival (packaged)" in table.notes[0]


def test_other_conditions_make_a_table_of_their_own():
    made = [one("ours"), one("ours", protocol={"gallery": "archive", "text_style": "partial:3"})]
    folders = [table.folder.as_posix() for table in tables(made)]
    assert folders == ["toy/case-search/gallery=archive,text-style=partial-3", "toy/case-search"]


# ------------------------------------------------------------------------------------------------ cross-validation


def folds(method, *places):
    return [
        evaluated(record(method, 0, PAIRS, protocol={"evaluate": "cv", "fold": k}), ranking(*(p,) * 4), PAIRS)
        for k, p in enumerate(places)
    ]


def test_cross_validation_by_hand():
    found = board([*folds("ours", 1, 1), *folds("rival", 1, 2)])
    # rival: folds 1 and 1/2, mean 3/4, standard error (1/2 / sqrt 2) / sqrt 2 = 1/4; the difference has the same.
    shown = cells(found, "rival")
    assert shown["macro mAP ± SE"] == "75.0 ± 25.0"
    assert shown["row minus ours ± SE"] == "−25.0 ± 25.0"
    assert (shown["folds"], shown["seeds"]) == ("2", "1")
    assert not found.apart


def named(first, second, third):
    """The small study with other names of its groups, two of which have queries."""
    truth = replace(PAIRS, stratum_names=(first, second, third), critical=2)
    return [
        evaluated(record("ours", 0, truth), ranking(1, 1, 1, 1), truth),
        evaluated(record("rival", 0, truth), ranking(2, 1, 3, 3), truth),
    ]


def test_groups_in_other_scripts_have_columns_of_their_own():
    rival = line(board(named("良性", "恶性", "x")), "rival").numbers
    assert rival["ap_良性"] == pytest.approx(3 / 4)
    assert rival["ap_恶性"] == pytest.approx(1 / 3)


def test_groups_that_would_share_a_column_are_refused():
    with pytest.raises(UserError, match=r"AP\[a b\] and AP\[a-b\] would share the column 'ap_a_b': rename one group"):
        board(named("a b", "a-b", "x"))


def test_a_critical_group_without_a_query_has_no_column():
    found = board(named("a", "b", "melanoma"))
    assert not [column.heading for column in columns(found) if "missed" in column.heading]
    assert not [name for name in raw_rows(found)[0] if "missed" in name]


def test_a_rate_that_no_query_can_tell_is_left_open():
    truth = judgments(np.array([0] * 8 + [1] + [2] * 3, dtype=np.uint8))
    found = board([one("ours", truth=truth)])
    shown = [cells(found, label)["missed melanoma@10"] for label in ("ours", "chance (closed form)")]
    assert shown == ["–", "–"], "the only melanoma has no other to find"
    assert "nan" not in short_markdown(found, "x.md")


def test_a_table_without_a_judged_query_is_left_out_and_named():
    nothing = replace(PAIRS, gains=np.zeros_like(PAIRS.gains))
    silent = evaluated(
        record("ours", 0, nothing, protocol={"queries": "4 queries, list ab"}), ranking(1, 1, 1, 1), nothing
    )
    assert len(leaderboards([*TINY, silent], "ours")) == 1
    (sentence,) = unjudged([*TINY, silent])
    assert "of your own queries (4 queries, list ab) none names a relevant case" in sentence
    (other,) = unjudged([evaluated(record("ours", 0, nothing), ranking(1, 1, 1, 1), nothing)])
    assert "no query has a case of its group among its candidates" in other
