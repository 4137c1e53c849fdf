"""The committed tables are what ``report --publish`` writes from the committed compact runs, without any data set."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from fakes import contents

from benchmark.report import from_published, publish
from benchmark.report.publish import MISSING, OPENING

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = tomllib.loads((ROOT / "plugins" / "defaults.toml").read_text())["defaults"]["methods"][0]


def tables(folder: Path) -> dict[str, bytes]:
    """Everything but pictures, which another version of matplotlib may draw otherwise."""
    return {name: content for name, content in contents(folder).items() if not name.endswith(".svg")}


def test_the_committed_tables_follow_from_the_committed_runs(tmp_path):
    shutil.copytree(ROOT / "results", tmp_path / "results")
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    for path in (tmp_path / "results").glob("*/*/*"):
        if path.is_file() and path.suffix in (".md", ".csv", ".tex") and path.stem.startswith("leaderboard"):
            path.unlink()
    assert publish([], tmp_path / "results", tmp_path / "README.md", REFERENCE) == []
    assert tables(tmp_path / "results") == tables(ROOT / "results")
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()


def test_the_readme_says_which_tables_are_not_computed_yet():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    published = {"/".join(one.record.table[:2]) for one in from_published(ROOT / "results")}
    for marker in OPENING.finditer(text):
        follows = text[marker.end() :].lstrip().startswith(MISSING)
        assert follows == (marker[1] not in published), marker[0]
