"""What a composer must keep besides being a method: its two representations, apart from each other and in place.

Shapes: b batch, q queries, g gallery.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmark.interfaces import Composer, ImageFeatures, Representation, TextFeatures, representation_shapes, shown
from benchmark.testing.invariance_checks import expect_same
from benchmark.testing.method_checks import BUILDS, TRAINS, method_steps
from benchmark.testing.moving import DEVICES, TRIED, on_meta
from benchmark.testing.steps import Failed, NotApplicable, Step
from benchmark.testing.subjects import called
from benchmark.testing.trained import MethodSubject
from benchmark.testing.worlds import World
from benchmark.training import ComposedMethod, evaluating


def representations_are_promised(subject: MethodSubject) -> str:
    """Both sides, and words or a picture alone, are mappings of finite floating tensors, batch first, with the keys of
    ``provides``.
    """
    said = ""
    for where in (subject.world, subject.plain):
        composer = _composer(subject.build(where))
        images, texts = _inputs(where, 5)
        with torch.no_grad(), evaluating(composer):
            query, candidate = composer.compose(images, texts), composer.embed(images)
            alone = composer.compose_text(texts, images), composer.compose_image(images)
        sides = {"compose": query, "embed": candidate, "compose_text": alone[0], "compose_image": alone[1]}
        for side, values in sides.items():
            _check_side(composer, called(getattr(composer, side)), values)
        said = said or representation_shapes(query)
    return f"{said} for 5 queries"


def _check_side(composer: Composer, side: str, values: Representation) -> None:
    if not isinstance(values, Mapping):
        raise Failed(f"{side} returned {shown(values)}", "return a mapping, such as {'global': tensor}")
    missing = composer.provides - set(values)
    if missing:
        raise Failed(
            f"{side} returned {sorted(values)}, without {sorted(missing)}", "both sides give every key of `provides`"
        )
    for key, value in values.items():
        if not isinstance(value, Tensor):
            raise Failed(f"{side} returned {shown(value)} under {key!r}", "return tensors")
        if value.ndim < 2 or len(value) != 5:
            raise Failed(
                f"{side} returned {key} {tuple(value.shape)} for 5 inputs",
                "the batch comes first: global (b, d), local (b, m, d)",
            )
        if not value.is_floating_point() or not torch.isfinite(value).all():
            wrong = int((~torch.isfinite(value)).sum())
            hint = "return floats; look for a division by zero, or a softmax or mean over nothing"
            raise Failed(f"{side} returned {key} {shown(value)} with {wrong} NaN or infinite values", hint)


def modules_can_move(subject: MethodSubject) -> str:
    """No tensor stays behind when the composer moves to another device."""
    composer = _composer(subject.build(subject.world)).to("meta")
    images, texts = _inputs(subject.world, 2)
    with torch.no_grad(), evaluating(composer), on_meta():
        composer.embed(images.to("meta"))
        composer.compose(images.to("meta"), texts.to("meta"))
    return TRIED


def candidates_see_no_query(subject: MethodSubject) -> None:
    """``embed`` gives the same before and after other queries were composed."""
    composer = _composer(subject.trained)
    images, texts = _inputs(subject.world, 8)
    with torch.no_grad(), evaluating(composer):
        before = composer.embed(images)
        for rows in (slice(0, 3), slice(3, 8)):
            composer.compose(images[rows], texts[rows])
            after = composer.embed(images)
            for key, value in before.items():
                expect_same(
                    after[key],
                    value,
                    f"after compose, embed returns another {key!r}",
                    "keep nothing of a query in the module: candidates are indexed once for all",
                )


def score_is_its_inner_product(subject: MethodSubject) -> str:
    """The scorer's vectors of this composer's representations have the score as inner product."""
    method = subject.trained
    assert isinstance(method, ComposedMethod)
    if method.scorer.pairwise:
        raise NotApplicable(f"{type(method.scorer).__name__} says that it is pairwise")
    images, texts = _inputs(subject.world, 6)
    with torch.no_grad(), evaluating(method.model):
        query, candidates = method.composer.compose(images, texts), method.composer.embed(images)
        check_inner_product(method.scorer, query, candidates)
    return type(method.scorer).__name__


def check_inner_product(scorer: torch.nn.Module, query: Representation, candidates: Representation) -> None:
    """Raise ``Failed`` unless ``scorer.as_vectors`` gives (q, d) and (g, d) whose products are the scores."""
    left, right = scorer.as_vectors(query, "query"), scorer.as_vectors(candidates, "candidate")  # type: ignore[operator]
    hint = "mend as_vectors, or say pairwise = True: an index answers by these vectors"
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise Failed(f"as_vectors returned {tuple(left.shape)} and {tuple(right.shape)}, not (q, d) and (g, d)", hint)
    expect_same(left @ right.T, scorer.score(query, candidates), "score is not the inner product of as_vectors", hint)  # type: ignore[operator]


def _composer(method: object) -> Composer:
    assert isinstance(method, ComposedMethod)
    return method.composer


def _inputs(where: World, count: int) -> tuple[ImageFeatures, TextFeatures]:
    """Return images and texts as training and scoring hand them over: in single precision."""
    return where.test.images[:count].to("cpu"), where.test.texts[:count].to("cpu")


COMPOSER_CHECKS = method_steps(
    ready=(Step("compose and embed return what is promised", representations_are_promised, (BUILDS,)),),
    apart=(
        Step("it moves between devices", modules_can_move, (TRAINS,), DEVICES),
        Step("candidates do not see the query", candidates_see_no_query, (TRAINS,)),
        Step("score is its inner product", score_is_its_inner_product, (TRAINS,)),
    ),
)
"""Checks of a composer with its scorer, in order."""
