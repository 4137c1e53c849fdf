"""One unit of work: train one method with one seed on one trial, or load it, and rank. Runs in a worker process."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from benchmark.config import RunConfig
from benchmark.containment import contained
from benchmark.contracts import place_of
from benchmark.errors import PluginError, UserError, describe
from benchmark.interfaces import FitContext, Gallery, Method, Queries, shown
from benchmark.methods import MethodPlan, plan_method
from benchmark.records import MethodInfo
from benchmark.registry import load_registry
from benchmark.session import Session
from benchmark.vision import LiveVision


@dataclass(frozen=True)
class Work:
    """What a worker is told. ``weights`` holds stored weights where only the ranking is missing."""

    config: RunConfig
    method: str
    seed: int
    trial: int
    weights: bytes | None

    def same_unit(self, other: Work) -> bool:
        """Whether ``other`` is the same method, seed and trial."""
        return (self.method, self.seed, self.trial) == (other.method, other.seed, other.trial)


@dataclass(frozen=True)
class Result:
    """What a worker hands back; ``error`` (one sentence) and ``trace`` are set where it failed."""

    work: Work
    method: MethodInfo | None = None
    weights: bytes = b""
    log: bytes = b""
    scores: NDArray[np.float32] | None = None
    timings: Mapping[str, float] | None = None
    error: str | None = None
    trace: str = ""


def execute(work: Work) -> Result:
    """Do one unit; a failure of the method is a result, not an exception."""
    session = open_session(work.config)
    registry = session.registry
    plan = plan_method(registry, work.method, work.config.options.get(work.method, {}), session.task)
    try:
        return _train_and_rank(work, session, plan)
    except (Exception, SystemExit) as error:
        sentence = str(error) if isinstance(error, PluginError) else describe(error)
        sentence = sentence.removeprefix(f"{plan.component.title}: ")
        place = ", ".join(filter(None, [f"plugin {plan.component.owner}", place_of(plan.component.load())]))
        return Result(work, error=f"{plan.row} ({place}), seed {work.seed}: {sentence}", trace=traceback.format_exc())


def open_session(config: RunConfig) -> Session:
    """Return the session of ``config`` in this process, made once; in a worker, do as its parent does from here on."""
    if parent_process() is not None:
        # Ctrl-C reaches the whole process group; the parent alone decides what to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _follow_parent()
    torch.set_num_threads(config.threads)
    return _session(config.model_dump_json())


def choose_device(name: str) -> torch.device:
    """Return the device ``name``; ``auto`` prefers CUDA, then Apple's GPU, then the CPU."""
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name != "auto":
        if not found[name]:
            there = ", ".join(device for device, here in found.items() if here)
            raise UserError(f"--device {name}: torch finds no such device here. Available: auto, {there}.")
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@lru_cache(maxsize=1)
def _follow_parent() -> None:
    """End this worker when its parent is gone: a killed run must not go on computing what nobody will store."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@lru_cache(maxsize=1)
def _session(config: str) -> Session:
    parsed = RunConfig.model_validate_json(config)
    return Session(parsed, load_registry(parsed.plugins))


def _train_and_rank(work: Work, session: Session, plan: MethodPlan) -> Result:
    random.seed(work.seed)
    np.random.seed(work.seed)
    torch.manual_seed(work.seed)
    lines: list[str] = []
    start = time.perf_counter()
    method = _learn(work, session, plan, lines)
    trained = time.perf_counter()
    sight = session.sight(work.trial, work.seed)
    queries, gallery = sight.queries(), sight.gallery()
    with contained():
        scores = _scores(method, queries, gallery)
        timings = {"fit_s": round(trained - start, 3), "score_s": round(time.perf_counter() - trained, 3)}
        weights = work.weights or save_tensors(_checked_state(method))
    return Result(work, plan.info(method), weights, "\n".join([*lines, ""]).encode(), scores, timings)


def _learn(work: Work, session: Session, plan: MethodPlan, lines: list[str]) -> Method:
    """Return the method, trained or with its stored weights. The features are made outside the plugin's state."""
    with contained():
        method = plan.build(session.spec)
        if isinstance(session.vision, LiveVision):
            method = session.vision.finetuned(method, work.trial)
        if work.weights is not None:
            method.load(load_tensors(work.weights))
            return method
    sight, trial = session.sight(work.trial, work.seed), session.trials[work.trial]
    train, valid = sight.labelled(trial.train), sight.labelled(trial.valid)
    context = FitContext(
        seed=work.seed,
        device=choose_device(work.config.device),
        training=work.config.training,
        log=lambda numbers: lines.append(json.dumps({k: round(float(v), 6) for k, v in numbers.items()})),
    )
    with contained():
        method.fit(train, valid, context)
    return method


def _scores(method: Method, queries: Queries, gallery: Gallery) -> NDArray[np.float32]:
    scores = method.score(queries, gallery)
    expected = (len(queries.ids), len(gallery.ids))
    if not isinstance(scores, Tensor) or tuple(scores.shape) != expected or not scores.is_floating_point():
        raise PluginError(
            f"{_called(method.score)} returned {shown(scores)}; return a floating-point tensor (queries, gallery) = "
            f"{expected}, higher is more relevant."
        )
    wrong = int((~torch.isfinite(scores)).sum())
    if wrong:
        raise PluginError(
            f"{_called(method.score)} returned {wrong} NaN or infinite scores of {scores.numel()}. Look for a division "
            "by zero, a logarithm of zero, or an infinite value that should rule a candidate out."
        )
    return scores.detach().float().cpu().numpy()


def _checked_state(method: Method) -> dict[str, Tensor]:
    state = method.state()
    found = shown(state)
    if isinstance(state, Mapping):
        pairs = state.items()
        found = ", ".join(f"{k!r}: {shown(v)}" for k, v in pairs if not (isinstance(k, str) and isinstance(v, Tensor)))
    if found:
        raise PluginError(
            f"{_called(method.state)} returned {found}; return a mapping of names to tensors and nothing else: "
            "safetensors holds no more."
        )
    # Tied weights share storage, which safetensors refuses.
    return {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}


def _called(function: Callable[..., Any]) -> str:
    return f"{function.__qualname__} ({place_of(function)})"
