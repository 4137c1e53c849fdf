"""Measure this machine and print it: ``make measure``. Not a test: times depend on the machine and on its other work.

Start-up of ``list`` and ``--help``; the main job, cold and with everything cached, with the peak memory of all its
processes; feature extraction against a plain timm loop.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.features import BATCH, FeatureStore, open_image
from plugins.encoders.lite import BACKBONES
from plugins.encoders.options import PackagedOptions
from plugins.encoders.packaged import PackagedEncoder

ROOT = Path(__file__).resolve().parent.parent
METHODS = "proposed,tirg,clip4cir"


def main() -> None:
    """Print every figure."""
    print(f"{os.cpu_count()} cores, torch {torch.__version__}")
    for arguments in (["list"], ["--help"]):
        seconds = min(timed(partial(command, arguments))[0] for _ in range(3))
        print(f"{' '.join(arguments)}: {seconds:.2f} s (best of 3)")
    with tempfile.TemporaryDirectory() as folder:
        job = ["run", "--methods", METHODS, "--cache", f"{folder}/cache", "--runs", f"{folder}/runs", "--quiet"]
        dataset = ["--dataset", "derm7pt" if os.environ.get("DERM7PT_ROOT") else "synthetic"]
        for state in ("cold", "cached"):
            peak: list[float] = []
            seconds, _ = timed(partial(command, [*job, *dataset], peak))
            print(f"run {dataset[1]} {METHODS}, 3 seeds, {state}: {seconds:.0f} s, peak memory {max(peak):.2f} GiB")
        print_extraction(sorted(Path(folder, "cache").rglob("*.jpg")) or derm7pt_images())


def command(arguments: Sequence[str], peak: list[float] | None = None) -> None:
    """Run ``python -m benchmark``; add the memory of its process tree to ``peak``, GiB, ten times a second."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watch = threading.Thread(target=sample, args=(process, peak)) if peak is not None else None
    if watch:
        watch.start()
    status = process.wait()
    if watch:
        watch.join()
    if status:
        sys.exit(f"{' '.join(arguments)} ended with status {status}")


def sample(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    """Sum the proportional set sizes of a process and its descendants, so that shared pages count once."""
    while process.poll() is None:
        peak.append(sum(proportional_size(pid) for pid in descendants(process.pid)) / 2**20)
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    """Return ``pid`` and all processes below it."""
    found = [pid]
    for parent in found:
        try:
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        except OSError:
            continue
    return found


def proportional_size(pid: int) -> int:
    """Return the proportional set size of a process in KiB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def print_extraction(paths: Sequence[Path], count: int = 256) -> None:
    """Compare the harness with a plain loop on the same images, preprocessing and batch size, decoding included."""
    encoder, network, paths = PackagedEncoder("packaged", PackagedOptions()), BACKBONES["lite0"].load(), paths[:count]
    plain_loop(encoder, network, paths[:BATCH])
    with tempfile.TemporaryDirectory() as folder:
        FeatureStore(Path(folder, "warm"), encoder).images(paths[:BATCH])
        ours, theirs = [], []
        for turn in range(3):  # interleaved, so that other work on the machine hits both
            ours.append(timed(partial(FeatureStore(Path(folder, str(turn)), encoder).images, paths))[0])
            seconds, plain = timed(lambda: plain_loop(encoder, network, paths))
            theirs.append(seconds)
    with torch.inference_mode():
        pixels = [torch.stack([encoder.preprocess(open_image(p)) for p in paths[s : s + BATCH]]) for s in starts(paths)]
        encoded = torch.cat([encoder.encode_images(batch).pooled for batch in pixels])
    print(
        f"extraction of {len(paths)} images: harness {len(paths) / min(ours):.1f} a second, plain timm loop "
        f"{len(paths) / min(theirs):.1f}, ratio {min(theirs) / min(ours):.2f}; largest difference before storage "
        f"{(encoded - plain).abs().max().item():.1e}"
    )


def plain_loop(encoder: PackagedEncoder, network: Any, paths: Sequence[Path]) -> Tensor:
    """Encode as most scripts do: one batch after the other, NCHW float32; return the pooled features (b, d)."""
    pooled = []
    with torch.inference_mode():
        for start in starts(paths):
            batch = torch.stack([encoder.preprocess(open_image(path)) for path in paths[start : start + BATCH]])
            pooled.append(network.forward_head(network.forward_features(batch), pre_logits=True))
    return torch.cat(pooled)


def starts(paths: Sequence[Path]) -> range:
    """Return where each batch starts."""
    return range(0, len(paths), BATCH)


def derm7pt_images() -> list[Path]:
    """Return the dermoscopic and clinical images of the user's copy."""
    return sorted(Path(os.environ["DERM7PT_ROOT"], "images").rglob("*.[jJ][pP][gG]"))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of ``work`` and its value."""
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


if __name__ == "__main__":
    main()
