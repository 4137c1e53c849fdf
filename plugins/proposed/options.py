"""Options of the proposed composer and scorer, without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HierarchicalOptions(_Options):
    """Options of the hierarchical composer."""

    width: int = Field(128, ge=8, multiple_of=4, description="width of tokens and of every block of the representation")
    masks: int | None = Field(None, ge=1, description="spatial masks; none = one a criterion, else 4")
    tied: bool = Field(True, description="tie mask i to criterion i, where there is one mask a criterion")
    layers: int = Field(1, ge=1, description="transformer layers a level")
    heads: int = Field(4, ge=1, description="attention heads")
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout in the transformer and before the projections")
    expert_dropout: float = Field(0.3, ge=0, lt=1, description="dropout in the experts of pooled image and text")
    levels: Literal["both", "fine", "coarse"] = Field("both", description="levels of the image that are read")
    summary: bool = Field(False, description="let a [CLS] token correct the global query")
    apart: bool = Field(True, description="keep the contrastive objective from experts that classify")
    diversity: float = Field(0.1, ge=0, description="weight of the penalty on masks that look alike")


class GlobalLocalOptions(_Options):
    """Options of the global-local scorer."""

    a: float = Field(0.4, ge=0, le=1, description="share of the local similarity; above 0.5, local evidence leads")
    learn_a: bool = Field(False, description="learn a, starting from the given value")
    weights: Literal["checklist", "uniform", "learned"] = Field("checklist", description="weights of the regions")
