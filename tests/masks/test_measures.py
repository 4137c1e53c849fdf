"""Pointing game, overlap and matching, on maps small enough to be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.masks.fit import Maps, chance, fits
from benchmark.masks.measures import THRESHOLDS, best_threshold, match, on_picture, overlaps, pointing
from benchmark.masks.truth import Truth

WHOLE = (0.0, 0.0, 1.0, 1.0)
LEFT = np.array([[True, True, False, False]])


def truth(**regions: np.ndarray) -> Truth:
    return Truth((1, 4), {name: np.packbits(region) for name, region in regions.items()})


def at(threshold: float, values: np.ndarray) -> float:
    return float(values[THRESHOLDS.index(threshold)])


def test_a_map_is_spread_linearly_between_the_centres_of_its_cells() -> None:
    # Four pixels over two cells: their centres lie a quarter of a cell before, after, before and after a cell's centre.
    assert on_picture([[[0.0, 1.0]]], WHOLE, 1, 4).tolist() == [[[0.0, 0.25, 0.75, 1.0]]]


def test_outside_what_the_encoder_sees_a_map_is_zero() -> None:
    assert on_picture([[[3.0]]], (0.5, 0.0, 1.0, 1.0), 1, 4).tolist() == [[[0.0, 0.0, 3.0, 3.0]]]


@pytest.mark.parametrize(
    ("values", "hit"),
    [
        ([0.1, 0.9, 0.2, 0.3], 1.0),
        ([0.1, 0.2, 0.9, 0.3], 0.0),
        ([0.0, 0.5, 0.5, 0.0], 0.5),  # two places are the maximum, one of them inside
        ([0.0, 0.0, 0.0, 0.0], 0.5),  # a flat map points at random: the region is half of the picture
    ],
)
def test_pointing_asks_where_the_maximum_lies(values: list[float], hit: float) -> None:
    assert pointing(np.array([values]), LEFT) == hit


def test_overlap_of_a_map_cut_at_every_threshold() -> None:
    found = overlaps(np.array([[2.0, 1.0, 0.4, 0.0]]), LEFT)  # shares of the maximum: 1, 0.5, 0.2, 0
    assert at(0.05, found) == at(0.2, found) == 2 / 3  # three pixels, two of them inside
    assert at(0.25, found) == at(0.5, found) == 1.0
    assert at(0.55, found) == at(0.95, found) == 0.5  # one of the two
    assert best_threshold([found]) == THRESHOLDS.index(0.25)
    assert overlaps(np.zeros((1, 4)), LEFT).sum() == 0


def test_masks_are_matched_so_that_all_criteria_together_fit_best() -> None:
    # Mask 0 fits the first criterion best, but then the second would be left with 0.1.
    assert match([[0.9, 0.8], [0.7, 0.1]]) == [1, 0]
    assert match([[0.3, 0.4]]) == [0, 0]  # a single mask stands for both


def test_untied_masks_are_named_by_what_they_do_on_valid() -> None:
    left, right = [[1.0, 0.0]], [[0.0, 1.0]]
    on_valid = [truth(a=LEFT, b=~LEFT)]
    maps = Maps(np.array([[right, left]]), [WHOLE], tied=False)
    found = fits(maps, maps, on_valid, on_valid, ["a", "b"])
    assert {name: fit.mask for name, fit in found.items()} == {"a": 1, "b": 0}
    assert [fit.hits for fit in found.values()] == [(1.0,), (1.0,)]
    tied = fits(Maps(maps.values, [WHOLE], tied=True), maps, on_valid, on_valid, ["a", "b"])
    assert [fit.hits for fit in tied.values()] == [(0.0,), (0.0,)]


def test_a_threshold_is_chosen_on_valid_and_kept() -> None:
    # Spread over four pixels: 0, 0.25, 0.75, 1. On valid the right half is true: 0.3 to 0.75 of the maximum fit.
    maps = Maps(np.array([[[[0.0, 1.0]]]]), [WHOLE], tied=True)
    found = fits(maps, maps, [truth(a=~LEFT)], [truth(a=LEFT)], ["a"])["a"]
    assert (found.threshold, found.hits, found.overlaps) == (0.3, (0.0,), (0.0,))


def test_only_pictures_that_show_a_criterion_count() -> None:
    maps = Maps(np.array([[[[1.0, 0.0]]]] * 2), [WHOLE] * 2, tied=True)
    judged = [truth(), truth(a=LEFT)]
    assert fits(maps, maps, judged, judged, ["a", "never"])["a"].places == (1,)
    assert chance(judged, ["a", "never"])["a"].hits == (0.5,)
    assert set(chance(judged, ["a", "never"])) == {"a"}
