"""Options of the synthetic dataset. Imports no torch, so that ``list`` and ``--help`` stay fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SyntheticOptions(BaseModel):
    """``seed`` decides every case and pixel, ``cases`` is their number over all splits (30 = two cases a group and
    split), ``size`` the longer edge in pixels (the shorter one is two thirds of it, as in Derm7pt).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=7, ge=0)
    cases: int = Field(default=1011, ge=30, le=9999)
    size: int = Field(default=384, ge=48, le=2048)
