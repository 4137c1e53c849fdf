"""Options of ARTEMIS. Imports no torch, so that ``list`` and ``--help`` answer fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ARTEMISOptions(_Options):
    """ARTEMIS; the default is that of the paper and of its code."""

    width: int = Field(
        default=512,
        ge=1,
        description="common width d of the projected image and text",
        json_schema_extra={"search": [128, 256, 512]},
    )
