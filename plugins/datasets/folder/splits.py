"""Which case is in which split: the column ``split``, or else drawn by id within each group."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmark.interfaces import Split
from plugins.datasets.folder.contents import FILE, SPLITS
from plugins.datasets.tables import Problem, Row

SHARES: Mapping[Split, float] = {"train": 0.4, "valid": 0.2, "test": 0.4}
FEWEST = 2
"""Cases of a group in a split: with one alone there is nothing to find and nothing to learn."""
MERGE = "gather rare diagnoses under [groups] in dataset.toml, or leave these cases out"


def assign_splits(rows: Sequence[Row], groups: Sequence[str]) -> tuple[list[Split], list[Problem]]:
    """Return the split of each row, whose groups are given, and what is wrong with the sizes."""
    if rows and "split" in rows[0].cells:
        chosen: list[Split] = [row.cells["split"] for row in rows]  # type: ignore[misc]
        return chosen, list(_too_small(chosen, groups))
    return _draw(rows, groups), list(_too_few(groups))


def _draw(rows: Sequence[Row], groups: Sequence[str]) -> list[Split]:
    """Draw train, valid and test as 40/20/40 of each group. A case's place depends on its id, not on its row."""
    drawn: dict[int, Split] = {}
    for group in dict.fromkeys(groups):
        members = [index for index, name in enumerate(groups) if name == group]
        members.sort(key=lambda index: hashlib.sha256(rows[index].cells["id"].encode()).digest())
        train, valid = (max(FEWEST, round(SHARES[split] * len(members))) for split in SPLITS[:2])
        for position, index in enumerate(members):
            drawn[index] = "train" if position < train else "valid" if position < train + valid else "test"
    return [drawn[index] for index in range(len(rows))]


def _too_few(groups: Sequence[str]) -> Iterator[Problem]:
    least = FEWEST * len(SPLITS)
    for group, count in Counter(groups).items():
        if count < least:
            message = f"{cases(count)} can't be divided into three splits, which takes {least}: {MERGE}, or add a split"
            yield Problem("splits", f"{FILE}, group {group}", f"{message} column")


def _too_small(chosen: Sequence[Split], groups: Sequence[str]) -> Iterator[Problem]:
    sizes = Counter(zip(chosen, groups, strict=True))
    for split in SPLITS:
        if split not in chosen:
            yield Problem("splits", FILE, f"no case is in split {split}: every split needs some")
    for (split, group), count in sorted(sizes.items()):
        if count < FEWEST:
            message = f"{cases(count)} alone, so nothing of its group is there to be found: move one there, {MERGE}"
            yield Problem("splits", f"{FILE}, group {group}, split {split}", message)


def cases(count: int) -> str:
    """Return e.g. ``1 case``."""
    return f"{count} case" if count == 1 else f"{count} cases"
