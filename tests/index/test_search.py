"""What a search finds is what the method scores, and the parts of a score add up to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.errors import PluginError, UserError
from benchmark.features import open_image
from benchmark.files import sha256
from benchmark.index.descriptors import clauses
from benchmark.index.model import SearchModel, parts, weights
from benchmark.index.searcher import Searcher, open_searcher
from benchmark.interfaces import Block, Blocks, Gallery, ImageFeatures, Queries

TEXT = "thick border, no spot"


def picture_of(searcher: Searcher, name: str) -> Path:
    return Path(searcher.store.get([name])[0].case.picture)


def features_of(searcher: Searcher, *names: str) -> ImageFeatures:
    return searcher.model.features([open_image(picture_of(searcher, name)) for name in names])


def test_scores_are_those_of_the_method(searcher: Searcher) -> None:
    names = tuple(f"toy-{number}" for number in range(200, 224))
    images = features_of(searcher, *names)
    query = Queries(("q",), images[:1], searcher.model.texts([TEXT]))
    expected = searcher.model.method.score(query, Gallery(names, images))[0].tolist()
    hits = searcher.rank(searcher.ask(images[:1], TEXT), 24, filters={"split": "test"})
    assert {hit.case.id: hit.score for hit in hits} == pytest.approx(dict(zip(names, expected, strict=True)), abs=2e-3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_parts_add_up_to_the_score_and_a_local_weight_of_one_leaves_the_global_part_out(searcher: Searcher) -> None:
    asked = searcher.ask(features_of(searcher, "toy-200"), TEXT)
    plain, local = (searcher.rank(asked, 5, weight) for weight in (None, 1.0))
    for hit in (*plain, *local):
        assert list(hit.parts) == ["global", "border", "spot"]
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-5)
    assert all(hit.parts["global"] == 0 for hit in local)
    # Weight 2 to 1 in the checklist: a border can add twice as much as a spot, of which 0.6 is local.
    assert all(hit.parts["border"] <= 0.4 + 1e-6 and hit.parts["spot"] <= 0.2 + 1e-6 for hit in plain)


def test_weights_and_parts_by_hand() -> None:
    layout = Blocks((Block("global", 1, 1.0), Block("a", 2, 0.75, True), Block("b", 1, 0.25, True)), 0.6)
    assert weights(layout) == pytest.approx([0.4, 0.45, 0.45, 0.15])
    assert weights(layout, 0.0).tolist() == [1, 0, 0, 0]
    query, candidate = np.array([1, 2, 3, 4], dtype=np.float32), np.array([1, 1, 0, -1], dtype=np.float32)
    assert parts(layout, query, candidate) == {"global": 1.0, "a": 2.0, "b": -4.0}


def test_a_case_with_the_query_s_own_picture_is_marked(searcher: Searcher) -> None:
    path = picture_of(searcher, "toy-3")
    asked = searcher.ask(searcher.model.features([open_image(path)]), None)
    hits = searcher.rank(asked, 72, picture=sha256(path))
    assert [hit.case.id for hit in hits if hit.same_picture] == ["toy-3"]


def test_a_picture_alone_finds_itself_where_the_composer_says_nothing_else(tirg_index: Path) -> None:
    searcher = open_searcher(tirg_index)
    asked = searcher.ask(searcher.model.features([open_image(picture_of(searcher, "toy-3"))]), None)
    (first,) = searcher.rank(asked, 1)
    assert (first.case.id, first.score) == ("toy-3", pytest.approx(1.0, abs=1e-3))


def test_a_text_alone_reads_the_words(searcher: Searcher) -> None:
    thick, thin = (searcher.ask(None, text).vector for text in ("thick border", "thin border"))
    assert not np.allclose(thick, thin)
    assert len(searcher.rank(searcher.ask(None, TEXT), 3)) == 3
    with pytest.raises(UserError, match="a picture, a text or both"):
        searcher.ask(None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"k": 0}, "ask for 1 to 100"),
        ({"k": 1, "local_weight": 1.5}, "from 0 to 1"),
        ({"k": 1, "filters": {"bordre": "thick"}}, "Did you mean border"),
        ({"k": 1, "filters": {"border": "thik"}}, "Did you mean thick"),
    ],
)
def test_mistakes_are_named(searcher: Searcher, arguments: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        searcher.rank(searcher.ask(None, TEXT), **arguments)


def test_clauses_are_echoed_by_the_nearest_descriptor(searcher: Searcher) -> None:
    assert clauses("Thick border and a dark spot;  grey, but red.") == ["Thick border", "a dark spot", "grey", "red"]
    read = searcher.understand("with thick border, dark spot, purple elephants")
    assert [(one.criterion, one.value) for one in read] == [("border", "thick"), ("spot", "dark"), (None, None)]
    assert read[1].sentence() == "'dark spot': spot: dark (1.00)"
    assert searcher.understand(None) == searcher.understand(" , ") == []


def test_where_the_method_looks(searcher: Searcher) -> None:
    look = searcher.model.look(features_of(searcher, "toy-1"), (32, 32))
    assert look is not None and look.names == ("border", "spot")
    assert look.masks.shape == (2, 4, 4)  # on the finer grid
    assert look.masks.max(axis=(1, 2)).tolist() == [1, 1]
    assert look.seen == (0, 0, 1, 1)


def test_blocks_that_break_their_promise_are_named(searcher: Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = searcher.model.method.scorer
    wrong = Blocks((Block("global", 16, 1.0), Block("border", 16, 0.5, True), Block("spot", 16, 0.5, True)), 0.6)
    monkeypatch.setattr(scorer, "blocks", lambda representation: wrong)
    with pytest.raises(PluginError, match="GlobalLocalScorer: blocks"):
        searcher.ask(None, TEXT)


def test_computing_leaves_gradients_and_mode_as_they_were(searcher: Searcher) -> None:
    SearchModel(searcher.model.method, searcher.model.encoder).features([Image.new("RGB", (9, 9))])
    assert torch.is_grad_enabled() and not searcher.model.method.model.training
