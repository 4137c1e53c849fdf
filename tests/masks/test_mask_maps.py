"""What looks at pictures: Grad-CAM against its formula, the middle, and the regions of the drawn set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config import Training
from benchmark.errors import UserError
from benchmark.interfaces import DatasetContext, FeatureSpec, ImageFeatures, LabelledSet
from benchmark.masks.gradcam import as_map, gradcam_maps, train_classifier
from benchmark.masks.looks import centre, masked
from benchmark.masks.truth import truths
from benchmark.methods import plan_method
from benchmark.registry import load_registry
from plugins.datasets.synthetic.dataset import SyntheticDataset
from plugins.datasets.synthetic.options import SyntheticOptions
from tests.toy import CRITERIA, ToyDataset

WHOLE = (0.0, 0.0, 1.0, 1.0)
SPEC = FeatureSpec((3,), ((2, 2),), 3, 4, 2, CRITERIA)


def corners(cases: int) -> LabelledSet:
    """Features in which the last corner holds (1, 0, 0) or (0, 1, 0), as the first criterion says, and noise else."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.arange(cases) % 2
    level = 0.1 * torch.rand(cases, 4, 3, generator=draw)
    level[torch.arange(cases), 3, codes] = 1.0
    images = ImageFeatures((level,), ((2, 2),), torch.zeros(cases, 3))
    none = torch.zeros(cases, dtype=torch.int64)
    ids = tuple(map(str, range(cases)))
    return LabelledSet(ids, images, none, torch.stack([codes, none], 1), none, None, none, none)  # type: ignore[arg-type]


def test_grad_cam_is_the_weighted_sum_of_the_maps_and_finds_the_corner() -> None:
    data, settings = corners(40), Training(epochs=30, learning_rate=0.01)
    model = train_classifier(data, data, CRITERIA, 0, settings, seed=0)
    found = gradcam_maps(model, data.images, data.criteria, 0, [WHOLE] * 40)
    assert found.values.shape == (40, 2, 2, 2)
    assert found.tied
    assert (found.values[:, 0].reshape(40, 4).argmax(1) == 3).all()
    # Of a linear layer on a mean over four places, the mean gradient of a channel is a quarter of its weight.
    activations = model.stage((as_map(data.images, 0) - model.mean) / model.deviation)
    weights = model.head.weight[data.criteria[:, 0]]
    expected = torch.einsum("bd,bdrc->brc", weights / 4, activations).relu()
    assert np.allclose(found.values[:, 0], expected.detach().numpy(), atol=1e-6)


def test_the_centre_looks_at_the_middle_of_every_picture() -> None:
    bell = centre(2).values[1, 0]
    rows, columns = bell.shape
    assert bell.argmax() // columns in (rows // 2 - 1, rows // 2)
    assert np.allclose(bell, bell[::-1, ::-1])


def test_a_method_without_masks_is_refused_in_a_sentence() -> None:
    plan = plan_method(load_registry(()), "tirg", {})
    with pytest.raises(UserError, match="Method tirg has no masks"):
        masked(plan.build(SPEC), SPEC, "tirg")


def test_the_drawn_set_knows_its_regions(tmp_path: Path) -> None:
    dataset = SyntheticDataset(DatasetContext(None, tmp_path), SyntheticOptions(cases=30, size=48))
    case = next(case for case in dataset.cases("train") if case.descriptors["streaks"] != "absent")
    (found,) = truths(dataset, [case])
    assert found.shape == (32, 48)
    assert (found.region("streaks") == dataset.masks(case.id)["streaks"]).all()
    absent = {name for name, value in case.descriptors.items() if value == "absent"}
    assert not absent & set(found.packed)


def test_a_dataset_that_knows_no_regions_is_refused(tmp_path: Path) -> None:
    class Blind(ToyDataset):
        def regions(self, case: object) -> dict[str, np.ndarray]:
            return {}

    blind = Blind(DatasetContext(None, tmp_path), None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="toy has no true regions"):
        truths(blind, blind.cases("test")[:1])
