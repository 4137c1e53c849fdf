"""A folder of the user's own: what is read, what is inferred, and a whole run on pictures of another kind."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.interfaces import CriticalGroup, Phrases
from benchmark.rendering import UNSTATED, render
from plugins.datasets.folder.contents import read_contents
from plugins.datasets.folder.declaration import read_declaration
from plugins.datasets.folder.splits import assign_splits
from plugins.datasets.folder.wording import ABSENT, PRESENT, phrases
from plugins.datasets.tables import Row
from tests.conftest import FAST, NARROW, TOY, Command
from tests.datasets.fake_folder import CASES, add_column, open_folder, read_rows, set_cell, write_folder, write_rows

SPLITS = ("train", "valid", "test")
DECLARED = """
name = "shapes"
licence = "CC0"
citation = "dermcir tests"
synthetic = true
metadata = ["ward", "dots"]
critical = {group = "hollow", name = "hollow shape", lookalike = "filled"}

[groups]
hollow = ["ring"]
filled = ["disc", "cross"]

[criteria.tone]
values = ["pale", "dark"]
weight = 2

[criteria.edge.phrases.blurred]
canonical = "a soft edge"
terse = ""
paraphrases = ["soft", "softened", "no hard edge", "fuzzy", "smeared"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "shapes")


def details(root: Path) -> dict[str, str]:
    """Return the details of the checks, all of which hold."""
    checks = open_folder(root).verify()
    assert all(check.passed for check in checks), checks
    return {check.name: check.detail for check in checks}


# --------------------------------------------------------------------------------------------------- reading


def test_a_case_holds_what_its_row_says(root: Path) -> None:
    cases = {case.id: case for split in SPLITS for case in open_folder(root).cases(split)}
    assert len(cases) == CASES
    nine = cases["case-09"]
    assert nine.images == {"image": root / "pictures" / "09.png"}
    assert (nine.diagnosis, nine.metadata) == ("cross", {"ward": "ward 9"})
    assert nine.descriptors == {"edge": "sharp", "dots": "absent", "tone": "unknown"}


def test_diagnoses_become_groups_and_columns_become_criteria(root: Path) -> None:
    dataset = open_folder(root)
    assert dataset.groups == ("cross", "disc", "ring")
    assert dataset.taxonomy == {"cross": "cross", "disc": "disc", "ring": "ring"}
    assert {c.name: (c.values, c.weight) for c in dataset.criteria} == {
        "edge": (("blurred", "sharp"), 1.0),
        "dots": (("absent", "present"), 1.0),
        "tone": (("dark", "pale", "unknown"), 1.0),
    }
    assert (dataset.label, dataset.views, dataset.critical) == ("shapes", ("image",), None)
    assert "not declared" in dataset.licence and not dataset.synthetic


def test_verify_says_what_was_inferred(root: Path) -> None:
    found = details(root)
    assert "criteria edge (blurred, sharp), dots (absent, present), tone (dark, pale, unknown)" in found["vocabulary"]
    assert "in no text: ward (25 distinct values)" in found["vocabulary"]
    assert found["splits"].startswith("24/12/24 cases in train, valid and test, drawn by id, 40/20/40")


def test_what_dataset_toml_declares(tmp_path: Path) -> None:
    dataset = open_folder(write_folder(tmp_path / "any", DECLARED))
    assert (dataset.name, dataset.label, dataset.licence, dataset.citation) == (
        "shapes", "shapes", "CC0", "dermcir tests",
    )  # fmt: skip
    assert dataset.synthetic
    assert dataset.groups == ("hollow", "filled")
    assert dataset.taxonomy == {"ring": "hollow", "disc": "filled", "cross": "filled"}
    assert dataset.critical == CriticalGroup("hollow", "hollow shape", "filled")
    edge, tone = dataset.criteria
    assert (tone.values, tone.weight) == (("pale", "dark", "unknown"), 2.0)
    soft = ("soft", "softened", "no hard edge", "fuzzy", "smeared")
    assert edge.phrases["blurred"] == Phrases("a soft edge", "", soft)
    assert edge.phrases["sharp"].canonical == "sharp edge"
    assert set(dataset.cases("test")[0].metadata) == {"dots", "ward"}


def test_columns_of_one_value_or_many_are_metadata_and_numbers_are_sorted_as_such(root: Path) -> None:
    add_column(root, "clinic", ["A"])
    add_column(root, "count", ["10", "9", "0"])
    dataset = open_folder(root)
    assert dataset.criteria[-1].values == ("0", "9", "10")
    assert [words.canonical for words in dataset.criteria[-1].phrases.values()] == ["count 0", "count 9", "count 10"]
    assert "ward (25 distinct values), clinic (one value for all)" in details(root)["vocabulary"]


def test_a_second_view_may_be_missing(root: Path) -> None:
    for number in range(CASES):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"near-{number}.png")
    add_column(root, "image2", ["", *(f"pictures/near-{number}.png" for number in range(1, CASES))])
    dataset = open_folder(root)
    assert dataset.views == ("image", "image2")
    cases = {case.id: case for split in SPLITS for case in dataset.cases(split)}
    assert dataset.unusable(cases["case-00"], "image2") == "no picture in column image2 of cases.csv"
    assert dataset.unusable(cases["case-00"], "image") is None
    assert dataset.unusable(cases["case-01"], "image2") is None
    (root / "dataset.toml").write_text('views = ["image2"]\n')
    assert open_folder(root).views == ("image2",)


def test_a_file_saved_by_a_spreadsheet_reads_the_same(root: Path) -> None:
    before = open_folder(root).cases("test")
    table = root / "cases.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n").replace(b",", b", ") + b",,,,,,\r\n")
    assert open_folder(root).cases("test") == before


def test_the_fingerprint_follows_labels_declaration_and_pictures(root: Path) -> None:
    def fingerprint() -> str:
        return open_folder(root).fingerprint()

    seen = [fingerprint()]
    assert fingerprint() == seen[0]
    set_cell(root, 3, "dots", "present" if read_rows(root)[4][4] == "absent" else "absent")
    seen.append(fingerprint())
    (root / "dataset.toml").write_text('name = "other"\n')
    seen.append(fingerprint())
    Image.new("RGB", (32, 32), "red").save(root / "pictures" / "03.png")
    seen.append(fingerprint())
    assert len(set(seen)) == 4


# ---------------------------------------------------------------------------------------------------- splits


def test_the_column_split_is_taken_as_it_is(root: Path) -> None:
    add_column(root, "split", ["test"] * 30 + ["train"] * 18 + ["valid"] * 12)
    dataset = open_folder(root)
    assert [case.id for case in dataset.cases("valid")] == [f"case-{number}" for number in range(48, 60)]
    assert details(root)["splits"] == "18/12/30 cases in train, valid and test, from column split"


def test_a_group_may_be_absent_from_a_split_and_verify_says_so(root: Path) -> None:
    by_shape = {"cross": ["train", "valid", "test"], "disc": ["train", "train", "test"], "ring": ["valid", "test"]}
    rows = read_rows(root)
    places = [by_shape[row[2]][number // 3 % len(by_shape[row[2]])] for number, row in enumerate(rows[1:])]
    add_column(root, "split", places)
    assert details(root)["splits"].endswith("no case of ring in train, disc in valid")


def drawn(ids: list[str], groups: list[str]) -> dict[str, str]:
    rows = [Row(f"line {number}", {"id": name}) for number, name in enumerate(ids)]
    splits, problems = assign_splits(rows, groups)
    assert not problems
    return dict(zip(ids, splits, strict=True))


def test_a_drawn_split_is_stratified_and_goes_by_id() -> None:
    ids, groups = [f"c{number}" for number in range(16)], ["a"] * 10 + ["b"] * 6
    chosen = drawn(ids, groups)
    assert Counter(chosen[name] for name in ids[:10]) == {"train": 4, "valid": 2, "test": 4}
    assert Counter(chosen[name] for name in ids[10:]) == {"train": 2, "valid": 2, "test": 2}
    assert drawn(ids[::-1], groups[::-1]) == chosen


# ----------------------------------------------------------------------------------------------------- words


def test_generated_words_read_naturally() -> None:
    assert phrases("pigment_network", "absent", ("absent", "present")).canonical == "no pigment network"
    assert phrases("pigment_network", "yes", ("no", "yes")).canonical == "pigment network present"
    assert phrases("streaks", "irregular", ("absent", "irregular")).canonical == "irregular streaks"
    assert phrases("streaks", "irregular", ("absent", "irregular")).terse == "irreg. streaks"
    assert phrases("vessels", "dotted vessels", ("dotted vessels",)).canonical == "dotted vessels"
    assert phrases("dots", "0", ("0", "1")).canonical == "no dots"
    assert phrases("dots", "1", ("0", "1", "2")).canonical == "dots 1"
    assert phrases("dots", "Unknown", ("Unknown",)) == Phrases("", "", ())


@pytest.mark.parametrize("value", [*sorted(ABSENT | PRESENT), "blue", "3"])
def test_no_paraphrase_holds_the_canonical_wording(value: str) -> None:
    words = phrases("round_hole", value, (value,))
    assert len(set(words.paraphrases)) >= 5
    assert not [wording for wording in words.paraphrases if words.canonical in wording]


def test_an_unknown_value_is_stated_in_no_style(root: Path) -> None:
    criteria = open_folder(root).criteria
    descriptors = {"edge": "sharp", "dots": "absent", "tone": "unknown"}
    assert render(criteria, descriptors, "canonical", "q") == "sharp edge, no dots"
    assert render(criteria, descriptors, "terse", "q") == "sharp edge"
    assert render(criteria, descriptors, "paraphrase", "q").count(".") == 2
    assert render(criteria, descriptors, "partial:3", "q") == "sharp edge, no dots"
    assert render(criteria, descriptors, "partial:1", "q") in ("sharp edge", "no dots")


def test_a_query_with_nothing_to_state_has_the_same_words_in_every_style(root: Path) -> None:
    tone = open_folder(root).criteria[-1:]
    for style in ("canonical", "terse", "paraphrase", "partial:1"):
        assert render(tone, {"tone": "unknown"}, style, "q") == UNSTATED
    for style in ("canonical", "terse", "paraphrase"):
        assert render((), {}, style, "q") == UNSTATED
    with pytest.raises(UserError, match="'partial:1': there are no criteria"):
        render((), {}, "partial:1", "q")


def test_a_criterion_that_repeats_the_diagnosis_is_pointed_out(root: Path) -> None:
    rows = read_rows(root)
    add_column(root, "hollow", ["yes" if row[2] == "ring" else "no" for row in rows[1:]])
    assert "look at hollow: one value in each group" in details(root)["texts"]
    # A treatment: two values in each group, none of them in another one.
    dose = [f"{'cream' if row[2] == 'ring' else 'knife'} {number % 2}" for number, row in enumerate(rows[1:])]
    add_column(root, "treatment", dose)
    rings = [f"dose {row[2]} {number % 2}" for number, row in enumerate(rows[1:])]
    add_column(root, "dose", rings)
    assert "look at hollow, dose:" in details(root)["texts"], "knife is for crosses and discs, so it tells less"


def test_letters_that_a_mac_composes_otherwise_are_the_same(root: Path) -> None:
    set_cell(root, 0, "diagnosis", unicodedata.normalize("NFD", "Nävus"))
    set_cell(root, 1, "diagnosis", unicodedata.normalize("NFC", "Nävus"))
    name = unicodedata.normalize("NFD", "pictures/für.png")
    (root / "pictures/00.png").rename(root / name)
    set_cell(root, 0, "image", unicodedata.normalize("NFC", name))
    cases = read_contents(root, read_declaration(root))
    assert not cases.problems
    assert {row.cells["diagnosis"] for row in cases.rows[:2]} == {"Nävus"}


# ------------------------------------------------------------------------------------------------------ runs

RUN = ("run", "--dataset", "folder", "--encoder", "mean-colour", "--plugin", str(TOY), "--quiet", "--jobs", "1")


def test_a_whole_run_names_the_folders_own_groups(tmp_path: Path, benchmark: Command) -> None:
    root = write_folder(tmp_path / "any", DECLARED)
    done = benchmark(*RUN, "--root", str(root), "--methods", "tirg", "--seeds", "0", "--no-controls", *FAST, *NARROW)
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "runs" / "report").rglob("leaderboard.md")
    text = page.read_text()
    assert "ynthetic** leaderboard: folder:shapes, case-search" in text
    assert "missed hollow shape@10" in text and "groups hollow 8, filled 16" in text
    assert all(word not in text.casefold() for word in ("derm7pt", "dermoscopic", "melanoma", "lesion", "nevus"))
    assert "ap_hollow" in page.with_suffix(".csv").read_text()


@pytest.mark.parametrize("columns", [("id", "image", "diagnosis"), ("id", "image", "diagnosis", "edge")])
def test_a_run_without_criteria_or_with_one(tmp_path: Path, benchmark: Command, columns: tuple[str, ...]) -> None:
    root = write_folder(tmp_path / "few", columns=columns)
    choice = ("--methods", "proposed", "--set", "proposed.width=16", "--seeds", "0", "--no-controls", *FAST)
    done = benchmark(*RUN, "--root", str(root), *choice)
    assert done.returncode == 0, done.stderr


def test_data_commands_work_on_a_folder(tmp_path: Path, benchmark: Command) -> None:
    root = write_folder(tmp_path / "shapes")
    assert "24/12/24" in benchmark("data", "verify", "folder", "--root", str(root)).stdout
    stats = json.loads(benchmark("data", "stats", "folder", "--root", str(root), "--json").stdout)
    assert stats["Groups"][2] == {"group": "ring", "train": 8, "valid": 4, "test": 8, "all": 20}
    preview = ("data", "preview", "folder", "--root", str(root), "--out")
    assert benchmark(*preview, str(tmp_path / "sheet"), "--criterion", "tone=dark").returncode == 0
    assert len(list((tmp_path / "sheet").iterdir())) == 1
    assert "lies in your copy" in benchmark(*preview, str(root / "sheet")).stderr


def test_without_rows_the_rest_is_not_checked(root: Path) -> None:
    write_rows(root, read_rows(root)[:1])
    assert [check.name for check in open_folder(root).verify()] == ["table", "everything else"]
