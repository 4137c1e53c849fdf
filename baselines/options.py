"""Options of the baselines. Imports no torch, so that ``list`` and ``--help`` answer fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TIRGOptions(_Options):
    """TIRG; the defaults are those of the paper and of its code."""

    width: int = Field(default=512, ge=1, description="common width d of the projected image and text")
    gate_weight: float = Field(default=1.0, description="initial weight a0 of the gated image")
    residual_weight: float = Field(default=10.0, description="initial weight a1 of the residual")


class CLIP4CirOptions(_Options):
    """The combiner of CLIP4Cir; the paper's width is that of CLIP (640 for RN50x4), the two factors are its own."""

    width: int = Field(default=256, ge=1, description="common width d of the projected image and text")
    projection_factor: int = Field(default=4, ge=1, description="width of the inner projections, in units of d")
    hidden_factor: int = Field(default=8, ge=1, description="width of the hidden layers, in units of d")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="dropout of all four dropout layers")


class LateFusionOptions(_Options):
    """Late fusion: the sum of the two normalised projections."""

    width: int = Field(default=512, ge=1, description="common width d of the projected image and text")


class ImageOnlyOptions(_Options):
    """The image-only control: a trained projection of the image."""

    width: int = Field(default=512, ge=1, description="width d of the projected image")


class TextOnlyOptions(_Options):
    """The text-only control: a trained projection of the text against one of the candidate's image."""

    width: int = Field(default=512, ge=1, description="common width d of the projected text and image")


class PosteriorOptions(_Options):
    """The posterior control: two classifiers of the group, one of the image and one of the text."""

    width: int = Field(256, ge=1, description="hidden width of both classifiers")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout before and after the hidden layer")
