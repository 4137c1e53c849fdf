"""The adapted encoder without its moving average or mirror images: plugins/variants/adapting.py."""

from __future__ import annotations

import torch
from PIL import Image

from benchmark.adapting import Labels, Lesson
from plugins.encoders.adapted import AdaptedEncoder
from plugins.encoders.options import AdaptedOptions
from plugins.variants.adapting import VariantEncoder, VariantOptions

SMALL = {"height": 64, "width": 96, "views": 1, "steps": 2}


def picture() -> Image.Image:
    draw = torch.Generator().manual_seed(0)
    return Image.fromarray((torch.rand(64, 96, 3, generator=draw) * 255).to(torch.uint8).numpy())


def variant(**switches: bool) -> VariantEncoder:
    encoder = VariantEncoder("packaged+adapted-variant", VariantOptions(**SMALL, **switches))
    encoder.expect(Labels(2, (3,)))
    return encoder


def lesson(encoder: AdaptedEncoder) -> Lesson:
    views = encoder.views()
    studied = views.encode_images(torch.stack([views.preprocess(picture()) for _ in range(4)]))
    codes = torch.arange(4) % 2
    return Lesson(studied, codes, codes[:, None])


def test_with_both_on_it_teaches_and_shows_what_the_adapted_encoder_does() -> None:
    plain = AdaptedEncoder("packaged+adapted", AdaptedOptions(**SMALL))
    plain.expect(Labels(2, (3,)))
    told = lesson(plain)
    weights, same, last = (one.teach(told, seed=1) for one in (plain, variant(), variant(average=False)))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert any(not torch.equal(weights[name], last[name]) for name in weights)
    pixels = plain.preprocess(picture())[None]
    shown = [one.experts([weights]).encode_images(pixels) for one in (plain, variant())]
    assert torch.equal(shown[0].pooled, shown[1].pooled)


def test_without_the_mirror_image_it_shows_half_of_the_mean() -> None:
    encoder, straight = variant(), variant(mirror=False)
    weights = encoder.teach(lesson(encoder), seed=1)
    both, one = encoder.experts([weights]), straight.experts([weights])
    assert both.image_fingerprint != one.image_fingerprint
    pixels = encoder.preprocess(picture())[None]
    with torch.inference_mode():
        seen = [both.encode_images(pixels), one.encode_images(pixels), one.encode_images(pixels.flip(-1))]
    # Log-probabilities are means of logits up to a constant for each of the two labels, groups and the criterion.
    for part in (slice(0, 2), slice(2, 5)):
        mean = ((seen[1].pooled + seen[2].pooled) / 2)[..., part].log_softmax(-1)
        torch.testing.assert_close(seen[0].pooled[..., part], mean, atol=1e-4, rtol=0)
        mirrored = seen[2].levels[1].unflatten(1, encoder.grids[1]).flip(2).flatten(1, 2)
        mean = ((seen[1].levels[1] + mirrored) / 2)[..., part].log_softmax(-1)
        torch.testing.assert_close(seen[0].levels[1][..., part], mean, atol=1e-4, rtol=0)
    assert not torch.equal(seen[1].pooled, seen[2].pooled)


def test_the_switches_are_part_of_its_fingerprint() -> None:
    prints = {variant(**one).image_fingerprint for one in ({}, {"average": False}, {"mirror": False})}
    assert len(prints) == 3
