"""Options of TG-CIR. Imports no torch. A module of its own: the files that a method imports are part of its key."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TGCIROptions(BaseModel):
    """TG-CIR; the defaults are those of the authors' code for FashionIQ. A weight of 0 switches a loss off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(
        512, ge=1, description="common width d of image and text", json_schema_extra={"search": [128, 512]}
    )
    channel_masks: int = Field(4, ge=1, description="P, masks over the channels of the global feature")
    spatial_masks: int = Field(8, ge=1, description="Q, masks over the positions of the local features")
    orthogonality: float = Field(
        0.1,
        ge=0,
        description="weight of the penalty on tokens that look alike (mu)",
        json_schema_extra={"search": {"low": 0.01, "high": 1.0, "log": True}},
    )
    # Its logits reach 10 * (P + Q), so it can be far larger than the unified objective, together with whose gradient
    # its own is clipped: the search goes far below the authors' weight.
    teacher_ranking: float = Field(
        1.0,
        ge=0,
        description="weight of the teacher's own contrastive loss (lambda)",
        json_schema_extra={"search": {"low": 0.01, "high": 1.0, "log": True}},
    )
    teacher_balance: float = Field(1.0, ge=0, description="weight of the teacher's masks adding up to 1 (eta)")
    mask_distillation: float = Field(
        10.0,
        ge=0,
        description="weight of the student's masks being the teacher's (nu)",
        json_schema_extra={"search": {"low": 0.1, "high": 10.0, "log": True}},
    )
    ranking_distillation: float = Field(
        0.5,
        ge=0,
        description="weight of the query ranking like its target (kappa)",
        json_schema_extra={"search": {"low": 0.01, "high": 1.0, "log": True}},
    )
    temperature: float = Field(0.1, gt=0, description="temperature of the rankings that are distilled (tau)")
