"""Options of the datasets, without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Derm7ptOptions(BaseModel):
    """Derm7pt has no options: the copy is named by DERM7PT_ROOT or --root."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FolderOptions(BaseModel):
    """A folder has no options: it is named by DERMCIR_FOLDER or --root, and described by its dataset.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
