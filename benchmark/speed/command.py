"""What ``speed`` measures, prints and writes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tabulate import tabulate

from benchmark.config import RunConfig
from benchmark.environment import environment
from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.flags import err, out
from benchmark.index.searcher import Searcher, open_searcher
from benchmark.speed.latency import Row, case_pictures, example_text, measure_latency
from benchmark.speed.load import measure_load
from benchmark.speed.scale import SMALLEST, Sample, measure_scale
from benchmark.store import as_json

BASE = 1_000
STEPS = ("latency", "scale", "serve")


@dataclass(frozen=True)
class SpeedRequest:
    """What the user asked of ``speed``."""

    folder: Path
    steps: str
    vectors: int
    clients: int
    seconds: float
    scratch: Path | None
    target: Path | None
    plugins: tuple[str, ...]
    cache: Path | None


def speed_command(request: SpeedRequest, as_json_text: bool) -> None:
    """Measure, print, and write where a folder is given."""
    steps = tuple(part.strip() for part in request.steps.split(",") if part.strip())
    if not steps or set(steps) - set(STEPS):
        raise UserError(f"--steps {request.steps}: name some of {', '.join(STEPS)}, comma-separated.")
    if request.vectors < SMALLEST:
        raise UserError(f"--vectors {request.vectors}: {SMALLEST} are the least that say anything.")
    if request.scratch and not request.scratch.is_dir():
        raise UserError(f"--scratch {request.scratch}: there is no such folder; make it, or leave --scratch out.")
    searcher = open_searcher(request.folder, request.plugins, request.cache)
    measured: dict[str, list[Row]] = {}
    if "latency" in steps:
        measured["latency"] = measure_latency(searcher)
    if "scale" in steps:
        with tempfile.TemporaryDirectory(dir=request.scratch) as folder:
            measured["scale"] = measure_scale(_sample(searcher), Path(folder), request.vectors, err.print)
    if "serve" in steps:
        measured["serve"] = [_served(request, searcher)]
    conditions = _conditions(searcher)
    page = markdown(measured, conditions)
    content = as_json({"conditions": conditions, **measured})
    if request.target:
        write_atomic(request.target / "speed.json", content)
        write_atomic(request.target / "speed.md", page.encode())
    print(content.decode() if as_json_text else page)
    if request.target:
        out.print(f"Written to {request.target}", markup=False, highlight=False)


def _sample(searcher: Searcher) -> Sample:
    import numpy as np

    vector = searcher.ask(searcher.model.neutral, example_text(searcher)).vector
    (found,) = searcher.store.search(vector[None], BASE, {})
    return Sample(np.stack([one.vector for one in found]), searcher.layout)


def _served(request: SpeedRequest, searcher: Searcher) -> Row:
    arguments = ["--index", str(request.folder)]
    arguments += [word for name in request.plugins for word in ("--plugin", name)]
    arguments += ["--cache", str(request.cache)] if request.cache else []
    pictures, text = case_pictures(searcher, 20), example_text(searcher)
    searcher.store.close()  # a local file of Milvus is opened by one process at a time
    return measure_load(arguments, pictures, text, request.clients, request.seconds)


def _conditions(searcher: Searcher) -> dict[str, str]:
    manifest, machine = searcher.manifest, environment(RunConfig())
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "index": f"{manifest.count} cases of {manifest.training.dataset.name}, {manifest.method}, "
        f"{manifest.width} numbers a case, {manifest.place.kind}",
        "encoder": manifest.training.encoder.name,
        "processor": machine["processor"],
        "threads": f"torch {torch.get_num_threads()}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}",
        "load at the end": load,
        "python": machine["python"],
        "numpy": machine["numpy"],
        "torch": machine["torch"],
        "commit": machine["commit"],
    }


TITLES = {
    "latency": "One answer at a time",
    "scale": "Up to many vectors",
    "serve": "Many clients at one service",
}
NOTES = {
    "latency": "After warm-up, in one process. *Picture and text to answer* decodes and encodes the picture, encodes "
    "and composes the text, searches, explains every score and says where the method looks.",
    "scale": "Vectors are those of the index, perturbed; one query at a time. NumPy reads half-precision rows through "
    "a memory map, which any exact index beats; recall is against its answers, and *speed-up* against its time at the "
    "same size. Perturbed copies of few vectors lie in clusters, so the recall says little of other data.",
    "serve": "Each client asks with a picture and a text, again and again. 429 is the service's deliberate answer when "
    "all places are taken.",
}


def markdown(measured: dict[str, list[Row]], conditions: dict[str, str]) -> str:
    """Return the page: conditions, and a table a step."""
    parts = ["# Speed and scale of case search", "", "Written by `python -m benchmark speed`.", ""]
    parts += [f"- {name}: {value}" for name, value in conditions.items()]
    for step, rows in measured.items():
        parts += ["", f"## {TITLES[step]}", "", NOTES[step], "", _table(rows)]
    return "\n".join([*parts, ""])


def _table(rows: Sequence[Row]) -> str:
    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)
