from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from benchmark.errors import UserError
from plugins.encoders.levels import level_indices, two_thirds
from plugins.encoders.lite import BACKBONES
from plugins.encoders.options import PackagedOptions, TimmOptions
from plugins.encoders.packaged import PackagedEncoder
from plugins.encoders.timm import TimmEncoder
from tests.conftest import FAST, NARROW, Command
from tests.encoders.checks import DAMAGE, check_batches, check_shapes, damaged_checkpoints, pictures

RANDOM = TimmOptions(pretrained=False)


def saved(path: Path, name: str = "resnet10t", seed: int = 1) -> Path:
    """Save a model as people do, classifier included."""
    torch.manual_seed(seed)
    save_file(timm.create_model(name).state_dict(), path)
    return path


def test_the_two_coarsest_strides_of_a_network_with_stages() -> None:
    assert level_indices([2, 4, 8, 16, 32]) == [3, 4]
    assert level_indices([1, 2, 4, 8, 16, 16, 32]) == [5, 6]
    assert level_indices([4, 8, 16, 32]) == [2, 3]


def test_a_plain_transformer_is_read_after_two_thirds_and_at_the_end() -> None:
    assert level_indices([16] * 12) == [7, 11]  # after the 8th and the 12th block
    assert two_thirds(24) == [15, 23]
    assert two_thirds(5) == [3, 4]
    assert two_thirds(1) == [0, 0]


@pytest.mark.parametrize(
    ("name", "widths", "grids", "width"),
    [
        ("resnet18", (256, 512), ((14, 14), (7, 7)), 512),
        ("vit_tiny_patch16_224", (192, 192), ((14, 14), (14, 14)), 192),
        ("mobilenetv3_small_050", (24, 288), ((14, 14), (7, 7)), 1024),
        ("swin_tiny_patch4_window7_224", (384, 768), ((14, 14), (7, 7)), 768),
    ],
)
def test_levels_grids_and_widths(name: str, widths: tuple[int], grids: tuple[tuple[int, int]], width: int) -> None:
    encoder = TimmEncoder(f"timm:{name}", RANDOM)
    assert (encoder.level_widths, encoder.grids, encoder.image_width) == (widths, grids, width)
    assert (encoder.text_width, encoder.aligned) == (384, False)
    check_shapes(encoder)


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    check_batches(TimmEncoder(f"timm:{name}", TimmOptions(pretrained=False, height=64, width=96)))


def test_patch_tokens_come_without_class_token_and_in_reading_order() -> None:
    encoder = TimmEncoder("timm:vit_tiny_patch16_224", RANDOM)
    pixels = encoder.preprocess(pictures(1)[0])[None]
    with torch.inference_mode():
        found = encoder.encode_images(pixels)
        tokens = encoder.model.forward_features(pixels)  # (1, 1 + 196, 192), after the final norm
        assert tokens.shape[1] == 197
        torch.testing.assert_close(encoder.model.norm(found.levels[1]), tokens[:, 1:])


def test_the_input_size_can_be_chosen() -> None:
    options = TimmOptions(pretrained=False, height=96, width=128)
    assert TimmEncoder("timm:resnet10t", options).grids == ((6, 8), (3, 4))
    assert TimmEncoder("timm:vit_tiny_patch16_224", options).grids == ((6, 8), (6, 8))


def test_it_is_the_packaged_encoder_where_it_gets_its_weights(tmp_path: Path) -> None:
    packaged = PackagedEncoder("packaged", PackagedOptions(height=64, width=96))
    pixels = torch.stack([packaged.preprocess(picture) for picture in pictures()])
    save_file(BACKBONES["lite0"].load().state_dict(), tmp_path / "lite0.safetensors")
    name = f"timm:tf_efficientnet_lite0//{tmp_path / 'lite0.safetensors'}"
    encoder = TimmEncoder(name, TimmOptions(height=64, width=96))
    torch.testing.assert_close(encoder.preprocess(pictures()[0]), pixels[0], atol=1e-5, rtol=0)
    with torch.inference_mode():
        ours, theirs = encoder.encode_images(pixels), packaged.encode_images(pixels)
    torch.testing.assert_close(ours.pooled, theirs.pooled, atol=1e-4, rtol=0)
    for level, expected in zip(ours.levels, theirs.levels, strict=True):
        torch.testing.assert_close(level, expected, atol=1e-4, rtol=0)
    assert encoder.text_fingerprint == packaged.text_fingerprint


def test_the_fingerprint_follows_weights_and_preprocessing_and_nothing_else(tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a.safetensors"), saved(tmp_path / "b.safetensors", seed=2)
    copy = tmp_path / "copy.pt"
    torch.manual_seed(1)
    torch.save({"epoch": 3, "state_dict": timm.create_model("resnet10t").state_dict()}, copy)
    base = TimmEncoder(f"timm:resnet10t//{first}", TimmOptions())
    assert TimmEncoder(f"timm:resnet10t//{copy}", TimmOptions()).image_fingerprint == base.image_fingerprint
    others = [
        TimmEncoder(f"timm:resnet10t//{second}", TimmOptions()),
        TimmEncoder(f"timm:resnet10t//{first}", TimmOptions(height=96)),
        TimmEncoder("timm:resnet10t", RANDOM),
    ]
    assert len({base.image_fingerprint, *(other.image_fingerprint for other in others)}) == 4
    torch.manual_seed(7)
    assert TimmEncoder("timm:resnet10t", RANDOM).image_fingerprint == others[2].image_fingerprint


def test_a_transformer_takes_weights_of_another_input_size(tmp_path: Path) -> None:
    path = saved(tmp_path / "vit.safetensors", "vit_tiny_patch16_224")
    assert TimmEncoder(f"timm:vit_tiny_patch16_224//{path}", TimmOptions(height=64, width=96)).grids[0] == (4, 6)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_or_dangerous_checkpoint_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = damaged_checkpoints(tmp_path)[kind]
    with pytest.raises(UserError, match=f"{path.name}: {DAMAGE[kind]}"):
        TimmEncoder(f"timm:resnet10t//{path}", TimmOptions())


def test_a_checkpoint_of_another_architecture_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "other.safetensors")
    with pytest.raises(
        UserError, match=r"other\.safetensors does not hold the weights of timm:resnet18 \(.*Missing key"
    ):
        TimmEncoder(f"timm:resnet18//{path}", TimmOptions())


def test_no_tensors_and_no_file(tmp_path: Path) -> None:
    torch.save({"state_dict": {"epoch": 3}}, tmp_path / "numbers.pt")
    with pytest.raises(UserError, match=r"numbers\.pt: holds no mapping of named tensors"):
        TimmEncoder(f"timm:resnet10t//{tmp_path / 'numbers.pt'}", TimmOptions())
    with pytest.raises(UserError, match=r"gone\.pt: there is no such file"):
        TimmEncoder(f"timm:resnet10t//{tmp_path / 'gone.pt'}", TimmOptions())


def test_an_unknown_model_says_what_is_near() -> None:
    with pytest.raises(UserError, match=r"timm has no model 'resnet81'\. Did you mean resnet18"):
        TimmEncoder("timm:resnet81", TimmOptions())


def test_an_unreachable_hub_says_which_file_where_and_what_instead(no_hub: Path) -> None:
    with pytest.raises(UserError) as caught:
        TimmEncoder("timm:resnet18.a1_in1k", TimmOptions())
    words = str(caught.value)
    assert "model.safetensors of timm/resnet18.a1_in1k" in words
    assert f"looked in {no_hub}" in words
    assert "--encoder timm:resnet18.a1_in1k//PATH.safetensors" in words


def test_a_method_runs_on_it(tmp_path: Path, benchmark: Command, toy_run: tuple[str, ...]) -> None:
    path = saved(tmp_path / "weights.safetensors")
    size = ("--set", "timm.height=64", "--set", "timm.width=64")
    done = benchmark(*toy_run, *FAST, *NARROW, *size, "--methods", "tirg", "--encoder", f"timm:resnet10t//{path}")
    assert done.returncode == 0, done.stderr
    assert "tirg" in done.stdout


def test_a_missing_hub_ends_a_run_before_it_starts(
    tmp_path: Path, benchmark: Command, toy_run: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    done = benchmark(*toy_run, "--methods", "tirg", "--encoder", "timm:resnet18")
    assert done.returncode == 2
    assert "Could not get model.safetensors of timm/resnet18" in done.stderr
    assert "Traceback" not in done.stderr
