from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmark.config import NoOptions
from benchmark.errors import UserError
from plugins.encoders.transformers import TransformersEncoder
from tests.conftest import FAST, NARROW, Command
from tests.encoders import small_models
from tests.encoders.checks import TEXTS, Harmful, check_batches, check_shapes, pictures


def load(source: Path | str) -> TransformersEncoder:
    return TransformersEncoder(f"transformers:{source}", NoOptions())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("clip", "siglip", "vit", "resnet", "bert"):
        getattr(small_models, kind)(folder / kind)
    return folder


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Path:
    """A copy of the CLIP, to be damaged."""
    return Path(shutil.copytree(models / "clip", tmp_path / "clip"))


@pytest.mark.parametrize(("kind", "width"), [("clip", 20), ("siglip", 16)])
def test_a_dual_encoder(models: Path, kind: str, width: int) -> None:
    encoder = load(models / kind)
    assert (encoder.level_widths, encoder.grids) == ((16, 16), ((4, 4), (4, 4)))
    assert (encoder.image_width, encoder.text_width, encoder.aligned) == (width, width, True)
    check_shapes(encoder)
    check_batches(encoder)


@pytest.mark.parametrize(
    ("kind", "widths", "grids", "width"),
    [("vit", (16, 16), ((4, 4), (4, 4)), 16), ("resnet", (16, 20), ((4, 4), (2, 2)), 20)],
)
def test_a_vision_and_a_text_model_apart(
    models: Path, kind: str, widths: tuple[int, int], grids: tuple[tuple[int, int], ...], width: int
) -> None:
    encoder = load(f"{models / kind}+{models / 'bert'}")
    assert (encoder.level_widths, encoder.grids, encoder.image_width) == (widths, grids, width)
    assert (encoder.text_width, encoder.aligned) == (12, False)
    check_shapes(encoder)
    check_batches(encoder)


def test_the_sides_of_two_dual_encoders_can_be_taken_apart(models: Path) -> None:
    encoder = load(f"{models / 'siglip'}+{models / 'clip'}")
    assert (encoder.image_width, encoder.text_width, encoder.aligned) == (16, 12, False)
    check_shapes(encoder)


def test_levels_are_the_patches_after_the_second_and_the_third_block_of_three(models: Path) -> None:
    encoder = load(models / "clip")
    pixels = encoder.preprocess(pictures(1)[0])[None]
    with torch.inference_mode():
        found = encoder.encode_images(pixels)
        states = encoder.image_model.vision_model(pixels, output_hidden_states=True).hidden_states
    assert states[0].shape == (1, 17, 16)  # the class token and 16 patches
    torch.testing.assert_close(found.levels[0], states[2][:, 1:])
    torch.testing.assert_close(found.levels[1], states[3][:, 1:])


def test_pooled_is_what_the_model_was_trained_to_compare(models: Path) -> None:
    encoder = load(models / "clip")
    pixels = torch.stack([encoder.preprocess(picture) for picture in pictures()])
    words = encoder.tokenizer(TEXTS, padding=True, return_tensors="pt")
    ids = {"input_ids": words["input_ids"], "attention_mask": words["attention_mask"]}
    with torch.inference_mode():
        whole = encoder.image_model(pixel_values=pixels, **ids)
        images, texts = encoder.encode_images(pixels), encoder.encode_texts(TEXTS)
    torch.testing.assert_close(torch.nn.functional.normalize(images.pooled, dim=-1), whole.image_embeds)
    torch.testing.assert_close(torch.nn.functional.normalize(texts.pooled, dim=-1), whole.text_embeds)
    last = texts.mask.sum(1) - 1
    torch.testing.assert_close(texts.tokens[torch.arange(3), last], texts.pooled)


def test_siglip_reads_its_padding_and_the_mask_hides_it(models: Path) -> None:
    encoder = load(models / "siglip")
    padded = encoder.tokenizer(TEXTS, padding="max_length", max_length=16, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        texts = encoder.encode_texts(TEXTS)
        expected = encoder.text_model.get_text_features(input_ids=padded).pooler_output
    torch.testing.assert_close(texts.pooled, expected)
    assert texts.mask.sum(1).tolist() == [3, 6, 2]


def test_fingerprints_follow_their_own_side(models: Path, copy: Path, tmp_path: Path) -> None:
    base, same = load(models / "clip"), load(copy)
    assert (same.image_fingerprint, same.text_fingerprint) == (base.image_fingerprint, base.text_fingerprint)
    other = load(small_models.clip(tmp_path / "other", seed=1))
    assert other.image_fingerprint != base.image_fingerprint
    assert other.text_fingerprint != base.text_fingerprint

    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [0.5, 0.5, 0.5]}))
    grey = load(copy)
    assert grey.image_fingerprint != base.image_fingerprint
    assert grey.text_fingerprint == base.text_fingerprint

    state = load_file(copy / "model.safetensors")
    state["text_projection.weight"] += 1
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    words = load(copy)
    assert words.image_fingerprint == grey.image_fingerprint
    assert words.text_fingerprint != base.text_fingerprint


def test_use_does_not_change_a_fingerprint(models: Path) -> None:
    encoder = load(models / "clip")
    before = encoder.text_fingerprint
    encoder.encode_texts(["thin"])
    assert encoder.text_fingerprint == before == load(models / "clip").text_fingerprint


def test_one_model_that_is_no_dual_encoder_says_how_to_name_two(models: Path) -> None:
    with pytest.raises(UserError, match=r"is no dual encoder \(ViTModel\).*transformers:VISION\+TEXT"):
        load(models / "vit")


def test_a_truncated_checkpoint_is_one_sentence(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"clip: can't load config\.json and model\.safetensors from it"):
        load(copy)


def test_a_pickle_that_needs_more_is_never_read(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({"a": Harmful()}, copy / "pytorch_model.bin")
    with pytest.raises(
        UserError, match=r"pytorch_model\.bin: it holds more than tensors, and reading it would run code"
    ):
        load(copy)


def test_tensors_in_a_torch_file_are_read(copy: Path, models: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert load(copy).image_fingerprint == load(models / "clip").image_fingerprint


def test_weights_of_another_architecture_are_named(copy: Path, models: Path) -> None:
    shutil.copy(models / "bert" / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(UserError, match=r"clip does not hold the weights of a CLIPModel \(\d+ are missing"):
        load(copy)
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"can't load config\.json and model\.safetensors"):
        load(copy)


@pytest.mark.parametrize("file", ["preprocessor_config.json", "tokenizer.json"])
def test_a_folder_without_all_its_files_says_which(copy: Path, file: str) -> None:
    (copy / file).unlink()
    wanted = "the tokenizer files" if file.startswith("tokenizer") else file
    with pytest.raises(UserError, match=f"can't load {wanted} from it.*must hold what save_pretrained writes"):
        load(copy)


def test_an_unreachable_hub_says_which_file_where_and_what_instead(no_hub: Path) -> None:
    with pytest.raises(UserError) as caught:
        load("google/siglip-base-patch16-224")
    words = str(caught.value)
    assert "config.json and model.safetensors of google/siglip-base-patch16-224" in words
    assert f"looked in {no_hub}" in words
    assert "--encoder transformers:FOLDER" in words


def test_training_free_methods_run_on_a_dual_encoder(
    models: Path, benchmark: Command, toy_run: tuple[str, ...]
) -> None:
    done = benchmark(*toy_run, "--methods", "sum,product", "--encoder", f"transformers:{models / 'siglip'}")
    assert done.returncode == 0, done.stderr
    assert "product" in done.stdout


def test_a_trained_method_runs_on_two_models_apart(models: Path, benchmark: Command, toy_run: tuple[str, ...]) -> None:
    pair = f"transformers:{models / 'vit'}+{models / 'bert'}"
    done = benchmark(*toy_run, *FAST, *NARROW, "--methods", "tirg", "--encoder", pair)
    assert done.returncode == 0, done.stderr
    assert "tirg" in done.stdout
