"""Late fusion, with its sum worked out by hand."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from baselines.late_fusion import LateFusion
from baselines.options import LateFusionOptions
from benchmark.interfaces import FeatureSpec, ImageFeatures, TextFeatures


def images(pooled: Tensor) -> ImageFeatures:
    return ImageFeatures((pooled[:, None],), ((1, 1),), pooled)


def texts(pooled: Tensor) -> TextFeatures:
    return TextFeatures(pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool), pooled)


def composer(image_width: int, text_width: int, width: int) -> LateFusion:
    torch.manual_seed(0)
    spec = FeatureSpec((image_width,), ((1, 1),), image_width, text_width, groups=2, criteria=())
    return LateFusion(spec, LateFusionOptions(width=width)).eval()


def test_the_query_is_the_normalised_sum_of_unit_vectors() -> None:
    module = composer(2, 2, 2)
    for layer in (module.image_projection, module.text_projection):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    image, text = images(torch.tensor([[3.0, 4.0]])), texts(torch.tensor([[0.0, 2.0]]))
    # (0.6, 0.8) + (0, 1) = (0.6, 1.8), of length sqrt(3.6) = 0.6 sqrt(10)
    assert_close(module.compose(image, text)["global"], torch.tensor([[1.0, 3.0]]) / 10**0.5)
    assert_close(module.embed(image)["global"], torch.tensor([[0.6, 0.8]]))


def test_the_shapes_are_those_of_the_common_width() -> None:
    module, image, text = composer(5, 7, 16), images(torch.randn(4, 5)), texts(torch.randn(4, 7))
    for representation in (module.compose(image, text), module.embed(image)):
        assert set(representation) == LateFusion.provides == {"global"}
        assert representation["global"].shape == (4, 16) and representation["global"].dtype == torch.float32
        assert_close(representation["global"].norm(dim=-1), torch.ones(4))


def test_a_case_does_not_depend_on_its_batch() -> None:
    module, image, text = composer(5, 7, 16), images(torch.randn(6, 5)), texts(torch.randn(6, 7))
    alone = torch.cat([module.compose(image[i : i + 1], text[i : i + 1])["global"] for i in range(6)])
    assert_close(module.compose(image, text)["global"], alone, rtol=0, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    module, image, text = composer(5, 7, 16), images(torch.randn(4, 5)), texts(torch.randn(4, 7))
    scores = module.compose(image, text)["global"] @ module.embed(image)["global"].T
    nn.functional.cross_entropy(scores, torch.arange(4)).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_options_refuse_an_unknown_key() -> None:
    with pytest.raises(ValidationError, match="dim"):
        LateFusionOptions.model_validate({"dim": 64})
