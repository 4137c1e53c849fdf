"""Training on one dataset, searching another."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records import DatasetInfo, ProtocolInfo
from benchmark.report.table import conditions_folder
from tests.conftest import FAST, ROOT, Command
from tests.datasets.fake_folder import set_cell, write_folder

TOY = ROOT / "tests" / "toy.py"
OTHER = """
from dataclasses import replace
from benchmark.hookspecs import hookimpl
from benchmark.interfaces import CriticalGroup
from tests.toy import CRITERIA, ToyDataset

class Other(ToyDataset):
    name = "other"
    views = ("photo",)
    groups = ("warm", "cold")
    taxonomy = {"red": "warm", "green": "cold", "blue": "cold"}
    criteria = CRITERIA[:1]
    critical = None

    def cases(self, split):
        made = super().cases(split)
        return tuple(
            replace(c, images={"photo": c.images["dermoscopic"]}, descriptors={"border": c.descriptors["border"]})
            for c in made
        )

    def fingerprint(self):
        return "other-1"

@hookimpl
def register_datasets(register):
    register("other", Other, summary="s", citation="c")
"""
RUN = ("run", "--plugin", str(TOY), "--encoder", "mean-colour", "--quiet", "--jobs", "1", *FAST)
METHODS = ("--methods", "proposed,late-fusion", "--set", "proposed.width=16", "--seeds", "0", "--no-controls")


@pytest.fixture
def other(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "other.py").write_text(OTHER)
    return ("--plugin", str(tmp_path / "other.py"))


def test_another_dataset_is_searched_with_the_weights_of_the_first(
    tmp_path: Path, benchmark: Command, other: tuple[str, ...]
) -> None:
    """The two have other groups, criteria and names of views; the ids of their cases are the same."""
    assert benchmark(*RUN, *METHODS, "--dataset", "toy").returncode == 0
    trained = {path.name for path in (tmp_path / "runs/trainings").iterdir()}
    done = benchmark(*RUN, *METHODS, *other, "--train", "toy", "--test", "other")
    assert done.returncode == 0, done.stderr
    assert "Trained on it, judged on other" in done.stderr
    assert {path.name for path in (tmp_path / "runs/trainings").iterdir()} == trained
    (path,) = (tmp_path / "runs/report/other/case-search").glob("*trained-on=toy/leaderboard.md")
    board = path.read_text()
    assert "groups warm 8, cold 16" in board
    assert "trained on toy" in board
    assert "view photo" in board
    pages = benchmark("report", "--html", "--plugin", str(TOY), *other)
    assert pages.returncode == 0, pages.stderr
    page = (tmp_path / "runs/report/html/other.html").read_text()
    assert "--train toy" in page
    assert "--test other" in page


def test_rows_that_other_data_taught_never_share_a_table(tmp_path: Path, benchmark: Command) -> None:
    """Two folders of one name teach; what is searched is the same."""
    for number, place in enumerate(("a/school", "b/school", "searched")):
        write_folder(tmp_path / place)
        set_cell(tmp_path / place, 0, "edge", "sharp" if number else "blurred")
    for place, method in (("a", "text-only"), ("b", "late-fusion")):
        words = ("--train", f"folder:{place}/school", "--test", "folder:searched", "--methods", method)
        done = benchmark(*RUN, *words, "--seeds", "0", "--no-controls")
        assert done.returncode == 0, done.stderr
    done = benchmark("report", "--plugin", str(TOY))
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs/report").glob("folder-searched/case-search/*trained-on=folder-school/leaderboard.md")
    board = path.read_text()
    assert "| late-fusion" in board and "| text-only" not in board
    assert "training are others than those of the newest rows: text-only (mean-colour)" in board


def test_data_sets_of_like_names_that_taught_have_folders_of_their_own() -> None:
    bare = ProtocolInfo(task="case-search", evaluate="test", fold=None)
    dataset = DatasetInfo(name="toy", fingerprint="f", synthetic=True, citation="c")
    names = ("folder:Meine Fälle", "folder:Meine Fölle", "toy")
    folders = [str(conditions_folder(bare.model_copy(update={"trained_on": name}), dataset)) for name in names]
    assert len(set(folders)) == 3 and folders[2] == "trained-on=toy"


def test_another_content_of_what_is_searched_is_ranked_anew(
    tmp_path: Path, benchmark: Command, other: tuple[str, ...]
) -> None:
    """A picture that is replaced changes neither ids nor words nor labels: only the data set's fingerprint tells."""
    run = (*RUN, *METHODS, *other, "--train", "toy", "--test", "other")
    assert benchmark(*run).returncode == 0
    assert "0 of 2 units would run" in benchmark(*run, "--dry-run").stdout
    (tmp_path / "other.py").write_text(OTHER.replace("other-1", "other-2"))
    planned = benchmark(*run, "--dry-run").stdout
    assert "2 of 2 units would run" in planned
    assert planned.count("rank (trained before)") == 2


def test_an_encoder_is_taught_by_the_cases_that_teach_where_both_use_the_same_ids(
    tmp_path: Path, benchmark: Command
) -> None:
    """Here test cases of the one are called like training cases of the other."""
    (tmp_path / "other.py").write_text(
        OTHER.replace(
            "made = super().cases(split)", 'made = super().cases({"train": "test", "test": "train"}.get(split, split))'
        )
    )
    run = [*RUN, "--plugin", "other.py", "--plugin", str(ROOT / "tests" / "toy_adaptive.py")]
    run[run.index("mean-colour")] = "nearest-colour"
    done = benchmark(
        *run, "--methods", "late-fusion", "--seeds", "0", "--no-controls", "--train", "toy", "--test", "other"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--train", "toy"), "--train and --test go together"),
        (("--train", "toy", "--test", "other", "--dataset", "toy"), "leave --dataset and --root out"),
        (("--train", "toy", "--test", "other", "--evaluate", "cv"), "--train and --test go with --evaluate test"),
        (("--train", "toy", "--test", "other", "--view", "clinical"), "other has no view 'clinical'"),
        (("--train", "toy", "--test", "other", "--view", "both"), "other has no view 'both'"),
        (("--train", "toy", "--test", "othr"), "Did you mean other"),
        (("--train", "toy:/somewhere", "--test", "other"), "Dataset toy brings its own data"),
    ],
)
def test_flags_that_contradict_each_other(
    benchmark: Command, other: tuple[str, ...], flags: tuple[str, ...], words: str
) -> None:
    done = benchmark(*RUN, *METHODS, *other, *flags)
    assert done.returncode == 2
    assert words in done.stderr
