"""Copies of drawn pictures are found, whatever was done to them; pictures that merely look alike are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from benchmark import audit
from benchmark.audit import NEAR_DUPLICATE, SAME_LESION, Distances, Pair

COUNT = 30


def draw(number: int, size=(192, 128)) -> Image.Image:
    """A blob with spots and stripes on skin, at places of its own."""
    random = np.random.default_rng(number)
    picture = Image.new("RGB", size, (225, 180, 160))
    pen = ImageDraw.Draw(picture)
    across = random.uniform(50, 80, 2)
    pen.ellipse([96 - across[0], 64 - across[1] * 0.7, 96 + across[0], 64 + across[1] * 0.7], fill=(130, 80, 60))
    for x, y, radius, shade in random.uniform((20, 10, 3, 20), (170, 118, 16, 200), (14, 4)):
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(int(shade), int(shade * 0.6), 60))
    for x, y, dx, dy in random.uniform((0, 0, -60, -60), (192, 128, 60, 60), (6, 4)):
        pen.line([x, y, x + dx, y + dy], fill=(40, 25, 20), width=2)
    return picture


def reencoded(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


def middle(picture: Image.Image, share: float) -> Image.Image:
    width, height = picture.size
    left, top = (1 - share) / 2 * width, (1 - share) / 2 * height
    return picture.crop((round(left), round(top), round(width - left), round(height - top)))


def pooled(picture: Image.Image) -> np.ndarray:
    """Colours of a coarse grid: what an encoder of this test sees."""
    return np.asarray(picture.convert("RGB").resize((6, 4)), dtype=np.float32).ravel()


def found(extra: Image.Image, **settings) -> list[Pair]:
    """The pairs among COUNT distinct pictures and one more, in row COUNT."""
    pictures = [*(draw(number) for number in range(COUNT)), extra]
    squares = np.stack([audit.grey_squares(picture) for picture in pictures])
    features = np.stack([pooled(picture) for picture in pictures])
    return audit.find_pairs(audit.hash_distances(squares), audit.cosines(features), **settings)


COPIES = {
    "the same": lambda picture: picture,
    "re-encoded": reencoded,
    "half the size": lambda picture: picture.resize((96, 64), Image.Resampling.BICUBIC),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda picture: picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "a quarter turn": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "turned and mirrored": lambda picture: picture.transpose(Image.Transpose.TRANSVERSE),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "grey": lambda picture: picture.convert("L"),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_a_near_duplicate_and_nothing_else_is(change) -> None:
    pairs = [pair for pair in found(change(draw(7))) if pair.verdict == NEAR_DUPLICATE]
    assert [(pair.first, pair.second) for pair in pairs] == [(7, COUNT)]


def test_a_crop_is_the_same_lesion_and_no_copy() -> None:
    assert [(pair.first, pair.second, pair.verdict) for pair in found(middle(draw(7), 0.9))] == [
        (7, COUNT, SAME_LESION)
    ]
    mirrored = middle(draw(7), 0.9).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert [(pair.first, pair.second) for pair in found(mirrored)] == [(7, COUNT)]


def test_distinct_pictures_are_no_pair() -> None:
    assert found(draw(999)) == []


def test_a_stricter_threshold_finds_no_more() -> None:
    loose, strict = (found(middle(draw(7), 0.9), outlying=outlying) for outlying in (0.5, 3.0))
    assert {(pair.first, pair.second) for pair in strict} < {(pair.first, pair.second) for pair in loose}
    assert [pair.verdict for pair in found(draw(7), near_bits=0)] == [NEAR_DUPLICATE]


def test_features_alone_can_join_a_pair() -> None:
    # Eleven unit vectors at right angles, and one at 0.95 to the first; the hashes know nothing.
    vectors = np.eye(12, dtype=np.float32)
    vectors[11] = 0.95 * vectors[0] + np.sqrt(1 - 0.95**2) * vectors[11]
    vectors += np.random.default_rng(0).normal(0, 0.02, vectors.shape).astype(np.float32)
    unknown = np.full((12, 12), 120, dtype=np.int16)
    (pair,) = audit.find_pairs(Distances(unknown, unknown), vectors @ vectors.T)
    assert (pair.first, pair.second, pair.bits, pair.verdict) == (0, 11, 120, SAME_LESION)
    assert pair.cosine == pytest.approx(0.95, abs=0.1)


def test_a_hub_is_not_everybodys_twin() -> None:
    # Row 0 is near to all (0.9), rows 1 to 11 are at 0.6 to each other: no pair stands out.
    similarity = np.full((12, 12), 0.6, dtype=np.float32)
    similarity[0, :] = similarity[:, 0] = 0.9
    # With three neighbours: row 0 has 0.9, the others (0.9 + 0.6 + 0.6) / 3 = 0.7, so the excess is 0.9 - 0.8 = 0.1.
    beyond = audit.excess(similarity)
    assert np.allclose(beyond[0, 1:], 0.1)
    assert np.allclose(beyond[1, 2:], -0.1)
    unknown = np.full((12, 12), 120, dtype=np.int16)
    assert audit.find_pairs(Distances(unknown, unknown), similarity) == []


def test_hashes_of_a_picture_and_its_negative_differ_in_every_bit() -> None:
    squares = np.stack([audit.grey_squares(draw(1)), 255 - audit.grey_squares(draw(1))])
    signs = audit._hash(squares[:, 0])
    assert signs.shape == (2, 256)
    assert signs[0].sum() == 128, "half of the coefficients lie above their median"
    assert (signs[0] != signs[1]).all()


def test_a_set_of_one_or_none_has_no_pairs() -> None:
    for count in (0, 1):
        bits = np.zeros((count, count), dtype=np.int16)
        assert audit.find_pairs(Distances(bits, bits), np.ones((count, count), dtype=np.float32)) == []


def pair(first: int, second: int, verdict=NEAR_DUPLICATE) -> Pair:
    return Pair(first, second, 0, 1.0, verdict)


def test_pairs_that_share_a_case_are_one_cluster_and_its_first_case_stays() -> None:
    pairs = [pair(0, 5), pair(5, 9), pair(2, 3), pair(9, 11)]
    assert audit.clusters(pairs) == [(0, 5, 9, 11), (2, 3)]
    assert audit.surplus(pairs) == [3, 5, 9, 11]
    assert audit.surplus([]) == []


def test_two_clusters_become_one_when_a_later_pair_joins_them() -> None:
    assert audit.clusters([pair(0, 1), pair(4, 5), pair(1, 4)]) == [(0, 1, 4, 5)]


def test_pairs_are_counted_by_splits_and_verdict() -> None:
    splits = ["train", "train", "valid", "test"]
    counted = audit.count([pair(0, 1), pair(0, 3), pair(1, 3, SAME_LESION), pair(1, 3)], splits)
    assert counted == {
        ("train", "train", NEAR_DUPLICATE): 1,
        ("train", "test", NEAR_DUPLICATE): 2,
        ("train", "test", SAME_LESION): 1,
    }
