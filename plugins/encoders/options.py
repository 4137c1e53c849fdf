"""Options of the encoders, without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PackagedOptions(_Options):
    """Input size of the image side, in pixels (multiples of 32), and the text side."""

    height: int = Field(192, ge=64, multiple_of=32)
    width: int = Field(288, ge=64, multiple_of=32)
    text: Literal["minilm", "words"] = Field("minilm", description="all-MiniLM-L6-v2, or a random vector for each word")


class TimmOptions(_Options):
    """A timm backbone; its own input size is used where none is given."""

    height: int | None = Field(None, ge=32, description="input height in pixels [default: the model's own]")
    width: int | None = Field(None, ge=32, description="input width in pixels [default: the model's own]")
    pretrained: bool = Field(True, description="false: random weights, always the same ones, for trying things out")
