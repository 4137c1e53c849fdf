"""Where a result was made, in words, for its record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path

from benchmark.config import RunConfig

PACKAGES = ("dermcir", "torch", "torchvision", "timm", "transformers", "open_clip_torch", "numpy", "pillow")


def environment(config: RunConfig) -> dict[str, str]:
    """Return versions, commit, threads, device and hardware."""
    return {**_machine(), "threads": str(config.threads), "device": device_words(config.device)}


def device_words(name: str) -> str:
    """Return the device that a run uses, e.g. ``cpu`` or ``cuda (NVIDIA H100)``."""
    import torch

    from benchmark.units import choose_device

    device = choose_device(name)
    return f"cuda ({torch.cuda.get_device_name()})" if device.type == "cuda" else device.type


@lru_cache(maxsize=1)
def _machine() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        **versions,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    home = Path(__file__).resolve().parent.parent
    if not (home / ".git").exists():
        return "installed package"
    try:
        command = ["git", "-C", str(home), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
