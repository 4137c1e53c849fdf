"""What a scorer must keep, on random representations or on those of a composer that gives the keys it reads.

Shapes: b batch, q queries, g gallery, m regions, d width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmark.errors import PluginError, UserError
from benchmark.interfaces import FeatureSpec, Representation, Scorer
from benchmark.methods import plan_method
from benchmark.testing.composer_checks import check_inner_product
from benchmark.testing.invariance_checks import BATCH, expect_same
from benchmark.testing.method_checks import BUILDS, FINITE, SHAPES
from benchmark.testing.moving import DEVICES, TRIED, on_meta
from benchmark.testing.steps import Failed, NotApplicable, Step
from benchmark.testing.subjects import ABOUT, LOADS, Subject
from benchmark.testing.trained import seed_all
from benchmark.testing.worlds import PLAIN, SPEC, world
from benchmark.training import ComposedMethod

WIDTH = 48
"""Width of random vectors; many numbers divide it."""
BLOCKS = "weigh blocks on the query's side alone, by what blocks() says"
DOCUMENTED = frozenset({"global", "local"})
"""Keys whose shapes are known, so that they can be drawn."""


class ScorerSubject(Subject):
    """A scorer, and representations for it to compare."""

    def build(self, spec: FeatureSpec = SPEC) -> Scorer:
        """Construct the scorer."""
        seed_all(0)
        scorer: Scorer = self.component.construct(spec=spec, options=self.options)
        return scorer

    def pair(self, spec: FeatureSpec = SPEC, queries: int = 6, candidates: int = 9) -> tuple[Representation, ...]:
        """Return a query and a candidate representation with the keys that the scorer reads.

        Raises:
            NotApplicable: no composer gives them.
        """
        cls: Any = self.component.load()
        if cls.requires <= DOCUMENTED:
            draw = torch.Generator().manual_seed(0)
            return tuple(_random(cls.requires, count, spec, draw) for count in (queries, candidates))
        return self._composed(cls, spec, queries, candidates)

    def _composed(self, cls: Any, spec: FeatureSpec, queries: int, candidates: int) -> tuple[Representation, ...]:
        for name, component in self.registry.components["composers"].items():
            try:
                composer: Any = component.load()
                if cls.requires <= composer.provides:
                    method = plan_method(self.registry, name, {}).build(spec)
                    break
            except (PluginError, UserError):
                continue
        else:
            raise NotApplicable(
                f"no composer here provides {sorted(cls.requires)}: check it in the file of its composer"
            )
        assert isinstance(method, ComposedMethod)
        test = world(spec).test
        model = method.composer.eval()
        images, texts = test.images.to("cpu"), test.texts.to("cpu")
        with torch.no_grad():
            return model.compose(images[:queries], texts[:queries]), model.embed(images[:candidates])


def _random(keys: frozenset[str], count: int, spec: FeatureSpec, draw: torch.Generator) -> dict[str, Tensor]:
    shapes = {"global": (count, WIDTH), "local": (count, len(spec.criteria) or 4, WIDTH)}
    return {key: torch.randn(shapes[key], generator=draw) for key in sorted(keys)}


def constructed(subject: ScorerSubject) -> None:
    """``Class(spec, options)`` works with and without criteria."""
    subject.build()
    subject.build(PLAIN)


def scores_have_a_shape(subject: ScorerSubject) -> str:
    """``score`` returns a floating tensor (q, g), with and without criteria."""
    for spec in (SPEC, PLAIN):
        scores = subject.build(spec).score(*subject.pair(spec))
        if not isinstance(scores, Tensor) or tuple(scores.shape) != (6, 9):
            found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise Failed(f"6 queries and 9 candidates gave {found}", "return a tensor (q, g): a row a query")
        if not scores.is_floating_point():
            raise Failed(f"score returned {scores.dtype}", "return floats")
    return f"reads {sorted(subject.build().requires)}"


def scores_are_finite(subject: ScorerSubject) -> None:
    """No score and no part of it is NaN or infinite, and each part has the shape of the score."""
    scorer, (query, candidates) = subject.build(), subject.pair()
    parts = {"score": scorer.score(query, candidates), **scorer.parts(query, candidates)}
    for name, values in parts.items():
        if tuple(values.shape) != (6, 9):
            raise Failed(f"parts()[{name!r}] is {tuple(values.shape)}, the score (6, 9)", "each part is a score (q, g)")
        if not torch.isfinite(values).all():
            raise Failed(f"{name} holds NaN or infinite values", "look for a division by zero or a logarithm of zero")


def pairs_do_not_meet(subject: ScorerSubject) -> None:
    """A pair's score is the same alone and among others."""
    scorer, (query, candidates) = subject.build().eval(), subject.pair()
    whole = scorer.score(query, candidates)
    for q, g in ((slice(2, 3), slice(0, 9)), (slice(0, 6), slice(4, 5)), (slice(1, 4), slice(2, 8))):
        part = scorer.score({k: v[q] for k, v in query.items()}, {k: v[g] for k, v in candidates.items()})
        expect_same(part, whole[q, g], "alone, a pair gets another score than among others", BATCH)


def is_its_inner_product(subject: ScorerSubject) -> None:
    """The score is the inner product of ``as_vectors``, unless it says that it is pairwise."""
    scorer = subject.build().eval()
    if scorer.pairwise:
        raise NotApplicable("the class says pairwise = True")
    check_inner_product(scorer, *subject.pair())


def blocks_keep_their_promise(subject: ScorerSubject) -> str:
    """A query's vector is its candidate vector with each block of ``blocks`` times its weight."""
    scorer, (query, _) = subject.build().eval(), subject.pair()
    layout = scorer.blocks(query)
    if layout is None:
        return "it names none: its score is one whole"
    plain, weighted = scorer.as_vectors(query, "candidate"), scorer.as_vectors(query, "query")
    local = layout.local_weight
    weights = [block.share * (local if block.local else 1 - local) for block in layout.blocks]
    widths = torch.tensor([block.width for block in layout.blocks])
    if int(widths.sum()) != plain.shape[1]:
        raise Failed(f"the blocks are {int(widths.sum())} wide, the vectors {plain.shape[1]}", "name every block")
    expected = plain * torch.tensor(weights).repeat_interleave(widths)
    expect_same(expected, weighted, "a block's weight is not share times local_weight (or 1 - local_weight)", BLOCKS)
    return ", ".join(block.name for block in layout.blocks)


def gradients_flow(subject: ScorerSubject) -> str:
    """The score has a gradient for every key that is read, on both sides, and for every parameter."""
    scorer = subject.build()
    sides = [{k: v.detach().requires_grad_() for k, v in values.items()} for values in subject.pair()]
    scorer.score(*sides).square().sum().backward()
    leaves = {
        f"{side}[{key!r}]": values[key]
        for side, values in zip(("query", "candidates"), sides, strict=True)
        for key in sorted(scorer.requires)
    }
    own = {f"parameter {name!r}": p for name, p in scorer.named_parameters() if p.requires_grad}
    still = [name for name, leaf in {**leaves, **own}.items() if leaf.grad is None or not leaf.grad.any()]
    if still:
        raise Failed(
            f"{still[0]} gets no gradient from the score", "use it, take it out of `requires`, or freeze the parameter"
        )
    return f"{len(leaves)} representations, {len(own)} parameters"


def modules_can_move(subject: ScorerSubject) -> str:
    """No tensor stays behind when the scorer moves to another device."""
    scorer = subject.build().to("meta")
    sides = [{k: v.to("meta") for k, v in values.items()} for values in subject.pair()]
    with on_meta():
        scorer.score(*sides)
    return TRIED


SCORER_CHECKS = (
    *ABOUT,
    Step(BUILDS, constructed, (LOADS,), "define __init__(self, spec, options); a dataset may have no criteria"),
    Step(SHAPES, scores_have_a_shape, (BUILDS,), "score(query, candidates) reads the keys of `requires` alone"),
    Step(FINITE, scores_are_finite, (SHAPES,)),
    Step("a score depends on its pair alone", pairs_do_not_meet, (FINITE,), BATCH),
    Step("score is its inner product", is_its_inner_product, (FINITE,), "define as_vectors, or say pairwise = True"),
    Step("blocks are weighted as they say", blocks_keep_their_promise, (FINITE,), BLOCKS),
    Step("gradients flow through it", gradients_flow, (FINITE,)),
    Step("it moves between devices", modules_can_move, (SHAPES,), DEVICES),
)
"""Checks of a scorer, in order."""
