from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark import protocol
from benchmark.config import NoOptions
from benchmark.errors import UserError
from benchmark.interfaces import Case, DatasetContext, Phrases
from benchmark.rendering import UNSTATED, contradiction, render, render_changes
from plugins.datasets.seven_point import CRITERIA, TAXONOMY
from tests.toy import ToyDataset

NEVUS = {
    "pigment_network": "typical",
    "streaks": "absent",
    "pigmentation": "absent",
    "regression_structures": "absent",
    "dots_and_globules": "regular",
    "blue_whitish_veil": "absent",
    "vascular_structures": "absent",
}


@pytest.fixture
def toy(tmp_path: Path) -> ToyDataset:
    return ToyDataset(DatasetContext(None, tmp_path), NoOptions())


def case(name: str, diagnosis: str, border: str, spot: str) -> Case:
    return Case(name, {}, diagnosis, {"border": border, "spot": spot})


def test_gain_counts_group_then_diagnosis_then_criteria(toy: ToyDataset) -> None:
    toy.taxonomy = {"red": "R", "crimson": "R", "green": "G"}
    query = [case("q", "red", "thin", "dark")]
    gallery = [
        case("q", "red", "thin", "dark"),  # the query itself
        case("same", "red", "thin", "none"),  # 1 + diagnosis + one of two criteria equal
        case("cousin", "crimson", "thick", "none"),  # same group, nothing else
        case("twin", "crimson", "thin", "dark"),  # same group and criteria
        case("other", "green", "thin", "dark"),  # another group: 0 whatever its criteria
    ]
    judgments = protocol.judge(toy, "case-search", query, gallery)
    assert judgments.gains.tolist() == [[0, 3, 1, 2, 0]]
    assert judgments.excluded.tolist() == [0]
    assert judgments.gallery_groups.tolist() == [0, 0, 0, 0, 1]
    assert (judgments.critical, judgments.lookalike) == (0, 1)


def test_six_of_seven_criteria_are_enough_and_five_are_not(toy: ToyDataset) -> None:
    toy.criteria, toy.taxonomy, toy.groups = CRITERIA, TAXONOMY, ("BCC", "NEV", "MEL", "MISC", "SK")
    one = {**NEVUS, "streaks": "regular"}
    two = {**one, "pigmentation": "diffuse regular"}
    cases = [
        Case(str(i), {}, diagnosis, d)
        for i, (diagnosis, d) in enumerate([("clark nevus", NEVUS), ("blue nevus", one), ("blue nevus", two)])
    ]
    assert protocol.gains(toy, cases, cases).tolist() == [[0, 2, 1], [2, 0, 3], [1, 3, 0]]


def test_an_archive_gallery_excludes_nobody(toy: ToyDataset) -> None:
    (trial,) = protocol.trials(toy, "test", "archive", "dermoscopic")
    judgments = protocol.judge(toy, "case-search", trial.queries, trial.gallery)
    assert set(judgments.excluded.tolist()) == {-1}
    assert len(judgments.gallery_ids) == 36 + 12


def test_on_test_the_other_test_cases_are_searched(toy: ToyDataset) -> None:
    (trial,) = protocol.trials(toy, "test", "split", "dermoscopic")
    assert [len(part) for part in (trial.train, trial.valid, trial.queries, trial.gallery)] == [36, 12, 24, 24]
    judgments = protocol.judge(toy, "case-search", trial.queries, trial.gallery)
    assert judgments.excluded.tolist() == list(range(24))


def test_folds_cover_train_and_valid_once_and_never_touch_test(toy: ToyDataset) -> None:
    trials = protocol.trials(toy, "cv", "split", "dermoscopic")
    asked = [case.id for trial in trials for case in trial.queries]
    known = {case.id for split in ("train", "valid") for case in toy.cases(split)}  # type: ignore[arg-type]
    assert sorted(asked) == sorted(known)
    for trial in trials:
        train, valid, query = ({case.id for case in part} for part in (trial.train, trial.valid, trial.queries))
        assert not train & valid
        assert not train & query
        assert not valid & query
        assert train | valid | query == known


def test_folds_are_stratified(toy: ToyDataset) -> None:
    for trial in protocol.trials(toy, "cv", "split", "dermoscopic"):
        counts = np.bincount(protocol.group_codes(toy, trial.queries))
        assert counts.max() - counts.min() <= 1


def test_cross_validation_cannot_search_the_archive(toy: ToyDataset) -> None:
    with pytest.raises(UserError, match="--gallery archive goes with --evaluate test"):
        protocol.trials(toy, "cv", "archive", "dermoscopic")


def test_an_unknown_view_and_task_are_named(toy: ToyDataset) -> None:
    with pytest.raises(UserError, match=r"no view 'clinicl'.*Did you mean clinical.*both"):
        protocol.trials(toy, "test", "split", "clinicl")
    with pytest.raises(UserError, match=r"No task is called 'case-serch'.*case-search"):
        protocol.judge(toy, "case-serch", (), ())


def test_a_case_without_an_honest_image_of_the_view_is_left_out(toy: ToyDataset) -> None:
    toy.unusable = lambda case, view: "replaced" if case.id == "toy-200" else None  # type: ignore[method-assign, assignment]
    (trial,) = protocol.trials(toy, "test", "split", "dermoscopic")
    assert len(trial.queries) == len(trial.gallery) == 23


def test_canonical_text_states_every_criterion() -> None:
    text = render(CRITERIA, NEVUS, "canonical", "q1")
    assert text.startswith("typical pigment network, ")
    assert text.count(",") == 6


def test_partial_text_states_k_criteria_and_is_seeded() -> None:
    whole = render(CRITERIA, NEVUS, "canonical", "q1").split(", ")
    for k in range(1, 8):
        part = render(CRITERIA, NEVUS, f"partial:{k}", "q1").split(", ")
        assert len(part) == k
        assert set(part) <= set(whole)
        assert part == render(CRITERIA, NEVUS, f"partial:{k}", "q1").split(", ")
    assert len({render(CRITERIA, NEVUS, "partial:3", f"q{i}") for i in range(20)}) > 5


def test_paraphrases_never_use_the_canonical_wording() -> None:
    for i in range(30):
        text = render(CRITERIA, NEVUS, "paraphrase", f"q{i}").lower()
        assert "typical pigment network." not in text
        assert text.endswith(".")
    assert len({render(CRITERIA, NEVUS, "paraphrase", f"q{i}") for i in range(20)}) == 20


def test_terse_text_is_shorter_than_canonical() -> None:
    assert len(render(CRITERIA, NEVUS, "terse", "q")) < len(render(CRITERIA, NEVUS, "canonical", "q"))


def test_a_contradicting_text_states_one_criterion_falsely_and_the_others_as_they_are() -> None:
    whole = render(CRITERIA, NEVUS, "canonical", "q1").split(", ")
    named = set()
    for name in (f"q{i}" for i in range(40)):
        false = contradiction(CRITERIA, NEVUS, name)
        assert false is not None
        criterion = CRITERIA[false.criterion]
        assert criterion.values[false.true] == NEVUS[criterion.name] != criterion.values[false.stated]
        expected = list(whole)
        expected[false.criterion] = criterion.phrases[criterion.values[false.stated]].canonical
        assert render(CRITERIA, NEVUS, "contradicting", name) == ", ".join(expected)
        named.add(false.criterion)
    assert named == set(range(7)), "every criterion is drawn for some query"


def test_what_nobody_knows_is_not_contradicted_and_never_stated(toy: ToyDataset) -> None:
    border, spot = toy.criteria
    silent = replace(spot, phrases={**spot.phrases, "none": Phrases("", "", ())})
    known = {"border": "thin", "spot": "none"}
    for name in (f"q{i}" for i in range(20)):
        assert contradiction((border, silent), known, name) == (0, 0, 1)
        assert contradiction((silent,), {"spot": "none"}, name) is None
        assert contradiction((silent,), {"spot": "dark"}, name) is None, "the only other value has no words"
    assert render((silent,), {"spot": "dark"}, "contradicting", "q") == "dark spot"


def test_no_text_is_the_word_of_a_query_without_findings() -> None:
    assert render(CRITERIA, NEVUS, "none", "q1") == render((), {}, "canonical", "q2") == UNSTATED


@pytest.mark.parametrize("style", ["partial:1", "contradicting", "none"])
def test_a_text_that_names_changes_can_neither_contradict_nor_leave_out(style: str) -> None:
    with pytest.raises(UserError, match="makes another query"):
        render_changes(CRITERIA, NEVUS, [True] + [False] * 6, style, "q")


@pytest.mark.parametrize("style", ["partial:0", "partial:8", "partial:x", "rude"])
def test_an_impossible_style_is_refused(style: str) -> None:
    with pytest.raises(UserError, match=style):
        render(CRITERIA, NEVUS, style, "q")


@pytest.mark.parametrize("style", ["canonical", "paraphrase", "terse", "partial:3", "contradicting"])
def test_the_text_never_holds_diagnosis_management_score_difficulty_or_notes(toy: ToyDataset, style: str) -> None:
    """Two cases that differ in all of these, and in nothing else, read the same; and no diagnosis is ever named."""
    toy.criteria = CRITERIA
    secret = {
        "management": "excision",
        "seven_point_score": "7",
        "level_of_diagnostic_difficulty": "high",
        "notes": "x",
    }
    one = Case("q", {}, "melanoma", NEVUS, secret)
    two = Case("q", {}, "clark nevus", NEVUS, {})
    assert protocol.query_texts(toy, [one], style) == protocol.query_texts(toy, [two], style)
    forbidden = ("melanom", "nevus", "nevi", "carcinoma", "keratosis", "lentigo", "excision", "malignan", "benign")
    for criterion in CRITERIA:
        for value, phrases in criterion.phrases.items():
            for wording in (phrases.canonical, phrases.terse, *phrases.paraphrases):
                assert not [word for word in forbidden if word in wording.lower()], (criterion.name, value, wording)


def test_both_views_leave_out_whoever_lacks_one(toy: ToyDataset) -> None:
    toy.unusable = lambda case, view: "replaced" if (case.id, view) == ("toy-200", "clinical") else None  # type: ignore[method-assign, assignment]
    counts = {
        view: len(protocol.trials(toy, "test", "split", view)[0].queries)
        for view in ("dermoscopic", "clinical", "both")
    }
    assert counts == {"dermoscopic": 24, "clinical": 23, "both": 23}


def test_a_dataset_of_one_view_has_no_both(toy: ToyDataset) -> None:
    toy.views = ("dermoscopic",)  # type: ignore[misc]
    with pytest.raises(UserError, match="no view 'both'"):
        protocol.trials(toy, "test", "split", "both")


def test_two_unknown_findings_do_not_agree(toy: ToyDataset) -> None:
    """A value without a wording is one that nobody knows."""
    border, spot = toy.criteria
    silent = replace(spot, phrases={**spot.phrases, "none": Phrases("", "", ())})
    toy.criteria = (border, silent)
    pair = [case("a", "red", "thin", "none"), case("b", "red", "thin", "none"), case("c", "red", "thick", "none")]
    # group and diagnosis agree: 2; one criterion of two is enough for the third point
    assert protocol.gains(toy, pair, pair)[0].tolist() == [0, 3, 2]
    assert protocol.stated_codes(toy, pair, -1).tolist() == [[0, -1], [0, -1], [1, -1]]


def test_more_groups_than_a_byte_counts_are_refused(toy: ToyDataset) -> None:
    toy.groups = tuple(f"g{number}" for number in range(257))
    with pytest.raises(UserError, match="257 groups; at most 256"):
        protocol.judge(toy, "case-search", [], [])
