from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import pytest
import torch

from benchmark.registry import Component, load_registry
from benchmark.testing import check_composer, check_method, suites
from tests.testing.broken import Sound, SoundMethod, not_passed, the_failure


def test_a_sound_method_without_networks_passes() -> None:
    skipped = not_passed(check_method(SoundMethod))
    assert skipped == ["every parameter learns: modules() names no network with parameters to train"]


class Turned(SoundMethod):
    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        return super().score(queries, gallery).mean(1)


class Nothing(SoundMethod):
    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        super().score(queries, gallery)


class WholeNumbers(SoundMethod):
    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        return (super().score(queries, gallery) * 100).long()


class DividesByZero(SoundMethod):
    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        scores = super().score(queries, gallery)
        scores[2, 5] = torch.tensor(0.0) / 0
        return scores


class Explodes(SoundMethod):
    def fit(self, train, valid, context):  # type: ignore[no-untyped-def]
        raise KeyError("lesion")


class ReadsLabels(SoundMethod):
    """A gallery has no groups."""

    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        return super().score(queries, gallery) + gallery.groups


class KnowsIds(SoundMethod):
    """Remembers the groups of the cases it has seen, by id: in an archive it would find them again."""

    def fit(self, train, valid, context):  # type: ignore[no-untyped-def]
        super().fit(train, valid, context)
        self.known = dict(zip(train.ids, train.groups.tolist(), strict=True))

    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        scores = super().score(queries, gallery)
        for column, name in enumerate(gallery.ids):
            scores[:, column] += self.known.get(name, 0)
        return scores

    def load(self, state):  # type: ignore[no-untyped-def]
        super().load(state)
        self.known = {}


class Ranks(SoundMethod):
    """Scores are places in the gallery, so another gallery gives others."""

    def score(self, queries, gallery):  # type: ignore[no-untyped-def]
        return super().score(queries, gallery).argsort(1).argsort(1).float()


class Unseeded(SoundMethod):
    numbers = itertools.count()

    def fit(self, train, valid, context):  # type: ignore[no-untyped-def]
        super().fit(train, valid, context)
        self.means["text"] += next(self.numbers) * 0.1


class ForgetsText(SoundMethod):
    def state(self):  # type: ignore[no-untyped-def]
        return {"image": self.means["image"]}

    def load(self, state):  # type: ignore[no-untyped-def]
        self.means = {**self.means, **state}


class StatesNumbers(SoundMethod):
    def state(self):  # type: ignore[no-untyped-def]
        return {**self.means, "groups": self.spec.groups}


class LearnsNothing(SoundMethod):
    def fit(self, train, valid, context):  # type: ignore[no-untyped-def]
        self.means = {side: torch.randn(means.shape) for side, means in self.means.items()}


class Gifted(SoundMethod):
    """Ranks well from the start, by what it was built with, and calls that learning."""

    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.means = {side: torch.eye(*means.shape) * 3 for side, means in self.means.items()}

    def fit(self, train, valid, context):  # type: ignore[no-untyped-def]
        pass


class SaysItDoesNotLearn(SoundMethod):
    trained = False


class FullPrecisionOnly(SoundMethod):
    """Features come in half precision, as the cache holds them."""

    def votes(self, side, pooled):  # type: ignore[no-untyped-def]
        return pooled @ self.means[side].T


class OneNetwork(SoundMethod):
    def modules(self):  # type: ignore[no-untyped-def]
        return torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("method", "check", "words"),
    [
        (Turned, "scores are (queries, gallery)", r"Turned\.score \(.*:\d+\) returned float32 \(30,\) for 30 queries"),
        (Nothing, "scores are (queries, gallery)", r"Nothing\.score .* returned None \(is a `return` missing\?\)"),
        (WholeNumbers, "scores are (queries, gallery)", r"returned int64 \(30, 30\)"),
        (DividesByZero, "scores are finite", r"1 of 900 scores are not finite, first nan at \[2, 5\]"),
        (
            OneNetwork,
            "it is constructed",
            r"returned .*, not a tuple of networks; write .*\(self\.model,\)",
        ),
        (Explodes, "it trains", r"KeyError: 'lesion' \(.*test_broken_methods\.py:\d+\)"),
        (ReadsLabels, "scores are (queries, gallery)", r"'Gallery' object has no attribute 'groups' .*broken_methods"),
        (KnowsIds, "ids say nothing", r"when cases get other ids, their scores change"),
        (Ranks, "scores do not depend on the other candidates", r"in a gallery of 1, candidates get other scores"),
        (Unseeded, "one seed, one result", r"two trainings with one seed differ by up to"),
        (ForgetsText, "state survives safetensors", r"after saving and loading, scores differ"),
        (StatesNumbers, "state survives safetensors", r"state\(\)\['groups'\] is no tensor"),
        (LearnsNothing, "it learns a toy task", r"macro mAP 0\.\d+ on unseen cases; chance is 0\.39"),
        (
            Gifted,
            "it learns a toy task",
            r"macro mAP 1\.00 on unseen cases, but 1\.00 where the labels",
        ),
        (SaysItDoesNotLearn, "it learns a toy task", r"trained = False, but other labels in fit change its scores"),
        (FullPrecisionOnly, "scores are (queries, gallery)", r"c10::Half.*test_broken_methods\.py:\d+"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_method_fails_one_check(method: type[SoundMethod], check: str, words: str) -> None:
    failed = the_failure(check_method(method))
    assert failed.name == check
    assert re.search(words, failed.reason), failed.reason
    assert failed.hint


def test_a_component_without_a_citation() -> None:
    registry = load_registry()
    registry.components["composers"]["mine"] = Component("composers", "mine", "me", "fuses", "  ", Sound, None)
    (suite,) = suites(registry, "mine")
    failed = suite.result("it says what it is and whose")
    assert failed.reason == "register('mine', ...) gives citation='  '"
    assert 'citation="..."' in failed.hint


def test_a_class_of_another_kind() -> None:
    assert the_failure(check_composer(SimpleNamespace)).name == "it loads"
