"""What the painter needs to know of a case. Imports no torch, so that drawing processes start fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ABSENT = "absent"


@dataclass(frozen=True)
class CaseProfile:
    """One sampled case without its picture: ``index`` counts from 1 over all splits and seeds the painter."""

    index: int
    split: str
    group: str
    diagnosis: str
    descriptors: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id of the case, e.g. ``syn-0001``."""
        return f"syn-{self.index:04d}"
