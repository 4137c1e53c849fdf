"""Options of the encoders, without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PackagedOptions(BaseModel):
    """Input size of the image side, in pixels; both must be multiples of 32."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(192, ge=64, multiple_of=32)
    width: int = Field(288, ge=64, multiple_of=32)
