"""Posterior control: classify, then retrieve (PROTOCOL.md, "Controls").

Relevance in ``case-search`` is "same group", so the sum over groups of p(group | image, text) of the query times
p(group | image) of the candidate *is* an estimate of the probability of relevance (the probability ranking principle;
Robertson, Journal of Documentation, 1977): a near-ceiling for the same information.

    logits_image = W_i f_i(image),  logits_text = W_t f_t(text)
    p(group | image) = softmax(logits_image),  p(group | image, text) = softmax(logits_image + logits_text)

The two experts are fitted apart, each with its own cross entropy, so that neither can lean on the other. Batches are
balanced, so the prior is uniform. Where the encoder itself shows evidence for the groups, logits_image starts from it
(benchmark/evidence.py). Shapes: b batch, q queries, g candidates, k groups.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.options import PosteriorOptions
from benchmark.evidence import Given, given_groups
from benchmark.interfaces import FeatureSpec, FitContext, Gallery, LabelledSet, Method, Queries
from benchmark.objective import CriterionHeads
from benchmark.training import evaluating, fit_module, make_batch


class Posterior(Method):
    """Ranks by the estimated probability that query and candidate belong to one group."""

    def __init__(self, spec: FeatureSpec, options: PosteriorOptions):
        super().__init__(spec, options)
        width, drop = options.width, options.dropout
        self.width = width
        trunks = {"image": _trunk(spec.image_width, width, drop), "text": _trunk(spec.text_width, width, drop)}
        heads = {f"{side}_groups": nn.Linear(width, spec.groups) for side in trunks}
        given = given_groups(spec, heads["image_groups"])
        self.model = nn.ModuleDict({**trunks, **heads, "image_given": given, "text_given": Given(None)})
        self.device = torch.device("cpu")

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Fit both experts on ``train``; keep the epoch with the best macro mAP on ``valid``."""
        self.device = context.device
        weight = context.training.criterion_weight
        values = tuple(len(criterion.values) for criterion in self.spec.criteria)
        heads = CriterionHeads(self.width, values, "global")

        def loss(rows: Tensor) -> dict[str, Tensor]:
            batch, cases = make_batch(train, rows, context.device)
            features, image = self._read("image", train.images[cases].pooled)
            _, text = self._read("text", train.texts[rows].pooled)
            terms = {
                "image": F.cross_entropy(image, batch.groups),
                "text": F.cross_entropy(text, batch.query_groups),
            }
            if weight and values:
                terms["criteria"] = weight * heads({"global": features}, batch.criteria)
            return terms

        trained = nn.ModuleDict({"model": self.model, "criteria": heads})
        fit_module(trained, loss, lambda: self.score(valid.queries(), valid.gallery()), train, valid, context)

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return probabilities of relevance (q, g) on the CPU."""
        with torch.no_grad(), evaluating(self.model):
            logits = self._logits("image", queries.images.pooled) + self._logits("text", queries.texts.pooled)
            return (logits.softmax(1) @ self._logits("image", gallery.images.pooled).softmax(1).T).cpu()

    def modules(self) -> tuple[nn.Module, ...]:
        """Return both experts."""
        return (self.model,)

    def state(self) -> dict[str, Tensor]:
        """Return the weights of both experts."""
        return {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the weights."""
        self.model.load_state_dict(dict(state))

    def _logits(self, side: str, pooled: Tensor) -> Tensor:
        """Return the group logits (b, k) of one expert."""
        return self._read(side, pooled)[1]

    def _read(self, side: str, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden features (b, width) of one expert, and its group logits (b, k)."""
        pooled = pooled.to(self.device, torch.float32)
        hidden = self.model[side](pooled)
        return hidden, self.model[f"{side}_groups"](hidden) + self.model[f"{side}_given"](pooled)


def _trunk(width: int, hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout)
    )
