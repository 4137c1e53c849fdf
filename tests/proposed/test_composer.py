from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from benchmark.interfaces import Batch, FeatureSpec
from plugins.proposed.composer import HierarchicalComposer, chosen_levels, named_values
from plugins.proposed.layers import Prototypes
from plugins.proposed.options import HierarchicalOptions
from tests.features import SPEC, images, texts

NO_CRITERIA = FeatureSpec(SPEC.level_widths, SPEC.grids, SPEC.image_width, SPEC.text_width, 3, ())
EDITS = replace(SPEC, complete_texts=False)
"""Task ``modification``: texts name only what is to change."""
UNLABELLED = replace(SPEC, complete_texts=False, criterion_labels=False)


def composer(spec: FeatureSpec = SPEC, **options: object) -> HierarchicalComposer:
    torch.manual_seed(0)
    return HierarchicalComposer(spec, HierarchicalOptions(width=16, heads=2, **options)).eval()  # type: ignore[arg-type]


def test_shapes_and_masks() -> None:
    made = composer()
    query, candidate = made.compose(images(4), texts(4)), made.embed(images(4))
    assert {key: tuple(value.shape) for key, value in query.items()} == {
        "global": (4, 16),
        "local": (4, 2, 16),
        "text_groups": (4, 3),
        "text_values": (4, 2 + 2),
    }
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
    made = composer(summary=True)
    picture = images(2)
    levels = made._levels(picture)
    whole, _ = made._hierarchy(levels, texts(2))
    changed, _ = made._hierarchy([levels[0].flip(-1), levels[1]], texts(2))
    assert (whole - changed).abs().max() > 1e-4


def test_identical_masks_cost_the_whole_penalty_and_disjoint_ones_nothing() -> None:
    made = composer(UNLABELLED, diversity=1.0)
    batch = Batch(*[torch.zeros(1)] * 6)
    same = torch.tensor([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]])
    apart = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]])
    assert made.auxiliary_loss(batch, {}, {"masks": same})["diversity"].item() == pytest.approx(1.0)
    assert made.auxiliary_loss(batch, {}, {"masks": apart})["diversity"].item() == pytest.approx(0.0)
    assert composer(UNLABELLED, diversity=0.0).auxiliary_loss(batch, {}, {"masks": same}) == {}


def test_a_candidate_has_unit_length_and_the_product_is_the_probability_of_agreement() -> None:
    block = Prototypes(3, 8)
    query, candidate = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.5, 1.0, 0.0], [9.0, 0.0, 0.0]])
    vectors = block.candidate(candidate)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
    # Orthogonal prototypes at the start: the sum over values of p(value | query) p(value | candidate).
    torch.testing.assert_close(block.query(query) @ vectors.T, query.softmax(-1) @ candidate.softmax(-1).T)


def test_image_and_text_are_multiplied_as_experts() -> None:
    made = composer()
    query, candidate = made.compose(images(4), texts(4)), made.embed(images(4))
    together = (candidate["image_groups"] + query["text_groups"]).softmax(-1)
    expected = together @ made.group_prototypes.vectors
    torch.testing.assert_close(query["global"][:, :-1], expected, atol=1e-6, rtol=1e-5)


def test_the_contrastive_objective_does_not_reach_experts_that_classify() -> None:
    for apart, reached in ((True, False), (False, True)):
        made = composer(apart=apart).train()
        query, candidate = made.compose(images(4), texts(4)), made.embed(images(4))
        score = (query["global"] @ candidate["global"].T).sum() + (query["local"] * candidate["local"]).sum()
        score.backward()
        experts = (made.image_expert[-1], made.text_expert[-1], made.region_experts[0], made.word_experts[0])
        assert [expert.weight.grad is not None for expert in experts] == [reached] * 4
        assert made.group_prototypes.vectors.grad is not None


def test_nothing_is_classified_that_the_labels_or_the_text_do_not_say() -> None:
    codes = torch.zeros(4, 2, dtype=torch.long)
    groups = torch.tensor([0, 1, 2, 0])
    batch = Batch(torch.eye(4) > 1, torch.eye(4) > 0, groups, codes, groups, codes)
    cases = [
        (SPEC, {"image_groups", "text_groups", "image_values", "text_values", "diversity"}),
        (EDITS, {"image_values", "diversity"}),  # no query has a relevant candidate in this batch
        (replace(SPEC, criterion_labels=False), {"image_groups", "text_groups", "diversity"}),
        (UNLABELLED, {"diversity"}),
    ]
    for spec, expected in cases:
        made = composer(spec)
        losses = made.auxiliary_loss(batch, made.compose(images(4), texts(4)), made.embed(images(4)))
        assert set(losses) == expected


@pytest.mark.parametrize(("levels", "positions"), [("both", 24 + 6), ("fine", 24), ("coarse", 6)])
def test_levels_can_be_left_out(levels: str, positions: int) -> None:
    assert composer(levels=levels).embed(images(2))["masks"].shape == (2, 2, positions)


def test_of_several_views_the_finest_level_of_each_is_chosen() -> None:
    two = replace(SPEC, level_widths=(5, 7, 5, 7), grids=SPEC.grids * 2)
    assert chosen_levels(two, "fine") == (0, 2)
    assert chosen_levels(two, "coarse") == (1, 3)


def test_every_parameter_has_a_gradient() -> None:
    made = composer(summary=True).train()
    query, candidate = made.compose(images(4), texts(4)), made.embed(images(4))
    loss = sum(value.square().sum() for value in (*query.values(), *candidate.values()))
    loss.backward()  # type: ignore[union-attr]
    missing = [name for name, parameter in made.named_parameters() if parameter.grad is None]
    assert not missing


@torch.no_grad()
def test_words_alone_and_a_picture_alone_bring_their_own_evidence() -> None:
    made, seen, said = composer(), images(4), texts(4)
    both = made.compose(seen, said)
    words = made.compose_text(said, seen)
    assert words["text_values"] == pytest.approx(both["text_values"]), "tokens are composed as ever"
    assert words["global"] == pytest.approx(made.group_prototypes.query(words["text_groups"]))
    assert not torch.allclose(words["global"], both["global"])
    picture, candidate = made.compose_image(seen), made.embed(seen)
    assert picture["global"] == pytest.approx(made.group_prototypes.query(candidate["image_groups"]))
    assert picture["local"][..., -1].abs().max() == 0, "a query is not completed to unit length"
    assert picture["local"][..., :-1] == pytest.approx(candidate["local"][..., :-1])


def edit_batch() -> Batch:
    """Three queries on four cases of two criteria (2 and 3 values). The first asks case 0 for value 2 of the second,
    and is answered by cases 1 and 2, of which 2 differs in the first too; the second asks case 1 for both; the third
    has no relevant candidate here.
    """
    criteria = torch.tensor([[0, 0], [0, 2], [1, 2], [1, 1]])
    positives = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    excluded = torch.eye(3, 4).bool()
    groups = torch.zeros(4, dtype=torch.long)
    return Batch(positives, excluded, groups, criteria, groups[:3], criteria[:3])


def test_what_a_text_names_is_what_no_relevant_candidate_shares_with_the_reference() -> None:
    codes, known = named_values(edit_batch(), [2, 3])
    assert known.tolist() == [True, True, False]
    assert codes[known].tolist() == [[2, 2], [1, 1]], "(not named, 2), then (1, 1)"


def test_word_experts_learn_what_a_text_names() -> None:
    spec = replace(EDITS, criteria=(SPEC.criteria[0], replace(SPEC.criteria[1], values=("a", "b", "c"))))
    made = composer(spec).train()
    assert [expert.out_features for expert in made.word_experts] == [3, 4], "one more: not named"
    query, candidate = made.compose(images(3), texts(3)), made.embed(images(4))
    losses = made.auxiliary_loss(edit_batch(), query, candidate)
    losses["text_values"].backward()
    assert all(expert.weight.grad.abs().sum() > 0 for expert in made.word_experts)
    assert made.region_experts[0].weight.grad is None, "the picture is not asked what a text names"


@torch.no_grad()
@pytest.mark.parametrize(
    ("words", "probabilities", "share"),
    [((0.0, 30.0, 0.0), (0.0, 1.0), 1.0), ((0.0, 0.0, 30.0), (0.9, 0.1), 0.5)],
    ids=["named", "not named"],
)
def test_a_named_value_replaces_what_the_region_shows_and_counts_twice(
    words: tuple[float, ...], probabilities: tuple[float, ...], share: float
) -> None:
    made = composer(EDITS)
    query, candidate = made.compose(images(1), texts(1)), made.embed(images(1))
    assert query["local"].norm(dim=-1) == pytest.approx(1), "completed, so that the cosine keeps the share"
    made.word_experts[0].weight.zero_()
    made.word_experts[0].bias.copy_(torch.tensor(words))
    made.region_experts[0].weight.zero_()
    made.region_experts[0].bias.copy_(torch.tensor([0.9, 0.1]).log())
    block, vectors = made.value_prototypes[0], made.compose(images(1), texts(1))["local"][0, 0]
    shown = F.normalize(torch.tensor(probabilities), dim=0)  # prototypes are orthogonal at the start
    assert block.vectors @ vectors[:-2] == pytest.approx(share * shown, abs=1e-3)
    assert (vectors[-2], candidate["local"][0, 0, -1]) == (0, 0), "each side has a coordinate of its own"


@torch.no_grad()
def test_an_edit_without_a_picture_keeps_no_value_rather_than_another() -> None:
    made = composer(EDITS)
    made.word_experts[0].weight.zero_()
    made.word_experts[0].bias.copy_(torch.tensor([0.0, 0.0, 30.0]))
    block = made.compose_text(texts(1), images(1))["local"][0, 0]
    agreement = made.value_prototypes[0].vectors @ block[:-2]
    assert agreement[0] == pytest.approx(agreement[1])
