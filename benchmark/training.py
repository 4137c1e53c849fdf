"""ComposedMethod and the one loop that trains it and every other learned method."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from benchmark.config import Training
from benchmark.evaluation import validation_score
from benchmark.interfaces import (
    Batch,
    Composer,
    FeatureSpec,
    FitContext,
    Gallery,
    LabelledSet,
    Method,
    Queries,
    Representation,
    Scorer,
)
from benchmark.misfit import check_auxiliary, check_fit, check_gradient, check_losses
from benchmark.objective import CriterionHeads, balanced_batches, multi_positive_contrastive

SCORING_BATCH = 64


class ComposedMethod(Method):
    """A composer and a scorer, trained by the unified objective: the contrastive loss on the score, the same on each
    part of the score, the criterion classification, and what the composer adds.
    """

    def __init__(self, spec: FeatureSpec, options: BaseModel, composer: Composer, scorer: Scorer):
        super().__init__(spec, options)
        self.composer, self.scorer = composer, scorer
        self.model = nn.ModuleDict({"composer": composer, "scorer": scorer})
        self.device = torch.device("cpu")

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Train on ``train``; keep the weights of the epoch with the best macro mAP on ``valid``."""
        with evaluating(self.model):
            check_fit(self.composer, self.scorer, train)
        settings: Training = context.training
        objective = self._objective(train, settings)
        fit_module(
            nn.ModuleDict({"model": self.model, "objective": objective}),
            lambda rows: self._loss(train, rows, objective, settings, context.device),
            lambda: self.score(valid.queries(), valid.gallery()),
            train,
            valid,
            context,
        )
        self.device = context.device

    def _objective(self, train: LabelledSet, settings: Training) -> nn.ModuleDict:
        modules = nn.ModuleDict({"scale": LogitScale(settings.scale)})
        if settings.criterion_weight and self.spec.criteria:
            with torch.no_grad(), evaluating(self.model):
                width = self.composer.embed(train.images[:2].to("cpu"))[self.composer.criterion_key].shape[-1]
            values = tuple(len(criterion.values) for criterion in self.spec.criteria)
            modules["criteria"] = CriterionHeads(width, values, self.composer.criterion_key)
        return modules

    def _loss(
        self, train: LabelledSet, rows: Tensor, objective: nn.ModuleDict, settings: Training, device: torch.device
    ) -> dict[str, Tensor]:
        batch, cases = make_batch(train, rows, device)
        query = self.composer.compose(train.images[train.reference[rows]].to(device), train.texts[rows].to(device))
        candidates = self.composer.embed(train.images[cases].to(device))
        check_gradient(self.composer, query, candidates)
        scale = objective["scale"]
        losses = {
            "contrastive": multi_positive_contrastive(
                scale(self.scorer.score(query, candidates)), batch.positives, batch.excluded
            )
        }
        for name, part in self.scorer.parts(query, candidates).items():
            loss = multi_positive_contrastive(scale(part), batch.positives, batch.excluded)
            losses[f"contrastive_{name}"] = settings.parts_weight * loss
        if "criteria" in objective:
            losses["criteria"] = settings.criterion_weight * objective["criteria"](candidates, batch.criteria)
        added = self.composer.auxiliary_loss(batch, query, candidates)
        check_auxiliary(self.composer, added, losses)
        return {**losses, **added}

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return scores (q, g) on the CPU. A candidate's representation never depends on a query."""
        with torch.no_grad(), evaluating(self.model):
            candidates = _stack(
                [self.composer.embed(gallery.images[part].to(self.device)) for part in _parts(len(gallery.ids))]
            )
            scores = []
            for part in _parts(len(queries.ids)):
                query = self.composer.compose(queries.images[part].to(self.device), queries.texts[part].to(self.device))
                scores.append(self.scorer.score(query, candidates).cpu())
        return torch.cat(scores)

    def modules(self) -> tuple[nn.Module, ...]:
        """Return composer and scorer."""
        return (self.model,)

    def state(self) -> dict[str, Tensor]:
        """Return the weights of composer and scorer; the objective's own are needed in training only."""
        return {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the weights."""
        self.model.load_state_dict(dict(state))


class LogitScale(nn.Module):
    """A positive factor on cosines, learned in the log (as in CLIP; Radford et al., ICML 2021)."""

    def __init__(self, initial: float):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self, scores: Tensor) -> Tensor:
        """Scale scores; the factor is held at 100 at most."""
        return scores * self.log_scale.exp().clamp(max=100.0)


def fit_module(
    module: nn.Module,
    loss: Callable[[Tensor], Mapping[str, Tensor]],
    score_valid: Callable[[], Tensor],
    train: LabelledSet,
    valid: LabelledSet,
    context: FitContext,
) -> None:
    """Minimise ``loss(query rows)`` over balanced batches; leave ``module`` at its best epoch on ``valid``.

    AdamW with a cosine schedule; gradients are clipped at norm 1. ``score_valid`` returns scores (q, n).
    """
    settings: Training = context.training
    module.to(context.device)
    draw = torch.Generator().manual_seed(context.seed)
    optimiser = _optimiser(module, settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    best, best_state, waited = -math.inf, copy.deepcopy(module.state_dict()), 0
    for epoch in range(settings.epochs):
        module.train()
        sums: dict[str, float] = {}
        batches = list(balanced_batches(train.strata, settings.batch_size, draw))
        for rows in batches:
            terms = loss(rows)
            check_losses(terms, epoch)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
        schedule.step()
        reached = _macro_map(score_valid(), valid)
        context.log({"epoch": epoch + 1, **sums, "valid macro mAP": reached})
        waited += 1
        if reached > best:
            best, best_state, waited = reached, copy.deepcopy(module.state_dict()), 0
        if waited >= settings.patience:
            break
    module.load_state_dict(best_state)
    module.eval()


def _optimiser(module: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Decay matrices only: decaying biases, norms and scales pulls them to zero for no reason."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate)


def _macro_map(scores: Tensor, data: LabelledSet) -> float:
    arrays = (scores.float().cpu(), data.grades, data.reference, data.strata)
    return validation_score(*(np.asarray(array) for array in arrays))


def make_batch(data: LabelledSet, rows: Tensor, device: torch.device) -> tuple[Batch, Tensor]:
    """Return the batch of query ``rows`` and the case rows of its candidates: the references, each once."""
    references = data.reference[rows]
    cases = references.unique()
    batch = Batch(
        positives=(data.grades[rows][:, cases] > 0).to(device),
        excluded=(references[:, None] == cases[None]).to(device),
        groups=data.groups[cases].to(device),
        criteria=data.criteria[cases].to(device),
        query_groups=data.groups[references].to(device),
        query_criteria=data.criteria[references].to(device),
    )
    return batch, cases


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout and batch statistics off for a while."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _parts(count: int) -> list[slice]:
    return [slice(start, start + SCORING_BATCH) for start in range(0, count, SCORING_BATCH)]


def _stack(parts: list[Representation]) -> Representation:
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
