"""Commands in processes of their own that need not import torch again: they are forked from one that has."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

SLOW_IMPORTS = ["joblib", "matplotlib.backends.backend_agg", "matplotlib.figure", "numpy", "torch", "torch._dynamo"]
"""Libraries only: the harness, its plugins and what shadows them are found anew by each command."""
LIMIT_S = 240


def run_forked(arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``python -m benchmark`` with ``arguments`` in ``folder`` under ``env``; return what it said and its status.

    Raises:
        TimeoutExpired: it took longer than ``LIMIT_S``.
    """
    with tempfile.TemporaryDirectory() as files:
        out, err = Path(files, "out"), Path(files, "err")
        process = _context().Process(target=_run, args=(list(arguments), str(folder), dict(env), str(out), str(err)))
        process.start()
        process.join(LIMIT_S)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), LIMIT_S)
        said = [path.read_text() if path.exists() else "" for path in (out, err)]
    return subprocess.CompletedProcess(list(arguments), process.exitcode, *said)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(SLOW_IMPORTS)
    return context


def _run(arguments: list[str], folder: str, env: dict[str, str], out: str, err: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    sys.path.insert(0, folder)
    sys.argv = ["benchmark", *arguments]
    runpy.run_module("benchmark", run_name="__main__", alter_sys=True)
