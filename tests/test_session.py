from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.interfaces import Case, TextFeatures
from benchmark.means import mean_text
from benchmark.registry import load_registry
from benchmark.session import Session
from tests.conftest import TOY


def session(cache: Path, view: str, without: str = "") -> Session:
    config = RunConfig(  # type: ignore[call-arg]
        dataset="toy", encoder="mean-colour", view=view, without=without, cache=cache, plugins=(str(TOY),)
    )
    return Session(config, load_registry(config.plugins))


def test_both_views_bring_the_levels_of_each_and_one_long_pooled_vector(tmp_path: Path) -> None:
    one, two, both = (session(tmp_path, view) for view in ("dermoscopic", "clinical", "both"))
    features = [made.sight(0, 0).gallery().images[:3] for made in (one, two, both)]
    assert both.spec.image_width == 2 * one.spec.image_width == features[2].pooled.shape[1]
    assert both.spec.level_widths == one.spec.level_widths + two.spec.level_widths
    assert both.spec.grids == features[2].grids
    assert torch.equal(features[2].pooled, torch.cat([features[0].pooled, features[1].pooled], dim=1))
    expected = (*features[0].levels, *features[1].levels)
    assert all(torch.equal(a, b) for a, b in zip(features[2].levels, expected, strict=True))


def test_a_case_without_the_second_picture_is_named(tmp_path: Path) -> None:
    made = session(tmp_path, "both")
    alone = Case("alone", {"dermoscopic": tmp_path / "x.png"}, "red", {"border": "thin", "spot": "none"})
    made._whole_trials = tuple(replace(trial, train=(alone,)) for trial in made._whole_trials)
    with pytest.raises(UserError, match="Case alone of toy has no clinical image"):
        made.warm()


def test_a_gallery_and_queries_carry_no_labels(tmp_path: Path) -> None:
    sight = session(tmp_path, "dermoscopic").sight(0, 0)
    assert set(vars(sight.gallery())) == {"ids", "images"}
    assert set(vars(sight.queries())) == {"ids", "images", "texts"}


@pytest.mark.parametrize("view", ["dermoscopic", "both"])
def test_queries_without_image_all_have_the_mean_picture_of_train(tmp_path: Path, view: str) -> None:
    usual, blind = session(tmp_path, view).sight(0, 0), session(tmp_path, view, without="image").sight(0, 0)
    queries, train = blind.queries(), blind.labelled(blind.trial.train).images
    assert len(queries.images) == len(queries.ids) == 24
    for own, of_train in zip(
        (queries.images.pooled, *queries.images.levels), (train.pooled, *train.levels), strict=True
    ):
        assert torch.allclose(own[0].float(), of_train.float().mean(0), atol=2e-3)
        assert torch.equal(own, own[:1].expand_as(own))
    assert torch.equal(queries.texts.tokens, usual.queries().texts.tokens)


def test_queries_without_text_all_have_one_token_the_mean_of_train(tmp_path: Path) -> None:
    blind = session(tmp_path, "dermoscopic", "text").sight(0, 0)
    texts, train = blind.queries().texts, blind.labelled(blind.trial.train).texts
    assert texts.tokens.shape == (24, 1, 16)
    assert texts.mask.all()
    assert torch.allclose(texts.pooled[5].float(), train.pooled.float().mean(0), atol=2e-3)
    # The toy encoder pools tokens by their mean, so the mean token is the mean pooled vector.
    assert torch.allclose(texts.tokens[5, 0].float(), texts.pooled[5].float(), atol=2e-3)


def test_a_mean_text_skips_padding() -> None:
    tokens = torch.tensor([[[1.0], [3.0], [99.0]], [[6.0], [99.0], [99.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    mean = mean_text(TextFeatures(tokens, mask, tokens[:, 0]), 2)
    assert mean.tokens.flatten().tolist() == [4.0, 4.0], "the mean of 2 and 6"


def test_own_queries_keep_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"id": "q1", "image": "x.png", "text": "thin border"}\n')
    (tmp_path / "x.png").write_bytes(b"")
    config = RunConfig(dataset="toy", queries=tmp_path / "mine.jsonl", without="image", plugins=(str(TOY),))  # type: ignore[call-arg]
    with pytest.raises(UserError, match="--without takes pictures or texts"):
        Session(config, load_registry(config.plugins))


def test_ids_of_queries_do_not_tell_the_target_of_an_edit(tmp_path: Path) -> None:
    config = RunConfig(  # type: ignore[call-arg]
        dataset="toy", encoder="mean-colour", task="modification", cache=tmp_path, plugins=(str(TOY),)
    )
    sight = Session(config, load_registry(config.plugins)).sight(0, 0)
    own = {case.id for case in sight.trial.queries}
    assert set(sight.queries().ids) <= own
    # The same as in validation, where a method may learn what ids look like.
    assert set(sight.labelled(sight.trial.valid).queries().ids) <= {case.id for case in sight.trial.valid}
