"""Writes a small folder of another kind than skin: 60 drawn rings, discs and crosses with criteria of their own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.interfaces import DatasetContext
from plugins.datasets.folder.dataset import FolderDataset
from plugins.datasets.options import FolderOptions

CASES = 60
SIDE = 32
SHAPES = ("cross", "disc", "ring")
HEADER = ["id", "image", "diagnosis", "edge", "dots", "tone", "ward"]


def write_folder(root: Path, toml: str = "", columns: tuple[str, ...] = tuple(HEADER)) -> Path:
    """Write the folder with ``columns`` of HEADER, and ``dataset.toml`` where ``toml`` is not empty; return it."""
    (root / "pictures").mkdir(parents=True)
    rows = [_row(number, root) for number in range(CASES)]
    write_rows(root, [list(columns), *([row[HEADER.index(column)] for column in columns] for row in rows)])
    if toml:
        (root / "dataset.toml").write_text(toml)
    return root


def _row(number: int, root: Path) -> list[str]:
    """Shape by turns; blurred edges are commoner in rings, dots in discs; every tenth tone is unknown."""
    draw = np.random.default_rng(number)
    shape = SHAPES[number % 3]
    edge = "blurred" if draw.random() < (0.8 if shape == "ring" else 0.2) else "sharp"
    dots = "present" if draw.random() < (0.8 if shape == "disc" else 0.2) else "absent"
    tone = "" if number % 10 == 9 else ("pale", "dark")[number % 2]
    name = f"pictures/{number:02d}.png"
    Image.fromarray(_draw(shape, edge, dots, tone, draw)).save(root / name)
    return [f"case-{number:02d}", name, shape, edge, dots, tone, f"ward {number % 25}"]


def _draw(shape: str, edge: str, dots: str, tone: str, draw: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    distance = {
        "ring": abs(np.hypot(x, y) - 9) - 2,
        "disc": np.hypot(x, y) - 9,
        "cross": np.minimum(abs(x), abs(y)) - 2,
    }
    inside = 1 / (1 + np.exp(distance[shape] * (4 if edge == "sharp" else 0.7)))
    pixels = 230 - inside * (200 if tone == "dark" else 90)
    if dots == "present":
        pixels[4::8, 4::8] = 0
    pixels = np.stack([pixels, pixels * 0.8, pixels * 0.6], axis=-1) + draw.normal(0, 6, (SIDE, SIDE, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def open_folder(root: Path) -> FolderDataset:
    """Return the dataset that reads ``root``."""
    return FolderDataset(DatasetContext(root, root.parent / "cache"), FolderOptions())


def read_rows(root: Path) -> list[list[str]]:
    """Return cases.csv with its header; row i of the data is item i + 1, on line i + 2."""
    with (root / "cases.csv").open(newline="") as file:
        return list(csv.reader(file))


def write_rows(root: Path, rows: list[list[str]]) -> None:
    """Write cases.csv, header first."""
    with (root / "cases.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def set_cell(root: Path, index: int, column: str, value: str) -> None:
    """Change one cell, in the row of zero-based ``index``."""
    rows = read_rows(root)
    rows[index + 1][rows[0].index(column)] = value
    write_rows(root, rows)


def add_column(root: Path, name: str, values: list[str]) -> None:
    """Add a column on the right, its values in turn."""
    header, *rows = read_rows(root)
    write_rows(root, [[*header, name], *([*row, values[i % len(values)]] for i, row in enumerate(rows))])
