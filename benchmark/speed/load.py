"""Many clients at one service for a while: percentiles, statuses, and whether its memory grows."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.speed.latency import Row

WARM_UP_S = 5.0
PATIENCE_S = 120.0
PAUSE_S = 0.05
"""What a client waits after 429. Shorter than a polite one would, so that the service is really pressed."""


@dataclass
class Tally:
    """What the clients saw: seconds of each answer, and how often each status. Adding to both is atomic."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Start ``serve`` in a process of its own; yield its port and its id.

    Raises:
        UserError: it does not start.
    """
    command = [sys.executable, "-m", "benchmark", "serve", "--port", "0", *arguments]
    # Unbroken lines: the address is read from the first.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})
    try:
        assert process.stdout is not None
        match = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        if not match:
            raise UserError("`serve` did not start; what it said stands above.")
        yield int(match[1]), process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def measure_load(arguments: Sequence[str], pictures: Sequence[bytes], text: str | None, clients: int, s: float) -> Row:
    """Let ``clients`` ask for ``s`` seconds, picture and text each time; return what they saw."""
    asked = [json.dumps({"image": base64.b64encode(one).decode(), "text": text, "k": 10}) for one in pictures]
    with running(arguments) as (port, pid):
        _ask_for(port, asked, clients, WARM_UP_S)
        before = memory_mib(pid)
        tally = _ask_for(port, asked, clients, s)
        after = memory_mib(pid)
    p50, p95, p99 = np.percentile(tally.seconds or [float("nan")], [50, 95, 99])
    others = {status: count for status, count in tally.statuses.items() if status not in ("200", "429")}
    return {
        "clients": clients,
        "seconds": s,
        "answers": tally.statuses["200"],
        "answers a second": round(tally.statuses["200"] / s, 1),
        "p50 ms": round(1000 * float(p50), 1),
        "p95 ms": round(1000 * float(p95), 1),
        "p99 ms": round(1000 * float(p99), 1),
        "told to come back (429)": tally.statuses["429"],
        "errors": ", ".join(f"{status}: {count}" for status, count in sorted(others.items())) or "none",
        "memory before MiB": round(before),
        "memory after MiB": round(after),
    }


def _ask_for(port: int, asked: Sequence[str], clients: int, s: float) -> Tally:
    tally, end = Tally(), time.monotonic() + s
    threads = [threading.Thread(target=_client, args=(port, asked, i, end, tally)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def _client(port: int, asked: Sequence[str], number: int, end: float, tally: Tally) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    turn = number
    while time.monotonic() < end:
        start = time.perf_counter()
        try:
            line.request("POST", "/api/search", asked[turn % len(asked)], {"Content-Type": "application/json"})
            answer = line.getresponse()
            answer.read()
            status = str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            line.close()
            status = type(error).__name__
        tally.statuses[status] += 1
        if status == "200":
            tally.seconds.append(time.perf_counter() - start)
        elif status == "429":
            time.sleep(PAUSE_S)
        turn += 1
    line.close()


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; NaN where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
