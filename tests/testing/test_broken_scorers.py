from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.interfaces import Block, Blocks
from benchmark.testing import check_composer, check_scorer
from tests.testing.broken import Sound, SoundScorer, not_passed, the_failure


def test_a_sound_scorer_passes_every_check() -> None:
    assert not not_passed(check_scorer(SoundScorer))


class Flipped(SoundScorer):
    def score(self, query, candidates):  # type: ignore[no-untyped-def]
        return super().score(query, candidates).T


class RootOfCosine(SoundScorer):
    def score(self, query, candidates):  # type: ignore[no-untyped-def]
        return super().score(query, candidates).sqrt()


class OverTheGallery(SoundScorer):
    pairwise = True

    def score(self, query, candidates):  # type: ignore[no-untyped-def]
        return super().score(query, candidates).softmax(1)


class Distance(SoundScorer):
    def score(self, query, candidates):  # type: ignore[no-untyped-def]
        return -torch.cdist(query["global"], candidates["global"])


class Detached(SoundScorer):
    def as_vectors(self, representation, side):  # type: ignore[no-untyped-def]
        vectors = F.normalize(representation["global"], dim=-1)
        return vectors.detach() if side == "candidate" else vectors


class Unused(SoundScorer):
    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.scale = nn.Parameter(torch.ones(()))


class FlatParts(SoundScorer):
    def parts(self, query, candidates):  # type: ignore[no-untyped-def]
        return {"mine": self.score(query, candidates).mean(1)}


class OnTheCpu(SoundScorer):
    pairwise = True

    def score(self, query, candidates):  # type: ignore[no-untyped-def]
        return super().score(query, candidates) * torch.linspace(1, 1, 1)


class OneWeightACriterion(SoundScorer):
    """Divides by the number of criteria, of which a dataset may have none."""

    def score(self, query, candidates):  # type: ignore[no-untyped-def]
        return super().score(query, candidates) * (1 // len(self.spec.criteria) + 1)


class HalfTheBlocks(SoundScorer):
    def blocks(self, representation):  # type: ignore[no-untyped-def]
        return Blocks((Block("half", representation["global"].shape[1] // 2, 1.0),), 0.0)


class WeightsItKeeps(SoundScorer):
    """Says that its one block is half of the score, and gives it the whole."""

    def blocks(self, representation):  # type: ignore[no-untyped-def]
        return Blocks((Block("global", representation["global"].shape[1], 0.5),), 0.0)


@pytest.mark.parametrize(
    ("scorer", "check", "words"),
    [
        (Flipped, "scores are (queries, gallery)", r"6 queries and 9 candidates gave \(9, 6\)"),
        (RootOfCosine, "scores are finite", r"score holds NaN or infinite values"),
        (FlatParts, "scores are finite", r"parts\(\)\['mine'\] is \(6,\), the score \(6, 9\)"),
        (OverTheGallery, "a score depends on its pair alone", r"alone, a pair gets another score"),
        (Distance, "score is its inner product", r"score is not the inner product of as_vectors"),
        (HalfTheBlocks, "blocks are weighted as they say", r"the blocks are 24 wide, the vectors 48"),
        (WeightsItKeeps, "blocks are weighted as they say", r"a block's weight is not share times"),
        (Detached, "gradients flow through it", r"candidates\['global'\] gets no gradient from the score"),
        (Unused, "gradients flow through it", r"parameter 'scale' gets no gradient"),
        (OnTheCpu, "it moves between devices", r"is not on the expected device"),
        (OneWeightACriterion, "scores are (queries, gallery)", r"ZeroDivisionError.*test_broken_scorers\.py:\d+"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_scorer_fails_one_check(scorer: type[SoundScorer], check: str, words: str) -> None:
    failed = the_failure(check_scorer(scorer))
    assert failed.name == check
    assert re.search(words, failed.reason), failed.reason
    assert failed.hint


class OwnKey(SoundScorer):
    requires = frozenset({"pose"})


def test_a_scorer_of_a_key_that_no_composer_gives_is_not_judged() -> None:
    results = {result.name: result for result in check_scorer(OwnKey)}
    assert results["scores are (queries, gallery)"].status == "skipped"
    assert "no composer here provides ['pose']" in results["scores are (queries, gallery)"].reason


PAIR = """
from torch.nn import functional as F
from benchmark.hookspecs import hookimpl
from tests.testing.broken import Sound, SoundScorer


class Posed(Sound):
    provides = frozenset({"global", "pose"})
    scorer = "poses"

    def compose(self, images, texts):
        return {**super().compose(images, texts), "pose": self.image(images.pooled)[:, :3]}

    def embed(self, images):
        return {**super().embed(images), "pose": self.image(images.pooled)[:, :3]}


class Poses(SoundScorer):
    requires = frozenset({"global", "pose"})

    def score(self, query, candidates):
        wrong = F.normalize(query["pose"], dim=-1) @ F.normalize(candidates["pose"], dim=-1).T
        return super().score(query, candidates) + wrong


@hookimpl
def register_composers(register):
    register("posed", Posed, summary="with a pose", citation="this test")


@hookimpl
def register_scorers(register):
    register("poses", Poses, summary="compares poses", citation="this test")
"""


def test_a_scorer_of_own_keys_is_tried_on_the_composer_that_gives_them(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "pair.py").write_text(PAIR)
    for check, name in ((check_composer, "posed"), (check_scorer, "poses")):
        failed = the_failure(check(name, plugins=(str(tmp_path / "pair.py"),)))
        assert failed.name == "score is its inner product"


def test_a_composer_may_be_checked_with_another_scorer() -> None:
    results = {result.name: result for result in check_composer(Sound, options={"scorer": "cosine"})}
    assert results["score is its inner product"].reason == "CosineScorer"
