from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.finetuning import departing
from benchmark.testing.encoder_checks import pictures
from plugins.encoders.options import PackagedOptions
from plugins.encoders.packaged import PackagedEncoder


@pytest.fixture(scope="module")
def encoder() -> PackagedEncoder:
    return PackagedEncoder("packaged", PackagedOptions(height=64, width=96))


@pytest.fixture(scope="module")
def stem(encoder: PackagedEncoder) -> Tensor:
    plain = encoder.plain()
    with torch.no_grad():
        images = plain.encode_images(torch.stack([plain.preprocess(picture) for picture in pictures()[:2]]))
    assert images.grids == plain.grids == ((8, 12),)
    return images.levels[0]


def test_untrained_the_network_shows_what_packaged_shows(encoder: PackagedEncoder, stem: Tensor) -> None:
    with torch.no_grad():
        made = departing(encoder.network()).eval()((stem,))
        expected = encoder.encode_images(torch.stack([encoder.preprocess(picture) for picture in pictures()[:2]]))
    assert made.grids == expected.grids == encoder.grids
    for one, other in zip((*made.levels, made.pooled), (*expected.levels, expected.pooled), strict=True):
        assert torch.allclose(one, other, atol=1e-3)


def test_it_learns_under_the_published_batch_statistics(encoder: PackagedEncoder, stem: Tensor) -> None:
    network = encoder.network().train()
    alone, together = network((stem[:1],)).pooled, network((stem,)).pooled
    assert torch.allclose(alone[0], together[0], atol=1e-4)
    together.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def test_augmented_versions_are_those_of_the_adapted_encoder(encoder: PackagedEncoder) -> None:
    from plugins.encoders.adapted import AdaptedEncoder
    from plugins.encoders.options import AdaptedOptions

    adapted = AdaptedEncoder("packaged+adapted", AdaptedOptions(height=64, width=96))
    assert encoder.views().image_fingerprint == adapted.views().image_fingerprint
    assert encoder.views().grids == ((12 * 8, 12),)
    assert len({one.image_fingerprint for one in (encoder, encoder.plain(), encoder.views())}) == 3
