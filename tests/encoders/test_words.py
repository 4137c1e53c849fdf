from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.registry import load_registry
from benchmark.resolve import make_encoder
from plugins.encoders.minilm import MiniLM
from plugins.encoders.options import PackagedOptions
from plugins.encoders.packaged import PackagedEncoder
from plugins.encoders.words import WordVectors, pairs

TEXTS = ["no streaks, dotted vessels", "dotted vessels", "No streaks; BWV+"]


def test_a_word_knows_the_word_before_it_in_its_phrase() -> None:
    assert pairs(TEXTS[0]) == [("<start>", "no"), ("no", "streaks"), ("<start>", "dotted"), ("dotted", "vessels")]
    assert pairs(TEXTS[2])[2:] == [("<start>", "bwv+")]
    assert pairs("blue-whitish veil") == [("<start>", "blue-whitish"), ("blue-whitish", "veil")]


def test_the_same_words_have_the_same_vectors_wherever_they_stand() -> None:
    found = WordVectors().encode(TEXTS)
    assert found.tokens.shape == (3, 4, MiniLM.width)
    assert found.mask.sum(1).tolist() == [4, 2, 3]
    torch.testing.assert_close(found.tokens[0, 2:], found.tokens[1, :2])
    torch.testing.assert_close(found.tokens[0, :2], found.tokens[2, :2])
    torch.testing.assert_close(found.pooled[1], found.tokens[1, :2].mean(0))
    assert not found.tokens[1, 2:].any()


def test_order_matters_and_other_words_are_nearly_orthogonal() -> None:
    side = WordVectors()
    # Equal words whose pairs differ: half of each vector is shared.
    swapped = side.encode(["no streaks, regular globules", "regular streaks, no globules"]).tokens
    assert 0.3 < cosine_similarity(swapped[0, 1], swapped[1, 1], dim=0) < 0.7
    assert abs(cosine_similarity(swapped[0, 1], swapped[0, 3], dim=0)) < 0.2


def test_a_text_without_a_word_still_has_a_token() -> None:
    found = WordVectors().encode(["", "veil"])
    assert found.mask.tolist() == [[True], [True]]
    assert found.pooled.isfinite().all()


def test_the_packaged_encoder_takes_it_by_an_option_under_a_name_and_fingerprint_of_its_own() -> None:
    config = RunConfig(options={"packaged": {"text": "words"}})
    encoder, label = make_encoder(load_registry(), config)
    default = PackagedEncoder("packaged", PackagedOptions())
    assert label == "packaged [text=words]"
    assert encoder.text_width == default.text_width
    assert encoder.image_fingerprint == default.image_fingerprint
    assert encoder.text_fingerprint != default.text_fingerprint
    assert torch.equal(encoder.encode_texts(TEXTS).pooled, WordVectors().encode(TEXTS).pooled)


def test_another_text_side_is_refused() -> None:
    with pytest.raises(UserError, match="options of encoder packaged: text = 'bert'"):
        make_encoder(load_registry(), RunConfig(options={"packaged": {"text": "bert"}}))
