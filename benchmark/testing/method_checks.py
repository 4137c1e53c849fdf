"""What every method must keep: it is built, trained on a tiny world, asked, saved and trained again.

Shapes: q queries, g gallery.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmark.evaluation import validation_score
from benchmark.interfaces import LabelledSet, shown
from benchmark.testing.invariance_checks import (
    BATCH,
    candidates_do_not_meet,
    expect_same,
    ids_say_nothing,
    largest_gap,
    modality_is_true,
    padding_says_nothing,
    queries_do_not_meet,
    scores_are_repeatable,
)
from benchmark.testing.moving import DEVICES
from benchmark.testing.steps import Failed, NotApplicable, Step
from benchmark.testing.subjects import ABOUT, LOADS, called
from benchmark.testing.trained import BRIEF, LEARNING, GradientWatch, MethodSubject, asked

MARGIN = 0.1
"""How far above chance macro mAP must come on cases that the method has not seen."""
LEARNS = (
    "does fit change the weights that score reads, is a higher score more relevant, and do compose and embed meet in "
    "one space?"
)
BUILDS = "it is constructed"
TRAINS = "it trains"
SHAPES = "scores are (queries, gallery)"
FINITE = "scores are finite"
ON_GPU = "it runs on a GPU"
TWICE = "scoring twice gives the same scores"


def constructed(subject: MethodSubject) -> str:
    """``Class(spec, options)`` works, for a dataset with criteria and for one without."""
    subject.build(subject.world)
    subject.build(subject.plain)
    return "on a world with an aligned encoder" if subject.world.spec.aligned else ""


def trains(subject: MethodSubject) -> str:
    """``fit`` runs to its end."""
    method = subject.trained
    networks = method.modules()
    return f"{sum(p.numel() for network in networks for p in network.parameters()):,} parameters"


def scores_have_a_shape(subject: MethodSubject) -> str:
    """``score`` returns a floating tensor (q, g)."""
    queries, gallery = asked(subject.world)
    scores = subject.trained.score(queries, gallery)
    expected = (len(queries.ids), len(gallery.ids))
    if not isinstance(scores, Tensor) or tuple(scores.shape) != expected or not scores.is_floating_point():
        raise Failed(
            f"{called(subject.trained.score)} returned {shown(scores)} for {len(queries.ids)} queries and "
            f"{len(gallery.ids)} candidates",
            "return a floating tensor with a row a query and a column a candidate",
        )
    return shown(scores)


def scores_are_finite(subject: MethodSubject) -> None:
    """No score is NaN or infinite."""
    scores = _scores(subject)
    wrong = ~torch.isfinite(scores)
    if wrong.any():
        row, column = wrong.nonzero()[0].tolist()
        raise Failed(
            f"{int(wrong.sum())} of {scores.numel()} scores are not finite, first {scores[row, column].item()} at "
            f"[{row}, {column}]",
            "look for a division by zero, a logarithm or root of zero, or a softmax over nothing",
        )


def every_parameter_learns(subject: MethodSubject) -> str:
    """Every parameter gets a gradient at step 1, and one that is not zero by step 5."""
    if not subject.plan.trained:
        raise NotApplicable("the class says trained = False")
    watch = GradientWatch()
    subject.fit(subject.world, BRIEF, watch)
    if not watch.names:
        raise NotApplicable("modules() names no network with parameters to train")
    late = [name for name in watch.names if watch.first.get(name) != 1]
    if late:
        when = f"first at step {watch.first[late[0]]}" if late[0] in watch.first else f"in none of {watch.passes} steps"
        raise Failed(
            f"parameter {late[0]!r} got a gradient {when}{_others(late)}",
            "use it in what is trained, remove it, or freeze it with requires_grad_(False); .detach(), .item() and "
            "torch.no_grad() cut gradients",
        )
    still = [name for name in watch.names if watch.moved.get(name, watch.passes + 1) > 5]
    if still:
        raise Failed(
            f"the gradient of parameter {still[0]!r} is zero in the first 5 steps{_others(still)}",
            "look for a factor that stays zero, a dead ReLU, or a term that the score cancels",
        )
    return f"{len(watch.names)} parameters"


def one_seed_one_result(subject: MethodSubject) -> None:
    """Two trainings with one seed give identical scores."""
    queries, gallery = asked(subject.world)
    first, second = (subject.score(queries, gallery, subject.fit(subject.world, BRIEF)) for _ in range(2))
    if not torch.equal(first, second):
        raise Failed(
            f"two trainings with one seed differ by up to {largest_gap(first, second):.2g}",
            "draw from torch, numpy or random, which the harness seeds, or from a generator seeded with context.seed",
        )


def state_is_whole(subject: MethodSubject) -> str:
    """A fresh instance that loads the saved state gives the same scores."""
    queries, gallery = asked(subject.world)
    restored = subject.score(queries, gallery, subject.restored(subject.trained))
    expect_same(
        restored,
        subject.score(queries, gallery),
        "after saving and loading, scores differ",
        "state() must hold every tensor that scoring needs: register parameters, modules and buffers, in no plain "
        "list, and restore them all in load()",
    )
    return f"{len(subject.trained.state())} tensors"


def labels_teach_it(subject: MethodSubject) -> str:
    """Unseen cases are ranked better than by chance; a method that says it does not learn is not moved by labels."""
    if not subject.plan.trained:
        queries, gallery = asked(subject.world)
        other = subject.score(queries, gallery, subject.fit(subject.world, BRIEF, wrong_labels=True))
        known = subject.score(queries, gallery, subject.fit(subject.world, BRIEF))
        expect_same(
            other,
            known,
            "the class says trained = False, but other labels in fit change its scores",
            "say trained = True",
        )
        raise NotApplicable("the class says trained = False, and labels do not move it")
    test = subject.world.test
    reached, chance = _macro_map(_scores(subject), test), _chance(test)
    if not reached > chance + MARGIN:
        raise Failed(f"macro mAP {reached:.2f} on unseen cases; chance is {chance:.2f}, asked is {MARGIN} more", LEARNS)
    misled = subject.fit(subject.world, LEARNING, wrong_labels=True)
    without = _macro_map(subject.score(*asked(subject.world), misled), test)
    if not reached > without + MARGIN / 2:
        raise Failed(
            f"macro mAP {reached:.2f} on unseen cases, but {without:.2f} where the labels in fit are wrong: what it "
            "learns is not what it ranks by",
            f"{LEARNS} A method that does not learn says trained = False",
        )
    return f"macro mAP {reached:.2f}, chance {chance:.2f}, with wrong labels {without:.2f}"


def works_without_criteria(subject: MethodSubject) -> None:
    """It trains and scores where the dataset has no criteria, and levels and widths are others."""
    method = subject.fit(subject.plain, BRIEF.model_copy(update={"epochs": 1}))
    scores = subject.score(*asked(subject.plain), method)
    if not torch.isfinite(scores).all():
        raise Failed("some scores are not finite where the dataset has no criteria", "test for an empty spec.criteria")


def runs_on_a_gpu(subject: MethodSubject) -> None:
    """It trains and scores on a CUDA device, where there is one."""
    if not torch.cuda.is_available():
        raise NotApplicable("torch finds no CUDA device here")
    method = subject.fit(subject.world, BRIEF, device="cuda")
    scores = subject.score(*asked(subject.world), method)
    if not torch.isfinite(scores).all():
        raise Failed("trained on a GPU, some scores are not finite", DEVICES)


def _names(steps: tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(step.name for step in steps)


def method_steps(ready: tuple[Step, ...] = (), apart: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Return the checks of a method in order, with ``ready`` before it is trained and ``apart`` before it is scored."""
    trains_needs, asked_needs = (BUILDS, *_names(ready)), (FINITE, *_names(apart))
    return (
        *ABOUT,
        Step(BUILDS, constructed, (LOADS,), "define __init__(self, spec, options) and read all shapes from spec"),
        *ready,
        Step(TRAINS, trains, trains_needs, "mend fit, or what the training loop calls"),
        Step(SHAPES, scores_have_a_shape, (TRAINS,), "score sees ids, images and texts, and no label"),
        Step(FINITE, scores_are_finite, (SHAPES,)),
        Step("every parameter learns", every_parameter_learns, (TRAINS,)),
        *apart,
        Step(TWICE, scores_are_repeatable, asked_needs),
        Step("scores do not depend on the other queries", queries_do_not_meet, (TWICE,), BATCH),
        Step("scores do not depend on the other candidates", candidates_do_not_meet, (TWICE,), BATCH),
        Step("padding of a text says nothing", padding_says_nothing, (TWICE,)),
        Step("ids say nothing", ids_say_nothing, (TWICE,)),
        Step("it reads what its modality says", modality_is_true, (TWICE,)),
        Step("one seed, one result", one_seed_one_result, (TWICE,)),
        Step("state survives safetensors", state_is_whole, (TWICE,), "state() returns tensors, load() restores them"),
        Step("it learns a toy task", labels_teach_it, (FINITE,)),
        Step("it works without criteria", works_without_criteria, (FINITE,), "test for an empty spec.criteria"),
        Step(ON_GPU, runs_on_a_gpu, (FINITE,), f"move features to context.device; {DEVICES}"),
    )


METHOD_CHECKS = method_steps()
"""Checks of a method, in order."""


def _scores(subject: MethodSubject) -> Tensor:
    return subject.score(*asked(subject.world))


def _others(names: list[str]) -> str:
    return f", and {len(names) - 1} others" if len(names) > 1 else ""


def _macro_map(scores: Tensor, data: LabelledSet) -> float:
    arrays = (scores, data.grades, data.reference, data.strata)
    return validation_score(*(np.asarray(array) for array in arrays))


def _chance(data: LabelledSet) -> float:
    """Return the mean macro mAP of random scores."""
    draws = torch.rand(50, *data.grades.shape, generator=torch.Generator().manual_seed(0))
    return float(np.mean([_macro_map(draw, data) for draw in draws]))
