from __future__ import annotations

import re

import pytest
import torch

from benchmark.interfaces import ImageFeatures, TextFeatures
from benchmark.testing import check_encoder
from tests.testing.broken import not_passed, the_failure
from tests.toy import ToyEncoder


def test_a_sound_encoder_passes_every_check() -> None:
    assert not not_passed(check_encoder(ToyEncoder))


class NoWidth(ToyEncoder):
    level_widths = (3,)


class OtherWidths(ToyEncoder):
    level_widths = (3, 4)


class Aligned(ToyEncoder):
    aligned = True


class NewFingerprint(ToyEncoder):
    @property
    def image_fingerprint(self) -> str:  # type: ignore[override]
        return str(id(self))


class AnySize(ToyEncoder):
    def preprocess(self, image):  # type: ignore[no-untyped-def]
        return torch.zeros(3, image.height, image.width)


class ChannelsLast(ToyEncoder):
    def preprocess(self, image):  # type: ignore[no-untyped-def]
        return super().preprocess(image).permute(1, 2, 0)


class Augments(ToyEncoder):
    def preprocess(self, image):  # type: ignore[no-untyped-def]
        return super().preprocess(image) + torch.rand(())


class OwnBatch(ToyEncoder):
    def encode_images(self, pixels):  # type: ignore[no-untyped-def]
        return super().encode_images(pixels - pixels.mean(0))


class Huge(ToyEncoder):
    def encode_images(self, pixels):  # type: ignore[no-untyped-def]
        found = super().encode_images(pixels)
        return ImageFeatures(found.levels, found.grids, found.pooled * 1e6)


class Blind(ToyEncoder):
    def encode_images(self, pixels):  # type: ignore[no-untyped-def]
        return super().encode_images(torch.ones_like(pixels))


class IntegerMask(ToyEncoder):
    def encode_texts(self, texts):  # type: ignore[no-untyped-def]
        found = super().encode_texts(texts)
        return TextFeatures(found.tokens, found.mask.long(), found.pooled)


class MeanOverPadding(ToyEncoder):
    def encode_texts(self, texts):  # type: ignore[no-untyped-def]
        found = super().encode_texts(texts)
        return TextFeatures(found.tokens, found.mask, found.tokens.mean(1))


class Noisy(ToyEncoder):
    def encode_texts(self, texts):  # type: ignore[no-untyped-def]
        found = super().encode_texts(texts)
        return TextFeatures(found.tokens, found.mask, found.pooled + torch.rand(()))


@pytest.mark.parametrize(
    ("encoder", "checks", "words"),
    [
        (NoWidth, ["widths and grids are stated"], r"level_widths \(3,\) and grids \(\(4, 4\), \(2, 2\)\) do not fit"),
        (OtherWidths, ["images have the stated shapes"], r"levels are .*\(4, 4, 3\).*, expected .*\(4, 4, 4\)"),
        (Aligned, ["widths and grids are stated"], r"aligned, but image 6 and text 16 wide"),
        (NewFingerprint, ["fingerprints are stable"], r"image_fingerprint differs between two constructions"),
        (AnySize, ["pictures become inputs of one size"], r"37 x 53 returned torch\.float32 \(3, 53, 37\)"),
        (ChannelsLast, ["pictures become inputs of one size"], r"56 x 40 returned \(32, 32, 3\)"),
        (Augments, ["pictures become inputs of one size"], r"differs when it is called from several threads or twice"),
        (OwnBatch, ["a picture does not depend on its batch"], r"alone, a picture gets other features .*: pooled"),
        (Huge, ["images have the stated shapes"], r"pooled image reaches \d"),
        (Blind, ["unlike inputs have unlike features"], r"two unlike pictures have the same pooled features"),
        (IntegerMask, ["texts have the stated shapes"], r"mask is torch\.int64 \(4, 12\)"),
        (MeanOverPadding, ["a text does not depend on its batch"], r"beside a longer one: pooled"),
        (
            Noisy,
            ["encoding twice gives the same", "a text does not depend on its batch"],
            r"encoded again.*text",
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_encoder(encoder: type[ToyEncoder], checks: list[str], words: str) -> None:
    failed = [result for result in check_encoder(encoder) if not result.passed]
    assert [result.name for result in failed] == checks
    assert re.search(words, failed[0].reason), failed[0].reason
    assert failed[0].hint


def test_a_prefix_is_not_an_encoder_yet() -> None:
    results = {result.name: result for result in check_encoder("timm:")}
    assert results["it is constructed"].status == "skipped"
    assert "python -m benchmark check timm:NAME" in results["it is constructed"].reason


def test_an_encoder_without_widths() -> None:
    class Unstated(ToyEncoder):
        @property
        def text_width(self) -> int:  # type: ignore[override]
            raise AttributeError("text_width")

    assert the_failure(check_encoder(Unstated)).reason == "Unstated has no attribute 'text_width'"
