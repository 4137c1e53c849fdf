from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from baselines.edited_options import EditedPosteriorOptions
from baselines.edited_posterior import EditedPosterior
from baselines.options import PosteriorOptions
from baselines.posterior import Posterior
from benchmark.evidence import Given, given_groups, given_values
from benchmark.interfaces import Gallery, ImageFeatures, Queries
from plugins.proposed.composer import HierarchicalComposer
from plugins.proposed.options import HierarchicalOptions
from tests.features import EVIDENT, SPEC, evident, texts


def test_columns_are_groups_then_values_and_the_correction_starts_at_zero() -> None:
    features = torch.arange(7.0)[None]
    last = nn.Linear(5, 3)
    assert given_groups(EVIDENT, last)(features).tolist() == [[0, 1, 2]]
    assert last.weight.abs().max() == 0 and last.bias.abs().max() == 0
    assert given_values(EVIDENT, 0, nn.Linear(5, 2))(features).tolist() == [[3, 4]]
    assert given_values(EVIDENT, 1, nn.Linear(5, 2))(features).tolist() == [[5, 6]]


def test_free_features_give_nothing_and_leave_the_classifier_alone() -> None:
    last = nn.Linear(5, 3)
    given = given_groups(SPEC, last)
    assert given(torch.ones(2, 11)).item() == 0
    assert last.weight.abs().max() > 0
    assert not list(given.parameters()) and not list(Given(None).parameters())


@torch.no_grad()
def test_posterior_starts_from_the_probabilities_of_the_encoder() -> None:
    images = evident(4)
    torch.manual_seed(0)
    method = Posterior(EVIDENT, PosteriorOptions(width=16))
    method.model.eval()
    assert method._logits("image", images.pooled).softmax(1) == pytest.approx(images.pooled[:, :3].exp(), abs=1e-6)


@torch.no_grad()
def test_edited_posterior_starts_from_the_criteria_of_the_encoder() -> None:
    images = evident(4)
    torch.manual_seed(0)
    method = EditedPosterior(EVIDENT, EditedPosteriorOptions(width=16))
    method.model.eval()
    first, second = method._values(images.pooled)
    assert first == pytest.approx(images.pooled[:, 3:5].exp(), abs=1e-6)
    assert second == pytest.approx(images.pooled[:, 5:7].exp(), abs=1e-6)
    ids = tuple("abcd")
    assert method.score(Queries(ids, images, texts(4)), Gallery(ids, images)).shape == (4, 4)


@torch.no_grad()
def test_proposed_starts_from_the_evidence_of_the_whole_and_of_each_region() -> None:
    images = evident(4)
    torch.manual_seed(0)
    made = HierarchicalComposer(EVIDENT, HierarchicalOptions(width=16, heads=2)).eval()
    candidate = made.embed(images)
    assert candidate["image_groups"] == pytest.approx(images.pooled[:, :3])
    positions = torch.cat(images.levels, dim=1)
    spot = (candidate["masks"][:, 1][:, None] @ positions)[:, 0]  # what mask 1 gathers
    assert candidate["image_values"][:, 2:] == pytest.approx(spot[:, 5:7], abs=1e-5)


@torch.no_grad()
def test_in_modification_regions_start_from_it_and_the_group_does_not() -> None:
    images = evident(4)
    torch.manual_seed(0)
    made = HierarchicalComposer(replace(EVIDENT, complete_texts=False), HierarchicalOptions(width=16, heads=2)).eval()
    candidate = made.embed(images)
    positions = torch.cat(images.levels, dim=1)
    spot = (candidate["masks"][:, 1][:, None] @ positions)[:, 0]
    assert candidate["image_values"][:, 2:] == pytest.approx(spot[:, 5:7], abs=1e-5)
    assert made.given.columns is None, "a text says nothing of the group there, so nothing starts from it"


@pytest.mark.parametrize("options", [{"tied": False}, {"masks": 1}], ids=["untied", "one mask"])
def test_masks_that_stand_for_no_criterion_start_from_nothing(options: dict[str, object]) -> None:
    made = HierarchicalComposer(EVIDENT, HierarchicalOptions(width=16, heads=2, **options))  # type: ignore[arg-type]
    assert not list(made.given_values.parameters())
    assert all(expert.weight.abs().max() > 0 for expert in made.region_experts)
    assert made.given.columns == slice(0, 3), "the whole picture still speaks of the group"


@torch.no_grad()
def test_of_two_views_the_levels_of_both_are_gathered_and_the_whole_is_the_first() -> None:
    both = replace(EVIDENT, level_widths=(7,) * 4, grids=EVIDENT.grids * 2, image_width=14)
    one = evident(4)
    images = ImageFeatures(one.levels * 2, both.grids, torch.cat([one.pooled, one.pooled.flip(0)], dim=1))
    torch.manual_seed(0)
    candidate = HierarchicalComposer(both, HierarchicalOptions(width=16, heads=2)).eval().embed(images)
    assert candidate["masks"].shape == (4, 2, 2 * 30)
    assert candidate["image_groups"] == pytest.approx(one.pooled[:, :3])
