"""The true regions of a dataset's cases, packed to a bit a pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import PluginError, UserError
from benchmark.interfaces import Case, Dataset
from benchmark.masks.measures import Region


@dataclass(frozen=True)
class Truth:
    """The picture's ``shape`` (h, w) of one case and, of each criterion that is to be seen in it, the packed region."""

    shape: tuple[int, int]
    packed: Mapping[str, NDArray[np.uint8]]

    def region(self, criterion: str) -> Region:
        """Return the region (h, w) of ``criterion``."""
        bits = np.unpackbits(self.packed[criterion], count=self.shape[0] * self.shape[1])
        return np.asarray(bits.reshape(self.shape), dtype=np.bool_)


def truths(dataset: Dataset, cases: Sequence[Case]) -> list[Truth]:
    """Return the truth of each case.

    Raises:
        UserError: the dataset doesn't know where its findings are.
        PluginError: it names a criterion that it doesn't have.
    """
    return list(_each(dataset, cases))


def _each(dataset: Dataset, cases: Sequence[Case]) -> Iterator[Truth]:
    names = {criterion.name for criterion in dataset.criteria}
    for case in cases:
        regions = dataset.regions(case)
        if not regions:
            raise UserError(
                f"Dataset {dataset.name} has no true regions (Dataset.regions of {case.id} is empty), so nobody knows "
                "where a mask should look. Take one that draws its pictures: --dataset synthetic."
            )
        if set(regions) - names:
            raise PluginError(f"{type(dataset).__name__}.regions names {sorted(set(regions) - names)}, no criteria.")
        seen = {name: np.packbits(region) for name, region in regions.items() if region.any()}
        yield Truth(next(iter(regions.values())).shape, seen)
