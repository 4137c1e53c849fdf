"""`tune` as a user meets it, on the toy data."""

from __future__ import annotations

import csv
import json
import textwrap
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.config import build_config
from benchmark.study import Score, Trial
from benchmark.tune_command import _toml
from tests.conftest import FAST, TOY, Command
from tests.test_cli import refused

TOY_TUNE = (
    "tune", "--plugin", str(TOY), "--dataset", "toy", "--encoder", "mean-colour", "--quiet", "--jobs", "1",
    "--set", "training.epochs=1", *FAST[2:], "--method", "late-fusion", "--set", "late-fusion.width=8",
)  # fmt: skip


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_study_is_kept_goes_on_and_hands_over_its_best(tmp_path: Path, benchmark: Command) -> None:
    folder = tmp_path / "runs" / "tune" / "late-fusion-toy"
    done = benchmark(*TOY_TUNE, "--trials", "2")
    assert done.returncode == 0, done.stderr
    first = rows(folder)
    assert [row["number"] for row in first] == ["0", "1"]
    assert (first[0]["training.learning_rate"], first[0]["training.scale"]) == ("0.001", "10.0")
    assert "Trials on this data set: late-fusion-toy 2." in done.stdout and "tie with the best" in done.stdout
    stored = {path.name: path.stat().st_mtime_ns for path in (folder / "evaluations").iterdir()}
    assert len(stored) == 10  # two trials of five folds
    assert not list((folder / "trainings").iterdir())

    done = benchmark(*TOY_TUNE, "--trials", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["folds"] for row in rows(folder)[:2]] == [row["folds"] for row in first]
    now = {path.name: path.stat().st_mtime_ns for path in (folder / "evaluations").iterdir()}
    assert len(now) == 15 and stored.items() <= now.items()  # nothing ran again
    said = json.loads(done.stdout)
    assert said["trials_per_method"] == {"late-fusion-toy": 3}
    best = max(said["trials"], key=lambda trial: trial["macro_map"])
    assert said["best"] == best["number"]

    settings = ("--config", str(folder / "best.toml"), "--evaluate", "cv", "--seeds", "0", "--no-controls")
    done = benchmark("run", *settings, "--jobs", "1", "--quiet", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = [row for board in json.loads(done.stdout) for row in board["rows"]]
    assert row["macro_map"] == pytest.approx(best["macro_map"])
    assert row["macro_map_se"] == pytest.approx(best["macro_map_se"])

    refused(benchmark(*TOY_TUNE, "--trials", "2"), "holds 3 trials already", "--trials 3")
    refused(benchmark(*TOY_TUNE, "--trials", "3", "--seeds", "1"), "holds a study of other seeds", "--study")


def test_a_damaged_table_of_trials_costs_no_trial(tmp_path: Path, benchmark: Command) -> None:
    folder = tmp_path / "runs" / "tune" / "late-fusion-toy"
    assert benchmark(*TOY_TUNE, "--trials", "2").returncode == 0
    whole = (folder / "trials.csv").read_text()
    (folder / "trials.csv").write_text(whole[: whole.index("complete")])
    refused(
        benchmark("report", "--plugin", str(TOY)),
        "trials.csv is damaged",
        f"Remove {Path('runs/tune/late-fusion-toy/trials.csv')}",
    )
    (folder / "trials.csv").unlink()
    assert benchmark(*TOY_TUNE, "--trials", "2").returncode == 0
    assert (folder / "trials.csv").read_text() == whole
    (folder / "study.json").write_text("{")
    refused(benchmark(*TOY_TUNE, "--trials", "2"), "study.json is damaged", "start the same `tune` again")


FRAGILE = """
    from pathlib import Path
    from pydantic import Field
    from torch import nn
    from benchmark.hookspecs import hookimpl
    from benchmark.interfaces import Composer, Options

    class Settings(Options):
        mood: str = Field("calm", json_schema_extra={"search": ["calm", "angry"]})

    class Fragile(Composer):
        def __init__(self, spec, options):
            super().__init__(spec, options)
            self.map = nn.Linear(spec.image_width, 4)
        def compose(self, images, texts):
            if Path("stop").exists() and len(list(Path("runs").rglob("ranking.safetensors"))) == 7:
                raise KeyboardInterrupt
            if self.options.mood == "angry":
                raise ValueError("no mood for this")
            return {"global": self.map(images.pooled)}
        def embed(self, images):
            return {"global": self.map(images.pooled)}

    @hookimpl
    def register_composers(register):
        register("fragile", Fragile, options=Settings, summary="s", citation="c")
"""


def fragile(tmp_path: Path, *more: str) -> tuple[str, ...]:
    (tmp_path / "fragile.py").write_text(textwrap.dedent(FRAGILE))
    return (*TOY_TUNE[:-2], "--plugin", "fragile.py", "--method", "fragile", *more)


def test_a_trial_that_fails_is_kept_and_the_others_go_on(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*fragile(tmp_path, "--no-training", "--trials", "5"))
    assert done.returncode == 1, done.stderr
    found = rows(tmp_path / "runs" / "tune" / "fragile-toy")
    assert {(row["fragile.mood"], row["state"]) for row in found} == {("calm", "complete"), ("angry", "failed")}
    assert any("no mood for this" in row["reason"] for row in found)


def test_an_interrupted_study_goes_on(tmp_path: Path, benchmark: Command) -> None:
    command = fragile(tmp_path, "--trials", "2", "--set", "fragile.mood=calm")
    folder = tmp_path / "runs" / "tune" / "fragile-toy"
    (tmp_path / "stop").touch()  # then the composer is interrupted in the second trial, as by Ctrl-C
    done = benchmark(*command)
    assert done.returncode == 130 and "Stopped: 1 of 2 trials are stored; the same command goes on" in done.stderr
    before = (rows(folder), {path.name: path.stat().st_mtime_ns for path in (folder / "evaluations").iterdir()})
    assert [len(part) for part in before] == [1, 7]
    (tmp_path / "stop").unlink()
    assert benchmark(*command).returncode == 0
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "evaluations").iterdir()}
    assert len(after) == 10 and before[1].items() <= after.items()  # nothing ran again
    assert rows(folder)[0]["folds"] == before[0][0]["folds"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--evaluate", "test"), ("--evaluate test", "test stays unseen", "best.toml")),
        (("--method", "late-fusoin"), ("No method is called 'late-fusoin'", "Did you mean late-fusion")),
        (("--method", "tirg,late-fusion"), ("name one method",)),
        (("--study", "日本"), ("--study 日本: no name for a folder",)),
        (("--study", ".."), ("no name for a folder",)),
        (("--trials", "0"), ("Invalid value for '--trials'",)),
        (("--no-training",), ("Nothing to search for late-fusion", "all are set")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_a_mistake_in_the_request(benchmark: Command, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(benchmark(*TOY_TUNE, *arguments), *words)


def test_a_file_that_asks_for_test_is_refused(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "run.toml").write_text('evaluate = "test"\n')
    refused(benchmark(*TOY_TUNE, "--config", "run.toml"), "--evaluate test")


def test_the_best_is_handed_over_without_the_cases_that_its_study_left_out(tmp_path: Path) -> None:
    config = build_config({"methods": "tirg", "exclude": "bad.txt", "evaluate": "cv"}, None)
    study: Any = SimpleNamespace(config=config, folder=tmp_path)
    trial = Trial(0, {}, Score((0.1, 0.2), 5))
    text = _toml(study, trial, "best").decode()
    assert tomllib.loads(text) == {"methods": ["tirg"], "exclude": "bad.txt"}
