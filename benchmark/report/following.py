"""What a ranking follows where the words contradict the picture.

Shapes: q queries, k candidates of a query, g gallery rows, c criteria.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.evaluation import DEPTH, Floats
from benchmark.facts import NONE, Facts

STATED = f"stated value@{DEPTH}"
TRUE = f"true value@{DEPTH}"


def shares(ranking: NDArray[np.uint16], facts: Facts) -> dict[str, Floats]:
    """Return which share of the first ten of ``ranking`` (q, k) shows the value that the contradicting text of a query
    states, and which share its true value of that criterion, (q,) each; NaN where no text contradicts it.

    The same shares under another text are what there is to compare with: some values are common, whoever asks.
    """
    criterion, true, stated = facts.contradictions.T.astype(np.intp)
    if not facts.findings.size:
        return {name: np.full(len(ranking), np.nan) for name in (STATED, TRUE)}
    found = facts.findings[ranking[:, :DEPTH].astype(np.intp), np.maximum(criterion, 0)[:, None]]  # (q, 10)
    values = {STATED: stated, TRUE: true}
    return {
        name: np.where(criterion == NONE, np.nan, (found == value[:, None]).mean(axis=1))
        for name, value in values.items()
    }
