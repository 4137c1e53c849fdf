"""Options of VAL. Imports no torch, so that ``list`` and ``--help`` answer fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VALOptions(_Options):
    """VAL; the paper's width is 512. The initial weights and the dropout are those of its code."""

    width: int = Field(
        default=128,
        ge=2,
        multiple_of=2,
        description="common width d of every projected level and of the text",
        json_schema_extra={"search": [64, 128, 256]},
    )
    joint_weight: float = Field(default=1.0, description="initial weight w_j of the gated image")
    self_weight: float = Field(
        default=0.0,
        description="initial weight w_s of the self-attention",
        json_schema_extra={"search": {"low": 0.0, "high": 1.0}},
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="dropout of the attention weights",
        json_schema_extra={"search": {"low": 0.0, "high": 0.5}},
    )
    pooled_level: bool = Field(
        default=True, description="compose the pooled feature too, as a last level of one position"
    )
