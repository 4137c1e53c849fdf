from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from baselines.cosine import CosineScorer
from baselines.options import PosteriorOptions
from baselines.posterior import Posterior
from baselines.random_ranking import RandomRanking
from benchmark.config import NoOptions, Training
from benchmark.errors import PluginError
from benchmark.evaluation import validation_score
from benchmark.interfaces import Composer, FitContext, ImageFeatures, LabelledSet, Method, TextFeatures
from benchmark.training import ComposedMethod
from plugins.proposed.composer import HierarchicalComposer
from plugins.proposed.options import GlobalLocalOptions, HierarchicalOptions
from plugins.proposed.scorer import GlobalLocalScorer
from tests.features import SPEC, labelled

SETTINGS = Training(epochs=25, patience=25, batch_size=24, learning_rate=1e-2)


class Sum(Composer):
    """The smallest composer there is."""

    def __init__(self, spec, options):  # type: ignore[no-untyped-def]
        super().__init__(spec, options)
        self.image, self.text = nn.Linear(spec.image_width, 8), nn.Linear(spec.text_width, 8)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Mapping[str, Tensor]:
        return {"global": self.image(images.pooled) + self.text(texts.pooled)}

    def embed(self, images: ImageFeatures) -> Mapping[str, Tensor]:
        return {"global": self.image(images.pooled)}


def simple(composer: type[Composer] = Sum) -> ComposedMethod:
    return ComposedMethod(SPEC, NoOptions(), composer(SPEC, NoOptions()), CosineScorer(SPEC, NoOptions()))


def proposed() -> ComposedMethod:
    composer = HierarchicalComposer(SPEC, HierarchicalOptions(width=16, heads=2))
    return ComposedMethod(SPEC, NoOptions(), composer, GlobalLocalScorer(SPEC, GlobalLocalOptions()))


def posterior() -> Posterior:
    return Posterior(SPEC, PosteriorOptions(width=16))


def context(log: list[Mapping[str, float]] | None = None, seed: int = 0) -> FitContext:
    return FitContext(seed, torch.device("cpu"), SETTINGS, (log if log is not None else []).append)


def macro_map(method: Method, data: LabelledSet) -> float:
    scores = method.score(data.queries(), data.gallery())
    return validation_score(scores.numpy(), data.grades.numpy(), data.reference.numpy(), data.strata.numpy())


@pytest.mark.parametrize("make", [simple, proposed, posterior])
def test_it_learns_what_can_be_learnt(make) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    method, unseen = make(), labelled(30, seed=2, signal=3.0)
    before = macro_map(method, unseen)
    method.fit(labelled(60, signal=3.0), labelled(30, seed=1, signal=3.0), context())
    assert macro_map(method, unseen) > max(0.7, before + 0.15)


@pytest.mark.parametrize("make", [simple, proposed, posterior])
def test_same_seed_same_scores_and_state_survives(make) -> None:  # type: ignore[no-untyped-def]
    data = labelled(30, seed=2)
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        method = make()
        method.fit(labelled(60), labelled(30, seed=1), context(seed=3))
        found.append(method.score(data.queries(), data.gallery()))
    assert torch.equal(found[0], found[1])
    torch.manual_seed(99)
    restored = make()
    restored.load(method.state())
    assert torch.equal(restored.score(data.queries(), data.gallery()), found[1])


def test_the_best_epoch_is_kept_and_patience_ends_training() -> None:
    log: list[Mapping[str, float]] = []
    torch.manual_seed(0)
    method, valid = simple(), labelled(30, seed=1, signal=0.3)
    settings = SETTINGS.model_copy(update={"epochs": 30, "patience": 2})
    method.fit(labelled(60), valid, FitContext(0, torch.device("cpu"), settings, log.append))
    reached = [entry["valid macro mAP"] for entry in log]
    assert macro_map(method, valid) == pytest.approx(max(reached))
    assert len(reached) - (reached.index(max(reached)) + 1) == 2


def test_scores_do_not_depend_on_the_other_queries_or_candidates() -> None:
    torch.manual_seed(0)
    method, data = proposed(), labelled(70)
    whole = method.score(data.queries(), data.gallery())
    few = torch.tensor([3, 40])
    part = labelled(70)
    alone = method.score(
        type(part.queries())(tuple(part.ids[i] for i in few), part.images[few], part.texts[few]), part.gallery()
    )
    torch.testing.assert_close(alone, whole[few], atol=1e-5, rtol=1e-5)


def test_criterion_labels_can_be_left_out() -> None:
    log: list[Mapping[str, float]] = []
    settings = SETTINGS.model_copy(update={"epochs": 1, "criterion_weight": 0.0})
    simple().fit(labelled(60), labelled(30, 1), FitContext(0, torch.device("cpu"), settings, log.append))
    assert "criteria" not in log[0]
    simple().fit(labelled(60), labelled(30, 1), context(log))
    assert "criteria" in log[1]


def test_random_is_seeded_and_differs_by_query() -> None:
    data = labelled(10)
    one, two = RandomRanking(SPEC, NoOptions()), RandomRanking(SPEC, NoOptions())
    one.fit(data, data, context(seed=1))
    two.load(one.state())
    scores = one.score(data.queries(), data.gallery())
    assert torch.equal(scores, two.score(data.queries(), data.gallery()))
    assert not torch.equal(scores[0], scores[1])
    two.fit(data, data, context(seed=2))
    assert not torch.equal(scores, two.score(data.queries(), data.gallery()))


class WrongKey(Sum):
    def embed(self, images: ImageFeatures) -> Mapping[str, Tensor]:
        return {"globl": self.image(images.pooled)}


class NoMapping(Sum):
    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Mapping[str, Tensor]:
        return self.image(images.pooled)  # type: ignore[no-any-return]


class OtherWidth(Sum):
    def embed(self, images: ImageFeatures) -> Mapping[str, Tensor]:
        return {"global": self.image(images.pooled)[:, :5]}


class Pooled(Sum):
    def embed(self, images: ImageFeatures) -> Mapping[str, Tensor]:
        return {"global": self.image(images.pooled).mean(0)}


class NoCompose(Composer):
    pass


@pytest.mark.parametrize(
    ("composer", "words"),
    [
        (WrongKey, r"WrongKey\.embed returned keys \['globl'\], but \['global'\]"),
        (NoMapping, r"NoMapping\.compose returned Tensor, not a mapping"),
        (OtherWidth, r"OtherWidth and scorer CosineScorer do not fit.*global \(2, 8\).*global \(2, 5\)"),
        (Pooled, r"Pooled\.embed returned global \(8,\) for 2 inputs"),
    ],
)
def test_a_misfit_is_a_sentence_before_training(composer: type[Composer], words: str) -> None:
    with pytest.raises(PluginError, match=words):
        simple(composer).fit(labelled(60), labelled(30, 1), context())


def test_a_missing_method_is_named() -> None:
    with pytest.raises(NotImplementedError, match=r"NoCompose must define compose\(images, texts\)"):
        simple(NoCompose).fit(labelled(60), labelled(30, 1), context())


def test_a_scorer_that_needs_more_than_the_composer_gives() -> None:
    method = ComposedMethod(SPEC, NoOptions(), Sum(SPEC, NoOptions()), GlobalLocalScorer(SPEC, GlobalLocalOptions()))
    with pytest.raises(PluginError, match=r"Sum and scorer GlobalLocalScorer do not fit: the scorer reads \['local'\]"):
        method.fit(labelled(60), labelled(30, 1), context())


class Diverging(Sum):
    def auxiliary_loss(self, batch, query, candidates):  # type: ignore[no-untyped-def]
        return {"mine": query["global"].sum() / 0}


def test_a_loss_that_diverges_is_named_with_its_epoch() -> None:
    with pytest.raises(PluginError, match=r"the loss 'mine' became -?inf in epoch 1"):
        simple(Diverging).fit(labelled(60), labelled(30, 1), context())
