"""``packaged+adapted`` without what steadies it, as ``packaged+adapted-variant``: `--plugin plugins.variants.adapting`.

An expert is the moving average of the weights that it passes through, and shows a picture as the mean of what it makes
of it and of its mirror image. Here either can be switched off (results/experiments/adapted-experts.toml). With both on
it is ``packaged+adapted``.

Shapes: b pictures, e classes, k experts, p positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor

from benchmark.adapting import Lesson
from benchmark.hookspecs import Register, hookimpl
from benchmark.interfaces import Encoder, ImageFeatures
from plugins.encoders.adapted import AdaptedEncoder, Experts
from plugins.encoders.expert import Expert, teach
from plugins.encoders.options import AdaptedOptions
from plugins.encoders.weights import digest


class VariantOptions(AdaptedOptions):
    """Those of ``packaged+adapted``, and the two switches."""

    average: bool = Field(True, description="an expert is the moving average of its weights, else the last ones")
    mirror: bool = Field(True, description="a picture is shown together with its mirror image")


class VariantEncoder(AdaptedEncoder):
    """``packaged+adapted`` with switches."""

    options: VariantOptions

    def __init__(self, name: str, options: VariantOptions):
        super().__init__(name, options)

    def teach(self, lesson: Lesson, seed: int) -> Mapping[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # before the classifiers are drawn
            expert = Expert(self.base.backbone, self.classes)
            average = teach(expert, lesson, self.classes, self.options, seed)
            return (average if self.options.average else expert).state_dict()

    def experts(self, weights: Sequence[Mapping[str, Tensor]]) -> Encoder:
        kind = Experts if self.options.mirror else StraightExperts
        return kind(self.base, self.classes, weights)


class StraightExperts(Experts):
    """k experts side by side that see a picture as it is."""

    @property
    def image_fingerprint(self) -> str:  # of the experts and of how they look
        return digest("straight", super().image_fingerprint)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        stem = self.stem(pixels)
        shown = [self._evidence(expert, stem) for expert in self._experts]
        fine, coarse, pooled = (torch.cat(parts, dim=-1) for parts in zip(*shown, strict=True))
        return ImageFeatures((fine, coarse), self.grids, pooled)

    def _evidence(self, expert: Expert, stem: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the levels (b, p, e) and pooled (b, e), as ``evidence`` does of both (plugins/encoders/expert.py)."""
        pairs = zip(expert.classifiers(), expert.maps(stem), strict=True)
        fine, coarse = (classifier(maps.flatten(2).transpose(1, 2)) for classifier, maps in pairs)
        shown = (self._log_probabilities(logits) for logits in (fine, coarse, coarse.mean(1)))
        return tuple(shown)  # type: ignore[return-value]  # three of them

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        return torch.cat([part.log_softmax(-1) for part in logits.split(list(self.classes), dim=-1)], dim=-1)


@hookimpl
def register_encoders(register: Register) -> None:
    """Register it as a string, so that listing imports no torch."""
    register(
        "packaged+adapted-variant",
        f"{__name__}:VariantEncoder",
        options=VariantOptions,
        summary="packaged+adapted whose moving average and mirror images can be switched off",
        citation="Izmailov et al., UAI 2018 (averaged weights); Krizhevsky et al., NeurIPS 2012 (mirrored pictures)",
    )
