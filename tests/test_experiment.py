"""An experiment: what a file may say, what is compared, and a small one from run to published page."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.experiment import Manifest, Member, is_experiment, read_experiment
from benchmark.protocol import Judgments
from benchmark.records import DatasetInfo, EncoderInfo, EvaluationRecord, MethodInfo, ProtocolInfo
from benchmark.report import from_runs
from benchmark.report.compact_rows import MeasuredRow
from benchmark.report.experiment import experiment_board
from benchmark.report.experiment_figure import draw_differences, figure_rows
from benchmark.report.experiment_files import publish_experiments
from benchmark.report.experiment_formats import experiment_latex, experiment_markdown, question_table
from benchmark.report.table import Evaluated
from tests.conftest import ROOT, TOY, Command

HEAD = """
methods = "tirg,random"
dataset = "toy"
encoder = "mean-colour"
seeds = "0"
training = {epochs = 1, batch_size = 24}
options.tirg.width = 16
"""
BASE = """
[[variants]]
question = "Width"
name = "16"
base = true
methods = ["tirg"]
"""
EIGHT = """
[[variants]]
question = "Width"
name = "8"
methods = ["tirg"]
options.tirg.width = 8
"""
LABELS = """
[[variants]]
question = "Criterion labels"
name = "with"
base = true
[[variants]]
question = "Criterion labels"
name = "without"
training.criterion_weight = 0.0
"""


def file(folder: Path, text: str, name: str = "small.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# ------------------------------------------------------------------------------------------------ the file


def test_a_variant_is_the_run_of_the_file_with_its_own_settings(tmp_path: Path) -> None:
    path = file(tmp_path, HEAD + BASE + EIGHT + LABELS)
    read = read_experiment(path, {"jobs": 1}, ("training.scale=20.0",), ("more.py",))
    assert read.name == "small"
    assert [variant.title for variant in read.variants][:2] == ["Width: 16", "Width: 8"]
    base, eight, _, without = (variant.config for variant in read.variants)
    assert (base.methods, base.options) == (("tirg",), {"tirg": {"width": 16}})
    assert eight.options == {"tirg": {"width": 8}}
    assert (without.training.criterion_weight, without.training.epochs, without.training.scale) == (0.0, 1, 20.0)
    assert {(c.evaluate, c.controls, c.jobs, c.plugins) for c in (base, eight)} == {("cv", False, 1, ("more.py",))}
    assert is_experiment(path) and not is_experiment(file(tmp_path, HEAD, "run.toml")) and not is_experiment(None)


def test_options_of_a_method_that_a_variant_leaves_out_are_left_out(tmp_path: Path) -> None:
    late = '[[variants]]\nquestion = "Width"\nname = "no tirg"\nmethods = ["random"]\n'
    read = read_experiment(file(tmp_path, HEAD + BASE + late), {})
    assert read.variants[1].config.options == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "variants = []", r"variants must be tables, each under a line \[\[variants\]\]"),
        (HEAD + BASE + BASE, r"question 'Width' has two variants named '16'"),
        (HEAD + EIGHT, r"question 'Width' has no base; mark exactly one of its variants base = true"),
        (HEAD + BASE + EIGHT + "base = true", r"question 'Width' has the bases '16', '8'"),
        (HEAD + BASE + EIGHT + "vieww = 'both'", r"variant '8': unknown key 'vieww'. Did you mean view"),
        (HEAD + BASE + EIGHT + "seeds = '0-4'", r"variant '8': seeds is the same for all variants; set it at the top"),
        (HEAD + BASE + EIGHT + "training.epoch = 3", r"variant '8': unknown option 'training.epoch'"),
        (HEAD + BASE + "[[variants]]\nname = '8'", r"variant 2 \('8'\): question is required"),
        ("metods = 'tirg'" + HEAD + BASE, r"unknown option 'metods'. Did you mean methods"),
        ("evaluate = 'test'" + HEAD + BASE, r"evaluate = 'test': an experiment chooses.*Leave evaluate out"),
        (
            HEAD + LABELS + "methods = ['film']",
            r"variant 'without': its method film has nothing to be compared with in the base 'with' \(tirg, random\)",
        ),
    ],
)
def test_a_mistake_is_named_with_its_file_and_variant(tmp_path: Path, text: str, words: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(UserError, match=words) as error:
        read_experiment(path, {})
    assert str(path) in str(error.value)


def test_a_flag_that_a_variant_sets_and_a_name_that_is_taken_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--methods: '16' and others of .*small.toml set it; leave it out"):
        read_experiment(file(tmp_path, HEAD + BASE), {"methods": "tirg"})
    for name in ("leaderboard", "Leaderboard", "Runs", "masks", "tuning", "---"):
        with pytest.raises(UserError, match=f"{name} is taken; rename the file"):
            read_experiment(file(tmp_path, HEAD + BASE, f"{name}.toml"), {})


@pytest.mark.parametrize("path", sorted((ROOT / "results/experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_committed_experiments_can_be_read(path: Path) -> None:
    assert read_experiment(path, {}).variants


def test_notes_belong_to_their_question(tmp_path: Path) -> None:
    path = file(tmp_path, HEAD + BASE + 'note = "One."\n' + EIGHT + 'note = "Two."\n' + LABELS)
    assert read_experiment(path, {}).notes == {"Width": "One. Two."}


# ------------------------------------------------------------------------------------------------ the numbers

TRUTH = Judgments(
    query_ids=("a", "b"),
    gallery_ids=("a", "b"),
    gains=np.array([[0, 1], [1, 0]], dtype=np.uint8),
    excluded=np.array([0, 1], dtype=np.int32),
    strata=np.array([0, 1], dtype=np.uint8),
    stratum_names=("X", "Y"),
    gallery_groups=np.array([0, 1], dtype=np.uint8),
)


def record(key: str, fold: int, row: str, torch: str = "2.14.1") -> EvaluationRecord:
    method = MethodInfo(
        name="ours", row=row, owner="o", summary="s", citation="c", scorer=None, options={}, modality="image",
        trained=True, parameters=1_500,
    )  # fmt: skip
    dataset = DatasetInfo(name="toy", fingerprint="f", synthetic=True, citation="c")
    protocol = ProtocolInfo(task="case-search", evaluate="cv", fold=fold)
    encoder = EncoderInfo(name="packaged", image_fingerprint="i", text_fingerprint="t")
    return EvaluationRecord(
        key=key, training_key=None, method=method, seed=0, dataset=dataset, encoder=encoder, protocol=protocol,
        judgments="j", training={}, sources={}, environment={"commit": "abc", "torch": torch}, files={},
    )  # fmt: skip


def evaluations(name: str, row: str, precision: list[tuple[float, float]]) -> list[Evaluated]:
    """One evaluation a fold, with the average precision of its two queries, which are of one stratum each; nDCG@10 is
    half of it.
    """
    records = tuple(record(f"{name}{fold}", fold, row) for fold in range(len(precision)))
    values = tuple({"AP": np.array(pair), "nDCG@10": np.array(pair) / 2} for pair in precision)
    return MeasuredRow(records, values).evaluated(lambda record: TRUTH, Path("x"))


def member(name: str, base: bool, folds: int = 3) -> Member:
    keys = tuple(f"{name}{fold}" for fold in range(folds))
    return Member(question="Q & A", variant=name, base=base, method="ours", keys=keys)


def test_differences_and_verdicts_worked_out_by_hand() -> None:
    members = [member("base", True), *(member(name, False) for name in ("up", "down", "noise", "none"))]
    notes = {"Q & A": "Mind this."}
    manifest = Manifest(name="e", dataset="toy", task="case-search", members=tuple(members), notes=notes)
    known = [
        *evaluations("base", "ours", [(0.2, 0.4), (0.4, 0.6), (0.3, 0.5)]),  # macro mAP .3 .5 .4
        *evaluations("up", "ours [a=1]", [(0.3, 0.5), (0.5, 0.7), (0.5, 0.5)]),  # .4 .6 .5: +.1 in each fold
        *evaluations("down", "ours [a=2]", [(0.1, 0.3), (0.2, 0.4), (0.1, 0.3)]),  # .2 .3 .2: -.1 -.2 -.2
        *evaluations("noise", "ours [a=3]", [(0.5, 0.5), (0.4, 0.4), (0.4, 0.4)]),  # .5 .4 .4: +.2 -.1 0
    ]
    board = experiment_board(manifest, known)
    base, up, down, noise = board.lines
    assert [line.verdict for line in board.lines] == ["base", "better", "worse", "tie"]
    assert board.missing == ("none (ours)",)
    assert (base.mean, base.error) == (pytest.approx(0.4), pytest.approx(0.1 / 3**0.5))
    assert up.differences == pytest.approx([0.1, 0.1, 0.1])
    assert down.differences == pytest.approx([-0.1, -0.2, -0.2])
    assert np.mean(noise.differences) == pytest.approx(0.1 / 3)
    assert up.graded_differences == pytest.approx([0.05, 0.05, 0.05])
    page = experiment_markdown(board, "e.svg")
    assert "## Q & A\n\nMind this.\n\n| variant" in page
    assert "|      25.0 |        +5.0 ± 0.0 |" in page
    assert "| down" in page and "−16.7 ± 3.3 |" in page and "+10.0 ± 0.0 |" in page and "1500" not in page
    assert "2 queries" not in page and "6 queries in 3 folds" in page
    assert "- Without a result: none (ours)." in page
    assert r"\textit{Q \& A}" in experiment_latex(board) and r"Q \& A: Mind this." in experiment_latex(board)
    assert "Mind this." in str(question_table(board, "Q & A").caption)


def test_another_base_or_name_of_it_draws_the_picture_anew() -> None:
    manifest = Manifest(
        name="e", dataset="toy", task="case-search", members=(member("base", True), member("up", False))
    )
    known = [*evaluations("base", "ours", [(0.2, 0.4)] * 3), *evaluations("up", "ours", [(0.3, 0.4)] * 3)]
    header, *rows = figure_rows(experiment_board(manifest, known))
    assert [row[header.index("base")] for row in rows] == ["base"]


def test_the_page_says_what_made_its_rows() -> None:
    # Two releases of PyTorch round differently, and training carries that into the numbers.
    manifest = Manifest(name="e", dataset="toy", task="case-search", members=(member("base", True),))
    first, *others = evaluations("base", "ours", [(0.2, 0.4)] * 3)
    known = [first._replace(record=record("base0", 0, "ours", torch="2.15.0")), *others]
    page = experiment_markdown(experiment_board(manifest, known), "e.svg")
    (made,) = [line for line in page.splitlines() if line.startswith("Made with")]
    assert made.startswith("Made with commit abc, torch 2.14.1 and 2.15.0 (`ours` with encoder packaged). ")
    assert "`python -m benchmark run --config e.toml` makes it again" in made


def test_a_row_that_was_published_without_ndcg_has_none() -> None:
    manifest = Manifest(
        name="e", dataset="toy", task="case-search", members=(member("base", True), member("up", False))
    )
    old = [*evaluations("base", "ours", [(0.2, 0.4)] * 3), *evaluations("up", "ours", [(0.3, 0.5)] * 3)]
    old = [one._replace(metrics=lambda one=one: {"AP": one.metrics()["AP"]}) for one in old]  # type: ignore[misc]
    page = experiment_markdown(experiment_board(manifest, old), "e.svg")
    assert "+10.0 ± 0.0 |    better |         – |                 – |" in page


def test_a_base_without_a_result_leaves_its_rows_without_a_verdict() -> None:
    members = (member("base", True, 2), member("up", False, 2))
    manifest = Manifest(name="e", dataset="toy", task="case-search", members=members)
    board = experiment_board(manifest, evaluations("up", "ours", [(0.3, 0.5), (0.5, 0.7)]))
    assert [line.verdict for line in board.lines] == [None]
    assert "| up " in experiment_markdown(board, "e.svg")
    assert len(figure_rows(board)) == 1
    assert draw_differences(board).axes, "nothing to draw, and no error"


def test_a_variant_whose_folds_are_others_than_the_base_has_says_so() -> None:
    members = (member("base", True), member("fewer", False))
    manifest = Manifest(name="e", dataset="toy", task="case-search", members=members)
    other = replace(TRUTH, query_ids=("a", "c"))
    fewer = [one._replace(judgments=lambda: other) for one in evaluations("fewer", "ours", [(0.3, 0.5)] * 3)]
    board = experiment_board(manifest, [*evaluations("base", "ours", [(0.2, 0.4)] * 3), *fewer])
    told = "In the fold of the base ask, of fewer 3 of 6 queries."
    assert told in experiment_markdown(board, "e.svg") and told in experiment_latex(board)
    alike = experiment_board(
        manifest, [*evaluations("base", "ours", [(0.2, 0.4)] * 3), *evaluations("fewer", "ours", [(0.3, 0.5)] * 3)]
    )
    assert "Paired in part" not in experiment_markdown(alike, "e.svg")


# ------------------------------------------------------------------------------------------------ from run to page


RUN = ("run", "--plugin", str(TOY), "--quiet", "--jobs", "1", "--config")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_from_run_to_published_page(tmp_path: Path, benchmark: Command) -> None:
    path = file(tmp_path, HEAD + BASE + EIGHT + LABELS)
    (tmp_path / "README.md").write_text("Nothing to fill.\n")
    done = benchmark(*RUN, str(path))
    assert done.returncode == 0, done.stderr
    assert "2 of 4: Width: 8" in done.stderr
    # tirg of width 16 and 8 and without labels, and random with its two trainings that it ignores, in five folds each
    runs = tmp_path / "runs/evaluations"
    assert len(list(runs.iterdir())) == 25, "the base of both questions is the same run"
    again = benchmark(*RUN, str(path), "--dry-run", "--json")
    assert json.loads(again.stdout)["would_run"] == 0
    pages = contents(tmp_path / "runs/report/toy/case-search")
    rows = csv.DictReader(pages["small.csv"].decode().splitlines())
    assert [(row["variant"], row["name"], row["verdict"] == "base") for row in rows] == [
        ("16", "tirg", True), ("8", "tirg", False), ("with", "tirg", True), ("with", "random", True),
        ("without", "tirg", False), ("without", "random", False),
    ]  # fmt: skip

    results = tmp_path / "results"
    shutil.copytree(path.parent, results / "experiments", ignore=lambda _, names: set(names) - {path.name})
    told = benchmark("report", "--publish", "--plugin", str(TOY))
    assert told.stderr == "Experiment small (toy, case-search): 6 rows.\n"
    whole = contents(results)
    assert sum(name.startswith("toy/case-search/small/judgments-") for name in whole) == 5
    # The command at the foot says where the file lies.
    own, there = b"--config small.toml`", b"--config results/experiments/small.toml`, from the root of the repository,"
    assert own in pages["small.md"]
    pages["small.md"] = pages["small.md"].replace(own, there)
    assert {name: whole[f"toy/case-search/{name}"] for name in pages} == pages
    check_publishing(tmp_path / "runs", results, whole)


def check_publishing(runs: Path, results: Path, whole: dict[str, bytes]) -> None:
    """What was published once stays, and a clone, which has no runs, rebuilds the pages from what each query scored."""
    assert publish_experiments(runs, from_runs(runs), results) == []
    assert contents(results) == whole
    for made in (results / "toy/case-search").glob("small*.*"):
        made.unlink()
    assert publish_experiments(results / "none", [], results) == []
    assert contents(results) == whole

    # Words beside a question are those of its file as it is now; they need no run.
    file = results / "experiments/small.toml"
    written = file.read_text()
    file.write_text(written.replace("base = true\n", 'base = true\nnote = "Mind the width."\n', 1))
    for _ in range(2):
        assert publish_experiments(runs, from_runs(runs), results) == []
        assert "## Width\n\nMind the width.\n\n| variant" in (results / "toy/case-search/small.md").read_text()
    file.write_text(written)
    publish_experiments(results / "none", [], results)
    assert contents(results) == whole

    lost = next((results / "toy/case-search/small").glob("judgments-*"))
    lost.unlink()
    with pytest.raises(UserError, match=rf"{lost.name} is damaged \(it is missing\)"):
        publish_experiments(results / "none", [], results)

    # What is no experiment is never cleared away.
    shutil.rmtree(results / "toy")
    foreign = results / "toy/case-search/small/tirg.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}")
    with pytest.raises(UserError, match=r"holds something else than an experiment; give small\.toml another"):
        publish_experiments(runs, from_runs(runs), results)
    assert foreign.exists()

    # Only an experiment whose file is committed is published, and only as a whole.
    shutil.rmtree(results / "toy")
    assert "1 of 6 rows have no result yet; run it again" in publish_experiments(runs, from_runs(runs)[:-1], results)[0]
    (results / "experiments/small.toml").unlink()
    assert "small.toml does not exist" in publish_experiments(runs, from_runs(runs), results)[0]
    assert not (results / "toy").exists()


def test_a_variant_that_cannot_run_is_named_before_anything_runs(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*RUN, str(file(tmp_path, HEAD + BASE + EIGHT + "options.tirg.widht = 3")))
    assert done.returncode == 2
    assert "small.toml, variant '8': options of method tirg: unknown option 'widht'" in done.stderr
    assert not (tmp_path / "runs").exists()
