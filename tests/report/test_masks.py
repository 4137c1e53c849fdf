"""Tables of mask checks: numbers by hand, what counts, what is published, and the committed ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.config import Training
from benchmark.errors import UserError
from benchmark.masks.records import FOLDER, MaskRecord, StoredFit, put_record, records_of_runs
from benchmark.records import DatasetInfo, EncoderInfo
from benchmark.report.masks import MEAN, boards, csv_rows, markdown, terminal
from benchmark.report.publish_masks import import_masks, rebuild_masks

ROOT = Path(__file__).resolve().parents[2]
NONE = EncoderInfo(name="none", image_fingerprint="", text_fingerprint="")


def fit(places: tuple[int, ...], hits: tuple[float, ...]) -> StoredFit:
    return StoredFit(mask=0, threshold=0.5, places=places, hits=hits, overlaps=tuple(hit / 2 for hit in hits))


def record(row: str = "ours", seed: int = 0, **changes: object) -> MaskRecord:
    """Two criteria on four cases: the first is hit in one picture of two, the second in three of four."""
    fields = {
        "key": f"{row}-{seed}-{changes.get('dataset')}",
        "row": row,
        "summary": f"what {row} does",
        "method": row == "ours",
        "seed": seed,
        "dataset": DatasetInfo(name="toy", fingerprint="f", synthetic=True, citation="nobody"),
        "encoder": EncoderInfo(name="packaged", image_fingerprint="i", text_fingerprint="t"),
        "training_key": None,
        "weights": "",
        "training": Training().model_dump(),
        "sources": {},
        "environment": {},
        "cases": ("a", "b", "c", "d"),
        "criteria": {"streaks": fit((0, 1), (1.0, 0.0)), "blue_veil": fit((0, 1, 2, 3), (1.0, 1.0, 0.0, 1.0))},
    }
    return MaskRecord(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_mean_weighs_criteria_alike() -> None:
    (board,) = boards([record()])
    pointing = {name: value for name, (value, _, _) in board.rows[0].numbers["pointing"].items()}
    assert pointing == {MEAN: 0.625, "streaks": 0.5, "blue_veil": 0.75}
    value, low, high = board.rows[0].numbers["overlap"][MEAN]
    assert value == 0.3125
    assert 0 <= low < value < high <= 0.5


def test_seeds_are_averaged_and_chance_comes_last() -> None:
    better = {"streaks": fit((0, 1), (1.0, 1.0)), "blue_veil": fit((0, 1, 2, 3), (1.0, 1.0, 0.0, 1.0))}
    blind = {"encoder": NONE, "training": {}}
    (board,) = boards([record("chance", **blind), record("centre", **blind), record(), record(seed=1, criteria=better)])
    assert [row.name for row in board.rows] == ["ours", "centre", "chance"]
    assert board.rows[0].numbers["pointing"]["streaks"][0] == 0.75
    page = markdown(board)
    assert page.startswith("# SYNTHETIC images")
    assert "| ours   | packaged  |       2 |" in page
    assert "blue veil (4)" in page
    assert terminal(board).row_count == 3
    assert [line[6:8] for line in csv_rows([board])[1:4]] == [[MEAN, "4"], ["streaks", "2"], ["blue_veil", "4"]]


def test_rows_of_other_data_or_another_training_don_t_mix() -> None:
    other = record("centre").dataset.model_copy(update={"fingerprint": "g"})
    longer = Training(epochs=99).model_dump()
    (board,) = boards([record("centre", dataset=other), record("theirs", training=longer), record()])
    assert [row.name for row in board.rows] == ["ours"]


def test_a_row_whose_source_changed_is_marked() -> None:
    (board,) = boards([record(sources={"benchmark.masks.measures": "another version"})])
    assert board.rows[0].name == "ours †"
    assert "- ours †: made with other versions of benchmark.masks.measures." in markdown(board)


def test_publishing_replaces_a_changed_row_as_a_whole_and_keeps_the_others(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results"
    for one in (record(), record(seed=1), record("theirs")):
        put_record(runs, one)
    told = import_masks(records_of_runs(runs), results)
    assert told == [
        "toy, masks: published ours with packaged, seeds 0, 1.",
        "toy, masks: published theirs with packaged, seeds 0.",
    ]
    assert import_masks(records_of_runs(runs), results) == []
    assert import_masks([record(key="new")], results) == ["toy, masks: published ours with packaged, seeds 0."]
    folder = results / "toy" / "case-search"
    assert sorted(path.name for path in (folder / FOLDER).iterdir()) == [
        "ours-packaged-s0.json",
        "theirs-packaged-s0.json",
    ]
    rebuild_masks(results)
    assert sorted(path.name for path in folder.glob("masks.*")) == ["masks.csv", "masks.md", "masks.svg"]


def test_other_training_is_not_published(tmp_path: Path) -> None:
    assert import_masks([record(training=Training(epochs=2).model_dump())], tmp_path) == []


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    put_record(tmp_path, record())
    (path,) = (tmp_path / FOLDER).iterdir()
    path.write_text(path.read_text()[:50])
    with pytest.raises(UserError, match=r"ours-s0-.* is damaged .*start `masks` again"):
        records_of_runs(tmp_path)


def test_the_committed_tables_follow_from_the_committed_records(tmp_path: Path) -> None:
    committed = [path for path in (ROOT / "results").glob("*/*/masks.*") if path.suffix in (".md", ".csv")]
    for folder in (ROOT / "results").glob(f"*/*/{FOLDER}"):
        shutil.copytree(folder, tmp_path / folder.relative_to(ROOT / "results"))
    rebuild_masks(tmp_path)
    for path in committed:
        assert (tmp_path / path.relative_to(ROOT / "results")).read_bytes() == path.read_bytes()
