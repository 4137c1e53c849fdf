from __future__ import annotations

import re

import pytest
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from benchmark.testing import check_composer
from benchmark.testing.steps import Failed, NotApplicable, Step, Suite
from tests.testing.broken import Sound, not_passed, the_failure


def test_a_sound_composer_passes_every_check() -> None:
    assert not not_passed(check_composer(Sound))


class PooledOverTheBatch(Sound):
    def embed(self, images):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled).mean(0)}


class ForgotReturn(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        self.image(images.pooled) + self.text(texts.pooled)


class NotFinite(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled) / 0 * 0}


class Narrower(Sound):
    def embed(self, images):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled)[:, :5]}


class Unused(Sound):
    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.spare = nn.Linear(3, 3)


class StaysZero(Sound):
    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.gain = nn.Parameter(torch.ones(16))

    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled) + self.text(texts.pooled) + 0 * self.gain}


class OnTheCpu(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        shift = torch.ones(16)
        return {"global": self.image(images.pooled) + self.text(texts.pooled) + shift}


class Peeks(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        found = super().compose(images, texts)
        self.last = found["global"].detach().mean(0)
        return found

    def embed(self, images):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled) + getattr(self, "last", 0.0)}


class DropsAtScoring(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        found = self.image(images.pooled) + self.text(texts.pooled)
        return {"global": nn.functional.dropout(found, 0.1, training=True)}


class BatchStatistics(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        found = self.image(images.pooled) + self.text(texts.pooled)
        return {"global": found - 0.5 * found.mean(0)}


class CandidateStatistics(Sound):
    def embed(self, images):  # type: ignore[no-untyped-def]
        found = self.image(images.pooled)
        return {"global": found - 0.5 * found.mean(0)}


class ReadsPadding(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled) + self.text(texts.tokens.mean(1))}


class IgnoresText(Sound):
    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled) + self.text(torch.ones_like(texts.pooled))}


class ForgetsTheTable(Sound):
    """A tensor drawn at construction that is neither parameter nor buffer."""

    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.table = torch.randn(spec.image_width)

    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        return {"global": self.image(images.pooled * self.table.to(images.pooled)) + self.text(texts.pooled)}


class Upside(Sound):
    """What is near ends up far: the query is turned round after training."""

    def compose(self, images, texts):  # type: ignore[no-untyped-def]
        found = super().compose(images, texts)["global"]
        return {"global": found if self.training else -found}


class NeedsCriteria(Sound):
    def auxiliary_loss(self, batch, query, candidates):  # type: ignore[no-untyped-def]
        return {"mine": batch.criteria.float().max() * query["global"].mean()}


@pytest.mark.parametrize(
    ("composer", "check", "words"),
    [
        (PooledOverTheBatch, "compose and embed return", r"embed .*:\d+\) returned global \(16,\) for 5 inputs"),
        (ForgotReturn, "compose and embed return", r"ForgotReturn\.compose .* returned None"),
        (NotFinite, "compose and embed return", r"returned global float32 \(5, 16\) with 80 NaN or infinite values"),
        (Narrower, "it trains", r"do not fit.*16.*5"),
        (Unused, "every parameter learns", r"'composer\.spare\.weight' got a gradient in none of 6 steps, and 1 other"),
        (StaysZero, "every parameter learns", r"gradient of parameter 'composer\.gain' is zero in the first 5 steps"),
        (OnTheCpu, "it moves between devices", r"is not on the expected device.*test_broken_composers\.py:\d+"),
        (Peeks, "candidates do not see the query", r"after compose, embed returns another 'global'"),
        (DropsAtScoring, "scoring twice", r"asked again, the same queries get other scores"),
        (BatchStatistics, "scores do not depend on the other queries", r"in a batch of 1, query 0 gets other scores"),
        (CandidateStatistics, "scores do not depend on the other candidates", r"in a gallery of 1, candidates get"),
        (ReadsPadding, "padding of a text", r"with other padding behind the text, scores change"),
        (IgnoresText, "it reads what its modality says", r"'image\+text', but another text does not change the scores"),
        (ForgetsTheTable, "state survives safetensors", r"after saving and loading, scores differ \(by up to"),
        (Upside, "it learns a toy task", r"macro mAP 0\.\d+ on unseen cases; chance is 0\.39"),
        (NeedsCriteria, "it works without criteria", r"test_broken_composers\.py:\d+"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_composer_fails_one_check(composer: type[Sound], check: str, words: str) -> None:
    failed = the_failure(check_composer(composer))
    assert failed.name.startswith(check)
    assert re.search(words, failed.reason), failed.reason
    assert failed.hint


class Loose(BaseModel):
    width: int = 3


class Demanding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int


@pytest.mark.parametrize(
    ("model", "words"), [(Loose, "extra=None, not 'forbid'"), (Demanding, "Demanding.width has no default")]
)
def test_options_that_are_not_strict(model: type[BaseModel], words: str) -> None:
    results = {result.name: result for result in check_composer(Sound, model)}
    assert words in results["its options are strict and have defaults"].reason


def test_what_needs_a_failed_check_is_skipped_and_says_so() -> None:
    results = {result.name: result for result in check_composer(PooledOverTheBatch)}
    assert results["it trains"].status == "skipped"
    assert results["it trains"].reason == "needs 'compose and embed return what is promised'"


def not_here(subject: object) -> str:
    raise NotApplicable("it is pairwise")


def fails(subject: object) -> str:
    raise Failed("it is wrong")


def holds(subject: object) -> str:
    return "it ran"


def test_what_needs_a_check_that_does_not_apply_runs_all_the_same() -> None:
    steps = (Step("a", not_here), Step("b", holds, ("a",)), Step("c", fails), Step("d", not_here, ("c",)))
    results = Suite("a toy", object(), (*steps, Step("e", holds, ("d",)))).run()
    assert [(r.status, r.reason) for r in results] == [
        ("skipped", "it is pairwise"),
        ("passed", "it ran"),
        ("failed", "it is wrong"),
        ("skipped", "needs 'c'"),
        ("skipped", "needs 'd'"),
    ]
