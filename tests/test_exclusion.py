"""Cases that are left out: of a run, of stored rankings, and never of the keys of runs without such a list."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.evaluation import per_query, rank
from benchmark.exclusion import (
    exclusion_label,
    exclusion_text,
    read_exclusion,
    reduced_judgments,
    reduced_ranking,
    without_cases,
)
from benchmark.interfaces import Case
from benchmark.protocol import Judgments, Trial
from benchmark.records import ProtocolInfo, digest
from benchmark.report.reduced import changes
from benchmark.report.table import conditions_folder
from tests.report import fakes

IDS = ("a", "b", "c", "d")


def judgments(own: bool = True) -> Judgments:
    """Four cases ask each other: a and b are of group 0, c and d of group 1."""
    groups = np.array([0, 0, 1, 1], dtype=np.uint8)
    gains = ((groups[:, None] == groups[None]) & ~np.eye(4, dtype=bool)).astype(np.uint8)
    excluded = np.arange(4, dtype=np.int32) if own else np.full(4, -1, dtype=np.int32)
    return Judgments(IDS, IDS, gains, excluded, groups, ("X", "Y"), groups)


def test_a_query_goes_with_its_reference_whatever_its_own_id() -> None:
    # Of three queries, a asks two and c one; each is searched among the other three cases.
    whole = replace(
        judgments(),
        query_ids=("a>b", "a>c", "c>b"),
        gains=np.array([[0, 2, 0, 1], [0, 0, 2, 0], [1, 2, 0, 0]], dtype=np.uint8),
        excluded=np.array([0, 0, 2], dtype=np.int32),
        strata=np.array([0, 1, 0], dtype=np.uint8),
    )
    ranking = np.array([[1, 2, 3], [3, 2, 1], [3, 1, 0]], dtype=np.uint16)
    left = reduced_judgments(whole, {"a"})
    assert left.query_ids == ("c>b",)
    assert left.gains.tolist() == [[2, 0, 0]]
    assert reduced_ranking(ranking, whole, {"a"}).tolist() == [[2, 0]]  # d and b, rows 2 and 0 without a


def test_a_ranking_without_a_case_worked_out_by_hand() -> None:
    # Rows 0 to 3 are a to d. Without b: a, c, d are rows 0, 1, 2, and each keeps the order of its other candidates.
    ranking = np.array([[3, 1, 2], [0, 2, 3], [1, 3, 0], [0, 1, 2]], dtype=np.uint16)
    left = reduced_judgments(judgments(), {"b"})
    assert left.query_ids == left.gallery_ids == ("a", "c", "d")
    assert left.excluded.tolist() == [0, 1, 2]
    assert left.gains.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert left.strata.tolist() == left.gallery_groups.tolist() == [0, 1, 1]
    reduced = reduced_ranking(ranking, judgments(), {"b"})
    assert reduced.tolist() == [[2, 1], [2, 0], [0, 1]]
    assert reduced.dtype == np.uint16
    # a has nothing relevant left, c finds d first, d finds c second.
    assert per_query(reduced, left)["AP"].tolist() == pytest.approx([np.nan, 1.0, 0.5], nan_ok=True)


@pytest.mark.parametrize("own", [True, False], ids=["own case in the gallery", "another gallery"])
def test_a_reduced_ranking_is_the_ranking_of_the_reduced_gallery(own: bool) -> None:
    random = np.random.default_rng(0)
    truth = fakes.judgments()
    if not own:
        names = tuple(f"archive-{name}" for name in truth.gallery_ids)
        truth = Judgments(**{f.name: getattr(truth, f.name) for f in fields(truth)} | {
            "gallery_ids": names, "excluded": np.full(len(truth.query_ids), -1, dtype=np.int32)})  # fmt: skip
    scores = random.normal(size=truth.gains.shape)
    out = {truth.query_ids[2], truth.query_ids[20], truth.gallery_ids[7], truth.gallery_ids[29]}
    asked = [name not in out for name in truth.query_ids]
    searched = [name not in out for name in truth.gallery_ids]
    left = reduced_judgments(truth, out)
    anew = rank(scores[asked][:, searched], left)
    reduced = reduced_ranking(rank(scores, truth), truth, out)
    assert (reduced == anew).all()
    before, after = per_query(anew, left), per_query(reduced, left)
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)


def test_nothing_left_out_changes_nothing() -> None:
    truth = fakes.judgments()
    ranking = rank(np.random.default_rng(0).normal(size=truth.gains.shape), truth)
    assert (reduced_ranking(ranking, truth, {"nobody"}) == ranking).all()
    left = reduced_judgments(truth, {"nobody"})
    assert all(np.array_equal(getattr(left, f.name), getattr(truth, f.name)) for f in fields(truth))


def test_tables_before_and_after() -> None:
    truth = judgments()
    # b is the only good answer to a; without it a can't be judged, and c and d find each other as before.
    ranking = np.array([[3, 2, 1], [2, 3, 0], [3, 0, 1], [2, 0, 1]], dtype=np.uint16)
    record = fakes.record("ours", truth=truth)
    (change,) = changes([fakes.evaluated(record, ranking, truth)], {"b"})
    assert (change.table, change.method, change.queries) == ("toy/case-search", "ours", (4, 3))
    assert change.before == pytest.approx(((1 / 3 + 1) / 2, (1 / 3 + 1 / 3 + 1 + 1) / 4))
    assert change.after == pytest.approx((1.0, 1.0))


def test_a_table_says_which_groups_nothing_is_left_of_and_goes_where_none_is() -> None:
    truth = judgments()
    ranking = np.array([[3, 2, 1], [2, 3, 0], [3, 0, 1], [2, 0, 1]], dtype=np.uint16)
    other = fakes.one("ours", protocol={"gallery": "archive"})  # of other cases, so it stays as it is
    made = [fakes.evaluated(fakes.record("ours", truth=truth), ranking, truth), other]
    lost = {change.table: change.lost for change in changes(made, {"b"})}
    assert lost == {"toy/case-search": ("X",), "toy/case-search/gallery=archive": ()}
    assert [change.table for change in changes(made, {"b", "c"})] == ["toy/case-search/gallery=archive"]


def test_a_query_of_another_gallery_goes_with_the_reference_that_its_id_names() -> None:
    whole = replace(judgments(own=False), query_ids=("r1>a", "r1>b", "r2>c", "r2>d"))
    assert reduced_judgments(whole, {"r1"}).query_ids == ("r2>c", "r2>d")


def test_excluded_cases_leave_every_part_of_a_trial() -> None:
    cases = {name: Case(name, {}, "x", {}) for name in "abcdef"}
    trial = Trial(None, (cases["a"], cases["b"]), (cases["c"], cases["d"]), *[(cases["e"], cases["f"])] * 2)
    left = without_cases(trial, {"a", "d", "e", "elsewhere"})
    assert [[case.id for case in part] for part in (left.train, left.valid, left.queries, left.gallery)] == [
        ["b"], ["c"], ["f"], ["f"],
    ]  # fmt: skip
    assert without_cases(trial, set()) == trial
    with pytest.raises(UserError, match="leaves no case in valid; exclude fewer"):
        without_cases(trial, {"c", "d"})


def test_the_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "exclude.txt"
    path.write_text(exclusion_text(["c", "a"], "two lines\nof words") + "\n  b \n")
    assert path.read_text().startswith("# two lines\n# of words\nc\na\n")
    assert read_exclusion(path, IDS) == {"a", "b", "c"}
    path.write_text(path.read_text(), encoding="utf-8-sig")  # as Windows' editor saves it
    assert read_exclusion(path, IDS) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\nx1\nx2\nx3\nx4\n", r"4 of 5 ids are no cases of this dataset \(x1, x2, x3, \.\.\.\)"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (None, "No such file or directory. Give a text file"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "exclude.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_exclusion(path, IDS)


def test_a_label_names_the_list_whatever_its_order() -> None:
    assert exclusion_label([]) == ""
    assert exclusion_label(["b", "a"]) == exclusion_label(["a", "b"]) == f"2 cases, list {digest(['a', 'b'])[:8]}"
    assert exclusion_label(["a", "b"]) != exclusion_label(["a", "c"])


def test_the_keys_of_runs_without_a_list_are_those_of_before_there_were_lists() -> None:
    plain = ProtocolInfo(task="case-search", evaluate="test", fold=None)
    # Computed with the version of records.py that had no field "excluded".
    assert digest(["t", plain.identity()]) == "e29e01009794d38f9a29ded4a2402ad135a0cb11746673ff8a675b2a4d6af950"
    listed = plain.model_copy(update={"excluded": "2 cases, list 12345678"})
    assert digest(["t", listed.identity()]) != digest(["t", plain.identity()])


def test_rows_with_and_without_a_list_never_share_a_table() -> None:
    plain, listed = (fakes.record(protocol={"excluded": label}) for label in ("", "2 cases, list 12345678"))
    assert plain.table != listed.table
    assert str(conditions_folder(listed.protocol, listed.dataset)) == "excluded=2-cases-list-12345678"
    assert str(conditions_folder(plain.protocol, plain.dataset)) == "."
