"""The native setting: a published composer, trained with its paper's own loss, scale and optimiser (README.md).

It answers whether the unified objective holds a rival back. Features, cases, early stop on valid and ranking are those
of the unified setting; composer and scorer are the same classes. What replaces the unified objective:

- One target a query, as in the papers: one of its positives, drawn anew in each batch; in ``modification`` the case
  that the query was made from. A batch's candidates are the targets of its queries: target i is query i's answer.
- The papers' other targets in a batch are negatives, since there a query has one answer. Here a target of another
  query is often relevant too (in a balanced batch of five groups every fifth one is). To push it away would teach the
  contrary of what is judged, so such a pair is left out of the loss, as is a query's own reference.
- Batches stay balanced over the groups, for the papers' data know no groups that could be rare.
- No labels of criteria, and no gradient clipping: no paper has them.

Legend: b queries of a batch and their targets, d width.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.config import NoOptions
from benchmark.evaluation import validation_score
from benchmark.interfaces import Batch, Composer, FeatureSpec, FitContext, LabelledSet, Representation, Scorer
from benchmark.misfit import check_fit, check_losses
from benchmark.objective import balanced_batches
from benchmark.training import ComposedMethod, evaluating

NEVER = -1e4
"""Logit of a pair that is left out."""


class NativeMethod(ComposedMethod):
    """A composer and its scorer under the paper's own training. A subclass names them, a loss and an optimiser."""

    composer_class: ClassVar[type[Composer]]
    scorer_class: ClassVar[type[Scorer]]

    def __init__(self, spec: FeatureSpec, options: Any):
        super().__init__(spec, options, self.composer_class(spec, options), self.scorer_class(spec, NoOptions()))
        self.settings = options
        self.learned = nn.ParameterDict(self.scales())

    def scales(self) -> Mapping[str, nn.Parameter]:
        """Return the parameters that training learns beside composer and scorer; ranking does without them."""
        return {}

    @abstractmethod
    def losses(self, batch: Batch, query: Representation, target: Representation) -> Mapping[str, Tensor]:
        """Return the paper's named losses of b queries and targets: row i of ``target`` is query i's.
        ``batch.excluded`` (b, b) are the pairs to leave out.
        """

    @abstractmethod
    def optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the paper's optimiser."""

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Train on ``train``; keep the weights of the epoch with the best macro mAP on ``valid``."""
        with evaluating(self.model):
            check_fit(self.composer, self.scorer, train)
        self.device = context.device
        trained = nn.ModuleDict({"model": self.model, "learned": self.learned}).to(self.device)
        optimiser = self.optimiser([one for one in trained.parameters() if one.requires_grad])
        draw = torch.Generator().manual_seed(context.seed)
        best, best_state, waited = -math.inf, copy.deepcopy(trained.state_dict()), 0
        for epoch in range(self.settings.epochs):
            trained.train()
            means = self._epoch(train, optimiser, draw, epoch)
            reached = self._macro_map(valid)
            context.log({"epoch": epoch + 1, **means, "valid macro mAP": reached})
            waited += 1
            if reached > best:
                best, best_state, waited = reached, copy.deepcopy(trained.state_dict()), 0
            if waited >= self.settings.patience:
                break
        trained.load_state_dict(best_state)
        trained.eval()

    def _epoch(
        self, train: LabelledSet, optimiser: torch.optim.Optimizer, draw: torch.Generator, epoch: int
    ) -> dict[str, float]:
        """Take one step a batch; return the mean of each loss."""
        size = min(self.settings.batch_size, len(train.strata))
        batches = [drawn_pairs(train, rows, draw) for rows in balanced_batches(train.strata, size, draw)]
        means: dict[str, float] = {}
        for rows, targets in batches:
            query, target = self._represent(train, rows, targets)
            terms = self.losses(native_batch(train, rows, targets, self.device), query, target)
            check_losses(terms, epoch)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            optimiser.step()
            for name, value in terms.items():
                means[name] = means.get(name, 0.0) + value.item() / len(batches)
        return means

    def _represent(self, train: LabelledSet, rows: Tensor, targets: Tensor) -> tuple[Representation, Representation]:
        images = train.images[train.reference[rows]].to(self.device)
        query = self.composer.compose(images, train.texts[rows].to(self.device))
        return query, self.composer.embed(train.images[targets].to(self.device))

    def _macro_map(self, valid: LabelledSet) -> float:
        scores = self.score(valid.queries(), valid.gallery()).float()
        return validation_score(*(one.numpy() for one in (scores, valid.grades, valid.reference, valid.strata)))


def drawn_pairs(data: LabelledSet, rows: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return those of the query ``rows`` that have a positive, and the case row of one target for each."""
    if data.targets is not None:
        return rows, data.targets[rows]
    positives = data.grades[rows] > 0
    positives[torch.arange(len(rows)), data.reference[rows]] = False
    rows, positives = rows[positives.any(1)], positives[positives.any(1)]
    return rows, torch.multinomial(positives.float(), 1, generator=draw).flatten()


def native_batch(data: LabelledSet, rows: Tensor, targets: Tensor, device: torch.device) -> Batch:
    """Return the batch of query ``rows`` and their ``targets``: the only positive of query i is candidate i."""
    references, own = data.reference[rows], torch.eye(len(rows), dtype=torch.bool)
    relevant = data.grades[rows][:, targets] > 0
    return Batch(
        positives=own.to(device),
        excluded=((relevant | (references[:, None] == targets[None])) & ~own).to(device),
        groups=data.groups[targets].to(device),
        criteria=data.criteria[targets].to(device),
        query_groups=data.groups[references].to(device),
        query_criteria=data.criteria[references].to(device),
    )


def batch_classification(logits: Tensor, excluded: Tensor) -> Tensor:
    """Return the cross entropy of logits (b, b) in which candidate i is query i's class, without ``excluded`` pairs."""
    return F.cross_entropy(logits.masked_fill(excluded, NEVER), torch.arange(len(logits), device=logits.device))
