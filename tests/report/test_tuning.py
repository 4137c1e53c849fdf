"""Studies as tables: from a runs folder into results/, and from results/ alone. Numbers are worked out by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records import DatasetInfo
from benchmark.report.studies import import_studies, published_studies, read_studies
from benchmark.report.tuning import write_tuning
from benchmark.store import Store
from benchmark.study import Score, Trial, trials_csv
from tests.report.fakes import contents, one, store_runs

NAMES = ["ours.width", "training.scale"]


def trial(number: int, width: int, scale: float, *folds: float, parameters: int = 1000) -> Trial:
    return Trial(number, {"ours.width": width, "training.scale": scale}, Score(folds, parameters))


TRIALS = [
    trial(0, 8, 10.0, 0.50, 0.60),
    trial(1, 16, 20.0, 0.60, 0.70, parameters=9000),  # the best: mean 65, SE 7.07 / root 2 = 5
    trial(2, 16, 10.0, 0.58, 0.71),  # minus the best: -2 and +1, so it ties, and it changes one setting alone
    Trial(3, {"ours.width": 32, "training.scale": 10.0}, Score(reason="in /home/me/plugin.py, line 3")),
]


def write_study(runs: Path, name: str = "ours-toy", trials: list[Trial] = TRIALS, sources: dict | None = None) -> Path:
    """Write a study's files, with the evaluations of its two folds and complete trials."""
    folder = runs / "tune" / name
    drawn = DatasetInfo(name="toy", fingerprint="f", synthetic=True, citation="nobody 2024")
    about = {"dataset": drawn, "environment": {"commit": "abc"}, "sources": sources or {}}
    made = [
        one(row=f"ours {done.number}", protocol={"evaluate": "cv", "fold": fold}, **about)
        for done in trials if done.state == "complete" for fold in range(2)
    ]  # fmt: skip
    store_runs(folder, [new for new in made if not Store(folder).find("evaluations", new.record.key)])
    identity = {
        "method": "ours", "dataset": ["toy", "f"], "encoder": {"name": "packaged"}, "task": "case-search", "view": None,
        "text_style": "canonical", "excluded": "", "seeds": [0],
        "held": {"options": {"ours": {"depth": 2}}, "training": {"epochs": 5}},
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(identity))
    (folder / "trials.csv").write_bytes(trials_csv(trials, NAMES))
    return folder


def publish(runs: Path, results: Path) -> list[str]:
    studies, left_out = read_studies(runs)
    told = import_studies(studies, results)
    write_tuning(published_studies(results), results)
    return [*told, *left_out]


def test_a_study_becomes_a_row_its_settings_and_all_of_its_trials(tmp_path: Path) -> None:
    write_study(tmp_path)
    assert publish(tmp_path, tmp_path / "results") == ["Study ours-toy (toy, case-search): 4 trials."]
    page = (tmp_path / "results" / "toy" / "case-search" / "tuning.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| ours-toy")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "ours-toy", "packaged", "4", "1", "55.0 ± 5.0", "65.0 ± 5.0", "+10.0 ± 0.0", "64.5 ± 6.5", "2",
    ]  # fmt: skip
    assert page.startswith("# **Synthetic** tuning: toy, case-search\n")
    assert "best, trial 1: ours.width = 16, training.scale = 20.0 (9k parameters)" in page
    assert "simplest, trial 2: ours.width = 16 (1k parameters)" in page
    assert "commit `abc`; held: ours.depth = 2, training.epochs = 5." in page
    with (tmp_path / "results" / "toy" / "case-search" / "tuning.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [entry["trial"] for entry in rows] == ["0", "1", "2", "3"]
    assert (rows[1]["macro_map"], rows[1]["folds"], rows[1]["best"]) == ("0.650000", "0.600000 0.700000", "yes")
    assert (rows[3]["state"], rows[3]["macro_map"], rows[3]["settings"]) == (
        "failed", "", "ours.width=32; training.scale=10.0",
    )  # fmt: skip


def test_the_summary_has_the_numbers_of_the_table_for_the_written_reading(tmp_path: Path) -> None:
    write_study(tmp_path)
    publish(tmp_path, tmp_path / "results")
    with (tmp_path / "results" / "toy" / "case-search" / "tuning-summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["method"], row["synthetic"], row["trials"], row["failed"], row["ties"]) == (
        "ours",
        "yes",
        "4",
        "1",
        "2",
    )
    assert (row["defaults"], row["best"], row["simplest"]) == ("0.550000", "0.650000", "0.645000")
    # Both folds gain ten points, so the best is clearly above the defaults, which don't tie with it.
    assert (row["best_minus_defaults"], row["best_minus_defaults_se"], row["defaults_tie"]) == (
        "0.100000", "0.000000", "no",
    )  # fmt: skip


def test_results_alone_rebuild_the_tables_and_hold_no_path(tmp_path: Path) -> None:
    write_study(tmp_path)
    results = tmp_path / "results"
    publish(tmp_path, results)
    before = contents(results)
    for path in results.glob("*/*/tuning*.*"):
        path.unlink()
    assert publish(tmp_path / "nothing", results) == []
    assert contents(results) == before
    assert not any(b"/home/me" in content for content in before.values())


def test_a_study_that_went_on_replaces_its_shorter_self_and_uneven_counts_are_said(tmp_path: Path) -> None:
    write_study(tmp_path, trials=TRIALS[:2])
    write_study(tmp_path, "rival-toy", trials=TRIALS[:2])
    assert len(publish(tmp_path, tmp_path / "results")) == 2
    page = tmp_path / "results" / "toy" / "case-search" / "tuning.md"
    assert "differ in their number of trials" not in page.read_text()
    write_study(tmp_path)
    assert publish(tmp_path, tmp_path / "results") == ["Study ours-toy (toy, case-search): 4 trials."]
    assert "differ in their number of trials" in page.read_text()


def test_a_study_whose_sources_have_changed_is_left_out(tmp_path: Path) -> None:
    write_study(tmp_path, sources={"baselines.tirg": "0" * 64})
    (told,) = publish(tmp_path, tmp_path / "results")
    assert told == "Study ours-toy is left out: its sources have changed since; run it again."


def test_damage_is_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    publish(tmp_path, tmp_path / "results")
    (folder / "trials.csv").write_text("number,state\nx,complete\n")
    with pytest.raises(UserError, match=r"trials\.csv"):
        read_studies(tmp_path)
    (tmp_path / "results" / "toy" / "case-search" / "tuning" / "ours-toy.json").write_text("{}")
    with pytest.raises(UserError, match=r"ours-toy\.json is damaged"):
        published_studies(tmp_path / "results")
