"""TIRG against the numbers of the authors' code (parity/tirg.json), and as a composer."""

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

from baselines.options import TIRGOptions
from baselines.tirg import NATIVE_SCALE, TIRG, TIRGCompose, native_loss
from tests.baselines.small import SPEC, batch, filled

FIXTURE = json.loads((Path(__file__).parent / "parity" / "tirg.json").read_text())
AUTHORS_LAYER = {
    "gate.0": "gated_feature_composer.1",
    "gate.2": "gated_feature_composer.3",
    "residual.0": "res_info_composer.1",
    "residual.2": "res_info_composer.3",
    "residual.4": "res_info_composer.5",
}


def authors_value(name: str) -> Tensor:
    names = list(FIXTURE["parameters"])
    shape = FIXTURE["parameters"][name]["shape"]
    return filled(shape, names.index(name), 0.5, 1.0 if name.endswith("running_var") else 0.0)


def published() -> TIRGCompose:
    """Our module with the authors' layers filled by the rule and the mixing weights at their initial values."""
    module = TIRGCompose(FIXTURE["width"])
    state = module.state_dict()
    for layer, authors_layer in AUTHORS_LAYER.items():
        for name in FIXTURE["parameters"]:
            if name.startswith(authors_layer + "."):
                state[layer + name.removeprefix(authors_layer)] = authors_value(name)
    module.load_state_dict(state)
    return module


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    shape = [FIXTURE["batch"], FIXTURE["width"]]
    return filled(shape, 100, 1.0), filled(shape, 101, 1.0), filled(shape, 102, 1.0)


def close(actual: Tensor | None, expected: Any) -> None:
    assert actual is not None
    assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_the_layers_have_the_authors_shapes() -> None:
    state = TIRGCompose(FIXTURE["width"]).state_dict()
    authors = {
        layer + name.removeprefix(authors_layer): value["shape"]
        for layer, authors_layer in AUTHORS_LAYER.items()
        for name, value in FIXTURE["parameters"].items()
        if name.startswith(authors_layer + ".")
    }
    ours = {name: list(value.shape) for name, value in state.items() if value.is_floating_point()}
    assert ours.pop("weights") == [2]  # the authors' last two of four are never used: their gradients are zero
    assert ours == authors
    assert FIXTURE["train"]["loss_gradients"]["a"][2:] == [0.0, 0.0]


def test_the_constants_start_where_the_authors_do() -> None:
    assert TIRGCompose(6).weights.tolist() == FIXTURE["parameters"]["a"]["initial"][:2] == [1.0, 10.0]
    assert [NATIVE_SCALE] == FIXTURE["parameters"]["normalization_layer.norm_s"]["initial"] == [4.0]
    assert TIRGOptions().width == 512


def test_outputs_and_loss_equal_the_authors_in_evaluation() -> None:
    image, text, target = inputs()
    output = published().eval()(image, text)
    close(output, FIXTURE["eval"]["output"])
    close(native_loss(output, target), FIXTURE["eval"]["loss"])


def test_outputs_statistics_loss_and_gradients_equal_the_authors_in_training() -> None:
    image, text, target = inputs()
    module, scale = published().train(), nn.Parameter(torch.tensor([NATIVE_SCALE]))
    output = module(image, text)
    loss = native_loss(output, target, scale)
    loss.backward()
    expected = FIXTURE["train"]
    close(output, expected["output"])
    close(loss, expected["loss"])
    close(module.weights.grad, expected["loss_gradients"]["a"][:2])
    close(scale.grad, expected["loss_gradients"]["normalization_layer.norm_s"])
    statistics = expected["running_statistics_after_one_pass"]
    for ours in ("gate.0", "residual.0"):
        for kind in ("running_mean", "running_var"):
            close(module.state_dict()[f"{ours}.{kind}"], statistics[f"{AUTHORS_LAYER[ours]}.{kind}"])


@pytest.mark.parametrize("name", sorted(name for name, _ in TIRGCompose(6).named_parameters()))
def test_parity_fails_when_a_parameter_is_off_by_a_hundredth(name: str) -> None:
    image, text, _ = inputs()
    module = published().eval()
    with torch.no_grad():
        module.get_parameter(name).add_(0.01)
    with pytest.raises(AssertionError):
        close(module(image, text), FIXTURE["eval"]["output"])


def fill_last(branch: nn.Sequential, bias: list[float]) -> None:
    """Make the branch answer ``bias`` whatever its input."""
    last = branch[-1]
    assert isinstance(last, nn.Linear)
    last.weight.data.zero_()
    last.bias.data = torch.tensor(bias)


def test_without_a_residual_an_undecided_gate_passes_half_of_the_image() -> None:
    module = TIRGCompose(2, residual_weight=0.0).eval()
    fill_last(module.gate, [0.0, 0.0])
    image = torch.tensor([[4.0, -6.0]])
    assert module(image, torch.tensor([[7.0, 7.0]])).tolist() == [[2.0, -3.0]]


def test_without_a_gate_ten_times_the_residual_remains() -> None:
    module = TIRGCompose(2, gate_weight=0.0).eval()
    fill_last(module.residual, [0.5, -1.0])
    assert module(torch.ones(1, 2), torch.ones(1, 2)).tolist() == [[5.0, -10.0]]


def test_the_native_loss_of_two_orthogonal_pairs() -> None:
    # cosines 1 and 0 under 4 x 4: log(1 + exp(-16)) for each row, whatever the lengths
    queries, targets = torch.tensor([[3.0, 0.0], [0.0, 5.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert native_loss(queries, targets).item() == pytest.approx(math.log1p(math.exp(-16)), abs=1e-7)
    assert native_loss(queries, targets, 1.0).item() == pytest.approx(math.log1p(math.exp(-1)), abs=1e-6)


def composer(width: int = 16) -> TIRG:
    torch.manual_seed(0)
    return TIRG(SPEC, TIRGOptions(width=width)).eval()


def test_both_representations_are_unit_vectors_of_the_common_width() -> None:
    images, texts = batch(4)
    for representation in (composer().compose(images, texts), composer().embed(images)):
        assert set(representation) == TIRG.provides == {"global"}
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


def test_gradients_reach_every_parameter() -> None:
    # in evaluation mode: in training, batch normalisation removes the bias of the text projection
    images, texts = batch(6)
    module = composer()
    native_loss(module.compose(images, texts)["global"], module.embed(images)["global"]).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_row_says_that_the_features_are_projected() -> None:
    assert TIRG.label == "tirg (projected)" and TIRG.modality == "image+text" and TIRG.scorer == "cosine"


def test_options_refuse_an_unknown_key_and_no_width() -> None:
    with pytest.raises(ValidationError, match="widht"):
        TIRGOptions.model_validate({"widht": 64})
    with pytest.raises(ValidationError, match="width"):
        TIRGOptions(width=0)
