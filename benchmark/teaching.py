"""Teaches the experts of an adaptive encoder, several at once, before the methods that see through them are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.config import RunConfig
from benchmark.errors import PluginError, UserError, describe
from benchmark.pool import DEATHS, DIED, each
from benchmark.units import open_session
from benchmark.vision import TaughtVision


@dataclass(frozen=True)
class Task:
    """One expert of one trial, seed and view to teach; without a ``part``, what all of them show is made."""

    config: RunConfig
    trial: int
    seed: int
    view: int
    part: int | None = None


def teach_all(
    config: RunConfig,
    pairs: Sequence[tuple[int, int]],
    views: int,
    parts: int,
    progress: Callable[[], None],
) -> None:
    """Teach what is missing for all ``pairs`` of trial and seed; first the experts, then their features.

    Raises:
        PluginError: the encoder fails, or a worker process dies.
    """
    seen = [Task(config, trial, seed, view) for trial, seed in pairs for view in range(views)]
    taught = [Task(config, task.trial, task.seed, task.view, part) for task in seen for part in range(parts)]
    for tasks in (taught, seen):
        try:
            for error in each(_do, tasks, config.jobs, config.threads):
                if error:
                    raise PluginError(error)
                progress()
        except DEATHS as error:
            raise PluginError(f"The encoder's teaching was {DIED}") from error


def _do(task: Task) -> str:
    """Do one task; return what went wrong, or nothing."""
    session = open_session(task.config)
    assert isinstance(session.vision, TaughtVision)  # commands.py has asked
    adaptation = session.vision.adaptations(task.trial, task.seed)[task.view]
    try:
        # What lies in the cache is read, and mended where it is damaged, by those who need it.
        if task.part is not None:
            if not adaptation.knows(task.part):
                adaptation.teach(task.part)
        elif not adaptation.shown(session.paths()[task.view]):
            adaptation.show(session.paths()[task.view])
    except UserError:
        raise
    except Exception as error:
        return f"encoder {session.encoder_label}, seed {task.seed}: {describe(error)}"
    return ""
