from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.conftest import TOY


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub can be reached and nothing was fetched before; returns the empty cache."""
    empty = tmp_path / "empty-hub"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(empty))
    return empty


@pytest.fixture
def toy_run() -> tuple[str, ...]:
    """The arguments of a run on the toy dataset with one seed and no controls, in this process alone."""
    return ("run", "--plugin", str(TOY), "--dataset", "toy", "--no-controls", "--seeds", "0", "--jobs", "1", "--quiet")
