"""Publishing: what gets in, what stays, what goes, and that a clone without runs rebuilds the same bytes."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from fakes import contents, evaluated, judgments, one, record, store_runs, study
from safetensors.numpy import load_file

from benchmark.errors import UserError
from benchmark.report import from_published, from_runs, publish, write_reports
from benchmark.report.compact_rows import MeasuredRow

README = """# Title
<!-- leaderboard:toy/case-search -->
<!-- /leaderboard -->
between
<!-- leaderboard:other/case-search -->
old words
<!-- /leaderboard -->
end
"""
STALE = {"sources": {"benchmark.errors": "another hash"}}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def published(place, evaluations, reference="ours"):
    return publish(evaluations, place / "results", place / "README.md", reference)


def rows(place):
    """Row -> seeds, as published."""
    found = {}
    for one_of in from_published(place / "results"):
        found.setdefault(one_of.record.method.row, []).append(one_of.record.seed)
    return found


def test_publishing_twice_changes_nothing(place):
    runs = store_runs(place / "runs", study())
    told = published(place, from_runs(runs))
    first = contents(place)
    assert "toy, case-search: added ours with packaged, seeds 0-2." in told
    assert published(place, from_runs(runs)) == []
    assert contents(place) == first


def test_a_clone_without_runs_rebuilds_the_same_bytes(place, tmp_path):
    published(place, study())
    whole = contents(place)
    for name in whole:
        if not name.startswith("results/toy/case-search/runs/") and name != "README.md":
            (place / name).unlink()
    (place / "README.md").write_text(README)
    assert published(place, from_runs(place / "none")) == []
    assert contents(place) == whole


def test_nothing_but_rankings_judgments_and_records_is_kept(place):
    published(place, study(2, ("ours",)))
    names = {path.name for path in (place / "results/toy/case-search/runs").iterdir()}
    assert names == {"judgments.safetensors", "ours-packaged.safetensors", "ours-packaged.json"}


def test_the_readme_holds_the_short_table_or_says_that_there_is_none(place):
    published(place, study(synthetic=True))
    text = (place / "README.md").read_text()
    assert "**synthetic**" in text and "(results/toy/case-search/leaderboard.md)" in text and "seeds 0-2" in text
    assert "<!-- leaderboard:other/case-search -->\nnot computed yet\n<!-- /leaderboard -->\nend\n" in text
    header = next(row for row in text.splitlines() if row.startswith("| method"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "method", "macro mAP ± std [95 %]", "mAP", "nDCG@10", "missed melanoma@10", "composition gap",
        "ours minus row [95 %]", "p (ours vs row)", "parameters",
    ]  # fmt: skip


def test_only_default_rows_get_in(place):
    made = [
        one("ours"), one("rival", row="rival [width=9]"), one("ours", protocol={"evaluate": "cv", "fold": 0}),
        one("ours", protocol={"gallery": "archive"}), one("ours", protocol={"text_style": "terse"}),
    ]  # fmt: skip
    published(place, made)
    assert rows(place) == {"ours": [0]}


def test_fewer_seeds_under_the_same_keys_change_nothing(place):
    published(place, study(5, ("ours",)))
    before = contents(place)
    # Another machine may rank the same key differently: what is committed stays.
    elsewhere = [one("ours", seed, quality=0.1) for seed in range(3)]
    assert (elsewhere[0].ranking() != one("ours", 0).ranking()).any()
    assert published(place, elsewhere) == []
    assert contents(place) == before


def test_a_row_with_new_keys_is_replaced_as_a_whole_and_others_stay(place):
    published(place, study(5, ("ours", "rival")))
    told = published(place, study(3, ("ours",), training={"epochs": 9}))
    assert told == ["toy, case-search: replaced ours with packaged, seeds 0-2."]
    assert rows(place) == {"ours": [0, 1, 2], "rival": [0, 1, 2, 3, 4]}


def test_more_seeds_replace_the_row(place):
    published(place, study(3, ("ours",)))
    published(place, study(5, ("ours",)))
    assert rows(place) == {"ours": [0, 1, 2, 3, 4]}


def test_a_run_whose_source_changed_does_not_replace_a_fresh_row(place):
    published(place, study(2, ("ours",)))
    told = published(place, study(3, ("ours",), **STALE))
    assert "kept ours with packaged as published" in told[0]
    assert rows(place) == {"ours": [0, 1]}


def test_other_judgments_drop_the_old_rows_and_name_them(place):
    published(place, study(2, ("ours", "rival")))
    told = published(place, study(1, ("ours",), truth=judgments(prefix="new")))
    assert "dropped rival with packaged: judged by other data" in told[0]
    assert rows(place) == {"ours": [0]}
    assert not (place / "results/toy/case-search/runs/rival-packaged.json").exists()


def test_two_rows_whose_names_look_alike_as_files_are_both_kept(place):
    published(place, [one("ours", row="a b"), one("ours", row="a (b)")])
    assert sorted(rows(place)) == ["a (b)", "a b"]


def test_a_source_that_changed_after_publishing_is_marked(place):
    published(place, study(1, ("ours",), **STALE))
    assert "| ours † " in (place / "results/toy/case-search/leaderboard.md").read_text()


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("ours-packaged.safetensors", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        ("ours-packaged.safetensors", lambda path: path.unlink()),
        ("ours-packaged.json", lambda path: path.write_text("[{}]")),
        ("ours-packaged.json", lambda path: path.write_text("[]")),
        ("ours-packaged.json", lambda path: path.unlink()),
        ("judgments.safetensors", lambda path: path.unlink()),
        ("judgments.safetensors", lambda path: path.write_bytes(path.read_bytes()[:40])),
    ],
)  # fmt: skip
def test_a_damaged_published_file_is_named_and_nothing_is_written(place, name, damage):
    published(place, study(2, ("ours",)))
    damage(place / "results/toy/case-search/runs" / name)
    before = contents(place)
    with pytest.raises(UserError, match=rf"{name} is damaged .* `git checkout -- "):
        published(place, study(2, ("rival",)))
    assert contents(place) == before


def test_a_flipped_bit_in_a_published_ranking_is_found(place):
    published(place, study(1, ("ours",)))
    path = place / "results/toy/case-search/runs/ours-packaged.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"ours-packaged.safetensors is damaged .*git checkout"):
        published(place, [])


def test_judgments_other_than_the_records_name_are_refused(place):
    published(place, study(1, ("ours",)))
    shutil.move(place / "results", place / "kept")
    published(place, study(1, ("ours",), truth=judgments(prefix="new")))
    runs = "toy/case-search/runs/judgments.safetensors"
    shutil.copy(place / "kept" / runs, place / "results" / runs)
    with pytest.raises(UserError, match="its records name other judgments"):
        published(place, [])


def test_rankings_of_different_shapes_are_refused(place):
    made = evaluated(record("ours", 1), np.zeros((3, 3), dtype=np.uint16))
    with pytest.raises(UserError, match=r"is damaged \(its ranking is \(3, 3\)"):
        published(place, [one("ours", 0), made])


@pytest.mark.parametrize("text", ["<!-- leaderboard:a/b -->\n", README.replace("<!-- /leaderboard -->", "", 1)])
def test_a_marker_without_its_end_is_refused_before_anything_is_written(place, text):
    (place / "README.md").write_text(text)
    with pytest.raises(UserError, match=r"has no <!-- /leaderboard --> after it"):
        published(place, study(1))
    assert not (place / "results").exists()


def test_a_missing_readme_is_said(tmp_path):
    with pytest.raises(UserError, match=r"Can't read .*README.md: No such file.* --readme"):
        published(tmp_path, study(1))


# ------------------------------------------------------------------------------------------------ without rankings


EDITS = {"protocol": {"task": "modification"}}
STRATA = np.repeat([0, 1, 2], [12, 10, 8]).astype(np.uint8)


def edits():
    """Three queries of each of ten references, which change one to three criteria; gain 2 is the target's."""
    made = judgments()
    ids = tuple(f"case{i // 3}>case{i}" for i in range(30))
    gains = np.where(made.gains & (np.arange(30) % 4 == 0), 2, made.gains).astype(np.uint8)
    names = ("1 change", "2 changes", "3 changes")
    return replace(made, query_ids=ids, gains=gains, strata=STRATA, stratum_names=names, critical=None)


def test_a_task_with_many_queries_keeps_what_each_scored_and_no_ranking(place):
    runs = store_runs(place / "runs", study(2, truth=edits(), **EDITS))
    (place / "README.md").write_text(README.replace("other/case-search", "toy/modification"))
    published(place, from_runs(runs))
    whole = contents(place / "results")
    kept = load_file(place / "results/toy/modification/runs/ours-packaged.safetensors")
    assert {name: array.shape for name, array in kept.items()} == {"per_query": (9, 60)}, "9 metrics, 2 x 30 queries"
    assert published(place, from_runs(runs)) == []
    assert contents(place / "results") == whole
    write_reports(from_runs(runs), place / "report", "ours")
    of_runs = contents(place / "report")
    assert of_runs == {name: content for name, content in whole.items() if "/runs/" not in name and "looks" not in name}
    text = (place / "results/toy/modification/leaderboard.md").read_text()
    header = next(line for line in text.splitlines() if line.startswith("| method"))
    assert [cell.strip() for cell in header.strip("|").split("|")][3:9] == [
        "macro mAP ± std [95 %]", "nDCG@10", "mAP (grade 2)", "mAP, 1 change", "mAP, 2 changes", "mAP, 3 changes",
    ]  # fmt: skip
    assert "mAP (grade 2)" in (place / "README.md").read_text()


def test_a_clone_rebuilds_a_table_without_rankings(place):
    published(place, study(2, truth=edits(), **EDITS))
    whole = contents(place)
    for path in (place / "results/toy/modification").glob("*.*"):
        path.unlink()
    assert published(place, []) == []
    assert contents(place) == whole
    first = from_published(place / "results")[0]
    with pytest.raises(UserError, match=r"image-only-packaged.safetensors holds what each query scored and no ranking"):
        first.ranking()


@pytest.mark.parametrize("place_of_bit", [-1, -100])
def test_a_flipped_bit_in_what_queries_scored_is_found(place, place_of_bit):
    published(place, study(1, ("ours",), truth=edits(), **EDITS))
    path = place / "results/toy/modification/runs/ours-packaged.safetensors"
    content = bytearray(path.read_bytes())
    content[place_of_bit] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"ours-packaged.safetensors is damaged \(its content .* SHA-256"):
        published(place, [])


def test_results_of_other_queries_than_the_judgments_are_refused(place):
    published(place, study(1, ("ours", "rival"), truth=edits(), **EDITS))
    runs = place / "results/toy/modification/runs"
    half = MeasuredRow((), ({"AP": np.zeros(15)},)).content()
    (runs / "ours-packaged.safetensors").write_bytes(half)
    with pytest.raises(
        UserError, match=r"ours-packaged.safetensors is damaged \(it holds results of other than its 30"
    ):
        published(place, [])
    two = MeasuredRow((), ({"AP": np.zeros(30)}, {"AP": np.zeros(30)})).content()
    (runs / "ours-packaged.safetensors").write_bytes(two)
    with pytest.raises(UserError, match=r"ours-packaged.json is damaged \(1 records for the results of 2\)"):
        published(place, [])
