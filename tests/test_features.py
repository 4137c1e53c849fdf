from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.config import NoOptions
from benchmark.errors import PluginError, UserError
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


def test_what_half_precision_cannot_hold_is_refused_and_not_stored(tmp_path: Path, paths: list[Path]) -> None:
    class Loud(ToyEncoder):
        def encode_images(self, pixels):  # type: ignore[no-untyped-def]
            seen = super().encode_images(pixels)
            return replace(seen, pooled=seen.pooled * 1e6)

    with pytest.raises(PluginError, match=r"Loud: encode_images gave pooled with values up to .* \(at most 65504\)"):
        FeatureStore(tmp_path, Loud("mean-colour", NoOptions())).images(paths)
    assert not list(tmp_path.rglob("*.safetensors"))


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


def test_a_picture_of_30000_by_30000_is_refused_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    # A header alone: whoever tried to decode it would complain about missing data instead.
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b""))
    with pytest.raises(UserError, match=r"huge\.png: too many pixels.*resize the picture first"):
        open_image(path)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("name", ["grey16.png", "grey16.tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    assert np.asarray(open_image(tmp_path / name))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bits_come_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.full((20, 30), 65535, dtype=np.uint16)).save(tmp_path / "deep.png", exif=exif)
    image = open_image(tmp_path / "deep.png")
    assert (image.size, image.mode, image.getpixel((0, 0))) == ((20, 30), "RGB", (255, 255, 255))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    red, green, blue = open_image(tmp_path / "red.jpg").getpixel((8, 8))
    assert red > 250
    assert green < 5
    assert blue < 5


@pytest.mark.parametrize("name", ["moving.gif", "moving.png", "moving.webp"])
def test_an_animated_picture_gives_its_first_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert open_image(tmp_path / name).getpixel((8, 8)) == (255, 0, 0)


def test_a_picture_without_a_known_range_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UserError, match=r"float\.tif: a picture of mode F has no known range; save it with 8 bits"):
        open_image(tmp_path / "float.tif")
