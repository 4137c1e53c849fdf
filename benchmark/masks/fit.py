"""Measure one source of maps: matched and cut by what fits on valid, judged on other cases. Imports no torch.

Shapes: b cases, m maps, (r, c) a map's grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.masks.measures import THRESHOLDS, Box, Floats, best_threshold, match, on_picture, overlaps, pointing
from benchmark.masks.truth import Truth


@dataclass(frozen=True)
class Maps:
    """Where something looks on b cases: ``values`` (b, m, r, c), at least 0, and the part of each picture that the grid
    covers. ``tied`` is True where map i was made for criterion i.
    """

    values: Floats
    boxes: Sequence[Box]
    tied: bool

    def spread(self, case: int, chosen: Sequence[int], truth: Truth) -> Floats:
        """Return the ``chosen`` maps over the picture of the case at place ``case``, (chosen, h, w)."""
        return on_picture(self.values[case, list(chosen)], self.boxes[case], *truth.shape)


@dataclass(frozen=True)
class Fit:
    """How maps fit one criterion: the map that stands for it, the share of its maximum at which it is cut, and of each
    case with the finding its place among the cases, whether the map points into the region, and the overlap.
    """

    mask: int
    threshold: float
    places: tuple[int, ...]
    hits: tuple[float, ...]
    overlaps: tuple[float, ...]


def fits(
    valid: Maps, judged: Maps, on_valid: Sequence[Truth], on_judged: Sequence[Truth], criteria: Sequence[str]
) -> dict[str, Fit]:
    """Return criterion -> fit on the judged cases; a criterion that valid or judged cases don't show is left out."""
    shown = [name for name in criteria if _places(on_valid, name) and _places(on_judged, name)]
    tied = [criteria.index(name) for name in shown]
    masks = tied if valid.tied else match(_pointing_matrix(valid, on_valid, shown))
    return {name: _fit(valid, judged, on_valid, on_judged, name, mask) for name, mask in zip(shown, masks, strict=True)}


def chance(judged: Sequence[Truth], criteria: Sequence[str]) -> dict[str, Fit]:
    """Return the expectation of a point drawn at random, and the overlap of the whole picture: both are the area."""
    found: dict[str, Fit] = {}
    for name in criteria:
        places = _places(judged, name)
        areas = tuple(float(judged[place].region(name).mean()) for place in places)
        if places:
            found[name] = Fit(0, 0.0, places, areas, areas)
    return found


def _places(truths: Sequence[Truth], name: str) -> tuple[int, ...]:
    return tuple(place for place, truth in enumerate(truths) if name in truth.packed)


def _pointing_matrix(valid: Maps, truths: Sequence[Truth], shown: Sequence[str]) -> Floats:
    """Return (m, shown): how often each map points into the region of each criterion on valid."""
    count = valid.values.shape[1]
    hits: Mapping[str, list[list[float]]] = {name: [] for name in shown}
    for place, truth in enumerate(truths):
        spread = valid.spread(place, range(count), truth)
        for name in truth.packed:
            if name in hits:
                region = truth.region(name)
                hits[name].append([pointing(one, region) for one in spread])
    return np.stack([np.mean(hits[name], axis=0) for name in shown], axis=1)


def _fit(valid: Maps, judged: Maps, on_valid: Sequence[Truth], on_judged: Sequence[Truth], name: str, mask: int) -> Fit:
    _, on_choice = _measured(valid, on_valid, name, mask)
    cut = best_threshold(on_choice)
    hits, found = _measured(judged, on_judged, name, mask)
    return Fit(mask, THRESHOLDS[cut], _places(on_judged, name), tuple(hits), tuple(float(one[cut]) for one in found))


def _measured(maps: Maps, truths: Sequence[Truth], name: str, mask: int) -> tuple[list[float], list[Floats]]:
    """Return hits and overlaps (t,) of the cases that show ``name``."""
    hits, found = [], []
    for place in _places(truths, name):
        spread, region = maps.spread(place, [mask], truths[place])[0], truths[place].region(name)
        hits.append(pointing(spread, region))
        found.append(overlaps(spread, region))
    return hits, found
