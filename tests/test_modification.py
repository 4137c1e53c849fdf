"""Task ``modification``: which queries are drawn, what they say, what is relevant, and a whole run."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import protocol
from benchmark.config import NoOptions, RunConfig
from benchmark.errors import UserError
from benchmark.interfaces import Case, DatasetContext, Phrases
from benchmark.methods import plan_method
from benchmark.modification import UNKNOWN, Edits, draw_edits, edit_gains, reference_and_target
from benchmark.registry import load_registry
from benchmark.rendering import render_changes
from benchmark.report.exact import EXACT, exact_chance, exact_precision
from benchmark.session import Session
from benchmark.targeted import TargetedMethod, with_targets
from plugins.datasets.seven_point import CRITERIA
from tests.conftest import FAST, ROOT, TOY, TOY_RUN, Command
from tests.toy import ToyDataset

TASK = "modification"
RUN = (*TOY_RUN, *FAST, "--task", TASK, "--seeds", "0")
SMALL = ("--methods", "tirg", "--set", "tirg.width=16", "--set", "edited-posterior.width=16")
TAUGHT_AND_ASKED = ("65f762b2b43ab7af", "a9959726372659f7")
"""Digests of the toy set in case-search, computed at commit 6a1ed76, which knew no other task."""
VEIL = {
    "pigment_network": "typical",
    "streaks": "irregular",
    "pigmentation": "absent",
    "regression_structures": "absent",
    "dots_and_globules": "regular",
    "blue_whitish_veil": "present",
    "vascular_structures": "absent",
}


@pytest.fixture
def toy(tmp_path: Path) -> ToyDataset:
    return ToyDataset(DatasetContext(None, tmp_path), NoOptions())


def session(cache: Path, **settings: object) -> Session:
    config = RunConfig(dataset="toy", encoder="mean-colour", cache=cache, plugins=(str(TOY),), **settings)  # type: ignore[arg-type]
    return Session(config, load_registry(config.plugins))


# ------------------------------------------------------------------------------------------------ which queries


def drawn(codes: list[list[int]]) -> dict[str, set[str]]:
    """Reference -> its targets, for cases a, b, c, ... that ask and are searched."""
    names = list("abcdefgh"[: len(codes)])
    edits = draw_edits(np.array(codes), np.array(codes), names, names)
    found: dict[str, set[str]] = {name: set() for name in names}
    for reference, target in zip(edits.references, edits.targets, strict=True):
        found[names[reference]].add(names[target])
    return found


def test_a_target_differs_in_one_to_three_criteria() -> None:
    # a and b are equal, c differs from both in one, d in three, e in four (and from d in one, from c in three)
    found = drawn([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]])
    assert found == {"a": {"c", "d"}, "b": {"c", "d"}, "c": found["c"], "d": found["d"], "e": {"c", "d"}}
    assert found["c"] - {"a", "b"} == {"d", "e"}, "a and b have the same findings: one of them is enough"
    assert len(found["c"]) == 3


def test_a_reference_has_at_most_three_targets_of_different_findings() -> None:
    edits = draw_edits(
        np.zeros((1, 1), dtype=int), np.array([[1], [1], [1], [2], [3], [4], [5]]), ["r"], list("abcdefg")
    )
    assert edits.references.tolist() == [0, 0, 0]
    assert len({[1, 1, 1, 2, 3, 4, 5][row] for row in edits.targets}) == 3


def test_an_unknown_finding_may_be_told_to_a_reference_and_never_asked_of_a_target() -> None:
    edits = draw_edits(np.array([[UNKNOWN, 0]]), np.array([[0, 0], [UNKNOWN, 1], [UNKNOWN, 0]]), ["r"], list("tuv"))
    assert edits.targets.tolist() == [0]
    assert edits.changed.tolist() == [[True, False]]
    assert edits.strata.tolist() == [0], "one change"


def test_some_queries_of_the_toy_set(toy: ToyDataset) -> None:
    cases = toy.cases("test")
    asked = protocol.ask(toy, TASK, cases, cases, "canonical")
    assert dict(zip(asked.ids[:4], asked.texts, strict=False)) == {
        "toy-200>toy-217": "the same, but with thick border",  # 200: thin, none; 217: thick, none
        "toy-200>toy-207": "the same, but with thick border and dark spot",  # 207: thick, dark
        "toy-200>toy-202": "the same, but with dark spot",  # 202: thin, dark
        "toy-201>toy-208": "the same, but with thick border",
    }
    assert asked.references[:4].tolist() == [0, 0, 0, 1]
    assert asked.targets is not None and asked.targets[:4].tolist() == [17, 7, 2, 8]
    assert len(set(asked.ids)) == len(asked.ids) == 3 * 24
    assert all(name.split() == [name] for name in asked.ids), "an id is one word in a TREC file"


def test_two_processes_draw_the_same() -> None:
    script = (
        "import numpy as np; from benchmark.modification import draw_edits;"
        "codes = np.arange(40)[:, None] // np.array([1, 2, 4, 8]) % 2; ids = [f'case {i}' for i in range(40)];"
        "print(draw_edits(codes, codes, ids, ids).targets.tolist())"
    )
    told = {subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True) for _ in range(2)}
    assert len(told) == 1
    assert len(json.loads(told.pop())) > 80


def test_a_dataset_without_criteria_has_nothing_to_change(toy: ToyDataset) -> None:
    toy.criteria = ()
    with pytest.raises(
        UserError, match=r"of 24 cases of toy, none has another that differs in 1 to 3 of its 0 criteria"
    ):
        protocol.judge(toy, TASK, toy.cases("test"), toy.cases("test"))


def test_an_id_leads_back_to_its_two_cases() -> None:
    assert reference_and_target("a>b", {"a", "b"}) == ("a", "b")
    assert reference_and_target("a>1>b", {"a>1", "b"}) == ("a>1", "b")
    with pytest.raises(ValueError, match="not made of the ids of two cases"):
        reference_and_target("a>c", {"a", "b"})


# ------------------------------------------------------------------------------------------------ what they say


def said(style: str, *names: str, key: str = "q") -> str:
    return render_changes(CRITERIA, VEIL, [criterion.name in names for criterion in CRITERIA], style, key)


def test_a_text_names_only_what_changes() -> None:
    assert said("canonical", "blue_whitish_veil") == "the same, but with blue-whitish veil"
    three = said("canonical", "streaks", "blue_whitish_veil", "vascular_structures")
    assert three == "the same, but with irregular streaks, blue-whitish veil and no vascular structures"


def test_shorthand_states_an_absence_that_it_would_leave_out() -> None:
    assert said("terse", "blue_whitish_veil", "vascular_structures") == "same, but BWV+, no vascular structures"


def test_a_paraphrase_has_other_words_for_everything() -> None:
    texts = {said("paraphrase", "streaks", "blue_whitish_veil", key=f"q{i}") for i in range(30)}
    assert len(texts) > 20
    assert not any("irregular streaks" in text or "blue-whitish" in text or "the same" in text for text in texts)
    assert said("paraphrase", "streaks", key="q1") == said("paraphrase", "streaks", key="q1")


def test_a_part_of_the_changes_is_another_query() -> None:
    with pytest.raises(UserError, match=r"'partial:1' does not state all changes.*Use canonical, paraphrase or terse"):
        said("partial:1", "streaks")
    with pytest.raises(UserError, match="No text style is called 'rude'"):
        said("rude", "streaks")


@pytest.mark.parametrize("style", ["canonical", "paraphrase", "terse"])
def test_a_stored_query_is_told_again_from_its_id(toy: ToyDataset, style: str) -> None:
    cases = toy.cases("test")
    asked = protocol.ask(toy, TASK, cases, cases, style)
    known = {case.id: case for case in cases}
    for place in (0, 1, 30):
        reference, text = protocol.recall(toy, TASK, asked.ids[place], known, style)
        assert (reference.id, text) == (cases[asked.references[place]].id, asked.texts[place])
    assert protocol.recall(toy, "case-search", "toy-200", known, "canonical")[1] == "thin border, none spot"


# ------------------------------------------------------------------------------------------------ what is relevant


def test_gains_worked_out_by_hand() -> None:
    # The reference is 0 0 0; the target 1 0 0 differs in the first criterion, which the text names.
    gallery = np.array(
        [
            [0, 0, 0],  # the reference shows none of the changes: 0
            [1, 0, 0],  # the target: 2
            [1, 0, 0],  # its twin: 2
            [1, 0, 1],  # the change holds, one other criterion differs: 1
            [1, 1, 1],  # the change holds, two others differ: 0
            [2, 0, 0],  # all else is equal and the change does not hold: 0
            [1, 0, UNKNOWN],  # what is unknown equals nothing: 1
        ]
    )
    edits = Edits(np.array([0]), np.array([1]), np.array([[True, False, False]]))
    assert edit_gains(edits, gallery).tolist() == [[0, 2, 2, 1, 0, 0, 1]]


def test_judgments_of_the_toy_set(toy: ToyDataset) -> None:
    cases = toy.cases("test")
    judged = protocol.judge(toy, TASK, cases, cases)
    assert judged.query_ids == protocol.ask(toy, TASK, cases, cases, "terse").ids
    assert judged.stratum_names == ("1 change", "2 changes", "3 changes")
    assert judged.strata[:3].tolist() == [0, 1, 0]
    assert judged.excluded[:4].tolist() == [0, 0, 0, 1]
    assert judged.critical is None
    # toy-200>toy-217 asks for a thick border without a spot: 204, 208, 210, 213, 217, 218, 222; with a spot it is near.
    assert np.flatnonzero(judged.gains[0] == 2).tolist() == [4, 8, 10, 13, 17, 18, 22]
    assert np.flatnonzero(judged.gains[0] == 1).tolist() == [3, 5, 6, 7, 15, 19, 20, 23]
    # toy-200>toy-207 names both criteria: nothing is left that may differ.
    assert np.flatnonzero(judged.gains[1]).tolist() == [3, 5, 6, 7, 15, 19, 20, 23]


def test_an_archive_has_the_targets(toy: ToyDataset) -> None:
    (trial,) = protocol.trials(toy, "test", "archive", None)
    judged = protocol.judge(toy, TASK, trial.queries, trial.gallery)
    assert set(judged.excluded.tolist()) == {-1}
    archive = {case.id for case in trial.gallery}
    assert all(name.split(">")[1] in archive and name.split(">")[0] not in archive for name in judged.query_ids)


def test_the_oracle_asks_for_the_reference_with_its_changes(toy: ToyDataset) -> None:
    cases = toy.cases("test")
    asked = protocol.asked_codes(toy, TASK, cases, cases)
    assert asked[:3].tolist() == [[1, 0], [1, 1], [0, 1]]  # thick none, thick dark, thin dark
    assert protocol.asked_codes(toy, "case-search", cases, cases)[:3].tolist() == [[0, 0], [0, 0], [0, 1]]


def test_exact_matches_have_a_precision_of_their_own(toy: ToyDataset) -> None:
    cases = toy.cases("test")[:4]  # thin none, thin none, thin dark, thick dark
    judged = protocol.judge(toy, TASK, cases, cases)
    place = judged.query_ids.index("toy-203>toy-202")  # "but with thin border": 202 has gain 2, 200 and 201 gain 1
    assert judged.gains[place].tolist() == [1, 1, 2, 0]
    one = replace(judged, **{name: getattr(judged, name)[place : place + 1] for name in ("gains", "excluded")})
    assert exact_precision(np.array([[0, 2, 1]], dtype=np.uint16), one)[EXACT].tolist() == [0.5]
    alone = replace(one, query_ids=("q",), strata=judged.strata[:1])
    assert exact_chance(alone)[EXACT] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)  # one relevant of three


# ------------------------------------------------------------------------------------------------ training


def test_a_batch_holds_the_target_of_every_query_that_was_drawn(tmp_path: Path) -> None:
    made = session(tmp_path, task=TASK)
    data = made.sight(0, 0).labelled(made.trials[0].train)
    assert data.targets is not None
    assert data.grades.shape == (len(data.texts), 36)
    assert (data.grades[torch.arange(len(data.texts)), data.targets] == 2).all()
    rows = torch.tensor([0, 7, 20])
    more = with_targets(data, rows)
    assert more[:3].tolist() == rows.tolist()
    assert data.reference[more[3:]].tolist() == data.targets[rows].tolist()
    drawn_for_one = {int(with_targets(data, rows[:1])[1]) for _ in range(50)}
    assert len(drawn_for_one) > 1, "each query of the target has its turn"


def test_only_this_task_trains_with_targets_and_its_keys_hold_the_file_that_does() -> None:
    registry = load_registry()
    plans = {task: plan_method(registry, "tirg", {}, task) for task in ("case-search", TASK)}
    assert plans[TASK].composed is TargetedMethod
    assert plans[TASK].sources().keys() - plans["case-search"].sources().keys() == {"benchmark.targeted"}
    assert "posterior" in registry.controls("case-search") and "posterior" not in registry.controls(TASK)


def test_data_without_targets_and_targets_without_queries_bring_nothing(tmp_path: Path) -> None:
    made = session(tmp_path)
    data = made.sight(0, 0).labelled(made.trials[0].train)
    assert data.targets is None
    assert with_targets(data, torch.arange(5)).tolist() == [0, 1, 2, 3, 4]
    alone = replace(data, reference=torch.tensor([0, 0]), targets=torch.tensor([1, 1]))
    assert with_targets(alone, torch.tensor([1])).tolist() == [1]


def test_the_digests_of_case_search_are_those_from_before_there_was_another_task(tmp_path: Path) -> None:
    made = session(tmp_path)
    found = made.taught(made.trials[0])[:16], made.asked(made.trials[0])[:16]
    assert found == TAUGHT_AND_ASKED
    other = session(tmp_path, task=TASK)
    assert not {other.taught(other.trials[0])[:16], other.asked(other.trials[0])[:16]} & set(found)


def test_what_is_taught_follows_words_labels_and_pairs(tmp_path: Path) -> None:
    made = session(tmp_path, task=TASK)
    before = made.taught(made.trials[0])
    border, spot = made.dataset.criteria
    phrases = {**spot.phrases, "dark": Phrases("black spot", "dar", ())}
    made.dataset.criteria = (border, replace(spot, phrases=phrases))
    assert made.taught(made.trials[0]) != before
    made.dataset.criteria = (border, spot)
    assert made.taught(made.trials[0]) == before
    trial = made.trials[0]
    valid = tuple(
        Case(f"other-{i}", case.images, case.diagnosis, case.descriptors) for i, case in enumerate(trial.valid)
    )
    assert made.taught(replace(trial, valid=valid)) != before


# ------------------------------------------------------------------------------------------------ whole runs


def test_a_run_has_its_controls_its_strata_and_its_page(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*RUN, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    (board,) = (tmp_path / "runs/report/toy/modification").glob("*/leaderboard.md")
    text = board.read_text()
    for row in ("tirg", "image-only", "text-only", "late-fusion", "edited-posterior", "random", "oracle-text ‡"):
        assert f"| {row}" in text
    assert "| posterior" not in text
    assert "72 queries; 23 candidates each" in text and "queries with 1 change " in text
    assert "mAP (grade 2) |" in text
    assert "Macro mAP is the mean over queries with one, two and three changes." in text
    assert "(seeds, then references; 10,000 draws)" in text and "signs flipped by reference" in text
    groups = {row["group"] for row in csv.DictReader((board.parent / "per_group.csv").open())}
    assert groups == {"1 change", "2 changes"}, "two criteria have no three changes"
    again = benchmark(*RUN, *SMALL, "--dry-run")
    assert "0 of 6 units would run" in again.stdout
    page = benchmark("report", "--html", "--trec", "--plugin", str(TOY))
    assert page.returncode == 0, page.stderr
    html = (tmp_path / "runs/report/html/toy.html").read_text()
    assert "the same, but with" in html and "By number of changes" in html and "--task modification" in html
    (qrels,) = (tmp_path / "runs/report/trec").rglob("qrels*.txt")
    assert qrels.read_text().startswith("toy-200>toy-217 0 toy-203 1\n")


def test_a_partial_text_is_refused_before_anything_runs(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*RUN, "--text-style", "partial:1")
    assert done.returncode == 2
    assert "partial:1" in done.stderr and "Use canonical, paraphrase or terse" in done.stderr
    assert not (tmp_path / "runs/trainings").exists()


def test_folds_ask_their_own_cases(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*RUN, "--evaluate", "cv", "--methods", "random", "--no-controls", "--text-style", "terse")
    assert done.returncode == 0, done.stderr
    (board,) = (tmp_path / "runs/report/toy/modification").glob("*/leaderboard-cv.md")
    assert "in 5 folds" in board.read_text()
