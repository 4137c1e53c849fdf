from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.training_free import ProductOfSimilarities, SumOfSimilarities
from benchmark.config import NoOptions
from benchmark.errors import UserError
from benchmark.interfaces import FeatureSpec, Gallery, ImageFeatures, Queries, TextFeatures
from tests.conftest import TOY_RUN, Command

SPEC = FeatureSpec((2,), ((1, 1),), image_width=2, text_width=2, groups=2, criteria=(), aligned=True)


def images(*pooled: list[float]) -> ImageFeatures:
    values = torch.tensor(pooled)
    return ImageFeatures((values[:, None, :2],), ((1, 1),), values)


def search(*pooled: list[float], text: list[float]) -> Queries:
    words = torch.tensor([text])
    return Queries(("q",), images(*pooled), TextFeatures(words[:, None], torch.ones(1, 1, dtype=torch.bool), words))


def gallery(*pooled: list[float]) -> Gallery:
    return Gallery(tuple(f"c{i}" for i in range(len(pooled))), images(*pooled))


# The reference points east, the text north; lengths must not matter.
QUERY = search([3.0, 0.0], text=[0.0, 0.5])
CANDIDATES = gallery([2.0, 0.0], [0.0, 7.0], [1.0, 1.0], [-1.0, -1.0])


def test_sum_by_hand() -> None:
    half = 0.5**0.5  # the cosine of 45 degrees
    scores = SumOfSimilarities(SPEC, NoOptions()).score(QUERY, CANDIDATES)
    torch.testing.assert_close(scores, torch.tensor([[1 + 0, 0 + 1, half + half, -half - half]]))


def test_product_by_hand() -> None:
    near, far = (1 + 0.5**0.5) / 2, (1 - 0.5**0.5) / 2
    scores = ProductOfSimilarities(SPEC, NoOptions()).score(QUERY, CANDIDATES)
    # Two negative cosines stay the lowest score: far * far, not a high product.
    torch.testing.assert_close(scores, torch.tensor([[1 * 0.5, 0.5 * 1, near * near, far * far]]))


def test_of_two_views_the_cosines_are_averaged() -> None:
    spec = FeatureSpec((2, 2), ((1, 1), (1, 1)), image_width=4, text_width=2, groups=2, criteria=(), aligned=True)
    query = search([1.0, 0.0, 0.0, 1.0], text=[0.0, 1.0])
    # First view: equal to the reference's, at right angles to the text. Second: opposed to both.
    scores = SumOfSimilarities(spec, NoOptions()).score(query, gallery([1.0, 0.0, 0.0, -1.0]))
    torch.testing.assert_close(scores, torch.tensor([[(1 - 1) / 2 + (0 - 1) / 2]]))


def test_half_precision_features_are_scored_in_single() -> None:
    half = Queries(QUERY.ids, QUERY.images.to("cpu", torch.float16), QUERY.texts.to("cpu", torch.float16))
    assert SumOfSimilarities(SPEC, NoOptions()).score(half, CANDIDATES).dtype == torch.float32


def test_there_is_nothing_to_train_or_to_keep() -> None:
    method = SumOfSimilarities(SPEC, NoOptions())
    assert method.trained is False
    assert method.modules() == ()
    assert method.state() == {}
    method.load({})


@pytest.mark.parametrize("method", [SumOfSimilarities, ProductOfSimilarities])
def test_an_encoder_that_is_not_aligned_is_refused(method: type[SumOfSimilarities]) -> None:
    spec = FeatureSpec((2,), ((1, 1),), image_width=2, text_width=2, groups=2, criteria=())
    with pytest.raises(UserError, match=r"aligned: open_clip:\.\.\. or transformers:NAME"):
        method(spec, NoOptions())


def test_the_command_line_says_so(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*TOY_RUN, "--methods", "sum", "--no-controls", "--seeds", "0", "--jobs", "1")
    assert done.returncode != 0
    assert "aligned: open_clip:... or transformers:NAME" in done.stderr
    assert "Traceback" not in done.stderr
