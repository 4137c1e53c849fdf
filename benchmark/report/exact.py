"""Mean average precision where only gain 2 counts, a further metric of tasks that have exact matches.

Shapes: q queries, k candidates, g gallery rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmark.evaluation import Floats, average_precision, chance
from benchmark.protocol import Judgments

EXACT = "mAP (grade 2)"
GRADE = 2


def exact_precision(ranking: NDArray[np.uint16], judgments: Judgments) -> dict[str, Floats]:
    """Return AP (q,) of full rankings (q, k) under the name of its mean; NaN where no candidate has gain 2."""
    gains = np.take_along_axis(judgments.gains, ranking.astype(np.intp), axis=1)
    return {EXACT: average_precision(gains >= GRADE)}


def exact_chance(judgments: Judgments) -> dict[str, float]:
    """Return the expectation of the mean under a random ranking."""
    exact = replace(judgments, gains=(judgments.gains >= GRADE).astype(np.uint8))
    return {EXACT: chance(exact)["mAP"]}
