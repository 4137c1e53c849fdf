from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "tests" / "toy.py"
TOY_RUN = ("run", "--plugin", str(TOY), "--dataset", "toy", "--encoder", "mean-colour", "--quiet")
FAST = ("--set", "training.epochs=2", "--set", "training.batch_size=24")
NARROW = ("--set", "tirg.width=16")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may see the developer's data, plugins or caches."""
    for variable in ("DERM7PT_ROOT", "DERMCIR_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DERMCIR_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def benchmark(tmp_path: Path) -> Command:
    """Run ``python -m benchmark ...`` in a folder of its own, as a user would."""

    def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "benchmark", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
            **options,  # type: ignore[call-overload]
        )

    return command
