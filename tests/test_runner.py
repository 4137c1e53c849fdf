"""What a run refuses before anything is trained, since hours later it would come to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark import evaluation
from benchmark.cli import app
from benchmark.errors import UserError
from tests.conftest import FAST, ROOT, TOY, Command
from tests.test_cli import refused

PLUGIN = """
from dataclasses import replace
from benchmark.hookspecs import hookimpl
from tests.toy import ToyDataset

class Lonely(ToyDataset):
    \"\"\"One validation case a colour.\"\"\"
    name = "lonely"
    def cases(self, split):
        made = super().cases(split)
        first = {case.diagnosis: case for case in reversed(made)}
        return tuple(first.values()) if split == "valid" else made

class Alike(ToyDataset):
    \"\"\"Two groups whose names differ in a sign.\"\"\"
    name = "alike"
    groups = ("HER2+", "HER2-", "B")
    taxonomy = {"red": "HER2+", "green": "HER2-", "blue": "B"}
    critical = None

@hookimpl
def register_datasets(register):
    register("lonely", Lonely, summary="s", citation="c")
    register("alike", Alike, summary="s", citation="c")
"""


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("lonely", ("none of its 3 validation cases has a relevant one", "Put two cases or more of a group")),
        ("alike", ("AP[HER2+] and AP[HER2-] would share the column 'ap_her2'", "rename one group")),
    ],
)
def test_data_that_no_table_can_come_of(
    tmp_path: Path, benchmark: Command, dataset: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "odd.py").write_text(PLUGIN)
    plugins = ("--plugin", str(ROOT / "tests" / "toy.py"), "--plugin", "odd.py")
    run = ("run", *plugins, "--encoder", "mean-colour", "--quiet", "--jobs", "1", *FAST, "--seeds", "0")
    refused(benchmark(*run, "--dataset", dataset, "--methods", "late-fusion"), *words)
    assert not (tmp_path / "runs" / "trainings").exists()
    if dataset == "lonely":  # a ranking that learns nothing needs no validation
        assert benchmark(*run, "--dataset", dataset, "--methods", "random", "--no-controls").returncode == 0


def test_more_candidates_than_a_ranking_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MOST_CANDIDATES", 3)
    words = ["run", "--plugin", str(TOY), "--dataset", "toy", "--encoder", "mean-colour", "--methods", "random"]
    done = CliRunner().invoke(app, [*words, "--seeds", "0", "--jobs", "1", "--runs", str(tmp_path / "runs")])
    assert isinstance(done.exception, UserError)  # which main() prints
    assert "a gallery has 24 cases, and rankings hold at most 3. Search fewer" in str(done.exception)
    assert not (tmp_path / "runs" / "evaluations").exists()
