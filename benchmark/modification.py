"""Task ``modification``: a reference, a target that differs in one to three criteria, and what is relevant.

Works on codes of findings; imports no torch.

Shapes: a asking cases, g gallery rows, c criteria, q queries. ``UNKNOWN`` is the code of a finding that nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.rendering import generator

Codes = NDArray[np.int64]
UNKNOWN = -1
MOST_CHANGES = 3
MOST_TARGETS = 3
"""Queries of one reference."""
STRATA = ("1 change", "2 changes", "3 changes")
DRAW_SEED = "targets of modification, version 1"
MARK = ">"
"""Stands between reference and target in a query's id."""


@dataclass(frozen=True)
class Edits:
    """q queries: the row of the reference among the asking cases and that of the target in the gallery, both (q,), and
    which criteria the text names, boolean (q, c).
    """

    references: Codes
    targets: Codes
    changed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.references)

    @property
    def strata(self) -> NDArray[np.uint8]:
        """The number of changes less one, (q,): the code of each query in ``STRATA``."""
        return (self.changed.sum(axis=1) - 1).astype(np.uint8)


def draw_edits(asking: Codes, gallery: Codes, asking_ids: Sequence[str], gallery_ids: Sequence[str]) -> Edits:
    """Draw at most ``MOST_TARGETS`` targets for each of the asking cases, codes (a, c), from the gallery, codes (g, c).

    A target is another case that differs from the reference in one to ``MOST_CHANGES`` criteria. An unknown finding
    equals none, so a reference may have some, which the text then states; a target has none, since what nobody knows
    can be neither named nor kept. Targets of one reference have different findings, lest it ask the same twice. The
    draw is seeded with the reference's id: the same on every machine.
    """
    differs = changes(asking, gallery)
    count = differs.sum(axis=2)
    fits = (count >= 1) & (count <= MOST_CHANGES) & (gallery != UNKNOWN).all(axis=1)
    fits &= np.asarray(asking_ids, dtype=object)[:, None] != np.asarray(gallery_ids, dtype=object)[None]
    pairs = [(row, target) for row, name in enumerate(asking_ids) for target in _drawn(fits[row], gallery, name)]
    references, targets = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Edits(references, targets, differs[references, targets])


def changes(references: Codes, targets: Codes) -> NDArray[np.bool_]:
    """Return (a, g, c): whether a criterion of a target, codes (g, c), is other than that of a reference (a, c)."""
    unknown = (references == UNKNOWN)[:, None] | (targets == UNKNOWN)[None]
    return (references[:, None] != targets[None]) | unknown


def _drawn(fits: NDArray[np.bool_], gallery: Codes, reference: str) -> list[int]:
    rows = np.flatnonzero(fits)
    rows = rows[generator(DRAW_SEED, reference).permutation(len(rows))]
    first_of_each = np.unique(gallery[rows], axis=0, return_index=True)[1]
    return [int(row) for row in rows[np.sort(first_of_each)[:MOST_TARGETS]]]


def edit_gains(edits: Edits, gallery: Codes) -> NDArray[np.uint8]:
    """Return the gains (q, g): 2 where all criteria equal the target's, 1 where the named changes hold and exactly one
    unnamed criterion differs from the target, else 0. The reference shows none of the changes, so its gain is 0.
    """
    differs = changes(gallery[edits.targets], gallery)
    holds = ~(differs & edits.changed[:, None]).any(axis=2)
    count = differs.sum(axis=2)
    return (2 * (count == 0) + (holds & (count == 1))).astype(np.uint8)


def query_id(reference: str, target: str) -> str:
    """Return the id of a query, e.g. ``0006>0153``."""
    return f"{reference}{MARK}{target}"


def shared_references(names: Sequence[str]) -> list[str]:
    """Return the reference (q,) of each query by its id: queries with an equal one belong together."""
    return [name.rpartition(MARK)[0] for name in names]


def reference_and_target(name: str, known: Collection[str]) -> tuple[str, str]:
    """Return the two case ids, both ``known``, that a query's id is made of.

    Raises ``ValueError`` where there are no such two.
    """
    places = [place for place, letter in enumerate(name) if letter == MARK]
    for place in places:
        if name[:place] in known and name[place + 1 :] in known:
            return name[:place], name[place + 1 :]
    raise ValueError(f"{name!r} is not made of the ids of two cases")
