from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.facts import Facts
from benchmark.records import ProtocolInfo
from benchmark.report import from_runs
from benchmark.report.experiment_files import publish_experiments
from benchmark.report.following import STATED, TRUE, shares
from benchmark.report.robustness import write_robustness
from benchmark.report.robustness.answers import Answers, condition, studies
from benchmark.report.robustness.figures import spread
from benchmark.report.robustness.numbers import change, curve, following, subgroups
from benchmark.store import read_facts
from tests.conftest import TOY, Command
from tests.report.fakes import contents, judgments, one, record

FACTS = Facts(
    subgroup_values={"sex": ("female", "male")},
    subgroups=np.array([[0], [1]], dtype=np.int16),
    criteria=("border", "spot"),
    contradictions=np.array([[1, 0, 2], [-1, -1, -1]], dtype=np.int16),  # spot: 2 is stated, 0 is true; then nothing
    findings=np.array([[0, 2], [1, 2], [2, 0], [0, -1]], dtype=np.int16),
)
"""Two queries, four candidates, two criteria."""


def answers(name: str, ap, *, strata=(0, 0, 1, 1), seeds=None, queries="abcd", **more) -> Answers:
    ap = np.atleast_2d(np.asarray(ap, dtype=np.float64))
    seeds = tuple(range(len(ap))) if seeds is None else seeds
    values = {"AP": ap, **more.pop("values", {})}
    return Answers(record().method, "packaged", name, seeds, tuple(queries), np.array(strata), values, **more)


def test_shares_count_the_stated_and_the_true_value_in_the_first_ten() -> None:
    found = shares(np.array([[0, 1, 2, 3], [3, 2, 1, 0]], dtype=np.uint16), FACTS)
    assert found[STATED].tolist()[0] == 2 / 4, "spot = 2 in rows 0 and 1"
    assert found[TRUE].tolist()[0] == 1 / 4, "spot = 0 in row 2; what nobody knows counts for neither"
    assert np.isnan(found[STATED][1]), "no text contradicts the second query"
    nothing = replace(FACTS, findings=np.empty((4, 0), dtype=np.int16))
    assert np.isnan(shares(np.array([[0, 1, 2, 3]] * 2, dtype=np.uint16), nothing)[TRUE]).all()


def test_a_condition_is_named_by_the_one_thing_that_it_changes() -> None:
    bare = ProtocolInfo(task="case-search", evaluate="test", fold=None)
    assert condition(bare) == "canonical"
    assert condition(bare.model_copy(update={"text_style": "partial:3"})) == "partial:3"
    assert condition(bare.model_copy(update={"without": "image"})) == "without image"
    assert condition(bare.model_copy(update={"excluded": "7 cases, list 3f"})) == "without 7 cases, list 3f"
    assert condition(bare.model_copy(update={"without": "image", "text_style": "none"})) is None


def test_a_change_pairs_seeds_and_queries_by_their_names() -> None:
    before = answers("canonical", [[0.2, 0.4, 0.6, 0.8], [0.3, 0.5, 0.7, 0.9]])
    after = answers("terse", [[0.7, 0.8, 0.1]], seeds=(1,), queries="cda", strata=(1, 1, 0))
    found = change(before, after)
    assert found is not None
    # Seed 1 of a, c and d: 0.1 - 0.3 in one stratum; 0.7 - 0.7 and 0.8 - 0.9 in the other.
    assert found.difference.value == pytest.approx((-0.2 + (0 - 0.1) / 2) / 2)
    assert (found.seeds, found.queries) == (1, 3)
    assert found.macro.value == pytest.approx((0.1 + (0.7 + 0.8) / 2) / 2)
    more = change(before, answers("terse", [[0.4] * 4, [0.4] * 4, [0.9] * 4], seeds=(0, 1, 2)))
    assert more is not None and (more.macro.value, more.seeds) == (pytest.approx(0.4), 2), "of the seeds of both"
    assert change(before, answers("terse", [[0.5]], queries="x", strata=(0,))) is None


def test_the_curve_leads_from_no_words_to_all() -> None:
    names = ["canonical", "partial:2", "none", "terse", "partial:9"]
    points = curve({name: answers(name, [[0.1, 0.3, 0.5, 0.7]]) for name in names}, criteria=3)
    assert [point.stated for point in points] == [0, 2, 3]
    assert points[0].macro.tolist() == pytest.approx([0.4])
    assert curve({"canonical": answers("canonical", [[0.1, 0.3, 0.5, 0.7]])}, criteria=0) == []


def test_following_is_the_change_of_both_shares() -> None:
    nan = np.nan
    before = answers("canonical", np.full((1, 4), 0.5), values={STATED: np.array([[0.1, 0.2, nan, 0.0]]),
                     TRUE: np.array([[0.7, 0.6, nan, 0.8]])})  # fmt: skip
    after = answers("contradicting", np.full((1, 4), 0.4), values={STATED: np.array([[0.3, 0.2, nan, 0.1]]),
                    TRUE: np.array([[0.7, 0.3, nan, 0.8]])})  # fmt: skip
    found = following(before, after)
    assert found is not None
    assert found.stated.value == pytest.approx(0.3 / 3)
    assert found.true.value == pytest.approx(-0.3 / 3)
    assert found.macro.value == pytest.approx(-0.1)
    assert found.queries == 3
    assert following(before, answers("contradicting", np.full((1, 4), 0.4))) is None, "the shares are not stored"


def test_a_subgroup_is_set_beside_all_queries_of_its_strata() -> None:
    precision = [[0.2] * 20 + [0.6] * 20 + [0.9]]
    site = ("arm",) * 20 + ("leg",) * 20 + ("arm",)
    strata = (0,) * 20 + (0,) * 20 + (1,)
    made = answers("canonical", precision, strata=strata, queries=map(str, range(41)), subgroups={"site": site})
    arm, leg = subgroups(made, "site")
    assert (arm.value, arm.queries, arm.strata, arm.few) == ("arm", 21, 2, False)
    assert arm.macro.value == pytest.approx((0.2 + 0.9) / 2)
    assert arm.expected == pytest.approx((0.4 + 0.9) / 2)
    assert (leg.macro.value, leg.expected) == pytest.approx((0.6, 0.4)), "without the easy stratum"
    few = subgroups(replace(made, subgroups={"site": ("toe", *site[1:])}), "site")[-1]
    assert (few.value, few.few, np.isnan(few.macro.low)) == ("toe", True, True)


def test_names_are_moved_apart_around_their_middle() -> None:
    assert spread([1.0, 5.0, 5.0], gap=1.0) == [1.0, 4.5, 5.5]
    assert spread([1.0, 1.2, 1.4, 9.0], gap=1.0) == pytest.approx([0.2, 1.2, 2.2, 9.0])


def test_folds_are_pooled_and_seeds_that_lack_one_left_out() -> None:
    truths = {fold: judgments(prefix=f"fold{fold}-") for fold in (0, 1)}
    places = [(fold, seed) for fold in (0, 1) for seed in (0, 1) if (fold, seed) != (1, 1)]
    cv = {"evaluate": "cv"}
    made = [
        one("ours", seed, truths[fold], protocol={**cv, "fold": fold, "text_style": style})
        for style in ("canonical", "terse")
        for fold, seed in places
    ]
    (study,) = studies(made)
    pooled = study.answers["ours", "packaged"]["terse"]
    assert (pooled.seeds, pooled.values["AP"].shape) == ((0,), (1, 60))
    assert pooled.queries[30:] == truths[1].query_ids


def test_there_is_no_page_where_nothing_varies_and_none_for_methods_without_the_canonical_text(tmp_path: Path) -> None:
    assert write_robustness([one("ours"), one("rival")], tmp_path, "ours") == []
    varied = [
        one("ours"),
        one("ours", protocol={"text_style": "terse"}),
        one("rival", protocol={"text_style": "terse"}),
    ]
    (study,) = studies(varied)
    assert study.notes == ("Left out, since the canonical text is missing: rival.",)
    assert list(study.answers) == [("ours", "packaged")]


EXPERIMENT = """
methods = "tirg,text-only"
dataset = "toy"
encoder = "mean-colour"
seeds = "0,1"
training = {epochs = 1, batch_size = 24}
options.tirg.width = 16
options.text-only.width = 16

[[variants]]
question = "Words"
name = "all"
base = true
[[variants]]
question = "Words"
name = "one is false"
text_style = "contradicting"
[[variants]]
question = "Words"
name = "none"
text_style = "none"
[[variants]]
question = "Picture"
name = "with"
base = true
[[variants]]
question = "Picture"
name = "without"
without = "image"
"""


def test_an_experiment_that_asks_otherwise_tells_of_it_and_is_rebuilt_without_runs(
    benchmark: Command, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    path = results / "experiments" / "otherwise.toml"
    path.parent.mkdir(parents=True)
    path.write_text(EXPERIMENT)
    (tmp_path / "README.md").write_text("nothing to fill")
    done = benchmark("run", "--config", str(path), "--plugin", str(TOY), "--quiet", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs" / "trainings").iterdir())) == 20, "two methods, five folds, two seeds; no more"

    assert benchmark("report", "--publish").returncode == 0
    page = results / "toy" / "case-search" / "otherwise.md"
    text, whole = page.read_text(), contents(page.parent)
    for heading in ("## How much is said", "## Words against picture", "### side", "without image |"):
        assert heading in text
    with (page.parent / "otherwise-conditions.csv").open() as file:
        rows = list(csv.DictReader(file))
    asked = {row["condition"] for row in rows if row["section"] == "conditions"}
    assert asked == {"canonical", "contradicting", "none", "without image"}
    blind = [row for row in rows if row["method"].startswith("text-only") and row["condition"] == "without image"]
    assert [float(row["mean"]) for row in blind if row["metric"] == "macro_map_change"] == [0.0]
    pictures = {path.stem for path in page.parent.glob("otherwise-*.svg")}
    assert pictures == {f"otherwise-{name}" for name in ("differences", "changes", "curve", "following", "subgroups")}

    facts = [read_facts(path) for path in page.parent.rglob("facts-*.safetensors")]
    assert len(facts) == 5
    assert not any(one.findings.size or (one.contradictions >= 0).any() for one in facts), "no label of a criterion"
    page.unlink()
    assert publish_experiments(results / "none", [], results) == []
    assert contents(page.parent) == whole

    again = write_robustness(from_runs(tmp_path / "runs"), tmp_path / "report", "tirg")
    assert again[0].name == "robustness-cv.md"
    assert "## Words against picture" in again[0].read_text()
