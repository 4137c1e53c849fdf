"""The table of baselines/README.md: every registered method, with files and fixtures that exist."""

from __future__ import annotations

import re

import pytest

from benchmark.registry import Component, load_registry
from tests.conftest import ROOT

FOLDER = ROOT / "baselines"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def baselines() -> list[Component]:
    components = load_registry().components
    found = [*components["composers"].values(), *components["methods"].values()]
    return [component for component in found if component.owner == "baselines.registration"]


def links(cell: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", cell)


@pytest.mark.parametrize("component", baselines(), ids=lambda component: component.name)
def test_every_registered_baseline_has_a_row_that_leads_to_its_file(component: Component) -> None:
    shown = {component.name, getattr(component.load(), "label", None)}
    (row,) = [row for row in ROWS if shown & set(re.findall(r"`(.*?)`", row[0]))]
    _, paper, file, fixture, differs = row
    assert links(file) == [f"{component.load().__module__.removeprefix('baselines.')}.py"]
    assert fixture.startswith("none: ") or fixture.startswith("[")
    assert all((FOLDER / link).is_file() for link in (*links(file), *links(fixture)))
    assert links(fixture) and paper and differs


def test_every_row_is_a_registered_baseline_and_every_fixture_has_a_row() -> None:
    known = {name for one in baselines() for name in (one.name, getattr(one.load(), "label", None))}
    assert {name for row in ROWS for name in re.findall(r"`(.*?)`", row[0])} <= known
    fixtures = {(FOLDER / link).resolve() for row in ROWS for link in links(row[3]) if link.endswith(".json")}
    assert fixtures == set((ROOT / "tests" / "baselines" / "parity").iterdir())
