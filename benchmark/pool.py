"""Units of work in this process, or in several worker processes at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

from benchmark.units import Result, Work, execute

T = TypeVar("T")
R = TypeVar("R")
DEATHS = (BrokenProcessPool, TerminatedWorkerError)
"""What is raised where a worker process dies."""
DIED = (
    "not finished, because a worker process died (out of memory, or a method ended it). Start the same command again "
    "with --jobs 1: what is stored stays, and the unit that it stops at is the culprit."
)


def each(function: Callable[[T], R], tasks: Sequence[T], jobs: int | None, threads: int) -> Iterator[R]:
    """Yield ``function(task)`` of every task as they come, ``jobs`` at once (None: as many as the cores allow).

    Raises one of ``DEATHS`` where a worker process dies.
    """
    count = workers(jobs, threads, len(tasks))
    if count == 1:
        yield from map(function, tasks)
        return
    yield from Parallel(count, return_as="generator_unordered", batch_size=1, pre_dispatch=count)(
        delayed(function)(task) for task in tasks
    )


def workers(jobs: int | None, threads: int, tasks: int) -> int:
    """Return how many of ``tasks`` run at once."""
    return min(jobs or max(1, (os.cpu_count() or 1) // threads), max(1, tasks))


def execute_all(works: Sequence[Work], jobs: int | None, threads: int) -> Iterator[Result]:
    """Yield results as they come, ``jobs`` units at once (None: as many as the cores allow at ``threads`` a unit).

    Where a worker process dies, the units that were not finished fail with a sentence.
    """
    count = workers(jobs, threads, len(works))
    if count == 1:
        yield from map(execute, works)
        return
    parallel = Parallel(count, return_as="generator_unordered", batch_size=1, pre_dispatch=count, max_nbytes=None)
    waiting = list(works)
    try:
        for result in parallel(delayed(execute)(work) for work in works):
            waiting = [work for work in waiting if not work.same_unit(result.work)]
            yield result
    except DEATHS as error:
        for work in waiting:
            yield Result(work, error=f"{work.method}, seed {work.seed}: {DIED}", trace=str(error))
