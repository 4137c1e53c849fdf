from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records import DatasetInfo
from benchmark.report import publish
from tests.report.fakes import one


def look(tmp_path: Path, commit: str, **changes: object) -> list[dict[str, str]]:
    """Publish one row of ``commit`` and return the list of looks."""
    readme, results = tmp_path / "README.md", tmp_path / "results"
    results.mkdir(exist_ok=True)
    readme.write_text("no table\n")
    publish([one(environment={"commit": commit}, **changes)], results, readme, "ours")
    file = results / "looks.csv"
    return list(csv.DictReader(file.open())) if file.exists() else []


def test_a_row_that_is_replaced_stays_listed(tmp_path: Path) -> None:
    (first,) = look(tmp_path, "aaa")
    assert (first["commit"], first["method"], first["seeds"]) == ("aaa", "ours", "0")
    assert [entry["commit"] for entry in look(tmp_path, "bbb")] == ["aaa", "bbb"]
    assert [entry["commit"] for entry in look(tmp_path, "bbb")] == ["aaa", "bbb"], "the same look counts once"


def test_synthetic_tables_are_not_listed(tmp_path: Path) -> None:
    drawn = DatasetInfo(name="toy", fingerprint="f", synthetic=True, citation="nobody 2024")
    assert look(tmp_path, "aaa", dataset=drawn) == []


def test_the_page_shows_the_list_between_its_markers_in_points(tmp_path: Path) -> None:
    page = tmp_path / "results" / "README.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- looks -->\nold\n<!-- /looks -->\nafter\n")
    (entry,) = look(tmp_path, "aaa")
    text = page.read_text()
    assert text.startswith("before\n<!-- looks -->\n| look | commit |")
    assert text.endswith("<!-- /looks -->\nafter\n")
    assert f"| 1 | `aaa` | toy, case-search, packaged, seeds 0 | ours {100 * float(entry['macro_map']):.1f} |" in text
    look(tmp_path, "bbb")
    look(tmp_path, "bbb", row="theirs")
    assert [line.split(" | ")[0] for line in page.read_text().splitlines() if "toy" in line] == ["| 1", "| 2"]


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    look(tmp_path, "aaa")
    (tmp_path / "results" / "looks.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"looks\.csv is damaged.*git checkout"):
        look(tmp_path, "bbb")
