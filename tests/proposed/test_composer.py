from __future__ import annotations

import pytest
import torch

from benchmark.interfaces import Batch, FeatureSpec
from plugins.proposed.composer import HierarchicalComposer
from plugins.proposed.options import HierarchicalOptions
from tests.features import SPEC, images, texts

NO_CRITERIA = FeatureSpec(SPEC.level_widths, SPEC.grids, SPEC.image_width, SPEC.text_width, 3, ())


def composer(spec: FeatureSpec = SPEC, **options: object) -> HierarchicalComposer:
    torch.manual_seed(0)
    return HierarchicalComposer(spec, HierarchicalOptions(width=16, heads=2, **options)).eval()  # type: ignore[arg-type]


def test_shapes_and_masks() -> None:
    made = composer()
    query, candidate = made.compose(images(4), texts(4)), made.embed(images(4))
    assert {key: tuple(value.shape) for key, value in query.items()} == {"global": (4, 16), "local": (4, 2, 16)}
    assert candidate["local"].shape == (4, 2, 16)
    assert candidate["masks"].shape == (4, 2, 24 + 6)
    torch.testing.assert_close(candidate["masks"].sum(-1), torch.ones(4, 2))


@pytest.mark.parametrize(
    ("spec", "options", "masks", "key"),
    [
        (SPEC, {}, 2, "local"),
        (SPEC, {"tied": False}, 2, "global"),
        (SPEC, {"masks": 5}, 5, "global"),
        (NO_CRITERIA, {}, 4, "global"),
    ],
    ids=["one a criterion", "untied", "another number", "no criteria"],
)
def test_masks_are_tied_to_criteria_where_there_is_one_for_each(
    spec: FeatureSpec, options: dict[str, object], masks: int, key: str
) -> None:
    made = composer(spec, **options)
    assert (made.masks, made.criterion_key) == (masks, key)
    assert made.embed(images(2))["local"].shape[1] == masks


def test_the_text_reaches_the_global_and_every_local_query() -> None:
    made = composer()
    one, two = made.compose(images(3), texts(3, seed=1)), made.compose(images(3), texts(3, seed=2))
    assert ((one["global"] - two["global"]).abs().amax(-1) > 1e-3).all()
    assert ((one["local"] - two["local"]).abs().amax(-1) > 1e-3).all()


def test_padding_changes_nothing() -> None:
    made = composer()
    words = texts(3)
    padded = type(words)(
        torch.cat([words.tokens, torch.full((3, 4, SPEC.text_width), 9.0)], dim=1),
        torch.cat([words.mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1),
        words.pooled,
    )
    for key, value in made.compose(images(3), words).items():
        torch.testing.assert_close(made.compose(images(3), padded)[key], value, atol=1e-5, rtol=1e-5)


def test_the_composed_tokens_of_one_level_go_on_to_the_next() -> None:
    """The fine level has no way to the [CLS] summary but through the state that the coarse level receives."""
    made = composer()
    picture = images(2)
    levels = made._levels(picture)
    whole, _ = made._hierarchy(levels, texts(2))
    changed, _ = made._hierarchy([levels[0].flip(-1), levels[1]], texts(2))
    assert (whole - changed).abs().max() > 1e-4


def test_identical_masks_cost_the_whole_penalty_and_disjoint_ones_nothing() -> None:
    made = composer(diversity=1.0)
    batch = Batch(*[torch.zeros(1)] * 6)
    same = torch.tensor([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]])
    apart = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]])
    assert made.auxiliary_loss(batch, {}, {"masks": same})["diversity"].item() == pytest.approx(1.0)
    assert made.auxiliary_loss(batch, {}, {"masks": apart})["diversity"].item() == pytest.approx(0.0)
    assert composer(diversity=0.0).auxiliary_loss(batch, {}, {"masks": same}) == {}


def test_every_parameter_has_a_gradient() -> None:
    made = composer().train()
    query, candidate = made.compose(images(4), texts(4)), made.embed(images(4))
    loss = sum(value.square().sum() for value in (*query.values(), *candidate.values()))
    loss.backward()  # type: ignore[union-attr]
    missing = [name for name, parameter in made.named_parameters() if parameter.grad is None]
    assert not missing
