"""How long an answer takes: picture and text to ranked cases in one process, and the same without the encoder."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.index.searcher import Searcher
from benchmark.serve import bodies
from benchmark.serve.desk import Desk

REPEATS = 60
WARM_UP = 5
K = 10
Row = dict[str, float | int | str]


def case_pictures(searcher: Searcher, most: int) -> list[bytes]:
    """Return the pictures of the index's first cases, as they lie on this machine.

    Raises:
        UserError: none is there.
    """
    asked = searcher.ask(searcher.model.neutral, "lesion" if "text" in searcher.reads else None)
    found = [Path(hit.case.picture) for hit in searcher.rank(asked, most)]
    pictures = [path.read_bytes() for path in found if path.is_file()]
    if not pictures:
        raise UserError(f"The pictures of {searcher.path} are not on this machine; nothing to ask with.")
    return pictures


def example_text(searcher: Searcher) -> str | None:
    """Return the wording of the first value of each criterion, as one text."""
    phrases = [one.phrases[one.values[0]].canonical for one in searcher.manifest.spec.criteria]
    return (", ".join(phrase for phrase in phrases if phrase) or "lesion") if "text" in searcher.reads else None


def measure_latency(searcher: Searcher) -> list[Row]:
    """Return median and 95th percentile, in milliseconds, of three kinds of answer."""
    desk = Desk([searcher])
    pictures = [base64.b64encode(content).decode() for content in case_pictures(searcher, 20)]
    text = example_text(searcher)
    asked = [bodies.SearchBody(image=picture, text=text, k=K) for picture in pictures]
    (answer,) = desk.search(asked[0]).answers
    again = bodies.RankBody(query=answer.query, k=K)
    vector = searcher.ask(searcher.model.neutral, text).vector
    return [
        _timed("picture and text to answer", lambda turn: desk.search(asked[turn % len(asked)]), searcher),
        _timed("the same query weighed anew", lambda turn: desk.rank(again), searcher),
        _timed("store alone", lambda turn: searcher.store.search(vector[None], K, {}), searcher),
    ]


def _timed(what: str, work: Callable[[int], object], searcher: Searcher) -> Row:
    for turn in range(WARM_UP):
        work(turn)
    times = []
    for turn in range(REPEATS):
        start = time.perf_counter()
        work(turn)
        times.append(1000 * (time.perf_counter() - start))
    median, high = np.percentile(times, [50, 95])
    cases, store = searcher.manifest.count, searcher.manifest.place.kind
    return {
        "what": what,
        "cases": cases,
        "store": store,
        "median ms": round(float(median), 2),
        "p95 ms": round(float(high), 2),
    }
