"""Options -> profiles: how many cases each split and group holds, and what each of them shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plugins.datasets.seven_point import CRITERIA, SCORING_VALUES, TAXONOMY, seven_point_score
from plugins.datasets.synthetic.frequencies import DIAGNOSES, METADATA, SPLIT_GROUPS
from plugins.datasets.synthetic.profile import ABSENT, CaseProfile

LEAST = 2
"""Fewest cases a group and split: fewer leave a query without a relevant candidate."""
SHARPNESS = 1.4
"""Power to which the percentages of a diagnosis are raised. Above 1, a diagnosis keeps closer to its usual findings
than in Derm7pt: the pictures say nothing beside the criteria, so these have to say more.
"""
DISORDER = (0.5, 1.0, 1.8)
"""Factors on the weights of the values that earn checklist points. One factor holds for a whole case, so that these
values come together, as they do in real lesions.
"""
_SAMPLER = 0


def group_counts(cases: int) -> dict[tuple[str, str], int]:
    """Return the cases of each (split, group): ``SPLIT_GROUPS`` scaled to ``cases`` in all, each ``LEAST`` or more."""
    table = {(split, group): n for split, groups in SPLIT_GROUPS.items() for group, n in groups.items()}
    exact = {cell: cases * n / sum(table.values()) for cell, n in table.items()}
    counts = {cell: max(LEAST, int(share)) for cell, share in exact.items()}
    while (spare := cases - sum(counts.values())) != 0:
        step = 1 if spare > 0 else -1
        movable = [cell for cell in counts if step > 0 or counts[cell] > LEAST]
        cell = max(movable, key=lambda cell: step * (exact[cell] - counts[cell]))
        counts[cell] += step
    return counts


def sample_profiles(seed: int, cases: int) -> tuple[CaseProfile, ...]:
    """Draw the profiles of ``cases`` cases. The order is shuffled, so an id tells neither split nor group."""
    rng = np.random.default_rng((seed, _SAMPLER))
    cells = [cell for cell, n in group_counts(cases).items() for _ in range(n)]
    order = rng.permutation(len(cells))
    return tuple(_profile(i, cells[row], rng) for i, row in enumerate(order.tolist(), start=1))


def _profile(index: int, cell: tuple[str, str], rng: np.random.Generator) -> CaseProfile:
    split, group = cell
    diagnosis = _pick({d: f.weight for d, f in DIAGNOSES.items() if TAXONOMY[d] == group}, rng)
    descriptors = _descriptors(diagnosis, rng)
    metadata = {name: _pick(weights, rng) for name, weights in METADATA.items()}
    metadata["seven_point_score"] = str(seven_point_score(descriptors))
    return CaseProfile(index, split, group, diagnosis, descriptors, metadata)


def _descriptors(diagnosis: str, rng: np.random.Generator) -> dict[str, str]:
    disorder = float(rng.choice(DISORDER))
    values: dict[str, str] = {}
    for criterion in reversed(CRITERIA):  # vessels before regression: vessels within regression need one
        percent = zip(criterion.values, DIAGNOSES[diagnosis].percent[criterion.name], strict=True)
        scoring = SCORING_VALUES[criterion.name]
        weights = {value: n**SHARPNESS * (disorder if value in scoring else 1.0) for value, n in percent}
        if criterion.name == "regression_structures" and values["vascular_structures"] == "within regression":
            weights[ABSENT] = 0.0
        values[criterion.name] = _pick(weights, rng)
    return {criterion.name: values[criterion.name] for criterion in CRITERIA}


def _pick(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    names = tuple(weights)
    p = np.array([weights[name] for name in names], dtype=float)
    return names[int(rng.choice(len(names), p=p / p.sum()))]
