"""The command, on the toy: rows, only what is missing, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.conftest import FAST, TOY, TOY_RUN, Command

SMALL = (*TOY_RUN[1:], *FAST, "--seeds", "0")
MASKS = ("masks", *SMALL, "--set", "proposed.width=16")
ROWS = {
    "proposed [width=16]",
    "proposed [width=16, tied=False]",
    "Grad-CAM, 4 x 4",
    "Grad-CAM, 2 x 2",
    "centre",
    "chance",
}


def test_masks_are_trained_measured_stored_and_shown_once(tmp_path: Path, benchmark: Command) -> None:
    first = benchmark(*MASKS, "--variant", "proposed.tied=false", "--json")
    assert first.returncode == 0, first.stderr
    shown = json.loads(first.stdout)
    assert {row["row"] for row in shown} == ROWS
    assert {row["criterion"] for row in shown} == {"mean", "border", "spot"}
    assert {row["synthetic"] for row in shown} == {"yes"}
    assert first.stderr.count("Measured:") == len(ROWS)

    again = benchmark(*MASKS, "--variant", "proposed.tied=false")
    assert "Measured:" not in again.stderr
    assert "tied=False" in again.stdout

    folder = tmp_path / "runs" / "report" / "toy" / "case-search"
    page, numbers = (folder / "masks.md").read_text(), folder / "masks.csv"
    assert page.startswith("# SYNTHETIC images: do masks look where they should?")
    assert len(list(csv.DictReader(numbers.open()))) == len(ROWS) * 3
    before = {path.name: path.read_bytes() for path in folder.glob("masks.*")}
    for path in folder.glob("masks.*"):
        path.unlink()
    assert benchmark("report", "--plugin", str(TOY)).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("masks.*")} == before


def test_what_has_no_masks_or_no_truth_is_refused_before_anything_runs(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "blind.py").write_text(
        "from benchmark.hookspecs import hookimpl\n"
        "from tests.toy import ToyDataset\n\n\n"
        "class Blind(ToyDataset):\n"
        "    def regions(self, case):\n"
        "        return {}\n\n\n"
        "@hookimpl\n"
        "def register_datasets(register):\n"
        "    register('blind', Blind, summary='the toy without regions', citation='tests')\n"
    )
    no_masks = benchmark("masks", *SMALL, "--methods", "tirg")
    no_truth = benchmark("masks", *SMALL, "--plugin", "blind.py", "--dataset", "blind")
    apart = benchmark(*MASKS, "--variant", "training.epochs=3")
    assert [done.returncode for done in (no_masks, no_truth, apart)] == [2, 2, 2]
    assert "Method tirg has no masks" in no_masks.stderr
    assert "toy has no true regions" in no_truth.stderr
    assert "rows of one table share their training" in apart.stderr
    assert not (tmp_path / "runs" / "trainings").exists()
