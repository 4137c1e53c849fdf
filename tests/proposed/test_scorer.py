from __future__ import annotations

import pytest
import torch

from benchmark.interfaces import Criterion, FeatureSpec
from plugins.datasets.seven_point import CRITERIA
from plugins.proposed.options import GlobalLocalOptions
from plugins.proposed.scorer import GlobalLocalScorer

SEVEN = FeatureSpec((5,), ((2, 2),), 4, 4, 5, CRITERIA)


def scorer(spec: FeatureSpec = SEVEN, **options: object) -> GlobalLocalScorer:
    return GlobalLocalScorer(spec, GlobalLocalOptions(**options))  # type: ignore[arg-type]


def representation(count: int, regions: int, seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "global": torch.randn(count, 6, generator=draw),
        "local": torch.randn(count, regions, 6, generator=draw) * 3,
    }


def test_a_score_worked_out_by_hand() -> None:
    spec = FeatureSpec((5,), ((2, 2),), 4, 4, 2, (Criterion("x", (), 3.0, {}), Criterion("y", (), 1.0, {})))
    query = {"global": torch.tensor([[2.0, 0.0]]), "local": torch.tensor([[[1.0, 0.0], [0.0, 5.0]]])}
    candidate = {"global": torch.tensor([[0.0, 1.0]]), "local": torch.tensor([[[3.0, 0.0], [0.0, -1.0]]])}
    # global 0; local 3/4 * 1 + 1/4 * (-1) = 1/2; s = 0.4 * 0 + 0.6 / 2
    assert scorer(spec, a=0.6).score(query, candidate).item() == pytest.approx(0.3)


def test_checklist_weights_are_majors_two_minors_one() -> None:
    weights = dict(zip([c.name for c in CRITERIA], scorer().weights(7).tolist(), strict=True))
    assert weights["blue_whitish_veil"] == pytest.approx(2 / 10)
    assert weights["pigment_network"] == pytest.approx(2 / 10)
    assert weights["vascular_structures"] == pytest.approx(2 / 10)
    assert weights["streaks"] == pytest.approx(1 / 10)


@pytest.mark.parametrize(
    ("options", "regions"),
    [
        ({}, 7),
        ({"weights": "uniform"}, 7),
        ({"weights": "learned", "learn_a": True}, 7),
        ({"a": 0.0}, 7),
        ({"a": 1.0}, 7),
        ({}, 4),
    ],
)
def test_the_score_is_one_inner_product_with_all_weights_on_the_query(options: dict[str, object], regions: int) -> None:
    made = scorer(**options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    query, candidates = representation(5, regions, 1), representation(9, regions, 2)
    vectors = made.as_vectors(candidates, "candidate")
    product = made.as_vectors(query, "query") @ vectors.T
    torch.testing.assert_close(product, made.score(query, candidates))
    blocks = vectors.reshape(9, 1 + regions, 6).norm(dim=-1)
    torch.testing.assert_close(blocks, torch.ones_like(blocks))


@pytest.mark.parametrize("options", [{}, {"weights": "uniform"}, {"weights": "learned"}])
def test_weights_are_convex(options: dict[str, object]) -> None:
    weights = scorer(**options).weights(7)
    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1)


def test_other_numbers_of_regions_are_weighted_uniformly() -> None:
    assert scorer().weights(4).tolist() == [0.25] * 4


def test_learned_weights_start_from_the_given_a_and_uniform_w_and_learn() -> None:
    made = scorer(a=0.6, weights="learned", learn_a=True)
    assert made.a.item() == pytest.approx(0.6)  # type: ignore[union-attr]
    assert made.weights(7).tolist() == pytest.approx([1 / 7] * 7)
    made.score(representation(3, 7, 0), representation(3, 7, 1))[0, 1].backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_local_and_global_evidence_add_up() -> None:
    made = scorer(a=0.7)
    query, candidates = representation(3, 7, 0), representation(4, 7, 1)
    parts = made.parts(query, candidates)
    torch.testing.assert_close(0.3 * parts["global"] + 0.7 * parts["local"], made.score(query, candidates))
    assert made.regional(query, candidates).shape == (3, 4, 7)
