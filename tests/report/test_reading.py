"""Prose with numbers of the tables beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.report.reading import SOURCE, filled, insert_reading
from tests.conftest import ROOT, Command

TABLE = """\
method,name,encoder,macro_map,macro_map_low,macro_map_high,reference_minus_row,p_holm,parameters
ours,ours,packaged,0.350191,0.325165,0.375269,,,620289
rival (projected),rival,packaged,0.312500,0.300000,0.320000,0.037691,0.029970,1000
rival (projected),rival,adapted,0.400000,0.390000,0.410000,-0.049809,0.000010,1000
"""
ABLATIONS = """\
question,variant,base,method,name,macro_map,minus_base,verdict
Share a,a = 0.4,yes,ours,ours,0.400000,,base
Share a,"a = 0, global alone",no,ours,ours,0.390000,-0.010000,tie
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "toy" / "case-search"
    folder.mkdir(parents=True)
    (folder / "leaderboard.csv").write_text(TABLE)
    (folder / "ablations.csv").write_text(ABLATIONS)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ("leaderboard: ours / macro_map", "35.0"),
        ("leaderboard: ours / macro_map interval", "35.0 [32.5, 37.5]"),
        ("leaderboard: ours / parameters", "620,289"),
        ("leaderboard: rival / packaged / reference_minus_row", "+3.8"),
        ("leaderboard: adapted / rival (projected) / reference_minus_row", "−5.0"),
        ("leaderboard: rival / packaged / p_holm", "0.030"),
        ("leaderboard: rival / adapted / p_holm", "<0.001"),
        ("ablations: Share a / a = 0, global alone / ours / minus_base", "−1.0"),
        ("ablations: Share a /\n  a = 0, global alone / verdict", "tie"),
    ],
)
def test_a_placeholder_becomes_its_number(results: Path, asked: str, number: str) -> None:
    assert filled(f"It is {{{{ toy/case-search/{asked} }}}} so far.", results) == f"It is {number} so far."


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            "toy/case-serch/leaderboard: ours / macro_map",
            "no table 'toy/case-serch/leaderboard'. Did you mean toy/case",
        ),
        ("toy/case-search/leaderboard: rivel / macro_map", "no row holds 'rivel' .* Did you mean rival"),
        ("toy/case-search/leaderboard: ours / adapted / macro_map", "no row holds 'adapted' beside .* packaged"),
        ("toy/case-search/leaderboard: rival / macro_map", "2 rows hold these cells. Add one of: adapted, packaged"),
        ("toy/case-search/leaderboard: ours / macro_mpa", "no column is called 'macro_mpa'. Did you mean macro_map"),
        ("toy/case-search/leaderboard: ours / p_holm", "p_holm is empty in this row. It has numbers in macro_map"),
        ("toy/case-search/ablations: a = 0.4 / macro_map interval", "no column is called 'macro_map_low'"),
        ("toy/case-search/leaderboard / ours", "write {{ TABLE: CELL / CELL / COLUMN }}"),
    ],
)
def test_one_that_finds_nothing_is_named_with_what_is_near(results: Path, asked: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        filled(f"{{{{ {asked} }}}}", results)
    assert asked in str(error.value)


def test_a_placeholder_that_is_never_closed_is_an_error(results: Path) -> None:
    with pytest.raises(UserError, match="belongs to no placeholder"):
        filled("It is {{ toy/case-search/leaderboard: ours / macro_map } so far.", results)


def test_the_page_shows_it_between_its_markers(results: Path) -> None:
    insert_reading(results)  # without prose nothing happens
    (results / SOURCE).write_text("{{ toy/case-search/leaderboard: ours / macro_map }} points.\n")
    with pytest.raises(UserError, match=r"has no place for reading\.md"):
        insert_reading(results)
    (results / "README.md").write_text("before\n<!-- reading -->\nold\n<!-- /reading -->\nafter\n")
    insert_reading(results)
    page = (results / "README.md").read_text()
    assert page == "before\n<!-- reading -->\n35.0 points.\n<!-- /reading -->\nafter\n"
    insert_reading(results)
    assert (results / "README.md").read_text() == page


def test_publishing_fills_it_and_a_mistake_in_it_ends_with_status_2(results: Path, benchmark: Command) -> None:
    (results / "README.md").write_text("<!-- reading -->\n<!-- /reading -->\n")
    (results / SOURCE).write_text("{{ toy/case-search/leaderboard: ours / macro_map }}\n")
    (results / "top.md").write_text("no table\n")
    command = ("report", "--publish", "--results", str(results), "--readme", str(results / "top.md"))
    assert benchmark(*command).returncode == 0
    assert "\n35.0\n" in (results / "README.md").read_text()
    (results / SOURCE).write_text("{{ toy/case-search/leaderboard: theirs / macro_map }}\n")
    done = benchmark(*command)
    assert done.returncode == 2 and "no row holds 'theirs'" in done.stderr and "Traceback" not in done.stderr


def test_the_committed_page_is_what_the_committed_tables_give(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results", tmp_path / "results")
    insert_reading(tmp_path / "results")
    assert (tmp_path / "results" / "README.md").read_bytes() == (ROOT / "results" / "README.md").read_bytes()
