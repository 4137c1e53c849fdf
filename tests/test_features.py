from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.config import NoOptions
from benchmark.errors import UserError
from benchmark.features import FeatureStore, open_image
from tests.toy import ToyEncoder


class CountingEncoder(ToyEncoder):
    """The toy encoder, which counts what it encodes."""

    def __init__(self) -> None:
        super().__init__("mean-colour", NoOptions())
        self.images = self.texts = 0

    def encode_images(self, pixels):  # type: ignore[no-untyped-def]
        self.images += len(pixels)
        return super().encode_images(pixels)

    def encode_texts(self, texts):  # type: ignore[no-untyped-def]
        self.texts += len(texts)
        return super().encode_texts(texts)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    draw = np.random.default_rng(0)
    found = []
    for i in range(20):
        found.append(tmp_path / f"{i}.png")
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(found[-1])
    return found


def test_images_are_encoded_once_and_kept_in_half_precision(tmp_path: Path, paths: list[Path]) -> None:
    encoder = CountingEncoder()
    first = FeatureStore(tmp_path, encoder).images(paths)
    again = FeatureStore(tmp_path, encoder).images(paths)
    assert encoder.images == 20
    assert first.pooled.dtype == torch.float16
    assert [tuple(level.shape) for level in first.levels] == [(20, 16, 3), (20, 4, 3)]
    assert torch.equal(first.pooled, again.pooled)
    assert all(torch.equal(a, b) for a, b in zip(first.levels, again.levels, strict=True))


def test_features_do_not_depend_on_batches_or_names(tmp_path: Path, paths: list[Path]) -> None:
    store = FeatureStore(tmp_path, ToyEncoder("mean-colour", NoOptions()))
    whole, alone = store.images(paths), store.images(paths[3:4])
    torch.testing.assert_close(whole.pooled[3], alone.pooled[0], atol=1e-3, rtol=0)


def test_a_changed_picture_is_encoded_anew(tmp_path: Path, paths: list[Path]) -> None:
    encoder = CountingEncoder()
    FeatureStore(tmp_path, encoder).images(paths)
    Image.new("RGB", (32, 32), "white").save(paths[0])
    features = FeatureStore(tmp_path, encoder).images(paths)
    assert encoder.images == 40
    assert features.pooled[0, :3].tolist() == [1.0, 1.0, 1.0]


def test_another_encoder_has_its_own_features(tmp_path: Path, paths: list[Path]) -> None:
    encoder = CountingEncoder()
    FeatureStore(tmp_path, encoder).images(paths)
    encoder.image_fingerprint = "toy-image-2"
    FeatureStore(tmp_path, encoder).images(paths)
    assert encoder.images == 40


@pytest.mark.parametrize("damage", ["truncated", "altered", "foreign"])
def test_a_damaged_cache_is_said_and_computed_again(tmp_path: Path, paths: list[Path], damage: str) -> None:
    encoder = CountingEncoder()
    expected = FeatureStore(tmp_path, encoder).images(paths)
    (shard,) = (tmp_path / "features").glob("*.safetensors")
    content = bytearray(shard.read_bytes())
    if damage == "truncated":
        content = content[:-7]
    elif damage == "altered":
        content[-1] ^= 255
    else:
        content = bytearray(b"not a tensor")
    shard.write_bytes(content)
    with pytest.warns(UserWarning, match=f"{shard.name}: .*computed again"):
        found = FeatureStore(tmp_path, encoder).images(paths)
    assert encoder.images == 40
    assert torch.equal(found.pooled, expected.pooled)


def test_equal_texts_are_encoded_once_and_come_back_in_order(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    store = FeatureStore(tmp_path, encoder)
    features = store.texts(["thin border", "a very thick border", "thin border"])
    assert encoder.texts == 2
    assert features.mask.sum(1).tolist() == [2, 4, 2]
    assert features.mask.dtype == torch.bool
    assert torch.equal(features.tokens[0], features.tokens[2])
    alone = store.texts(["thin border"])
    torch.testing.assert_close(alone.pooled[0], features.pooled[0])


def test_progress_counts_the_images_that_are_encoded(tmp_path: Path, paths: list[Path]) -> None:
    done: list[int] = []
    store = FeatureStore(tmp_path, ToyEncoder("mean-colour", NoOptions()))
    store.images(paths, done.append)
    store.images(paths, done.append)
    assert sum(done) == 20


@pytest.mark.parametrize("content", [b"", b"hello", "half"], ids=["empty", "text", "half a JPEG"])
def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "bad.jpg"
    if content == "half":
        Image.new("RGB", (200, 200), "red").save(path)
        content = path.read_bytes()[:600]
    assert isinstance(content, bytes)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.jpg: can't be read as a picture.*data verify"):
        open_image(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jpg"):
        FeatureStore(tmp_path, ToyEncoder("mean-colour", NoOptions())).images([tmp_path / "gone.jpg"])


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (9000, 9000)).save(path)
    with pytest.raises(UserError, match="9000 x 9000 pixels are too many"):
        open_image(path)


def test_a_rotated_and_a_grey_picture_come_upright_and_in_colour(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # rotate by 90 degrees for display
    Image.new("L", (30, 20), 128).save(tmp_path / "grey.jpg", exif=exif)
    image = open_image(tmp_path / "grey.jpg")
    assert image.size == (20, 30)
    assert image.mode == "RGB"
