"""The probe and the contact sheet of the synthetic dataset, on numbers worked out by hand and on small pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark.features import FeatureStore
from benchmark.interfaces import DatasetContext, ImageFeatures
from plugins.datasets.seven_point import CRITERIA, GROUPS
from plugins.datasets.synthetic import probe
from plugins.datasets.synthetic.dataset import SyntheticDataset
from plugins.datasets.synthetic.options import SyntheticOptions
from plugins.datasets.synthetic.sheet import COLUMNS, draw_sheet, sample_rows
from plugins.encoders.options import PackagedOptions
from plugins.encoders.packaged import PackagedEncoder

SMALL = SyntheticOptions(cases=40, size=96)


def test_rescaled_is_zero_at_chance_and_one_when_perfect() -> None:
    assert probe.Reading("x", {"a": 1.0, "b": 1.0, "c": 1.0}, {}).rescaled == 1
    assert probe.Reading("x", {"a": 0.0, "b": 1.0, "c": 0.0}, {}).rescaled == pytest.approx(0)
    assert probe.Reading("x", {"a": 0.9, "b": 0.6}, {}).rescaled == pytest.approx(0.5)  # (0.75 - 0.5) / 0.5


def test_values_with_few_test_cases_are_predicted_but_not_judged() -> None:
    truth = torch.tensor([0] * 5 + [1] * 6 + [2] * 4)
    z = torch.eye(3)[truth]
    z[0] = torch.tensor([0.0, 0.0, 1.0])  # a case of the first value that is taken for the rare one
    weights = torch.cat([torch.eye(3), torch.zeros(1, 3)])
    reading = probe.read("x", ("a", "b", "rare"), weights, z, truth)
    assert reading.recalls == {"a": pytest.approx(0.8), "b": 1.0}
    assert reading.counts == {"a": 5, "b": 6, "rare": 4}
    assert reading.rescaled == pytest.approx(0.8)


def test_fit_separates_unequal_classes_and_repeats_exactly() -> None:
    labels = torch.tensor([0] * 40 + [1] * 4)
    x = torch.randn(44, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    x[:, 0] += torch.where(labels == 1, 1.0, -1.0)
    weights = probe.fit(x, labels, 2)
    assert torch.equal((x @ weights[:-1] + weights[-1]).argmax(1), labels)
    assert torch.equal(weights, probe.fit(x, labels, 2))


def test_summary_is_the_pooled_vector_then_mean_and_maximum_of_each_level() -> None:
    level = torch.tensor([[[1.0], [3.0]]])
    assert probe.summarise(ImageFeatures((level,), ((1, 2),), torch.tensor([[7.0]]))).tolist() == [[7, 2, 3]]


def test_page_says_synthetic_and_what_is_out_of_the_band(tmp_path: Path) -> None:
    dataset = SyntheticDataset(DatasetContext(None, tmp_path), SMALL)
    readings = [
        probe.Reading("streaks", {"absent": 1.0, "regular": 0.98}, {"absent": 9, "regular": 8, "irregular": 2}),
        probe.Reading("blue_whitish_veil", {"absent": 0.9, "present": 0.8}, {"absent": 30, "present": 8}),
    ]
    page = probe.render(readings, dataset, seconds=0.05)
    assert page.startswith("# Synthetic")
    assert "| streaks | 0.98 | **no** | 2 | absent 1.00 (9), regular 0.98 (8), irregular - (2) |" in page
    assert "| blue whitish veil | 0.70 | yes | 2 | absent 0.90 (30), present 0.80 (8) |" in page
    assert "0.050 CPU seconds a picture, so 2 CPU seconds for\nall 40 of them" in page


def test_probe_reads_every_criterion_of_a_small_set_through_the_packaged_encoder(tmp_path: Path) -> None:
    dataset = SyntheticDataset(DatasetContext(None, tmp_path), SMALL)
    encoder = PackagedEncoder("packaged", PackagedOptions.model_validate({"height": 64, "width": 96}))
    readings = probe.probe(dataset, FeatureStore(tmp_path, encoder))
    tests = sum(profile.split == "test" for profile in dataset.profiles)
    assert [reading.name for reading in readings] == [*(c.name for c in CRITERIA), "group"]
    assert all(sum(reading.counts.values()) == tests for reading in readings)
    assert all(0 <= recall <= 1 for reading in readings for recall in reading.recalls.values())


def test_sheet_has_a_row_for_each_group_and_value() -> None:
    rows = sample_rows(SMALL)
    values = sum(len(criterion.values) - 1 for criterion in CRITERIA)
    assert len(rows) == len(GROUPS) + values
    assert rows[len(GROUPS)][0] == "pigment network: typical"
    assert all(p.descriptors["pigment_network"] == "typical" for p in rows[len(GROUPS)][1])
    assert max(len(profiles) for _, profiles in rows) <= COLUMNS
    sheet = draw_sheet(rows[:2], SMALL)
    assert sheet.size == (COLUMNS * 198, 26 + 2 * 150)
    assert len(sheet.getcolors(10**6) or []) > 1000
