from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.forked import run_forked

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "tests" / "toy.py"
TOY_RUN = ("run", "--plugin", str(TOY), "--dataset", "toy", "--encoder", "mean-colour", "--quiet", "--jobs", "1")
FAST = ("--set", "training.epochs=2", "--set", "training.batch_size=24")
NARROW = ("--set", "tirg.width=16")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may see the developer's data, plugins or caches."""
    for variable in ("DERM7PT_ROOT", "DERMCIR_FOLDER", "DERMCIR_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DERMCIR_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def benchmark(tmp_path: Path) -> Command:
    """Run ``python -m benchmark ...`` in a folder of its own, as a user would; ``options`` are those of subprocess.

    A process that starts no workers is forked from a server that has imported torch, which saves seconds a command.
    """

    def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
        if not options and not starts_workers(arguments):
            return run_forked(arguments, tmp_path, env)
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


def starts_workers(arguments: tuple[str, ...]) -> bool:
    """Whether a run or a study is told anything but ``--jobs 1``; the last one counts."""
    jobs = [value for flag, value in pairwise(arguments) if flag == "--jobs"]
    return arguments[0] in ("run", "tune") and jobs[-1:] != ["1"]


@pytest.fixture(scope="session")
def toy_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small run of the toy dataset; its runs folder is the third above. Workers share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "toy-page"
    page = folder / "runs" / "report" / "html" / "toy.html"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not page.exists():
            _write_toy_page(folder)
    return page


def _write_toy_page(folder: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DERMCIR_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
    choice = (
        "--methods",
        "proposed,tirg",
        "--seeds",
        "0,2",
        *FAST,
        *NARROW,
        "--set",
        "proposed.width=16",
        "--jobs",
        "1",
    )
    for arguments in ((*TOY_RUN, *choice), ("report", "--html", "--plugin", str(TOY))):
        command = [sys.executable, "-m", "benchmark", *arguments]
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, timeout=240)
