"""How methods meet the evidence of an adapted encoder (benchmark/evidence.py): `--plugin plugins.variants.evidence`.

`proposed` and `posterior` start from it; to the rivals it is a vector like any. Three kinds of variants say what that
is worth (results/experiments/lead.toml):

- ``NAME-unstarted``: `proposed` and `posterior` without the start, reading evidence as the rivals do;
- ``NAME-probabilities``: a rival that is shown probabilities where it else sees their logarithms;
- ``NAME-started``: a rival with a second block, the encoder's evidence for the groups as `proposed` starts with it:

      query [norm(q) ; w p(group | image) ; 0],   candidate [norm(c) ; p(group | image) ; rest],  w learned, 1 at first

  where the rest completes the block to unit length, so that the block's product is the probability that both are of
  one group.

With another encoder, which shows no evidence, a variant is what it is a variant of, or has a block that says nothing.

Shapes: b batch, d width, k groups.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.artemis import ARTEMIS
from baselines.clip4cir import CLIP4Cir
from baselines.late_fusion import LateFusion
from baselines.posterior import Posterior
from baselines.tg_cir import TGCIR
from baselines.tirg import TIRG
from baselines.val import VAL
from benchmark.evidence import Given
from benchmark.hookspecs import Register, hookimpl
from benchmark.interfaces import Batch, Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures
from plugins.proposed.composer import HierarchicalComposer
from plugins.proposed.registration import PAPER


class ProposedUnstarted(HierarchicalComposer):
    """`proposed` whose experts learn from nothing what evidence means."""

    def __init__(self, spec: FeatureSpec, options: Any):
        super().__init__(replace(spec, evidence=False), options)


class PosteriorUnstarted(Posterior):
    """`posterior` whose classifiers do."""

    def __init__(self, spec: FeatureSpec, options: Any):
        super().__init__(replace(spec, evidence=False), options)


class Around(Composer):
    """A composer around a rival's, which keeps its widths and its losses."""

    rival: ClassVar[type[Composer]]

    def __init__(self, spec: FeatureSpec, options: Any):
        super().__init__(spec, options)
        self.inner = self.rival(spec, options)


class Probabilities(Around):
    """Shows the rival probabilities, pooled and at every position."""

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        return self.inner.compose(self._shown(images), texts)

    def embed(self, images: ImageFeatures) -> Representation:
        return self.inner.embed(self._shown(images))

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        return dict(self.inner.auxiliary_loss(batch, query, candidates))

    def _shown(self, images: ImageFeatures) -> ImageFeatures:
        if not self.spec.evidence:
            return images
        return ImageFeatures(tuple(level.exp() for level in images.levels), images.grids, images.pooled.exp())


class Started(Around):
    """Adds the block of group evidence; ``composed`` is what the rival itself makes, which its own losses read."""

    def __init__(self, spec: FeatureSpec, options: Any):
        super().__init__(spec, options)
        self.given = Given(slice(0, spec.groups) if spec.evidence else None)
        self.weight = nn.Parameter(torch.ones(()))

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        made, shown = self.inner.compose(images, texts), self.weight * self._groups(images)
        return self._with(made, F.pad(shown, (0, 1)))

    def embed(self, images: ImageFeatures) -> Representation:
        shown = self._groups(images)
        rest = (1 - shown.square().sum(-1, keepdim=True)).clamp(min=1e-6).sqrt()
        return self._with(self.inner.embed(images), torch.cat([shown, rest], dim=-1))

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        own = ({**side, "global": side["composed"]} for side in (query, candidates))
        return dict(self.inner.auxiliary_loss(batch, *own))

    def _groups(self, images: ImageFeatures) -> Tensor:
        """Return p(group | image), (b, k)."""
        logits = self.given(images.pooled) + images.pooled.new_zeros(len(images), self.spec.groups)
        return logits.softmax(dim=-1)

    @staticmethod
    def _with(made: Representation, block: Tensor) -> Representation:
        vector = torch.cat([F.normalize(made["global"], dim=-1), block], dim=-1)  # (b, d + k + 1)
        return {**made, "composed": made["global"], "global": vector}


class LateFusionProbabilities(Probabilities):
    """Late fusion that is shown probabilities."""

    rival = LateFusion


class TIRGProbabilities(Probabilities):
    """TIRG that is shown probabilities."""

    rival, label = TIRG, "tirg-probabilities (projected)"


class CLIP4CirProbabilities(Probabilities):
    """CLIP4Cir's combiner that is shown probabilities."""

    rival, label = CLIP4Cir, "clip4cir-probabilities (combiner, projected)"


class VALProbabilities(Probabilities):
    """VAL that is shown probabilities."""

    rival, label = VAL, "val-probabilities (projected)"


class ARTEMISProbabilities(Probabilities):
    """ARTEMIS that is shown probabilities."""

    rival, label = ARTEMIS, "artemis-probabilities (projected)"
    provides, scorer, criterion_key = ARTEMIS.provides, ARTEMIS.scorer, ARTEMIS.criterion_key


class TGCIRProbabilities(Probabilities):
    """TG-CIR that is shown probabilities."""

    rival, label = TGCIR, "tg-cir-probabilities (projected)"


class LateFusionStarted(Started):
    """Late fusion and the block of group evidence."""

    rival = LateFusion


class TIRGStarted(Started):
    """TIRG and the block of group evidence."""

    rival, label = TIRG, "tirg-started (projected)"


class CLIP4CirStarted(Started):
    """CLIP4Cir's combiner and the block of group evidence."""

    rival, label = CLIP4Cir, "clip4cir-started (combiner, projected)"


class TGCIRStarted(Started):
    """TG-CIR and the block of group evidence."""

    rival, label = TGCIR, "tg-cir-started (projected)"


RIVALS = (
    ("late-fusion", "LateFusion", "baselines.options:LateFusionOptions", "dermcir benchmark/README.md"),
    ("tirg", "TIRG", "baselines.options:TIRGOptions", "Vo et al., CVPR 2019"),
    ("clip4cir", "CLIP4Cir", "baselines.options:CLIP4CirOptions", "Baldrati et al., CVPR Workshops 2022"),
    ("val", "VAL", "baselines.val_options:VALOptions", "Chen et al., CVPR 2020"),
    ("artemis", "ARTEMIS", "baselines.artemis_options:ARTEMISOptions", "Delmas et al., ICLR 2022"),
    ("tg-cir", "TGCIR", "baselines.tg_cir_options:TGCIROptions", "Wen et al., ACM MM 2023"),
)
"""Name, class, options and work. `val`, a row of vectors, and `artemis`, a pairwise score, have no second block."""


@hookimpl
def register_composers(register: Register) -> None:
    """Register the variants of composers."""
    register(
        "proposed-unstarted",
        ProposedUnstarted,
        options="plugins.proposed.options:HierarchicalOptions",
        summary="proposed that does not start from the encoder's evidence",
        citation=PAPER,
    )
    for name, cls, options, citation in RIVALS:
        kinds = [("probabilities", "Probabilities", "that sees evidence as probabilities")]
        if name not in ("val", "artemis"):
            kinds.append(("started", "Started", "and a block of the encoder's evidence for the groups"))
        for kind, suffix, words in kinds:
            component, summary = f"{__name__}:{cls}{suffix}", f"{name} {words}"
            register(f"{name}-{kind}", component, options=options, summary=summary, citation=citation)


@hookimpl
def register_methods(register: Register) -> None:
    """Register the variant of the control."""
    register(
        "posterior-unstarted",
        PosteriorUnstarted,
        options="baselines.options:PosteriorOptions",
        summary="posterior that does not start from the encoder's evidence",
        citation="Robertson, Journal of Documentation, 1977 (probability ranking principle)",
    )
