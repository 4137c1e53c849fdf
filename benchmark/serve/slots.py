"""Bounded concurrency: so many requests are worked on, so many may wait, the others are told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """All places are taken."""


class Slots:
    """``workers`` requests at once, each in a thread, and ``waiting`` that wait."""

    def __init__(self, workers: int, waiting: int):
        self.most, self.inside = workers + waiting, 0
        self.working = asyncio.Semaphore(workers)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns.

        Raises:
            Busy: as many work and wait as may.
        """
        if self.inside >= self.most:
            raise Busy
        self.inside += 1
        try:
            async with self.working:
                return await asyncio.to_thread(work)
        finally:
            self.inside -= 1
