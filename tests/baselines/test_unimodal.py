"""The one-modality controls: each ignores what its name leaves out."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from baselines.options import ImageOnlyOptions, TextOnlyOptions
from baselines.unimodal import ImageOnly, TextOnly
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, TextFeatures

SPEC = FeatureSpec((5,), ((1, 1),), image_width=5, text_width=7, groups=2, criteria=())
CONTROLS = (ImageOnly(SPEC, ImageOnlyOptions(width=16)), TextOnly(SPEC, TextOnlyOptions(width=16)))
both = pytest.mark.parametrize("module", CONTROLS, ids=("image-only", "text-only"))


def images(pooled: Tensor) -> ImageFeatures:
    return ImageFeatures((pooled[:, None],), ((1, 1),), pooled)


def texts(pooled: Tensor) -> TextFeatures:
    return TextFeatures(pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool), pooled)


def test_image_only_ignores_the_text_and_reads_the_image() -> None:
    module, image, text = CONTROLS[0], torch.randn(4, 5), torch.randn(4, 7)
    query = module.compose(images(image), texts(text))["global"]
    assert torch.equal(query, module.compose(images(image), texts(text + 1))["global"])
    assert not torch.allclose(query, module.compose(images(image + 1), texts(text))["global"])
    assert torch.equal(query, module.embed(images(image))["global"])
    assert module.modality == "image"


def test_text_only_ignores_the_image_and_reads_the_text() -> None:
    module, image, text = CONTROLS[1], torch.randn(4, 5), torch.randn(4, 7)
    query = module.compose(images(image), texts(text))["global"]
    assert torch.equal(query, module.compose(images(image + 1), texts(text))["global"])
    assert not torch.allclose(query, module.compose(images(image), texts(text + 1))["global"])
    assert not torch.allclose(module.embed(images(image))["global"], module.embed(images(image + 1))["global"])
    assert module.modality == "text"


def test_a_projection_worked_out_by_hand() -> None:
    spec = FeatureSpec((2,), ((1, 1),), image_width=2, text_width=1, groups=2, criteria=())
    module = TextOnly(spec, TextOnlyOptions(width=2))
    module.image_projection.weight.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    module.text_projection.weight.data = torch.tensor([[5.0], [0.0]])
    nn.init.zeros_(module.image_projection.bias)
    nn.init.zeros_(module.text_projection.bias)
    image, text = images(torch.tensor([[3.0, 2.0]])), texts(torch.tensor([[2.0]]))
    assert_close(module.embed(image)["global"], torch.tensor([[0.6, 0.8]]))  # (3, 4) / 5
    assert_close(module.compose(image, text)["global"], torch.tensor([[1.0, 0.0]]))  # (10, 0) / 10


@both
def test_the_shapes_are_those_of_the_width_and_do_not_depend_on_the_batch(module: Composer) -> None:
    image, text = images(torch.randn(4, 5)), texts(torch.randn(4, 7))
    query = module.compose(image, text)["global"]
    assert query.shape == module.embed(image)["global"].shape == (4, 16) and query.dtype == torch.float32
    assert_close(query.norm(dim=-1), torch.ones(4))
    alone = torch.cat([module.compose(image[i : i + 1], text[i : i + 1])["global"] for i in range(4)])
    assert_close(query, alone, rtol=0, atol=1e-5)


@both
def test_gradients_reach_every_parameter(module: Composer) -> None:
    module.zero_grad()
    image, text = images(torch.randn(4, 5)), texts(torch.randn(4, 7))
    scores = module.compose(image, text)["global"] @ module.embed(images(torch.randn(4, 5)))["global"].T
    nn.functional.cross_entropy(scores, torch.arange(4)).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("options", (ImageOnlyOptions, TextOnlyOptions))
def test_options_refuse_an_unknown_key_and_are_frozen(options: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="layers"):
        options.model_validate({"layers": 2})
    with pytest.raises(ValidationError, match="frozen"):
        options().width = 3  # type: ignore[attr-defined]


def test_the_options_import_no_torch() -> None:
    code = "import sys, baselines.options; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
