from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmark.config import NoOptions
from benchmark.errors import UserError
from plugins.encoders.open_clip import OpenClipEncoder
from tests.conftest import Command
from tests.encoders import small_models
from tests.encoders.checks import DAMAGE, TEXTS, check_batches, check_shapes, damaged_checkpoints, pictures

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 2}
TOWER = {"image_size": 32, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
TIMM = {"image_size": 64, "timm_model_name": "resnet10t", "timm_model_pretrained": False, "timm_proj": "linear"}
VIT = {"embed_dim": 16, "vision_cfg": TOWER, "text_cfg": TEXT}


def saved(folder: Path, config: dict[str, Any] = VIT, seed: int = 0, preprocess: dict[str, Any] | None = None) -> Path:
    """Write a small model as open_clip's repositories hold it."""
    folder.mkdir()
    described = {"model_cfg": config, "preprocess_cfg": preprocess or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    torch.manual_seed(seed)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def load(source: Path | str) -> OpenClipEncoder:
    return OpenClipEncoder(f"open_clip:{source}", NoOptions())


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "vit")


@pytest.fixture
def small_name(tmp_path: Path) -> str:
    """Teach open_clip the name of a model that is small enough to be saved here."""
    (tmp_path / "dermcir-small.json").write_text(json.dumps(VIT))
    open_clip.add_model_config(tmp_path / "dermcir-small.json")
    return "dermcir-small"


@pytest.mark.parametrize(
    ("config", "widths", "grids"),
    [
        (VIT, (32, 32), ((4, 4), (4, 4))),
        ({**VIT, "vision_cfg": RESNET}, (128, 256), ((4, 4), (2, 2))),
        ({**VIT, "vision_cfg": TIMM, "custom_text": True}, (256, 512), ((4, 4), (2, 2))),
    ],
    ids=["transformer", "resnet", "timm tower"],
)
def test_levels_grids_and_widths(
    tmp_path: Path, config: dict[str, Any], widths: tuple[int, int], grids: tuple[tuple[int, int], ...]
) -> None:
    encoder = load(saved(tmp_path / "model", config))
    assert (encoder.level_widths, encoder.grids) == (widths, grids)
    assert (encoder.image_width, encoder.text_width, encoder.aligned) == (16, 16, True)
    check_shapes(encoder)
    check_batches(encoder)


def test_a_text_tower_of_transformers_as_biomedclip_has_it(tmp_path: Path) -> None:
    tower = {"hf_model_name": str(small_models.bert(tmp_path / "bert")), "hf_tokenizer_name": "its own folder"}
    text = {**tower, "hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 16}
    folder = saved(tmp_path / "model", {**VIT, "text_cfg": text})
    small_models.save_tokenizer(folder)
    encoder = load(folder)
    check_shapes(encoder)
    check_batches(encoder)
    with torch.inference_mode():
        texts = encoder.encode_texts(TEXTS)
        torch.testing.assert_close(texts.pooled, encoder.model.encode_text(encoder.tokenizer(TEXTS)))
    assert texts.mask.sum(1).tolist() == [3, 6, 2]


def test_pooled_is_what_the_model_was_trained_to_compare(vit: Path) -> None:
    encoder = load(vit)
    pixels = torch.stack([encoder.preprocess(picture) for picture in pictures()])
    with torch.inference_mode():
        images, texts = encoder.encode_images(pixels), encoder.encode_texts(TEXTS)
        torch.testing.assert_close(images.pooled, encoder.model.encode_image(pixels))
        torch.testing.assert_close(texts.pooled, encoder.model.encode_text(encoder.tokenizer(TEXTS)))


def test_the_pooled_text_is_its_last_token(vit: Path) -> None:
    with torch.inference_mode():
        texts = load(vit).encode_texts(TEXTS)
    last = texts.mask.sum(1) - 1
    torch.testing.assert_close(texts.tokens[torch.arange(3), last], texts.pooled)


def test_an_exclamation_mark_is_a_word_though_its_id_is_that_of_padding(vit: Path) -> None:
    assert load(vit).encode_texts(["thin ! border"]).mask.sum() == 5  # start, three words, end


def test_fingerprints_follow_their_own_side(tmp_path: Path, vit: Path) -> None:
    base = load(vit)
    again = load(saved(tmp_path / "again"))
    assert (again.image_fingerprint, again.text_fingerprint) == (base.image_fingerprint, base.text_fingerprint)
    grey = load(saved(tmp_path / "grey", preprocess={"mean": [0.5, 0.5, 0.5]}))
    assert grey.image_fingerprint != base.image_fingerprint
    assert grey.text_fingerprint == base.text_fingerprint
    other = load(saved(tmp_path / "other", seed=1))
    assert other.image_fingerprint != base.image_fingerprint
    assert other.text_fingerprint != base.text_fingerprint
    words = load_file(vit / "open_clip_model.safetensors")
    words["ln_final.bias"] += 1
    save_file(words, tmp_path / "again" / "open_clip_model.safetensors")
    changed = load(tmp_path / "again")
    assert changed.image_fingerprint == base.image_fingerprint
    assert changed.text_fingerprint != base.text_fingerprint


def test_a_name_and_a_checkpoint(tmp_path: Path, vit: Path, small_name: str) -> None:
    state = load_file(vit / "open_clip_model.safetensors")
    torch.save({"epoch": 2, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "trained.pt")
    trained = load(f"{small_name}//{tmp_path / 'trained.pt'}")
    assert trained.image_fingerprint == load(vit).image_fingerprint


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_or_dangerous_checkpoint_is_one_sentence(tmp_path: Path, small_name: str, kind: str) -> None:
    path = damaged_checkpoints(tmp_path)[kind]
    with pytest.raises(UserError, match=f"{path.name}: {DAMAGE[kind]}"):
        load(f"{small_name}//{path}")


def test_a_checkpoint_of_another_architecture_is_named(vit: Path, tmp_path: Path, small_name: str) -> None:
    resnet = saved(tmp_path / "resnet", {**VIT, "vision_cfg": RESNET}) / "open_clip_model.safetensors"
    with pytest.raises(UserError, match="does not hold the weights of open_clip:dermcir-small"):
        load(f"{small_name}//{resnet}")
    save_file({"a": torch.zeros(1)}, vit.parent / "nothing.safetensors")
    with pytest.raises(UserError, match="does not hold the weights of open_clip:dermcir-small"):
        load(f"{small_name}//{vit.parent / 'nothing.safetensors'}")


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"open_clip has no model 'ViT-B-33'.*Did you mean ViT-B-32"):
        load("ViT-B-33/openai")
    with pytest.raises(UserError, match=r"ViT-B-32/openia names no weights.*Did you mean openai"):
        load("ViT-B-32/openia")
    with pytest.raises(UserError, match=r"has no open_clip_config\.json with a model_cfg"):
        load(tmp_path)
    folder = saved(tmp_path / "empty")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"empty: has no weights"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "wanted", "instead"),
    [
        ("ViT-B-32/openai", "the weights of open_clip:ViT-B-32/openai", "open_clip:ViT-B-32//PATH.safetensors"),
        (
            "hf-hub:redlessone/DermLIP_ViT-B-16",
            "open_clip_config.json and open_clip_model.safetensors of",
            "open_clip:FOLDER",
        ),
    ],
)
def test_an_unreachable_hub_says_which_file_where_and_what_instead(
    no_hub: Path, name: str, wanted: str, instead: str
) -> None:
    with pytest.raises(UserError) as caught:
        load(name)
    assert wanted in str(caught.value)
    assert f"looked in {no_hub}" in str(caught.value)
    assert f"--encoder {instead}" in str(caught.value)


def test_a_tokenizer_that_does_not_come_with_the_library_is_said(no_hub: Path, tmp_path: Path) -> None:
    # Named as SigLIP's are: its words are split by a tokenizer of the hub.
    siglip = {**VIT, "custom_text": True, "text_cfg": {**TEXT, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP"}}
    (tmp_path / "dermcir-siglip.json").write_text(json.dumps(siglip))
    open_clip.add_model_config(tmp_path / "dermcir-siglip.json")
    path = tmp_path / "weights.safetensors"
    save_file(open_clip.create_model("dermcir-siglip").state_dict(), path)
    with pytest.raises(UserError) as caught:
        load(f"dermcir-siglip//{path}")
    words = str(caught.value)
    assert "the tokenizer of dermcir-siglip, which comes from timm/ViT-B-16-SigLIP and not with open_clip" in words
    assert f"looked in {no_hub}" in words
    assert "--encoder open_clip:FOLDER" in words


def test_training_free_methods_run_on_it(vit: Path, benchmark: Command, toy_run: tuple[str, ...]) -> None:
    done = benchmark(*toy_run, "--methods", "sum,product", "--encoder", f"open_clip:{vit}")
    assert done.returncode == 0, done.stderr
    assert "product" in done.stdout
