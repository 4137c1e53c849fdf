"""Every registered component passes the checks that ``python -m benchmark check`` runs, without exception.

The names come from the registry: a component that is registered and has no recipe here fails a test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.registry import load_registry
from benchmark.testing import CheckResult, check_dataset, conformance, suites
from tests.datasets.fake_derm7pt import TinyDerm7pt, write_fake
from tests.datasets.fake_folder import write_folder
from tests.encoders import small_models
from tests.encoders.test_open_clip import saved

REGISTRY = load_registry()
MODELS = [(kind, name) for kind in ("composers", "scorers", "methods") for name in REGISTRY.components[kind]]
SMALL: dict[str, dict[str, Any]] = {name: {"width": 32} for name in ("clip4cir", "tg-cir", "tirg", "val")}
SMALL |= {f"{name}-native": {"width": 32, "epochs": 16} for name in ("artemis", "tirg")}
SMALL |= {
    f"{name}-native": {"width": 32, "epochs": 16, "learning_rate": 5e-3} for name in ("clip4cir", "tg-cir", "val")
}
"""Narrower than usual, which takes seconds off. The native setting has a budget of its own, which is cut; the smallest
rates of the papers are raised to that of the check's training.
"""


def failures(results: tuple[CheckResult, ...]) -> list[str]:
    assert results
    return [str(result) for result in results if not result.passed]


@pytest.mark.parametrize(("kind", "name"), MODELS, ids=lambda value: value)
def test_composers_scorers_and_methods(kind: str, name: str) -> None:
    options = {name: SMALL[name]} if name in SMALL else None
    (suite,) = suites(REGISTRY, name, kind=kind[:-1], options=options)
    assert not failures(suite.run())


def packaged(folder: Path) -> tuple[str, dict[str, Any]]:
    return "packaged", {"height": 64, "width": 96}


def timm(folder: Path) -> tuple[str, dict[str, Any]]:
    return "timm:resnet10t", {"pretrained": False, "height": 64, "width": 64}


def open_clip(folder: Path) -> tuple[str, dict[str, Any]]:
    return f"open_clip:{saved(folder / 'vit')}", {}


def transformers(folder: Path) -> tuple[str, dict[str, Any]]:
    return f"transformers:{small_models.clip(folder / 'clip')}", {}


def adapted(folder: Path) -> tuple[str, dict[str, Any]]:
    return "packaged+adapted", {}


ENCODERS: dict[str, Callable[[Path], tuple[str, dict[str, Any]]]] = {
    "packaged": packaged,
    "packaged+adapted": adapted,
    "timm:": timm,
    "open_clip:": open_clip,
    "transformers:": transformers,
}
"""Registered name or prefix -> a whole name and options that need no hub."""


@pytest.mark.parametrize("name", REGISTRY.components["encoders"])
def test_encoders(name: str, tmp_path: Path) -> None:
    assert name in ENCODERS, f"encoder {name} has no recipe in ENCODERS: name one that needs no hub"
    whole, options = ENCODERS[name](tmp_path)
    (suite,) = suites(REGISTRY, whole, options={name.rstrip(":"): options} if options else None)
    assert not failures(suite.run())


def derm7pt(folder: Path) -> tuple[CheckResult, ...]:
    return check_dataset(TinyDerm7pt, root=write_fake(folder / "release_v0"))


def synthetic(folder: Path) -> tuple[CheckResult, ...]:
    return check_dataset("synthetic", options={"cases": 30, "size": 64}, cache=folder)


def own_folder(folder: Path) -> tuple[CheckResult, ...]:
    return check_dataset("folder", root=write_folder(folder / "rings"))


DATASETS: dict[str, Callable[[Path], tuple[CheckResult, ...]]] = {
    "derm7pt": derm7pt,
    "synthetic": synthetic,
    "folder": own_folder,
}
"""Registered name -> its checks, on data that can be drawn here."""


@pytest.mark.parametrize("name", REGISTRY.components["datasets"])
def test_datasets(name: str, tmp_path: Path) -> None:
    assert name in DATASETS, f"dataset {name} has no recipe in DATASETS: check it on data that can be drawn here"
    assert not failures(DATASETS[name](tmp_path))


def test_no_recipe_is_left_over() -> None:
    assert set(ENCODERS) == set(REGISTRY.components["encoders"])
    assert set(DATASETS) == set(REGISTRY.components["datasets"])


@pytest.mark.parametrize("check", conformance("late-fusion"), ids=str)
def test_the_three_lines_that_an_author_writes(check: Callable[[], None]) -> None:
    check()
