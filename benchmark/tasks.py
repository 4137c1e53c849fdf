"""The tasks by name, and the words that reports use for them. What a task asks and judges stands in protocol.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.errors import UserError, near_misses


@dataclass(frozen=True)
class Task:
    """How reports speak of a task. Queries fall into strata, and macro mAP is the mean over them.

    ``stratum`` is what a stratum is; ``counted`` stands before the strata with their numbers of queries; ``relevance``
    explains gains, ``note`` what the averages are over. ``exact`` is True where gain 2 (everything equal) also has a
    mean average precision of its own (report/exact.py). ``unit`` is what intervals and tests take as independent.
    ``kept`` is what is published of an evaluation: its rankings, or where there are very many queries their metrics.
    """

    name: str
    stratum: str
    counted: str
    relevance: str
    note: str = ""
    exact: bool = False
    unit: str = "query"
    kept: Literal["rankings", "metrics"] = "rankings"


CASE_SEARCH = Task(
    name="case-search",
    stratum="group",
    counted="groups",
    relevance="Relevant is a case of the same group; the gain is one more for the same diagnosis and one more where "
    "all criteria but at most one are equal.",
)
MODIFICATION = Task(
    name="modification",
    stratum="number of changes",
    counted="queries with",
    relevance="Relevant is a case that shows what the text changes; gain 2: all other criteria are as in the "
    "reference, gain 1: one of them differs.",
    note="Macro mAP is the mean over queries with one, two and three changes. Relevant is gain 1 or 2, which nDCG@10 "
    "weighs; mAP (grade 2) takes as relevant only candidates whose criteria all equal the target's. Up to three "
    "queries share a reference, so intervals draw and tests flip references with all of their queries.",
    exact=True,
    unit="reference",
    kept="metrics",
)
TASKS = {task.name: task for task in (CASE_SEARCH, MODIFICATION)}


def find_task(name: str) -> Task:
    """Return the task ``name``.

    Raises:
        UserError: there is none of that name.
    """
    if name not in TASKS:
        raise UserError(f"No task is called {name!r}. {near_misses(name, TASKS)}")
    return TASKS[name]
