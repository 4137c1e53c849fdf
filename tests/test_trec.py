"""TREC files, and through them equality of every metric with ir_measures (which runs trec_eval)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.evaluation import aggregate, per_query, rank
from benchmark.protocol import Judgments
from benchmark.records import DatasetInfo
from benchmark.trec import write_all, write_qrels, write_run
from tests.report import fakes

# ir_measures' nDCG has linear gains and the discount log2(1 + rank) unless told otherwise.
REFERENCE = {
    "AP": ir_measures.AP,
    "nDCG@10": ir_measures.nDCG @ 10,
    "P@1": ir_measures.P @ 1,
    "P@5": ir_measures.P @ 5,
    "P@10": ir_measures.P @ 10,
    "Recall@10": ir_measures.R @ 10,
    "Hit@10": ir_measures.Success @ 10,
    "MRR": ir_measures.RR,
}


def judge(gains, own=False) -> Judgments:
    """Judgments over ``gains`` (q, g); with ``own``, row i is the own case of query i."""
    table = np.asarray(gains, dtype=np.uint8)
    q, g = table.shape
    return Judgments(
        query_ids=tuple(f"query{i}" for i in range(q)),
        gallery_ids=tuple(f"case{i}" for i in range(g)),
        gains=table,
        excluded=np.arange(q, dtype=np.int32) if own else np.full(q, -1, dtype=np.int32),
        strata=np.zeros(q, dtype=np.uint8),
        stratum_names=("all",),
        gallery_groups=np.zeros(g, dtype=np.uint8),
    )


def graded(q, g, share, seed=0):
    """Gains (q, g) of which about ``share`` are relevant, with 1, 2 or 3 in equal parts."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 4, (q, g)) * (rng.random((q, g)) < share)


def one_each(q, g):
    return np.eye(q, g)


SITUATIONS = {
    "random": judge(graded(25, 60, 0.3)),
    "own case excluded": judge(graded(40, 40, 0.3), own=True),
    "own case is the only relevant one": judge(one_each(6, 20), own=True),
    "one relevant": judge(one_each(15, 40)),
    "all relevant": judge(np.ones((5, 30))),
    "some without relevant": judge(graded(30, 25, 0.03)),
    "none relevant": judge(np.zeros((4, 12))),
    "single candidate": judge([[1], [0], [3]]),
    "fewer than ten candidates": judge(graded(20, 7, 0.4)),
    "own case excluded, fewer than ten left": judge(graded(9, 9, 0.5), own=True),
    "steep grades": judge(graded(20, 50, 0.2) ** 3),
}
SCORERS = {
    "continuous": lambda shape: np.random.default_rng(1).normal(size=shape),
    "tied": lambda shape: np.random.default_rng(2).integers(0, 3, size=shape),
    "constant": np.zeros,
}


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_metric_equals_ir_measures(tmp_path, situation, scorer):
    judgments = SITUATIONS[situation]
    ranking = rank(SCORERS[scorer](judgments.gains.shape), judgments)
    ours = per_query(ranking, judgments)
    write_run(tmp_path / "run.txt", ranking, judgments, tag="test")
    write_qrels(tmp_path / "qrels.txt", judgments)
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "qrels.txt")))
    run = list(ir_measures.read_trec_run(str(tmp_path / "run.txt")))
    names = {measure: name for name, measure in REFERENCE.items()}

    theirs = {name: np.full(len(judgments.query_ids), np.nan) for name in REFERENCE}  # NaN: not evaluated
    if qrels:
        for value in ir_measures.iter_calc(list(names), qrels, run):
            theirs[names[value.measure]][judgments.query_ids.index(value.query_id)] = value.value
        means = ir_measures.calc_aggregate(list(names), qrels, run)
        averaged = aggregate(ours, judgments)
        for measure, name in names.items():
            assert averaged["mAP" if name == "AP" else name] == pytest.approx(means[measure], abs=1e-6), name
    for name in REFERENCE:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6, rtol=0, err_msg=name)


def test_a_run_and_its_qrels_line_by_line(tmp_path):
    judgments = judge([[3, 0, 2], [1, 0, 0]], own=True)  # query0 is case0, query1 is case1
    write_run(tmp_path / "run.txt", np.array([[2, 1], [0, 2]], dtype=np.uint16), judgments, tag="mine")
    write_qrels(tmp_path / "qrels.txt", judgments)
    assert (tmp_path / "run.txt").read_bytes().decode().split("\n") == [
        "query0 Q0 case2 1 2 mine",
        "query0 Q0 case1 2 1 mine",
        "query1 Q0 case0 1 2 mine",
        "query1 Q0 case2 2 1 mine",
        "",
    ]
    assert (tmp_path / "qrels.txt").read_bytes() == b"query0 0 case2 2\nquery1 0 case0 1\n"


@pytest.mark.parametrize("word", ["two words", "tab\there", "line\nbreak", "", " lead"])
def test_ids_and_tags_that_the_format_cannot_hold_are_refused(tmp_path, word):
    judgments, ranking = judge([[1, 0]]), np.array([[0, 1]], dtype=np.uint16)
    with pytest.raises(UserError, match=r"The query id .* Rename it"):
        write_qrels(tmp_path / "f", replace(judgments, query_ids=(word,)))
    with pytest.raises(UserError, match=r"The gallery id .* Rename it"):
        write_run(tmp_path / "f", ranking, replace(judgments, gallery_ids=("case0", word)), tag="t")
    with pytest.raises(UserError, match=r"The tag .* Rename it"):
        write_run(tmp_path / "f", ranking, judgments, tag=word)
    assert list(tmp_path.iterdir()) == []


def test_ids_that_occur_twice_are_refused(tmp_path):
    with pytest.raises(UserError, match="The gallery id 'case0' occurs more than once"):
        write_qrels(tmp_path / "f", replace(judge([[1, 0]]), gallery_ids=("case0", "case0")))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "run.txt"
    path.write_text("old")
    with pytest.raises(IndexError):
        write_run(path, np.array([[0, 7]], dtype=np.uint16), judge([[1, 0]]), tag="t")  # there is no row 7
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_are_made(tmp_path):
    write_qrels(tmp_path / "a" / "b" / "qrels.txt", judge([[0, 2]]))
    assert (tmp_path / "a" / "b" / "qrels.txt").read_text() == "query0 0 case1 2\n"


def test_a_folder_that_is_a_file_is_a_sentence_for_the_user(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="Can't write"):
        write_qrels(tmp_path / "taken" / "qrels.txt", judge([[0, 2]]))


def test_ids_that_files_cannot_hold_cost_their_own_files_alone(tmp_path: Path) -> None:
    spaced = fakes.one(
        "ours",
        truth=fakes.judgments(prefix="a b"),
        dataset=DatasetInfo(name="spaced", fingerprint="f", synthetic=True, citation="c"),
    )
    with pytest.raises(UserError, match=r"^spaced: "):
        write_all([spaced, fakes.one("ours")], tmp_path)
    assert len(list((tmp_path / "trec").glob("toy-*/*.run"))) == 1
    assert not list((tmp_path / "trec").glob("spaced*/*.run"))
