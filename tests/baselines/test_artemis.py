"""ARTEMIS against the numbers of the authors' code (parity/artemis.json), as a composer and as a scorer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from baselines.artemis import (
    ARTEMIS,
    NATIVE_SCALE,
    ARTEMISScorer,
    Attention,
    TextMatching,
    matching_scores,
    native_loss,
)
from baselines.artemis_options import ARTEMISOptions
from benchmark.interfaces import Options
from tests.baselines.small import SPEC, batch, filled

FIXTURE = json.loads((Path(__file__).parent / "parity" / "artemis.json").read_text())
AUTHORS_LAYER = {
    "transform": "Transform_m.0",
    "explicit.0": "Attention_EM.attention.0",
    "explicit.2": "Attention_EM.attention.2",
    "implicit.0": "Attention_IS.attention.0",
    "implicit.2": "Attention_IS.attention.2",
}
NAMES = {f"{ours}.{kind}": f"{layer}.{kind}" for ours, layer in AUTHORS_LAYER.items() for kind in ("weight", "bias")}


def published() -> TextMatching:
    """Our module with the authors' layers filled by the rule."""
    names, module = list(FIXTURE["parameters"]), TextMatching(FIXTURE["width"])
    shapes = {name: value["shape"] for name, value in FIXTURE["parameters"].items()}
    module.load_state_dict({ours: filled(shapes[name], names.index(name), 0.9) for ours, name in NAMES.items()})
    return module


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    shape = [FIXTURE["batch"], FIXTURE["width"]]
    reference, text, target = (F.normalize(filled(shape, tensor, 1.0), dim=-1) for tensor in (100, 101, 102))
    return reference, text, target


def scores(module: TextMatching) -> Tensor:
    reference, text, target = inputs()
    return matching_scores(module(reference, text), target)  # (b, 2, b)


def close(actual: Tensor | None, expected: Any) -> None:
    assert actual is not None
    assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_the_layers_have_the_authors_shapes() -> None:
    authors = {ours: FIXTURE["parameters"][name]["shape"] for ours, name in NAMES.items()}
    assert {name: list(p.shape) for name, p in TextMatching(FIXTURE["width"]).named_parameters()} == authors
    assert set(FIXTURE["parameters"]) == {*NAMES.values(), "temperature"}


def test_the_constants_are_the_authors() -> None:
    assert [math.log(NATIVE_SCALE)] == pytest.approx(FIXTURE["parameters"]["temperature"]["initial"])
    assert ARTEMISOptions().width == 512


def test_both_terms_and_their_sum_equal_the_authors() -> None:
    module = published()
    _, text, _ = inputs()
    close(module.explicit(text), FIXTURE["attention"]["EM"])
    close(module.implicit(text), FIXTURE["attention"]["IS"])
    terms = scores(module)
    close(terms[:, 0], FIXTURE["scores"]["EM"])
    close(terms[:, 1], FIXTURE["scores"]["IS"])
    close(terms.sum(1), FIXTURE["scores"]["sum"])
    close(terms.sum(1).diagonal(), FIXTURE["scores"]["sum_of_each_query_with_its_own_target"])


def test_loss_and_gradients_equal_the_authors() -> None:
    module, log_scale = published(), nn.Parameter(torch.tensor([math.log(NATIVE_SCALE)]))
    loss = native_loss(scores(module).sum(1), log_scale.exp())
    close(loss, FIXTURE["loss"])
    loss.backward()
    expected = FIXTURE["loss_gradients"]
    close(log_scale.grad, expected["temperature"])
    for ours in ("transform.bias", "explicit.2.bias", "implicit.2.bias"):
        close(module.get_parameter(ours).grad, expected[NAMES[ours]])


@pytest.mark.parametrize("name", sorted(NAMES))
def test_parity_fails_when_a_parameter_is_off_by_a_hundredth(name: str) -> None:
    module = published()
    with torch.no_grad():
        module.get_parameter(name).flatten()[0].add_(0.01)  # one entry: a softmax does not see that all are moved
    with pytest.raises(AssertionError):
        close(scores(module).sum(1), FIXTURE["scores"]["sum"])


def say(layer: nn.Module, values: list[float]) -> None:
    """Make a linear layer answer ``values`` whatever its input."""
    assert isinstance(layer, nn.Linear)
    layer.weight.data.zero_()
    layer.bias.data = torch.tensor(values)


def two_channels(explicit: list[float], implicit: list[float]) -> TextMatching:
    """A text that asks for (0.6, 0.8) and weighs the two channels by softmax of the given logits."""
    module = TextMatching(2)
    say(module.transform, [3.0, 4.0])
    say(module.explicit[2], explicit)
    say(module.implicit[2], implicit)
    return module


def test_undecided_attention_leaves_the_cosines() -> None:
    # EM = <(0.6, 0.8), (1, 0)> and <(0.6, 0.8), (0, 1)>; IS = <(0, 1), (1, 0)> and <(0, 1), (0, 1)>
    module = two_channels([0.0, 0.0], [0.0, 0.0])
    terms = matching_scores(module(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2)), torch.eye(2))
    assert_close(terms, torch.tensor([[[0.6, 0.8], [0.0, 1.0]]]))


def test_attention_to_one_channel_makes_candidates_alike_that_differ_in_the_other() -> None:
    # softmax(50, 0) = (1, 2e-22): both candidates become (1, 0), the reference too
    module = two_channels([50.0, 0.0], [50.0, 0.0])
    candidates = torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    terms = matching_scores(module(torch.tensor([[0.6, 0.8]]), torch.zeros(1, 2)), candidates)
    assert_close(terms, torch.tensor([[[0.6, 0.6], [1.0, 1.0]]]))


def test_the_matrix_products_are_the_equation_pair_by_pair() -> None:
    torch.manual_seed(0)
    module, vectors = TextMatching(8), F.normalize(torch.randn(9, 8), dim=-1)
    reference, text, candidates = vectors[:2], vectors[2:4], vectors[4:]
    wanted = F.normalize(module.transform(text), dim=-1)[:, None]  # (2, 1, 8)
    a, b = module.explicit(text)[:, None], module.implicit(text)[:, None]
    em = (wanted * F.normalize(a * candidates, dim=-1)).sum(-1)  # (2, 5)
    alike = (F.normalize(b * reference[:, None], dim=-1) * F.normalize(b * candidates, dim=-1)).sum(-1)
    expected = torch.stack([em, alike], dim=1)
    assert_close(matching_scores(module(reference, text), candidates), expected, rtol=0, atol=1e-6)


def test_a_candidate_of_zeros_scores_zero_and_stops_no_training() -> None:
    query, zeros = two_channels([0.0, 0.0], [0.0, 0.0])(torch.eye(2), torch.zeros(2, 2)), torch.zeros(1, 2)
    terms = matching_scores(query, zeros.requires_grad_())
    terms.sum().backward()
    assert terms.tolist() == [[[0.0], [0.0]], [[0.0], [0.0]]]
    assert zeros.grad is not None and zeros.grad.isfinite().all()


def composer() -> ARTEMIS:
    torch.manual_seed(0)
    return ARTEMIS(SPEC, ARTEMISOptions(width=16)).eval()


def test_a_query_holds_a_vector_and_an_attention_for_each_term_a_candidate_a_unit_vector() -> None:
    images, texts = batch(4)
    query, candidates = composer().compose(images, texts), composer().embed(images)
    assert set(query) == set(candidates) == ARTEMIS.provides == ARTEMISScorer.requires == {"matching"}
    assert query["matching"].shape == (4, 2, 2, 16) and candidates["matching"].shape == (4, 16)
    assert_close(query["matching"][:, :, 1].sum(-1), torch.ones(4, 2))
    assert_close(candidates["matching"].norm(dim=-1), torch.ones(4))


def test_the_scorer_is_pairwise_and_adds_the_two_terms() -> None:
    images, texts = batch(6)
    query, candidates = composer().compose(images[:2], texts[:2]), composer().embed(images)
    scorer = ARTEMISScorer(SPEC, Options())
    terms = matching_scores(query["matching"], candidates["matching"])
    assert terms.abs().max() < 1.00001
    assert_close(scorer.score(query, candidates), terms[:, 0] + terms[:, 1])
    with pytest.raises(NotImplementedError, match="pairwise"):
        scorer.as_vectors(query, "query")


def test_the_query_reads_the_image_and_the_text() -> None:
    (images, texts), (other_images, other_texts) = batch(4), batch(4, seed=1)
    explicit, implicit = composer().compose(images, texts)["matching"].unbind(1)
    other_explicit, other_implicit = composer().compose(other_images, texts)["matching"].unbind(1)
    assert_close(explicit, other_explicit)  # explicit matching is between the text and the candidate alone
    assert (implicit - other_implicit).abs().max() > 0.001
    _, other_implicit = composer().compose(images, other_texts)["matching"].unbind(1)
    assert (implicit - other_implicit).abs().max() > 0.001


def test_gradients_reach_every_parameter() -> None:
    images, texts = batch(6)
    module = composer().train()
    pairs = matching_scores(module.compose(images, texts)["matching"], module.embed(images)["matching"])
    native_loss(pairs.sum(1)).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_attention_weighs_channels_and_sums_to_one() -> None:
    assert_close(Attention(5)(torch.randn(3, 5)).sum(dim=1), torch.ones(3))


def test_the_native_loss_of_two_equal_candidates_is_a_coin_toss() -> None:
    assert native_loss(torch.ones(2, 2)).item() == pytest.approx(math.log(2), abs=1e-6)


def test_the_row_says_that_the_features_are_projected() -> None:
    assert ARTEMIS.label == "artemis (projected)" and ARTEMIS.modality == "image+text"
    assert ARTEMIS.scorer == "artemis" and ARTEMIS.criterion_key == "matching"


def test_options_refuse_an_unknown_key_and_no_width() -> None:
    with pytest.raises(ValidationError, match="widht"):
        ARTEMISOptions.model_validate({"widht": 64})
    with pytest.raises(ValidationError, match="width"):
        ARTEMISOptions(width=0)
