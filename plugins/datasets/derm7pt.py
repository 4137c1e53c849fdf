"""Derm7pt: 1,011 cases with a dermoscopic and a clinical image and the seven-point checklist (Kawahara et al. 2019).

Reads the user's own copy of release_v0, the folder that holds ``images/`` and ``meta/``. A copy with something wrong is
refused by ``cases`` and ``fingerprint`` with file and line, and reported by ``verify`` check by check.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from benchmark.errors import UserError
from benchmark.files import hash_files, sha256
from benchmark.interfaces import Case, Check, Dataset, DatasetContext, Split
from plugins.datasets.derm7pt_copy import (
    IMAGE_COLUMNS,
    METADATA,
    Copy,
    read_copy,
    row_count,
    score_problems,
    split_sizes,
)
from plugins.datasets.seven_point import CRITERIA, CRITICAL, GROUPS, SUBGROUPS, TAXONOMY
from plugins.datasets.tables import Problem, check, counted, undecodable

SITE = "https://derm.cs.sfu.ca"
PLACES_SHOWN = 5
WHERE = "set DERM7PT_ROOT or pass --root, naming the folder that holds images/ and meta/"


class Derm7pt(Dataset):
    """The user's copy of Derm7pt. A case's id is its zero-based row in meta.csv, with four digits.

    Raises:
        UserError: no root was given, or it holds no Derm7pt. The contents are read, and refused, on first use.
    """

    name = "derm7pt"
    licence = "The images may be used for academic research purposes. The images may not be redistributed."
    citation = (
        "Kawahara et al., Seven-Point Checklist and Skin Lesion Classification using Multitask Multimodal Neural Nets, "
        "IEEE Journal of Biomedical and Health Informatics, 2019"
    )
    root_variable = "DERM7PT_ROOT"
    views = ("dermoscopic", "clinical")
    taxonomy = TAXONOMY
    groups = GROUPS
    criteria = CRITERIA
    critical = CRITICAL
    subgroups = SUBGROUPS
    split_sizes: ClassVar[Mapping[str, int]] = {"train": 413, "valid": 203, "test": 395}
    known_sha256: ClassVar[Mapping[str, str]] = {
        "meta.csv": "9a89c0a646148d8cdfca81b7cded273111b07eb383eadf409c966fc75b20fc60",
        "train_indexes.csv": "09b90fbb1e1244b182701fc5903742d3f09a556b9e56e085d2b56f812828abb3",
        "valid_indexes.csv": "faf999df0f6a5db24f0bbb02aa6716cab29030f934e32ece68c667e976b19608",
        "test_indexes.csv": "ee0b168a561b5b8c841d8f5ab6e1b42ea6136fd67bcf4251bb7cca6373dd8345",
    }

    def __init__(self, context: DatasetContext, options: BaseModel):
        super().__init__(context, options)
        self.root = find_root(context.root)

    @cached_property
    def _copy(self) -> Copy:
        return read_copy(self.root)

    def _sound(self) -> Copy:
        if self._copy.problems:
            raise UserError(f"Derm7pt in {self.root}: {summary(self._copy.problems)}")
        return self._copy

    def cases(self, split: Split) -> tuple[Case, ...]:
        """Return the cases of ``split`` in the order of its file; ``UserError`` names what is wrong with the copy."""
        copy = self._sound()
        return tuple(self._case(index, copy.rows[index].cells) for index in copy.splits[split])

    def _case(self, index: int, cells: Mapping[str, str]) -> Case:
        return Case(
            id=f"{index:04d}",
            images={view: self.root / "images" / cells[column] for view, column in IMAGE_COLUMNS.items()},
            diagnosis=cells["diagnosis"],
            descriptors={criterion.name: cells[criterion.name] for criterion in CRITERIA},
            metadata={name: cells[name] for name in METADATA},
        )

    def unusable(self, case: Case, view: str) -> str | None:
        """Return the note of a case whose clinical image was replaced by the dermoscopic one, else None."""
        note = case.metadata["notes"]
        return note if view == "clinical" and "replaced" in note.lower() else None

    def fingerprint(self) -> str:
        """Return the SHA-256 over the hash of each metadata file and the path and hash of each image."""
        copy = self._sound()
        lines = [sha256(self.root / "meta" / name) for name in self.known_sha256]
        folder = (self.root / "images").resolve()
        paths = sorted(copy.images)
        lines += [f"{digest} {path.relative_to(folder)}" for path, digest in zip(paths, hash_files(paths), strict=True)]
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()

    def verify(self) -> tuple[Check, ...]:
        """Check files, vocabulary, splits, every image (decoded in full) and the score; each failure names places."""
        problems = [*self._copy.problems]
        checks = [self._known_copy(), check("columns", problems, "four files, all columns", summary)]
        if not self._copy.rows:
            return (*checks, Check("everything else", False, f"not checked: no rows could be read from {self.root}"))
        problems += [*row_count(self._copy, sum(self.split_sizes.values())), *split_sizes(self._copy, self.split_sizes)]
        problems += [*score_problems(self._copy.rows), *undecodable(self._copy.images)]
        return (
            *checks,
            check("rows", problems, f"{len(self._copy.rows):,} rows", summary),
            check("vocabulary", problems, "every diagnosis and descriptor is known", summary),
            check("splits", problems, "disjoint, covering, " + "/".join(map(str, self.split_sizes.values())), summary),
            check("images", problems, f"{len(self._copy.images):,} files, all decoded", summary),
            check("seven-point score", problems, "follows from the criteria on every row", summary),
            self._image_digest(problems),
        )

    def _known_copy(self) -> Check:
        # Nobody but the authors can say which bytes are right, so a difference is told and not refused.
        found = {name: _digest(self.root / "meta" / name) for name in self.known_sha256}
        differing = [name for name, digest in found.items() if digest != self.known_sha256[name]]
        prefix = f"differs ({', '.join(differing)}) from " if differing else ""
        hashes = "".join(f"\n         {digest or 'missing':64}  {name}" for name, digest in found.items())
        return Check("metadata SHA-256", True, f"{prefix}the copy known to dermcir{hashes}")

    def _image_digest(self, problems: Sequence[Problem]) -> Check:
        if any(problem.check == "images" for problem in problems):
            return Check("image SHA-256", False, "not computed, since images are missing or damaged")
        hashes = "".join(f"{digest}\n" for digest in sorted(hash_files(list(self._copy.images))))
        return Check("image SHA-256", True, f"{hashlib.sha256(hashes.encode()).hexdigest()} over the sorted hashes")


def find_root(root: Path | None) -> Path:
    """Return the folder that holds images/ and meta/; ``UserError`` says where the data is or how to get it."""
    if root is None:
        raise UserError(f"Derm7pt needs your own copy. Get it from the authors' site, {SITE}, then {WHERE}.")
    root = root.expanduser()
    if _holds_derm7pt(root):
        return root
    here = root.resolve()
    nearby = [here.parent, here.parent.parent, *sorted(path.parent.parent for path in here.glob("*/meta/meta.csv"))]
    meant = next((folder for folder in nearby if _holds_derm7pt(folder)), None)
    hint = f"Did you mean {meant}?" if meant else f"Get the data from the authors' site, {SITE}, then {WHERE}."
    raise UserError(f"No Derm7pt in {root}: looked for {root / 'images'} and {root / 'meta' / 'meta.csv'}. {hint}")


def _holds_derm7pt(folder: Path) -> bool:
    # os.path says False for a folder that can't be entered, where pathlib raises.
    return os.path.isfile(folder / "meta" / "meta.csv") and os.path.isdir(folder / "images")


def summary(problems: Sequence[Problem]) -> str:
    """Name the first places, how many there are, and where an unaltered copy comes from."""
    places = "; ".join(f"{problem.place}: {problem.message.rstrip('.')}" for problem in problems[:PLACES_SHOWN])
    return f"{counted(problems, PLACES_SHOWN)}: {places}. Get an unaltered copy from the authors' site, {SITE}."


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except UserError:
        return "unreadable"
