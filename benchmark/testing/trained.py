"""Methods built, seeded and trained on a tiny world, as a run would do it, and a watch on their gradients.

Shapes: q queries, g gallery.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from benchmark.config import Training
from benchmark.errors import UserError
from benchmark.interfaces import FitContext, Gallery, Method, Queries
from benchmark.methods import MethodPlan, plan_method
from benchmark.testing.steps import Failed
from benchmark.testing.subjects import Subject
from benchmark.testing.worlds import ALIGNED, PLAIN, SPEC, World, world

LEARNING = Training(epochs=16, patience=16, batch_size=24, learning_rate=5e-3)
BRIEF = LEARNING.model_copy(update={"epochs": 3})
"""Six steps: enough to see every gradient, and two seeds apart."""


def seed_all(seed: int) -> None:
    """Seed what a unit of a run seeds."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class MethodSubject(Subject):
    """A method, or a composer with its scorer."""

    @property
    def plan(self) -> MethodPlan:
        """The method with its options and scorer."""
        return plan_method(self.registry, self.component.name, self.given)

    @property
    def trained_class(self) -> Any:
        """The registered class, a method or a composer."""
        return self.component.load()

    @cached_property
    def world(self) -> World:
        """The first world that the method can be built for: it may ask for an aligned encoder."""
        with suppress(UserError):
            self.plan.build(SPEC)
            return world(SPEC)
        self.plan.build(ALIGNED)
        return world(ALIGNED)

    @cached_property
    def plain(self) -> World:
        """A world of other widths and grids and without criteria, aligned where the method asks for it."""
        spec = replace(PLAIN, image_width=PLAIN.text_width, aligned=True) if self.world.spec.aligned else PLAIN
        return world(spec)

    @cached_property
    def trained(self) -> Method:
        """The method after the training in which it should learn."""
        return self.fit(self.world, LEARNING)

    def build(self, where: World, seed: int = 0) -> Method:
        """Construct the method for a world."""
        seed_all(seed)
        return self.plan.build(where.spec)

    def fit(
        self,
        where: World,
        training: Training,
        watch: Callable[[Method], Any] | None = None,
        wrong_labels: bool = False,
        device: str = "cpu",
    ) -> Method:
        """Construct and train; ``watch`` is handed the method before. ``wrong_labels`` are those of other cases."""
        method = self.build(where)
        if watch:
            watch(method)
        train = where.train
        if wrong_labels:
            moved = train.groups.roll(7)
            grades = (moved[:, None] == moved[None]).to(torch.uint8)
            train = replace(train, groups=moved, strata=moved, grades=grades, criteria=train.criteria.roll(7, 0))
        method.fit(train, where.valid, FitContext(0, torch.device(device), training, _numbers))
        return method

    def score(self, queries: Queries, gallery: Gallery, method: Method | None = None) -> Tensor:
        """Return the scores of the trained method, or of another one, as a run stores them."""
        scores = (method or self.trained).score(queries, gallery)
        return scores.detach().float().cpu()

    def restored(self, method: Method) -> Method:
        """Return a fresh instance that loaded the state of ``method`` through the bytes of a safetensors file."""
        state = method.state()
        wrong = [key for key, value in state.items() if not isinstance(value, Tensor)]
        if wrong:
            raise Failed(f"state()[{wrong[0]!r}] is no tensor", "safetensors holds tensors only: use torch.tensor(...)")
        stored = {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}
        fresh = self.build(self.world, seed=1)
        fresh.load(load_tensors(save_tensors(stored)))
        return fresh


def _numbers(logged: Mapping[str, float]) -> None:
    """A log as strict as that of a run: names to numbers."""
    {str(name): float(value) for name, value in logged.items()}


def asked(where: World) -> tuple[Queries, Gallery]:
    """Return the queries and the gallery that the method has not seen."""
    return where.test.queries(), where.test.gallery()


def some_queries(queries: Queries, rows: Tensor) -> Queries:
    """Return the queries of ``rows``, in that order."""
    return Queries(tuple(queries.ids[i] for i in rows.tolist()), queries.images[rows], queries.texts[rows])


def some_candidates(gallery: Gallery, rows: Tensor) -> Gallery:
    """Return the candidates of ``rows``, in that order."""
    return Gallery(tuple(gallery.ids[i] for i in rows.tolist()), gallery.images[rows])


@dataclass
class GradientWatch:
    """Notes for every parameter at which backward pass it first got a gradient, and first one that is not zero."""

    names: list[str] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    passes: int = 0
    _seen: set[str] = field(default_factory=set)

    def __call__(self, method: Method) -> None:
        """Watch every parameter of ``method.modules()`` that is to be trained."""
        networks = method.modules()
        for position, network in enumerate(networks):
            prefix = f"modules()[{position}]." if len(networks) > 1 else ""
            for name, parameter in network.named_parameters():
                if parameter.requires_grad:
                    self.names.append(prefix + name)
                    parameter.register_hook(partial(self._note, prefix + name))

    def _note(self, name: str, gradient: Tensor) -> None:
        # A pass begins with the first parameter that is reached, and the next one when one is reached again.
        if self.passes == 0 or name in self._seen:
            self.passes, self._seen = self.passes + 1, set()
        self._seen.add(name)
        self.first.setdefault(name, self.passes)
        if gradient.any():
            self.moved.setdefault(name, self.passes)
