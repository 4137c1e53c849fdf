"""What robustness reports need of queries and candidates beside the judgments: subgroups, findings, false statements.

Methods never see any of it. Shapes: q queries, g gallery rows, c criteria, m subgroup keys. Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark import protocol
from benchmark.rendering import contradiction
from benchmark.tasks import MODIFICATION

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Dataset

UNKNOWN = "unknown"
NONE = -1


@dataclass(frozen=True)
class Facts:
    """``subgroup_values``: key of the metadata -> its values, most frequent first. ``subgroups`` (q, m) int16: places
    among them. ``criteria`` names the criteria. ``contradictions`` (q, 3) int16: criterion, true value and stated value
    of the text style ``contradicting``, all -1 where it states nothing false. ``findings`` (g, c) int16: the value of
    each candidate in each criterion, -1 where nobody knows it.
    """

    subgroup_values: Mapping[str, tuple[str, ...]]
    subgroups: NDArray[np.int16]
    criteria: tuple[str, ...]
    contradictions: NDArray[np.int16]
    findings: NDArray[np.int16]

    def publishable(self) -> Facts:
        """Return the subgroups and the names of the criteria, without the findings of any case."""
        bare = no_facts(len(self.subgroups), len(self.findings))
        return replace(bare, subgroup_values=self.subgroup_values, subgroups=self.subgroups, criteria=self.criteria)


def no_facts(queries: int, gallery: int) -> Facts:
    """Return the facts of queries and candidates of which nothing is known."""
    empty = np.empty((queries, 0), dtype=np.int16)
    none = np.full((queries, 3), NONE, dtype=np.int16)
    return Facts({}, empty, (), none, np.empty((gallery, 0), dtype=np.int16))


def gather_facts(dataset: Dataset, task: str, asking: Sequence[Case], gallery: Sequence[Case]) -> Facts:
    """Return the facts of the queries that the cases of ``asking`` ask ``gallery`` in ``task``.

    A query of ``modification`` is of the subgroups of its reference, and no text of that task contradicts it.
    """
    edits = task == MODIFICATION.name
    rows = protocol.draw_edits(dataset, asking, gallery).references if edits else np.arange(len(asking))
    cases = [asking[row] for row in rows]
    values = {key: _values(key, asking) for key in dataset.subgroups}
    codes = [[values[key].index(_value(key, case)) for key in values] for case in cases]
    drawn = [None if edits else contradiction(dataset.criteria, case.descriptors, case.id) for case in cases]
    return Facts(
        subgroup_values=values,
        subgroups=np.array(codes, dtype=np.int16).reshape(len(cases), len(values)),
        criteria=tuple(criterion.name for criterion in dataset.criteria),
        contradictions=np.array([one or (NONE,) * 3 for one in drawn], dtype=np.int16).reshape(len(cases), 3),
        findings=protocol.stated_codes(dataset, gallery, NONE).astype(np.int16),
    )


def _values(key: str, cases: Sequence[Case]) -> tuple[str, ...]:
    counts = Counter(_value(key, case) for case in cases)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value)))


def _value(key: str, case: Case) -> str:
    return case.metadata.get(key, "") or UNKNOWN
