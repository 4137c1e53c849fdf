"""Losses made for few and unbalanced groups, beside the unified objective: `--plugin plugins.variants.losses`.

Each is added to all that a method trains with, so that a row says what it brings (results/experiments/losses.toml):

- ``NAME-smooth-ap``: one minus the smoothed average precision of the global cosines (Brown et al., ECCV 2020), which
  asks for what is measured. Ranks in a batch are sums of sigmoids of differences over a temperature of 0.01.
- ``NAME-proxies``: one learned proxy a group; query and candidate are classified by the softmax over their cosines to
  the proxies, divided by 0.05 (Zhai & Wu, BMVC 2019). Groups of few cases then have as firm a place as large ones.
- ``proposed-adjusted``: the experts of criteria learn with logits that are raised by the log of how frequent a value is
  (Menon et al., ICLR 2021), so that what they say of a region or of words is not said of the prior too; a product of
  experts would count it twice. Groups need none: batches hold equally many cases of each.

For `proposed`, whose experts the contrastive loss does not reach, the option ``apart`` says whether such a loss does.

Shapes: q queries, g candidates, k groups, d width, v values of all criteria.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.clip4cir import CLIP4Cir
from baselines.late_fusion import LateFusion
from baselines.tg_cir import TGCIR
from baselines.tirg import TIRG
from benchmark.hookspecs import Register, hookimpl
from benchmark.interfaces import Batch, Composer, FeatureSpec, Representation
from plugins.proposed.composer import HierarchicalComposer

SMOOTHNESS = 0.01
TEMPERATURE = 0.05


def smooth_average_precision(scores: Tensor, positives: Tensor, excluded: Tensor, smoothness: float) -> Tensor:
    """Return the mean over queries of the smoothed average precision, in (0, 1]; 1 where no query has a positive.

    Args:
        scores: (q, g).
        positives: boolean (q, g).
        excluded: boolean (q, g); such a pair counts in no rank.
        smoothness: temperature of the sigmoid; towards 0 this is the average precision.
    """
    positives = (positives & ~excluded).to(scores)
    # above[q, i, j]: how far candidate j stands above candidate i, 0 to 1.
    above = ((scores[:, None, :] - scores[:, :, None]) / smoothness).sigmoid()
    others = ~torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device) & ~excluded[:, None, :]
    above = above * others
    precision = (1 + above @ positives[..., None]).squeeze(-1) / (1 + above.sum(-1))  # (q, g) at each candidate
    count = positives.sum(1)
    asked = count > 0
    if not asked.any():
        return scores.sum() * 0.0 + 1.0
    return ((precision * positives).sum(1)[asked] / count[asked]).mean()


class SmoothAP(Composer):
    """Mixin: adds one minus the smoothed average precision."""

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        wanted, shown = (F.normalize(side["global"], dim=-1) for side in (query, candidates))
        reached = smooth_average_precision(wanted @ shown.T, batch.positives, batch.excluded, SMOOTHNESS)
        return {**super().auxiliary_loss(batch, query, candidates), "smooth_ap": 1 - reached}


class Proxies(Composer):
    """Mixin: adds the classification of queries and candidates by proxies (k, d). Where a text only names what is to
    change, it tells no group, and candidates alone are classified.
    """

    def __init__(self, spec: FeatureSpec, options: Any):
        super().__init__(spec, options)
        self.proxies = nn.Parameter(nn.init.orthogonal_(torch.empty(spec.groups, options.width)))

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        losses = {"proxies": self._classified(candidates["global"], batch.groups)}
        if self.spec.complete_texts:
            losses["query_proxies"] = self._classified(query["global"], batch.query_groups)
        return {**super().auxiliary_loss(batch, query, candidates), **losses}

    def _classified(self, vectors: Tensor, groups: Tensor) -> Tensor:
        cosines = F.normalize(vectors, dim=-1) @ F.normalize(self.proxies, dim=-1).T
        return F.cross_entropy(cosines / TEMPERATURE, groups)


class ProposedSmoothAP(SmoothAP, HierarchicalComposer):
    """`proposed` with smoothed average precision."""


class ProposedProxies(Proxies, HierarchicalComposer):
    """`proposed` with proxies."""


class ProposedAdjusted(HierarchicalComposer):
    """`proposed` whose experts of criteria learn with adjusted logits."""

    def _values_loss(self, logits: Tensor, experts: nn.ModuleList, codes: Tensor) -> Tensor:  # type: ignore[override]
        parts = logits.split([expert.out_features for expert in experts], dim=-1)
        losses = [
            F.cross_entropy(part + frequencies(codes[:, i], part.shape[-1]).log(), codes[:, i])
            for i, part in enumerate(parts)
        ]
        return torch.stack(losses).mean()


def frequencies(codes: Tensor, values: int) -> Tensor:
    """Return how frequent each value is among codes (b,), with one added to every count."""
    counts = torch.bincount(codes, minlength=values).float() + 1
    return counts / counts.sum()


class LateFusionSmoothAP(SmoothAP, LateFusion):
    """Late fusion with smoothed average precision."""


class LateFusionProxies(Proxies, LateFusion):
    """Late fusion with proxies."""


class TIRGSmoothAP(SmoothAP, TIRG):
    """TIRG with smoothed average precision."""

    label = "tirg-smooth-ap (projected)"


class TIRGProxies(Proxies, TIRG):
    """TIRG with proxies."""

    label = "tirg-proxies (projected)"


class CLIP4CirSmoothAP(SmoothAP, CLIP4Cir):
    """CLIP4Cir's combiner with smoothed average precision."""

    label = "clip4cir-smooth-ap (combiner, projected)"


class CLIP4CirProxies(Proxies, CLIP4Cir):
    """CLIP4Cir's combiner with proxies."""

    label = "clip4cir-proxies (combiner, projected)"


class TGCIRSmoothAP(SmoothAP, TGCIR):
    """TG-CIR with smoothed average precision."""

    label = "tg-cir-smooth-ap (projected)"


class TGCIRProxies(Proxies, TGCIR):
    """TG-CIR with proxies."""

    label = "tg-cir-proxies (projected)"


LOSSES = (
    ("smooth-ap", "SmoothAP", "smoothed average precision", "Brown et al., ECCV 2020"),
    ("proxies", "Proxies", "a proxy a group", "Zhai & Wu, BMVC 2019"),
)
METHODS = (
    ("proposed", "Proposed", "plugins.proposed.options:HierarchicalOptions"),
    ("late-fusion", "LateFusion", "baselines.options:LateFusionOptions"),
    ("tirg", "TIRG", "baselines.options:TIRGOptions"),
    ("clip4cir", "CLIP4Cir", "baselines.options:CLIP4CirOptions"),
    ("tg-cir", "TGCIR", "baselines.tg_cir_options:TGCIROptions"),
)


@hookimpl
def register_composers(register: Register) -> None:
    """Register every method with every loss."""
    for method, prefix, options in METHODS:
        for loss, suffix, words, citation in LOSSES:
            register(
                f"{method}-{loss}",
                f"{__name__}:{prefix}{suffix}",
                options=options,
                summary=f"{method} that also learns by {words}",
                citation=citation,
            )
    register(
        "proposed-adjusted",
        f"{__name__}:ProposedAdjusted",
        options="plugins.proposed.options:HierarchicalOptions",
        summary="proposed whose experts of criteria learn with logits adjusted by the frequency of values",
        citation="Menon et al., ICLR 2021",
    )
