"""The files of a table: what they say, and that the same evaluations give the same bytes."""

from __future__ import annotations

import csv
import io
import re

import pytest
from fakes import contents, one, record, store_runs, study
from rich.console import Console

from benchmark.errors import UserError
from benchmark.report import from_runs, leaderboards, terminal, write_reports
from benchmark.report.figures import draw_macro_map
from benchmark.report.table import table_folder
from benchmark.report.wording import marks, rebuilding

FILES = {
    f"toy/case-search/{name}"
    for name in (
        "leaderboard.md", "leaderboard.csv", "leaderboard.tex", "macro_map.svg", "macro_map.csv", "per_group.svg",
        "per_group.csv",
    )
}  # fmt: skip
SHIPPED = {"owner": "baselines.registration"}
DRAWN = {**SHIPPED, "synthetic": True, "environment": {"commit": "abc", "device": "cpu"}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    paths = write_reports(study(**DRAWN), folder, "ours")
    assert {str(path.relative_to(folder)) for path in paths} == FILES
    return {name.rsplit("/", 1)[1]: content.decode() for name, content in contents(folder).items()}


def test_every_file_says_synthetic(written):
    assert len(written) == len(FILES)
    assert "# **Synthetic**" in written["leaderboard.md"] and "are **synthetic**:" in written["leaderboard.md"]
    assert "are synthetic:" in written["leaderboard.tex"]
    for name in ("macro_map.svg", "per_group.svg"):
        assert "SYNTHETIC" in re.search("<title>(.*)</title>", written[name])[1].upper()
    for name in ("leaderboard.csv", "macro_map.csv", "per_group.csv"):
        assert {row["synthetic"] for row in csv.DictReader(written[name].splitlines())} == {"yes"}


def test_no_file_of_real_data_says_synthetic(tmp_path):
    write_reports(study(1), tmp_path, "ours")
    texts = {name: content.decode() for name, content in contents(tmp_path).items() if not name.endswith(".csv")}
    assert [name for name, text in texts.items() if "synthetic" in text.lower()] == []


def test_the_same_evaluations_give_the_same_bytes(tmp_path, written):
    write_reports(study(**DRAWN), tmp_path, "ours")
    assert {name.rsplit("/", 1)[1]: content.decode() for name, content in contents(tmp_path).items()} == written


def test_markdown_sets_the_best_in_bold_and_reference_points_apart(written):
    table = [row for row in written["leaderboard.md"].splitlines() if row.startswith("|")]
    names = [row.split("|")[1].strip() for row in table]
    assert names == [
        "method", ":---------------------", "ours", "rival", "image-only", "text-only", "*no methods:*", "oracle ‡",
        "chance (closed form)",
    ]  # fmt: skip
    assert [name for name, row in zip(names, table, strict=True) if "**" in row] == ["ours"]


def test_markdown_says_what_was_searched_and_how_it_was_tested(written):
    text = written["leaderboard.md"]
    for part in ("30 queries; 29 candidates", "NEV 15, MEL 10, BCC 5", "seeds 0-2", "encoder packaged", "100,000 draws",
                 "Holm over the 3 rows", "conditional on this gallery", "‡ reads labels"):  # fmt: skip
        assert part in text


def test_the_page_says_how_to_make_it_again(written):
    text = written["leaderboard.md"]
    (command,) = re.findall(r"```sh\n(.*)\n```", text)
    assert command == (
        "python -m benchmark run --dataset toy --encoder packaged --methods ours,rival,image-only,text-only "
        "--seeds 0-2 --device cpu"
    )
    assert text.index("## How to make it again") < text.index("Made with commit abc, device cpu.")
    assert "![Macro mAP of every row](macro_map.svg)" in text and "macro_map.svg" in written


def test_rows_that_a_shared_command_cannot_name_are_left_to_the_page_that_can():
    option = study(1, ("ours",), row="ours [width=8, scorer.a=0.1]", **SHIPPED)
    rows = [*study(1, ("ours", "rival"), **SHIPPED), *option, *study(1, ("film",))]
    command, sentence = rebuilding(*leaderboards(rows, "ours"))
    assert "--methods ours,rival --seeds 0 --no-controls" in command
    assert sentence.startswith("Of ours [width=8, scorer.a=0.1], film the page of `report --html` has the commands.")
    assert rebuilding(*leaderboards(study(1, ("film",)), "ours")) == []


def test_what_a_command_cannot_name_has_none():
    for unusual in ({"queries": "mine"}, {"trained_on": "other"}, {"excluded": "3 cases"}, {"training": "epochs 2"}):
        assert rebuilding(*leaderboards(study(1, protocol=unusual, **SHIPPED), "ours")) == []
    for name in ("folder:rings", "synthetic [cases=80]"):
        dataset = record().dataset.model_copy(update={"name": name})
        assert rebuilding(*leaderboards(study(1, dataset=dataset, **SHIPPED), "ours")) == []


def test_variants_that_need_a_plugin_are_no_part_of_a_shared_command_and_threads_are():
    rows = study(1, ("ours", "rival"), owner="plugins.proposed", environment={"threads": "2"})
    rows += study(1, ("film",), owner="plugins.variants.losses")
    command, sentence = rebuilding(*leaderboards(rows, "ours"))
    assert "--methods ours,rival --seeds 0 --threads 2 --no-controls" in command
    assert sentence.startswith("Of film the page")


def test_the_command_tests_against_the_reference_that_the_page_has():
    command, _ = rebuilding(*leaderboards(study(1, ("ours", "rival"), **SHIPPED), "rival"))
    assert "--methods ours,rival --reference rival --seeds 0" in command


def test_data_sets_that_a_file_system_would_take_for_one_have_folders_of_their_own():
    names = ("folder:set-1", "folder:set_1", "folder:病例", "folder:患者", "folder:Rings", "folder:rings")
    assert len({table_folder(name, "case-search") for name in names}) == len(names)
    assert table_folder("synthetic [seed=3]", "case-search").as_posix() == "synthetic-seed=3/case-search"


def test_a_changed_source_has_a_footnote(tmp_path):
    write_reports(study(1, sources={"benchmark.errors": "another hash"}), tmp_path, "ours")
    text = (tmp_path / "toy/case-search/leaderboard.md").read_text()
    assert "† `ours`: made with other versions of benchmark.errors; run it again." in text


def test_without_the_reference_the_page_says_so(tmp_path):
    write_reports(study(1), tmp_path, "proposed")
    assert "no row of this table is of `proposed`" in (tmp_path / "toy/case-search/leaderboard.md").read_text()


def test_latex_escapes_and_balances(tmp_path):
    write_reports([one("ours", row="a_b & 50% {x} ±")], tmp_path, "ours")
    text = (tmp_path / "toy/case-search/leaderboard.tex").read_text()
    assert r"a\_b \& 50\% \{x\} $\pm$ & packaged" in text
    assert {row.count(" & ") for row in text.splitlines() if row.endswith(r"\\")} == {11}
    assert text.isascii()


def test_a_pipe_in_a_name_does_not_break_the_table(tmp_path):
    write_reports([one("ours", row="a|b")], tmp_path, "ours")
    assert r"| a\|b " in (tmp_path / "toy/case-search/leaderboard.md").read_text()


def test_a_picture_is_drawn_anew_only_where_its_numbers_changed(tmp_path):
    folder = tmp_path / "toy/case-search"
    write_reports(study(1), tmp_path, "ours")
    (folder / "macro_map.svg").write_text("drawn by another version")
    write_reports(study(1), tmp_path, "ours")
    assert (folder / "macro_map.svg").read_text() == "drawn by another version"
    write_reports(study(2), tmp_path, "ours")
    assert "<svg" in (folder / "macro_map.svg").read_text()


def test_per_group_csv_has_every_row_and_group(written):
    rows = list(csv.DictReader(written["per_group.csv"].splitlines()))
    assert len(rows) == 6 * 3
    assert {(row["group"], row["queries"]) for row in rows} == {("NEV", "15"), ("MEL", "10"), ("BCC", "5")}


def test_cross_validation_has_files_of_its_own(tmp_path):
    made = [one("ours", protocol={"evaluate": "cv", "fold": fold}, quality=1 + fold) for fold in range(3)]
    names = [path.name for path in write_reports(made, tmp_path, "ours")]
    assert names == ["leaderboard-cv.md", "leaderboard-cv.csv", "leaderboard-cv.tex"]
    assert "cross-validation" in (tmp_path / "toy/case-search/leaderboard-cv.md").read_text()


@pytest.mark.parametrize(("width", "kept"), [(120, "composition"), (80, "melanoma@10")])
def test_the_terminal_table_fits(width, kept):
    (board,) = leaderboards(study(), "ours")
    console = Console(width=1_000, record=True, file=io.StringIO())
    table = terminal(board, width)
    table.title = table.caption = None
    console.print(table)
    text = console.export_text()
    assert max(len(row.rstrip()) for row in text.splitlines()) <= width
    assert kept in text and "75.3 ± 3.9" in text


def test_from_a_runs_folder(tmp_path):
    store_runs(tmp_path / "runs", study(2))
    write_reports(from_runs(tmp_path / "runs"), tmp_path / "a", "ours")
    write_reports(study(2), tmp_path / "b", "ours")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert from_runs(tmp_path / "none") == []


def test_a_ranking_that_is_no_permutation_is_refused(tmp_path):
    bad = one("ours")
    with pytest.raises(UserError, match=r"is damaged.*hold each candidate once.*Remove"):
        write_reports([bad._replace(ranking=lambda: bad.ranking() * 0)], tmp_path, "ours")


def two_encoders():
    other = record().encoder.model_copy(update={"name": "other"})
    rows = [*study(2), *[one("rival", seed, encoder=other) for seed in range(2)]]
    (board,) = leaderboards(rows, "ours")
    return board


def test_with_several_encoders_a_narrow_terminal_still_tells_the_rows_apart():
    board = two_encoders()
    headings = [str(column.header).replace("\n", " ") for column in terminal(board, 60).columns]
    assert "encoder" in headings and "parameters" not in headings
    assert {board.name(line) for line in board.lines if line.label == "rival"} == {"rival, packaged", "rival, other"}
    assert [board.name(line) for line in board.apart] == ["oracle", "chance (closed form)"]
    assert "Not tested (no seed or no encoder shared with `ours`): rival, other." in marks(board)


def test_the_terminal_says_why_there_is_no_p():
    (board,) = leaderboards(study(2), "proposed")
    assert "no row of this table is of proposed" in str(terminal(board, 100).caption)
    (board,) = leaderboards(study(2), "ours")
    assert "left open" not in str(terminal(board, 100).caption)


def test_long_names_push_no_word_out_of_the_picture():
    long = [one(name, row=f"{name} [{'width=64, ' * 4}dropout=0.25]") for name in ("ours", "rival", "oracle")]
    (board,) = leaderboards(long, "ours")
    figure = draw_macro_map(board)
    figure.draw_without_rendering()
    right = figure.bbox.width
    for words in (*figure.texts, figure._suptitle, figure._supxlabel):
        box = words.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= right, words.get_text()
