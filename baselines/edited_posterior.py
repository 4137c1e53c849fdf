"""Edited posterior: classify the criteria, overwrite what the text names, retrieve by agreement (benchmark/README.md,
"Tasks").

The control of ``modification`` that composes by rule instead of embeddings: relevance there is "all criteria agree",
so the product over criteria of the probability of agreement estimates the probability of relevance, with the criteria
taken as independent given the image (Robertson, Journal of Documentation, 1977). No label is read to score: what the
text names, and its value, is recovered from the text's features by a head of its own.

Legend: q queries, g candidates, v values of criterion k; r the reference, c a candidate, t the text.

    p_k(v | image)             softmax of an image head
    u_k(v | t), u_k(keep | t)  softmax of a text head over the values and "not named"
    e_k(v)  = u_k(v | t) + u_k(keep | t) p_k(v | r)
    s(q, c) = sum_k log sum_v e_k(v) p_k(v | c)

The two experts are fitted apart, each with its own cross entropy, as in posterior.py. Where a dataset has no criteria
the group stands for the only one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.edited_options import EditedPosteriorOptions
from benchmark.evidence import given_groups, given_values
from benchmark.interfaces import FeatureSpec, FitContext, Gallery, LabelledSet, Method, Queries
from benchmark.training import evaluating, fit_module, make_batch

SMALLEST = 1e-12
"""Keeps the logarithm of an agreement finite."""


class EditedPosterior(Method):
    """Ranks by the estimated probability that every criterion of a candidate is as the query wants it."""

    def __init__(self, spec: FeatureSpec, options: EditedPosteriorOptions):
        super().__init__(spec, options)
        values = [len(criterion.values) for criterion in spec.criteria] or [spec.groups]
        image = _Heads(spec.image_width, values, options)
        text = _Heads(spec.text_width, [count + 1 for count in values], options)
        # The heads of the image start from what the encoder itself says, where it says something.
        given = [given_values(spec, i, image.last(i)) for i in range(len(spec.criteria))]
        self.given = nn.ModuleList(given or [given_groups(spec, image.last(0))])
        self.model = nn.ModuleDict({"image": image, "text": text, "given": self.given})
        self.device = torch.device("cpu")

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Fit both experts on ``train``; keep the epoch with the best macro mAP on ``valid``."""
        self.device = context.device
        findings = train.criteria if self.spec.criteria else train.groups[:, None]  # (n, c)
        named = named_values(findings, train.reference, train.targets)  # (q, c)

        def loss(rows: Tensor) -> dict[str, Tensor]:
            _, cases = make_batch(train, rows, context.device)
            image = self._logits("image", train.images[cases].pooled)
            text = self._logits("text", train.texts[rows].pooled)
            return {"image": _cross_entropy(image, findings[cases]), "text": _cross_entropy(text, named[rows])}

        fit_module(self.model, loss, lambda: self.score(valid.queries(), valid.gallery()), train, valid, context)

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return the log probabilities of agreement (q, g) on the CPU."""
        with torch.no_grad(), evaluating(self.model):
            references, candidates = (self._values(images.pooled) for images in (queries.images, gallery.images))
            texts = [logits.softmax(1) for logits in self._logits("text", queries.texts.pooled)]
            agreement = [
                edited(text, reference) @ candidate.T  # (q, g)
                for text, reference, candidate in zip(texts, references, candidates, strict=True)
            ]
        return torch.stack([one.clamp(min=SMALLEST).log() for one in agreement]).sum(0).cpu()

    def modules(self) -> tuple[nn.Module, ...]:
        """Return both experts."""
        return (self.model,)

    def state(self) -> dict[str, Tensor]:
        """Return the weights of both experts."""
        return {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the weights."""
        self.model.load_state_dict(dict(state))

    def _logits(self, side: str, pooled: Tensor) -> list[Tensor]:
        """Return the logits of one expert, (b, v) or (b, v + 1) a criterion; the last of a text is "not named"."""
        pooled = pooled.to(self.device, torch.float32)
        logits: list[Tensor] = self.model[side](pooled)
        if side == "text":
            return logits
        return [own + given(pooled) for own, given in zip(logits, self.given, strict=True)]

    def _values(self, pooled: Tensor) -> list[Tensor]:
        """Return p_k(v | image), (b, v) a criterion."""
        return [logits.softmax(1) for logits in self._logits("image", pooled)]


class _Heads(nn.Module):
    """One hidden layer and a linear classifier a criterion."""

    def __init__(self, width: int, values: list[int], options: EditedPosteriorOptions):
        super().__init__()
        hidden, drop = options.width, options.dropout
        self.trunk = nn.Sequential(
            nn.LayerNorm(width), nn.Dropout(drop), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(drop)
        )
        self.heads = nn.ModuleList(nn.Linear(hidden, count) for count in values)

    def last(self, criterion: int) -> nn.Linear:
        """Return the classifier of a criterion."""
        return self.heads[criterion]  # type: ignore[return-value]

    def forward(self, pooled: Tensor) -> list[Tensor]:
        """Return the logits (b, v) of each criterion."""
        hidden = self.trunk(pooled)
        return [head(hidden) for head in self.heads]


def edited(text: Tensor, reference: Tensor) -> Tensor:
    """Return e_k (q, v) from u_k (q, v + 1), whose last column is "not named", and p_k of the reference (q, v)."""
    return text[:, :-1] + text[:, -1:] * reference


def named_values(findings: Tensor, reference: Tensor, targets: Tensor | None) -> Tensor:
    """Return what each query's text names, codes (q, c), from the ``findings`` (n, c) of the cases: the target's value,
    or -1 where it is that of the reference. Without targets a text states all findings of its reference.
    """
    if targets is None:
        return findings[reference]
    return findings[targets].masked_fill(findings[targets] == findings[reference], -1)


def _cross_entropy(logits: list[Tensor], codes: Tensor) -> Tensor:
    """Return the mean cross entropy over the criteria, codes (b, c); the code -1 stands for the last class."""
    losses = [F.cross_entropy(one, codes[:, k].to(one.device) % one.shape[1]) for k, one in enumerate(logits)]
    return torch.stack(losses).mean()
