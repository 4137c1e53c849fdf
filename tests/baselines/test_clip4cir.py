"""CLIP4Cir's combiner against the numbers of the authors' code (parity/combiner.json), and as a composer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from baselines.clip4cir import NATIVE_LOGIT_SCALE, CLIP4Cir, Combiner, native_loss
from baselines.options import CLIP4CirOptions
from tests.baselines.small import SPEC, batch, filled

FIXTURE = json.loads((Path(__file__).parent / "parity" / "combiner.json").read_text())
AUTHORS_LAYER = {
    "text_branch.0": "text_projection_layer",
    "image_branch.0": "image_projection_layer",
    "residual.0": "combiner_layer",
    "residual.3": "output_layer",
    "text_share.0": "dynamic_scalar.0",
    "text_share.3": "dynamic_scalar.3",
}
AUTHORS_DROPOUT = {
    "text_branch.2": "dropout1",
    "image_branch.2": "dropout2",
    "residual.2": "dropout3",
    "text_share.2": "dynamic_scalar.2",
}


def empty() -> Combiner:
    return Combiner(FIXTURE["width"], FIXTURE["projection"], FIXTURE["hidden"])


def published() -> Combiner:
    """Our module with the authors' layers filled by the rule, in evaluation mode."""
    names, module = list(FIXTURE["parameters"]), empty()
    state = {}
    for layer, authors_layer in AUTHORS_LAYER.items():
        for kind in ("weight", "bias"):
            name = f"{authors_layer}.{kind}"
            state[f"{layer}.{kind}"] = filled(FIXTURE["parameters"][name]["shape"], names.index(name), 0.5)
    module.load_state_dict(state)
    return module.eval()


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    shape = [FIXTURE["batch"], FIXTURE["width"]]
    return filled(shape, 100, 1.0), filled(shape, 101, 1.0), filled(shape, 102, 1.0)


def close(actual: Tensor, expected: Any) -> None:
    assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_the_layers_have_the_authors_shapes() -> None:
    authors = {
        f"{layer}.{kind}": FIXTURE["parameters"][f"{authors_layer}.{kind}"]["shape"]
        for layer, authors_layer in AUTHORS_LAYER.items()
        for kind in ("weight", "bias")
    }
    assert {name: list(value.shape) for name, value in empty().state_dict().items()} == authors
    assert len(authors) == len(FIXTURE["parameters"])


def test_the_constants_are_the_authors() -> None:
    dropouts = {n: layer.p for n, layer in empty().named_modules() if isinstance(layer, nn.Dropout)}
    assert {AUTHORS_DROPOUT[name]: p for name, p in dropouts.items()} == FIXTURE["dropout"]
    assert NATIVE_LOGIT_SCALE == FIXTURE["logit_scale"] == 100
    assert (CLIP4CirOptions().projection_factor, CLIP4CirOptions().hidden_factor) == (4, 8)
    assert CLIP4CirOptions().dropout == 0.5


def test_outputs_logits_and_loss_equal_the_authors() -> None:
    image, text, target = inputs()
    output = published()(image, text)
    close(output, FIXTURE["eval"]["output"])
    close(100 * output @ nn.functional.normalize(target, dim=-1).T, FIXTURE["eval"]["logits"])
    close(native_loss(output, target), FIXTURE["eval"]["loss"])


def test_the_dropout_layers_stand_where_the_authors_put_them() -> None:
    # a known factor in the place of each dropout: equal outputs mean equal places, without a random draw
    image, text, target = inputs()
    module = published()
    for name, authors_name in AUTHORS_DROPOUT.items():
        factor = FIXTURE["damped"]["factors"][authors_name]
        module.get_submodule(name).register_forward_hook(lambda _, __, out, factor=factor: out * factor)
    output = module(image, text)
    close(output, FIXTURE["damped"]["output"])
    close(native_loss(output, target), FIXTURE["damped"]["loss"])


@pytest.mark.parametrize("name", sorted(name for name, _ in Combiner(1, 1, 1).named_parameters()))
def test_parity_fails_when_a_parameter_is_off_by_a_hundredth(name: str) -> None:
    image, text, _ = inputs()
    module = published()
    with torch.no_grad():
        module.get_parameter(name).add_(0.01)
    with pytest.raises(AssertionError):
        close(module(image, text), FIXTURE["eval"]["output"])


def answer(layer: nn.Module, value: float) -> None:
    """Make a linear layer answer ``value`` whatever its input."""
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, value)


def test_without_a_residual_an_undecided_share_is_the_mean_direction() -> None:
    module = Combiner(2, 3, 4).eval()
    answer(module.residual[3], 0.0)
    answer(module.text_share[3], 0.0)
    # 0.5 (6, 0) + 0.5 (0, 8) = (3, 4), of length 5
    output = module(torch.tensor([[6.0, 0.0]]), torch.tensor([[0.0, 8.0]]))
    assert_close(output, torch.tensor([[0.6, 0.8]]))


def test_a_share_of_one_leaves_the_text() -> None:
    module = Combiner(2, 3, 4).eval()
    answer(module.residual[3], 0.0)
    answer(module.text_share[3], 50.0)  # sigmoid(50) = 1 in float32
    assert_close(module(torch.tensor([[6.0, 0.0]]), torch.tensor([[0.0, 8.0]])), torch.tensor([[0.0, 1.0]]))


def test_the_native_loss_of_two_equal_candidates_is_a_coin_toss() -> None:
    queries, targets = torch.eye(2), torch.tensor([[3.0, 3.0], [3.0, 3.0]])
    assert native_loss(queries, targets).item() == pytest.approx(math.log(2), abs=1e-6)


def composer() -> CLIP4Cir:
    torch.manual_seed(0)
    return CLIP4Cir(SPEC, CLIP4CirOptions(width=16)).eval()


def test_the_factors_are_in_units_of_the_width() -> None:
    combiner = composer().combiner
    assert combiner.get_parameter("text_branch.0.weight").shape == (64, 16)  # 4 x 16
    assert combiner.get_parameter("residual.0.weight").shape == (128, 128)  # 8 x 16 from two projections of 64


def test_both_representations_are_unit_vectors_of_the_common_width() -> None:
    images, texts = batch(4)
    for representation in (composer().compose(images, texts), composer().embed(images)):
        assert set(representation) == CLIP4Cir.provides == {"global"}
        assert representation["global"].shape == (4, 16) and representation["global"].dtype == torch.float32
        assert_close(representation["global"].norm(dim=-1), torch.ones(4))


def test_in_evaluation_a_case_does_not_depend_on_its_batch() -> None:
    images, texts = batch(6)
    together = composer().compose(images, texts)["global"]
    alone = torch.cat([composer().compose(images[i : i + 1], texts[i : i + 1])["global"] for i in range(6)])
    assert_close(together, alone, rtol=0, atol=1e-5)


def test_the_query_reads_the_image_and_the_text() -> None:
    (images, texts), (other_images, other_texts) = batch(4), batch(4, seed=1)
    query = composer().compose(images, texts)["global"]
    assert (query - composer().compose(other_images, texts)["global"]).abs().max() > 0.01
    assert (query - composer().compose(images, other_texts)["global"]).abs().max() > 0.01


def test_gradients_reach_every_parameter_in_training() -> None:
    images, texts = batch(6)
    module = composer().train()
    native_loss(module.compose(images, texts)["global"], module.embed(images)["global"]).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_row_says_that_it_is_the_combiner_only() -> None:
    assert CLIP4Cir.label == "clip4cir (combiner, projected)" and CLIP4Cir.modality == "image+text"


def test_options_refuse_an_unknown_key_and_a_dropout_of_one() -> None:
    with pytest.raises(ValidationError, match="hidden"):
        CLIP4CirOptions.model_validate({"hidden": 64})
    with pytest.raises(ValidationError, match="dropout"):
        CLIP4CirOptions(dropout=1.0)
