"""Reading and refusing a copy of Derm7pt, on a tiny fake that is written to a temporary folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmark.errors import UserError
from benchmark.interfaces import DatasetContext
from plugins.datasets.derm7pt import SITE, Derm7pt
from plugins.datasets.options import Derm7ptOptions
from tests.datasets.fake_derm7pt import (
    HEADER,
    NOTE,
    failures,
    meta_file,
    open_fake,
    read_rows,
    set_cell,
    split_file,
    write_fake,
    write_rows,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_fake(tmp_path / "release_v0")


def refusal(root: Path) -> str:
    """Return the sentence with which the copy is refused, by ``cases`` and ``fingerprint`` alike."""
    with pytest.raises(UserError) as cases:
        open_fake(root).cases("train")
    with pytest.raises(UserError) as fingerprint:
        open_fake(root).fingerprint()
    assert str(cases.value) == str(fingerprint.value)
    assert str(root) in str(cases.value) and SITE in str(cases.value)
    return str(cases.value)


# ---------------------------------------------------------------------------------------------------- reading


def test_a_case_holds_what_its_row_says(root):
    case = open_fake(root).cases("valid")[2]
    assert case.id == "0007"
    assert case.diagnosis == "melanoma (0.76 to 1.5 mm)"
    assert case.images == {
        "dermoscopic": root / "images" / "Fal" / "Fal007.jpg",
        "clinical": root / "images" / "Fal" / "Fal107.JPG",
    }
    assert case.descriptors == {
        "pigment_network": "atypical",
        "streaks": "irregular",
        "pigmentation": "localized irregular",
        "regression_structures": "combinations",
        "dots_and_globules": "irregular",
        "blue_whitish_veil": "present",
        "vascular_structures": "dotted",
    }
    assert case.metadata == {
        "case_num": "8",
        "seven_point_score": "10",
        "level_of_diagnostic_difficulty": "low",
        "elevation": "flat",
        "location": "acral",
        "sex": "female",
        "management": "excision",
        "notes": "",
        "case_id": "",
    }


def test_splits_keep_the_order_of_their_files(root):
    split_file(root, "test").write_text("indexes\n14\n2\n5\n")
    dataset = open_fake(root)
    assert [case.id for case in dataset.cases("train")] == ["0000", "0003", "0006", "0009", "0012"]
    assert [case.id for case in dataset.cases("test")] == ["0014", "0002", "0005"]


def test_a_replaced_clinical_image_is_unusable_in_that_view_only(root):
    dataset = open_fake(root)
    cases = [case for split in ("train", "valid", "test") for case in dataset.cases(split)]
    assert {case.id: dataset.unusable(case, "clinical") for case in cases if dataset.unusable(case, "clinical")} == {
        "0004": NOTE
    }
    assert not any(dataset.unusable(case, "dermoscopic") for case in cases)


def test_a_copy_saved_by_a_spreadsheet_reads_the_same(root):
    before = open_fake(root).cases("test")
    for file in (meta_file(root), split_file(root, "test")):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert open_fake(root).cases("test") == before


def test_licence_and_citation_are_those_of_the_authors():
    assert "may not be redistributed" in Derm7pt.licence
    assert "Kawahara" in Derm7pt.citation
    assert (Derm7pt.root_variable, sum(Derm7pt.split_sizes.values())) == ("DERM7PT_ROOT", 1011)


# ------------------------------------------------------------------------------------------------ wrong places


def refused_root(root: Path | None) -> str:
    with pytest.raises(UserError) as error:
        Derm7pt(DatasetContext(root, Path("unused")), Derm7ptOptions())
    return str(error.value)


def test_without_a_root_it_says_how_to_get_the_data():
    assert all(words in refused_root(None) for words in (SITE, "DERM7PT_ROOT", "--root", "images/ and meta/"))


@pytest.mark.parametrize("name", ["elsewhere", "missing"])
def test_a_folder_without_derm7pt_says_what_was_looked_for(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    message = refused_root(tmp_path / name)
    assert str(tmp_path / name / "meta" / "meta.csv") in message
    assert SITE in message and "DERM7PT_ROOT" in message


@pytest.mark.parametrize("inside", ["..", "images", "meta", "images/Fal", "meta/meta.csv"])
def test_a_neighbouring_folder_gets_a_hint(root, inside):
    assert f"Did you mean {root}?" in refused_root((root / inside).resolve())


# ------------------------------------------------------------------------------------------------ broken tables


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("diagnosis", "melanom", "unknown value 'melanom'. Did you mean melanoma"),
        ("streaks", "iregular", "unknown value 'iregular'. Did you mean irregular"),
        ("blue_whitish_veil", "", "unknown value ''. Available: absent, present"),
        ("seven_point_score", "four", "'four' is no whole number"),
    ],
)
def test_an_unknown_value_is_named_with_line_and_column(root, column, value, words):
    set_cell(root, 3, column, value)
    message = refusal(root)
    assert f"meta/meta.csv, line 5, column {column}: {words}" in message
    assert words in failures(root)["vocabulary"]


def test_lines_are_counted_as_an_editor_shows_them(root):
    set_cell(root, 0, "notes", "a note\nover three\nlines")
    set_cell(root, 1, "streaks", "some")
    assert "meta/meta.csv, line 5, column streaks" in refusal(root)


@pytest.mark.parametrize("column", ["diagnosis", "notes", "derm"])
def test_a_missing_column_is_named(root, column):
    position = HEADER.index(column)
    write_rows(root, [row[:position] + row[position + 1 :] for row in read_rows(root)])
    assert f"meta/meta.csv, line 1: column {column} is missing" in refusal(root)
    assert set(failures(root)) == {"columns", "everything else"}


def test_a_split_file_without_its_header_is_refused(root):
    split_file(root, "valid").write_text("0\n1\n")
    assert "meta/valid_indexes.csv, line 1: column indexes is missing" in refusal(root)


@pytest.mark.parametrize("index", ["15", "-1", "2.0", "1_0", " 3", "x", "9" * 5000])
def test_a_bad_split_index_is_named_with_its_line(root, index):
    split_file(root, "test").write_text(f"indexes\n2\n{index}\n")
    expected = f"meta/test_indexes.csv, line 3, column indexes: '{index}' is no row index of meta.csv (0 to 14)"
    assert expected in refusal(root)
    assert expected in failures(root)["splits"]


@pytest.mark.parametrize(
    ("split", "index", "first"),
    [("test", 2, "meta/test_indexes.csv, line 2"), ("valid", 3, "meta/train_indexes.csv, line 3")],
)
def test_an_index_may_stand_in_the_splits_only_once(root, split, index, first):
    with split_file(root, split).open("a") as file:
        file.write(f"{index}\n")
    message = refusal(root)
    assert f"meta/{split}_indexes.csv, line 7, column indexes: index {index} already stands at {first}" in message


def test_a_cell_that_is_not_utf8_is_named(root):
    set_cell(root, 2, "notes", "naive")
    meta_file(root).write_bytes(meta_file(root).read_bytes().replace(b"naive", "naïve".encode("latin-1")))
    message = refusal(root)
    assert "meta/meta.csv, line 4, column 'notes': is not UTF-8" in message
    assert message.encode(), "the message itself can be printed"


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "the file is empty"), ("\n\n", "the file is empty"), (",".join(HEADER) + "\n", "a header and no rows")],
)
def test_an_empty_file_is_refused(root, content, words):
    meta_file(root).write_text(content)
    assert f"meta/meta.csv: {words}" in refusal(root).replace("holds ", "")
    assert words in failures(root)["columns"]


def test_a_row_with_a_cell_too_many_is_refused(root):
    write_rows(root, [[*row, "extra"] if number == 6 else row for number, row in enumerate(read_rows(root))])
    assert "meta/meta.csv, line 7: has 20 cells where the header has 19" in refusal(root)


def test_a_stray_quote_is_named_with_the_line_where_it_opens(root):
    meta_file(root).write_text(meta_file(root).read_text().replace("clark nevus", '"clark nevus'))
    assert "meta/meta.csv, line 5: is no valid CSV" in refusal(root)


def test_a_missing_split_file_is_refused(root):
    split_file(root, "train").unlink()
    assert "meta/train_indexes.csv: can't be read (No such file or directory)" in refusal(root)
    assert {"columns", "splits"} <= set(failures(root))


# ------------------------------------------------------------------------------------------------ images


@pytest.mark.parametrize("path", ["/etc/hostname", "../../outside.jpg", "Fal/../../meta/meta.csv", "link.jpg", "a\0b"])
@pytest.mark.parametrize("column", ["derm", "clinic"])
def test_an_image_path_may_not_leave_the_images_folder(root, column, path):
    (root.parent / "outside.jpg").write_bytes((root / "images" / "Fal" / "Fal000.jpg").read_bytes())
    os.symlink(root.parent / "outside.jpg", root / "images" / "link.jpg")
    set_cell(root, 1, column, path)
    expected = f"meta/meta.csv, line 3, column {column}: {path!r} leaves the images folder"
    assert expected in refusal(root)
    assert expected in failures(root)["images"]


def test_an_images_folder_that_is_a_link_is_fine(root):
    (root / "images").rename(root.parent / "pictures")
    os.symlink(root.parent / "pictures", root / "images")
    assert len(open_fake(root).cases("train")) == 5


def test_a_missing_image_is_named_with_its_row(root):
    (root / "images" / "Fal" / "Fal003.jpg").unlink()
    expected = "meta/meta.csv, line 5, column derm: no file 'Fal/Fal003.jpg'"
    assert expected in refusal(root)
    assert expected in failures(root)["images"]
    assert "not computed" in failures(root)["image SHA-256"]


# ------------------------------------------------------------------------------------------------ options


def test_an_unknown_option_is_an_error():
    with pytest.raises(ValidationError, match="size"):
        Derm7ptOptions(size=3)


def test_options_import_no_torch():
    code = "import sys, plugins.datasets.options; assert not {'torch', 'PIL', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
