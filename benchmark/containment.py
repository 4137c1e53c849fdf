"""Keeps what a plugin's code does to the whole process from the others. Imports no torch."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

NORMAL: dict[str, Any] = {
    "grad": True,
    "dtype": "float32",
    "device": "cpu",
    "deterministic": False,
    "warn_only": False,
    "matmul_precision": "highest",
}
"""How torch starts, and how every unit finds it."""


@contextmanager
def contained() -> Iterator[None]:
    """Run a plugin's code under torch's usual global state, and restore that state, the warning filters and the working
    folder after it. What it prints goes to standard error, so that standard output holds the command's answer alone.

    Not contained: functions of other modules that a plugin replaces, its environment variables and its files.
    """
    before, folder = torch_state(), os.getcwd()
    set_torch_state(NORMAL)
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            yield
    finally:
        set_torch_state(before)
        os.chdir(folder)


def torch_state() -> dict[str, Any]:
    """Return torch's global switches; those of a torch that nobody has imported are ``NORMAL``."""
    torch = sys.modules.get("torch")
    if torch is None:
        return NORMAL
    return {
        "grad": torch.is_grad_enabled(),
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "device": str(torch.get_default_device()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def set_torch_state(wanted: dict[str, Any]) -> None:
    """Set the global switches of torch that differ from ``wanted``; a torch that nobody has imported is left alone."""
    torch = sys.modules.get("torch")
    if torch is None or torch_state() == wanted:
        return
    torch.set_grad_enabled(wanted["grad"])
    torch.set_default_dtype(getattr(torch, wanted["dtype"]))
    torch.set_default_device(None if wanted["device"] == "cpu" else wanted["device"])
    torch.use_deterministic_algorithms(wanted["deterministic"], warn_only=wanted["warn_only"])
    torch.set_float32_matmul_precision(wanted["matmul_precision"])
