"""Options of the edited posterior, in a file of their own: every other baseline's key holds the hash of options.py."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EditedPosteriorOptions(BaseModel):
    """The edited posterior: classifiers of the criteria, one of the image and one of the text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(
        256, ge=1, description="hidden width of both classifiers", json_schema_extra={"search": [64, 128, 256, 512]}
    )
    dropout: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="dropout before and after the hidden layer",
        json_schema_extra={"search": {"low": 0.0, "high": 0.7}},
    )
