"""Writes a tiny fake of release_v0: fifteen cases, three a group, with random-noise pictures drawn on the spot."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from benchmark.interfaces import DatasetContext
from plugins.datasets.derm7pt import Derm7pt
from plugins.datasets.options import Derm7ptOptions

HEADER = [
    "case_num", "diagnosis", "seven_point_score", "pigment_network", "streaks", "pigmentation", "regression_structures",
    "dots_and_globules", "blue_whitish_veil", "vascular_structures", "level_of_diagnostic_difficulty", "elevation",
    "location", "sex", "management", "clinic", "derm", "case_id", "notes",
]  # fmt: skip

# Diagnosis, score worked out by hand, the seven criteria in the order of the header ("-" is absent).
PROFILES = (
    "basal cell carcinoma,0,-,-,-,-,-,-,arborizing",
    "basal cell carcinoma,4,-,-,-,blue areas,irregular,present,within regression",
    "basal cell carcinoma,1,-,-,-,-,irregular,-,arborizing",
    "clark nevus,0,typical,-,-,-,regular,-,comma",
    "blue nevus,3,-,-,diffuse irregular,-,-,present,-",
    "reed or spitz nevus,3,atypical,regular,-,-,irregular,-,-",
    "melanoma (in situ),5,atypical,irregular,diffuse irregular,-,irregular,-,-",
    "melanoma (0.76 to 1.5 mm),10,atypical,irregular,localized irregular,combinations,irregular,present,dotted",
    "melanoma metastasis,4,-,-,diffuse regular,-,-,present,linear irregular",
    "lentigo,0,typical,-,-,-,-,-,-",
    "vascular lesion,0,-,-,-,-,-,-,wreath",
    "dermatofibroma,1,typical,-,-,white areas,-,-,-",
    "seborrheic keratosis,0,-,-,localized regular,-,-,-,hairpin",
    "seborrheic keratosis,0,-,-,-,-,regular,-,hairpin",
    "seborrheic keratosis,2,-,-,diffuse irregular,-,irregular,-,-",
)
REPLACED = 4
NOTE = "Clinical missing and replaced with derm"


class TinyDerm7pt(Derm7pt):
    """The loader under test, told that the release has fifteen rows."""

    split_sizes: ClassVar[Mapping[str, int]] = {"train": 5, "valid": 5, "test": 5}


def write_fake(root: Path) -> Path:
    """Write the fake to ``root`` and return it. Row i is in train, valid or test as i % 3 is 0, 1 or 2."""
    (root / "meta").mkdir(parents=True)
    (root / "images" / "Fal").mkdir(parents=True)
    write_rows(root, [HEADER, *(_row(index) for index in range(len(PROFILES)))])
    for offset, split in enumerate(("train", "valid", "test")):
        indices = "\n".join(str(index) for index in range(offset, len(PROFILES), 3))
        split_file(root, split).write_text(f"indexes\n{indices}\n")
    random = np.random.default_rng(0)
    for name in sorted({row[HEADER.index(column)] for row in read_rows(root)[1:] for column in ("derm", "clinic")}):
        pixels = random.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / name, quality=80)
    return root


def pair_in_valid(root: Path) -> None:
    """Move a carcinoma from train to valid, so that two cases of valid are relevant to each other."""
    for split, rows in (("train", (3, 6, 9, 12)), ("valid", (0, 1, 4, 7, 10, 13))):
        split_file(root, split).write_text("\n".join(["indexes", *map(str, rows)]))


def _row(index: int) -> list[str]:
    diagnosis, score, *criteria = PROFILES[index].split(",")
    derm = f"Fal/Fal{index:03d}.jpg"
    clinic, note = (derm, NOTE) if index == REPLACED else (f"Fal/Fal{index + 100}.JPG", "")
    criteria = ["absent" if value == "-" else value for value in criteria]
    about = ["low", "flat", "acral", "female", "excision"]
    return [str(index + 1), diagnosis, score, *criteria, *about, clinic, derm, "", note]


def open_fake(root: Path) -> TinyDerm7pt:
    """Return the dataset that reads ``root``."""
    return TinyDerm7pt(DatasetContext(root, root.parent / "cache"), Derm7ptOptions())


def failures(root: Path) -> dict[str, str]:
    """Return the details of the checks that fail, by name."""
    return {check.name: check.detail for check in open_fake(root).verify() if not check.passed}


def meta_file(root: Path) -> Path:
    """Return the path of meta.csv."""
    return root / "meta" / "meta.csv"


def split_file(root: Path, split: str) -> Path:
    """Return the path of a split file."""
    return root / "meta" / f"{split}_indexes.csv"


def read_rows(root: Path) -> list[list[str]]:
    """Return meta.csv with its header; row i of the data is item i + 1, on line i + 2."""
    with meta_file(root).open(newline="") as file:
        return list(csv.reader(file))


def write_rows(root: Path, rows: list[list[str]]) -> None:
    """Write meta.csv, header first."""
    with meta_file(root).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def set_cell(root: Path, index: int, column: str, value: str) -> None:
    """Change one cell of meta.csv, in the row of zero-based ``index``."""
    rows = read_rows(root)
    rows[index + 1][HEADER.index(column)] = value
    write_rows(root, rows)
