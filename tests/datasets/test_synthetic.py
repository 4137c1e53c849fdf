"""The synthetic dataset: what is sampled, what is drawn, where it shows, and how drawn pictures are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from benchmark.errors import UserError
from benchmark.interfaces import DatasetContext, Split
from plugins.datasets.seven_point import CRITERIA, GROUPS, TAXONOMY, seven_point_score
from plugins.datasets.synthetic.cases import group_counts, sample_profiles
from plugins.datasets.synthetic.dataset import SyntheticDataset
from plugins.datasets.synthetic.frequencies import DIAGNOSES
from plugins.datasets.synthetic.options import SyntheticOptions
from plugins.datasets.synthetic.painter import STRUCTURES, paint, save_options
from plugins.datasets.synthetic.profile import CaseProfile

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
PLAIN = CaseProfile(9, "train", "NEV", "clark nevus", {criterion.name: "absent" for criterion in CRITERIA})
VALUES = [(criterion.name, value) for criterion in CRITERIA for value in criterion.values if value != "absent"]


def make(cache: Path, **options: int) -> SyntheticDataset:
    return SyntheticDataset(DatasetContext(None, cache), SyntheticOptions(**({"cases": 30, "size": 96} | options)))


def showing(profile: CaseProfile, criterion: str, value: str) -> CaseProfile:
    return replace(profile, descriptors={**profile.descriptors, criterion: value})


def pixels(profile: CaseProfile, seed: int = 7, size: int = 192) -> np.ndarray:
    return np.asarray(paint(profile, seed, size)[0]).astype(int)


# ------------------------------------------------------------------------------------------------ sampling


def test_default_has_the_splits_and_groups_of_derm7pt() -> None:
    profiles = sample_profiles(seed=7, cases=1011)
    assert Counter(p.split for p in profiles) == {"train": 413, "valid": 203, "test": 395}
    found = Counter((p.split, p.group) for p in profiles)
    assert [found["train", g] for g in ("NEV", "MEL", "MISC", "SK", "BCC")] == [256, 90, 32, 16, 19]
    assert [found["valid", g] for g in ("NEV", "MEL", "MISC", "SK", "BCC")] == [100, 61, 25, 10, 7]
    assert [found["test", g] for g in ("NEV", "MEL", "MISC", "SK", "BCC")] == [219, 101, 40, 19, 16]


def test_other_sizes_scale_and_never_go_below_two_a_group() -> None:
    assert set(group_counts(30).values()) == {2}
    assert sum(group_counts(100).values()) == 100
    assert min(group_counts(100).values()) == 2
    assert group_counts(2022) == {cell: 2 * n for cell, n in group_counts(1011).items()}


def test_profiles_speak_the_vocabulary_of_the_checklist() -> None:
    vocabulary = {criterion.name: set(criterion.values) for criterion in CRITERIA}
    for profile in sample_profiles(seed=7, cases=1011):
        assert TAXONOMY[profile.diagnosis] == profile.group
        assert list(profile.descriptors) == list(vocabulary)
        assert all(value in vocabulary[name] for name, value in profile.descriptors.items())
        assert {"elevation", "location", "sex", "level_of_diagnostic_difficulty"} <= set(profile.metadata)


def test_every_value_and_diagnosis_can_be_sampled_and_drawn() -> None:
    assert set(DIAGNOSES) == set(TAXONOMY)
    for criterion in CRITERIA:
        assert {"absent", *STRUCTURES[criterion.name]} == set(criterion.values)
        for frequencies in DIAGNOSES.values():
            assert len(frequencies.percent[criterion.name]) == len(criterion.values)
            assert sum(frequencies.percent[criterion.name]) == 100


def test_diagnosis_depends_on_the_criteria_without_being_given_away() -> None:
    profiles = sample_profiles(seed=7, cases=1011)
    scores = {g: [seven_point_score(p.descriptors) for p in profiles if p.group == g] for g in GROUPS}
    assert np.mean(scores["MEL"]) > np.mean(scores["NEV"]) + 2
    assert min(scores["MEL"]) < max(scores["NEV"])


def test_vessels_within_regression_come_with_a_regression() -> None:
    found = [p.descriptors for p in sample_profiles(seed=7, cases=1011)]
    regressed = [d["regression_structures"] for d in found if d["vascular_structures"] == "within regression"]
    assert regressed
    assert "absent" not in regressed


def test_an_id_tells_neither_split_nor_group() -> None:
    first = sample_profiles(seed=7, cases=1011)[:60]
    assert {p.split for p in first} == set(SPLITS)
    assert len({p.group for p in first}) > 2


# ------------------------------------------------------------------------------------------------ painting


def test_same_seed_same_pixels_and_other_seed_other_pixels() -> None:
    profile = sample_profiles(seed=7, cases=30)[4]
    assert np.array_equal(pixels(profile), pixels(profile))
    assert not np.array_equal(pixels(profile), pixels(profile, seed=8))
    assert not np.array_equal(pixels(profile), pixels(replace(profile, index=6)))


def test_another_process_with_another_hash_seed_paints_the_same_pixels() -> None:
    code = (
        "import hashlib; from plugins.datasets.synthetic.cases import sample_profiles as s;"
        "from plugins.datasets.synthetic.painter import paint;"
        "print(hashlib.sha256(paint(s(7, 30)[4], 7, 96)[0].tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    environments = [environment | {"PYTHONHASHSEED": seed} for seed in ("1", "2")]
    outputs = [subprocess.run(command, env=e, capture_output=True, check=True).stdout for e in environments]
    assert outputs[0] == outputs[1] != b""


@pytest.mark.parametrize(("criterion", "value"), VALUES)
def test_each_value_changes_the_picture_inside_its_region(criterion: str, value: str) -> None:
    picture, masks = paint(showing(PLAIN, criterion, value), 7, 192)
    region = masks[criterion]
    change = np.abs(np.asarray(picture).astype(int) - pixels(PLAIN)).max(axis=2)
    assert change[region].mean() > 12
    assert change[region].mean() > 5 * change[~region].mean()


@pytest.mark.parametrize(("criterion", "value"), VALUES)
def test_each_value_shows_among_other_findings(criterion: str, value: str) -> None:
    busy = {"pigment_network": "atypical", "pigmentation": "diffuse irregular", "dots_and_globules": "irregular"}
    others = replace(PLAIN, index=3, descriptors={**PLAIN.descriptors, **busy, criterion: "absent"})
    picture, masks = paint(showing(others, criterion, value), 7, 192)
    change = np.abs(np.asarray(picture).astype(int) - pixels(others)).max(axis=2)
    assert change[masks[criterion]].mean() > 8


def test_absent_values_have_empty_regions_of_the_pictures_shape() -> None:
    picture, masks = paint(showing(PLAIN, "streaks", "regular"), 7, 192)
    assert picture.size == (192, 128)
    assert {name: mask.any() for name, mask in masks.items()} == {c.name: c.name == "streaks" for c in CRITERIA}
    assert {(mask.shape, mask.dtype.name) for mask in masks.values()} == {((128, 192), "bool")}


def test_present_values_keep_a_region_under_veil_and_regression() -> None:
    for profile in sample_profiles(seed=7, cases=60):
        _, masks = paint(profile, 7, 192)
        present = [name for name, value in profile.descriptors.items() if value != "absent"]
        assert all(masks[name].sum() >= 30 for name in present), profile


def test_a_veil_takes_what_it_covers_out_of_other_regions() -> None:
    network = showing(PLAIN, "pigment_network", "typical")
    alone = paint(network, 7, 192)[1]["pigment_network"]
    veiled = paint(showing(network, "blue_whitish_veil", "present"), 7, 192)[1]
    assert np.array_equal(veiled["pigment_network"], alone & ~veiled["blue_whitish_veil"])


def test_regular_streaks_surround_the_lesion_and_irregular_ones_do_not() -> None:
    def quadrants(value: str) -> int:
        lesion = replace(PLAIN, index=1)
        mask = paint(showing(lesion, "streaks", value), 7, 192)[1]["streaks"]
        rows, columns = np.nonzero(paint(showing(lesion, "pigmentation", "diffuse regular"), 7, 192)[1]["pigmentation"])
        row, column = round(rows.mean()), round(columns.mean())
        parts = (mask[:row, :column], mask[:row, column:], mask[row:, :column], mask[row:, column:])
        return sum(part.sum() > 0.1 * mask.sum() for part in parts)

    assert quadrants("regular") == 4
    assert quadrants("irregular") < 4


# ------------------------------------------------------------------------------------------------ the dataset


def test_cases_come_with_pictures_and_descriptors(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    cases = {split: dataset.cases(split) for split in SPLITS}
    assert [len(cases[split]) for split in SPLITS] == [10, 10, 10]
    assert sorted(c.id for split in SPLITS for c in cases[split]) == [f"syn-{i:04d}" for i in range(1, 31)]
    with Image.open(cases["test"][0].images["dermoscopic"]) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (96, 64))
    assert all(check.passed for check in dataset.verify())


def test_regions_of_a_case_fit_its_descriptors(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    profile = dataset.profiles[0]
    masks = dataset.masks("syn-0001")
    assert {n: bool(m.any()) for n, m in masks.items()} == {n: v != "absent" for n, v in profile.descriptors.items()}
    with pytest.raises(UserError, match=r"no case 'syn-9'.*syn-0001 to syn-0030"):
        dataset.masks("syn-9")


def test_fingerprint_needs_no_drawing_and_follows_the_options(tmp_path: Path) -> None:
    choices: list[dict[str, int]] = [{}, {"seed": 8}, {"cases": 31}, {"size": 98}]
    fingerprints = {make(tmp_path, **options).fingerprint() for options in choices}
    assert len(fingerprints) == 4
    assert make(tmp_path).fingerprint() in fingerprints
    assert not any(tmp_path.iterdir())


def test_what_a_killed_run_left_is_not_used(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    leftover = dataset.folder.with_name(f"{dataset.folder.name}.0badcafe.unfinished")
    leftover.mkdir(parents=True)
    (leftover / "syn-0001.jpg").write_bytes(b"half a pic")
    dataset.cases("train")
    assert len(list(dataset.folder.iterdir())) == 30
    assert all(check.passed for check in dataset.verify())


def test_leftovers_are_swept_away_after_an_hour(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    old, young = (dataset.folder.with_name(f"{name}.unfinished") for name in ("old", "young"))
    old.mkdir(parents=True)
    young.mkdir()
    os.utime(old, (0, 0))
    dataset.cases("train")
    assert not old.exists()
    assert young.exists()


def test_a_folder_with_pictures_missing_is_drawn_again(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    dataset.cases("train")
    before = (dataset.folder / "syn-0002.jpg").read_bytes()
    (dataset.folder / "syn-0002.jpg").unlink()
    make(tmp_path).cases("train")
    assert (dataset.folder / "syn-0002.jpg").read_bytes() == before


def test_a_whole_folder_is_reused(tmp_path: Path) -> None:
    make(tmp_path).cases("train")
    written = {path: path.stat().st_mtime_ns for path in make(tmp_path).folder.iterdir()}
    make(tmp_path).cases("test")
    assert {path: path.stat().st_mtime_ns for path in make(tmp_path).folder.iterdir()} == written


def test_verify_names_a_picture_that_does_not_open(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    dataset.cases("train")
    (dataset.folder / "syn-0003.jpg").write_bytes(b"no picture")
    failed = [check for check in dataset.verify() if not check.passed]
    assert [check.name for check in failed] == ["every picture opens"]
    assert "syn-0003.jpg" in failed[0].detail


def test_a_cache_that_is_no_folder_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="--cache or DERMCIR_CACHE"):
        make(tmp_path / "file").cases("train")


@pytest.mark.parametrize("options", [{"colour": 3}, {"cases": 29}, {"size": 10}, {"seed": -1}])
def test_options_refuse_what_they_do_not_know(options: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        SyntheticOptions(**options)


def test_pictures_are_compressed_differently_and_always_in_the_same_way() -> None:
    profiles = sample_profiles(seed=7, cases=60)
    settings = [save_options(profile, seed=7) for profile in profiles]
    assert settings == [save_options(profile, seed=7) for profile in profiles]
    assert {s["subsampling"] for s in settings} == {0, 2}
    assert len({s["quality"] for s in settings}) > 15
    assert all(62 <= s["quality"] < 96 for s in settings)


def test_skin_runs_from_very_fair_to_very_dark() -> None:
    corners = [np.median(pixels(replace(PLAIN, index=i), size=96)[:, 8:20].sum(axis=2)) for i in range(1, 41)]
    assert min(corners) < 240
    assert max(corners) > 520


def test_options_and_painter_import_no_torch() -> None:
    code = (
        "import sys, plugins.datasets.synthetic.options, plugins.datasets.synthetic.pictures;"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "False"


def test_tables_can_say_that_it_is_synthetic() -> None:
    assert SyntheticDataset.synthetic
    assert SyntheticDataset.licence.startswith("Apache-2.0")
    assert "synthetic" in SyntheticDataset.citation
    assert SyntheticDataset.root_variable is None
