"""Everything that can be wrong with a folder is refused in sentences that name the place and the next step."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.interfaces import DatasetContext
from plugins.datasets.folder.dataset import FolderDataset
from plugins.datasets.options import FolderOptions
from tests.datasets.fake_folder import add_column, open_folder, read_rows, set_cell, write_folder, write_rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "shapes")


def refusal(root: Path) -> str:
    """Return the sentences with which the folder is refused, by ``cases`` and ``fingerprint`` alike."""
    with pytest.raises(UserError) as cases:
        open_folder(root).cases("train")
    with pytest.raises(UserError) as fingerprint:
        open_folder(root).fingerprint()
    assert str(cases.value) == str(fingerprint.value)
    assert str(root) in str(cases.value)
    return str(cases.value)


def failures(root: Path) -> dict[str, str]:
    """Return the details of the checks that fail, by name."""
    return {check.name: check.detail for check in open_folder(root).verify() if not check.passed}


# ----------------------------------------------------------------------------------------------- wrong places


def refused_root(root: Path | None) -> str:
    with pytest.raises(UserError) as error:
        FolderDataset(DatasetContext(root, Path("unused")), FolderOptions())
    return str(error.value)


def test_a_root_that_holds_no_cases(tmp_path: Path) -> None:
    assert "pass --root DIR, or set DERMCIR_FOLDER" in refused_root(None)
    assert "There is no folder" in refused_root(tmp_path / "nothing")
    write_folder(tmp_path / "shapes")
    assert f"Did you mean {tmp_path / 'shapes'}?" in refused_root(tmp_path)
    (tmp_path / "shapes" / "cases.csv").rename(tmp_path / "shapes" / "meta.csv")
    assert "Is it meta.csv? Then rename it." in refused_root(tmp_path / "shapes")


# ------------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (["id", "image", "Diagnosis"], "line 1: column 'diagnosis' is missing. Did you mean Diagnosis?"),
        (["id", "picture", "diagnosis"], "line 1: column 'image' is missing. Available: diagnosis, id, picture"),
        (["id", "image", "diagnosis", "id"], "column 'id' stands there 2 times: rename or delete one"),
        (["id", "image", "diagnosis", ""], "column 4 has no name: name it, or delete it"),
    ],
)
def test_a_wrong_header(root: Path, header: list[str], words: str) -> None:
    write_rows(root, [header, *(row[: len(header)] for row in read_rows(root)[1:])])
    assert words in refusal(root)
    assert words in failures(root)["table"]


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter(root: Path, delimiter: str, name: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(read_rows(root))
    (root / "cases.csv").write_text(text.getvalue())
    assert f"the columns are separated by {name}: save the file with commas" in refusal(root)


def test_a_file_that_is_no_utf8_or_no_table(root: Path) -> None:
    set_cell(root, 2, "diagnosis", "näevus")
    table = root / "cases.csv"
    whole = table.read_text()
    table.write_bytes(whole.encode("latin-1"))
    assert "cases.csv, line 4, column 'diagnosis': is not UTF-8: save the file as UTF-8" in refusal(root)
    table.write_text("\n".join([*whole.splitlines(), "case-99,pictures/99.png"]))
    assert "line 62: has 2 cells where the header has 7" in refusal(root)
    table.write_text("")
    assert "the file is empty" in refusal(root)


@pytest.mark.parametrize(
    ("index", "column", "value", "words"),
    [
        (0, "id", "", "line 2, column id: is empty: give every case an id of its own"),
        (5, "id", "case-02", "line 7, column id: 'case-02' is already the id of cases.csv, line 4"),
        (1, "id", "#1", "line 3, column id: '#1' holds a line break or begins with #"),
        (1, "diagnosis", "", "line 3, column diagnosis: is empty: every case needs a diagnosis"),
        (1, "diagnosis", "Disc", "column diagnosis: 'Disc' and 'disc' look like one value: spell it one way"),
        (1, "edge", "Sharp", "column edge: 'Sharp' and 'sharp' look like one value: spell it one way"),
        (4, "image", "", "line 6, column image: is empty: write the path of the picture"),
        (4, "image", "pictures/4.png", "line 6, column image: no file 'pictures/4.png' in"),
        (4, "image", "pictures/04.jpg", "did you mean '04.png'?"),
        (4, "image", "../shapes/../04.png", "leaves the folder"),
        (4, "image", "/etc/passwd", "leaves the folder"),
        (4, "image", "pictures/03.png", "'pictures/03.png' is already the picture of cases.csv, line 5, column image"),
    ],
)
def test_a_wrong_cell(root: Path, index: int, column: str, value: str, words: str) -> None:
    set_cell(root, index, column, value)
    assert words in refusal(root)
    assert any(words in detail for detail in failures(root).values())


def test_a_link_out_of_the_folder(root: Path) -> None:
    outside = root.parent / "outside.png"
    (root / "pictures" / "04.png").rename(outside)
    (root / "pictures" / "04.png").symlink_to(outside)
    assert "line 6, column image: 'pictures/04.png' leaves the folder" in refusal(root)


def test_many_problems_are_shown_at_once_and_no_more_than_ten(root: Path) -> None:
    for index in range(12):
        set_cell(root, index, "image", f"gone/{index}.png")
    message = refusal(root)
    assert "12 problems, the first 10:" in message
    assert message.count("\n  cases.csv, line ") == 10
    assert message.endswith("`python -m benchmark data verify folder --root DIR` then checks everything again.")


def test_verify_decodes_every_picture_and_finds_copies(root: Path) -> None:
    (root / "pictures" / "07.png").write_bytes((root / "pictures" / "06.png").read_bytes())
    (root / "pictures" / "09.png").write_bytes((root / "pictures" / "09.png").read_bytes()[:200])
    found = failures(root)["images"]
    assert "line 9, column image: the same picture as cases.csv, line 8, column image: leave one out" in found
    assert "line 11, column image:" in found and "can't be decoded" in found
    assert len(failures(root)) == 1


def test_copies_are_refused_by_a_run_as_by_verify(root: Path) -> None:
    (root / "pictures" / "07.png").write_bytes((root / "pictures" / "06.png").read_bytes())
    assert "line 9, column image: the same picture as cases.csv, line 8, column image" in refusal(root)


def test_a_picture_whose_range_nobody_knows_is_found_by_verify(root: Path) -> None:
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(root / "pictures" / "float.tiff")
    set_cell(root, 5, "image", "pictures/float.tiff")
    assert "line 7, column image" in (found := failures(root)["images"]) and "mode F has no known range" in found


def test_a_path_as_windows_writes_it(root: Path) -> None:
    set_cell(root, 5, "image", "pictures\\05.png")
    assert "write / between folder and file" in refusal(root)


# ------------------------------------------------------------------------------------------------- the splits


def test_a_wrong_split(root: Path) -> None:
    add_column(root, "split", ["train", "vaild", "test"])
    assert "line 3, column split: 'vaild' is no split. Did you mean valid?" in refusal(root)
    set_cell(root, 1, "split", "")
    assert "line 3, column split: is empty: write train, valid or test, or delete the whole column" in refusal(root)


def test_splits_that_are_too_small(root: Path) -> None:
    add_column(root, "split", ["train", "train", "train", "test", "test", "test"])
    assert "cases.csv: no case is in split valid: every split needs some" in refusal(root)
    for index in range(2):
        set_cell(root, index, "split", "valid")
    message = refusal(root)
    assert "group cross, split valid: 1 case alone, so nothing of its group is there to be found" in message
    assert "group disc, split valid: 1 case alone" in message
    assert "[groups] in dataset.toml" in message


def test_a_group_that_is_too_small_to_be_divided(root: Path) -> None:
    for index in range(5):
        set_cell(root, index, "diagnosis", "star")
    assert "group star: 5 cases can't be divided into three splits, which takes 6" in refusal(root)


# --------------------------------------------------------------------------------------------- dataset.toml


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("name = shapes", "is no valid TOML"),
        ('name = "a/b"', "a name holds letters, digits, spaces, dots, hyphens and underscores only"),
        ('licence = " "', "it is empty"),
        ('license = "CC0"', "unknown option 'license'. Did you mean licence"),
        ('views = ["image", "image"]', "'image' stands in it twice"),
        ('views = ["both"]', "'both' can't be a column of pictures"),
        ('metadata = ["diagnosis"]', "'diagnosis' is neither a criterion nor metadata"),
        ('metadata = ["tone"]\n[criteria.tone]\nweight = 2', "'tone' is declared as a criterion and as metadata"),
        ('[groups]\na = ["ring"]\nb = ["ring", "disc"]', "diagnosis 'ring' is in the groups 'a' and 'b'"),
        ("criteria.tone = 2", "[criteria.tone]: must be a table"),
        ("[criteria.tone]\nweigth = 2", "[criteria.tone]: unknown option 'weigth'. Did you mean weight?"),
        ("[criteria.tone]\nweight = 0", "[criteria.tone]: weight = 0"),
        ('[criteria.tone]\nphrases.dark = "dark"', "[criteria.tone] phrases.dark: must be a table"),
        ('[criteria.tone.phrases.dark]\ncannonical = "x"', "phrases.dark: unknown option 'cannonical'"),
        ('[criteria.tone.phrases.dark]\nparaphrases = ["x"]', "at least 5"),
        (
            '[criteria.tone]\nvalues = ["dark", "pale"]\nphrases.drak.terse = "d"',
            "has phrases of 'drak', which is none of its values. Did you mean dark?",
        ),
        ('critical = {group = "ring"}', "[critical]: lookalike"),
    ],
)
def test_a_wrong_declaration_is_refused_at_once(root: Path, toml: str, words: str) -> None:
    (root / "dataset.toml").write_text(toml)
    message = refused_root(root)
    assert str(root / "dataset.toml") in message
    assert words in message


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('views = ["photo"]', "cases.csv, line 1: column 'photo' is missing"),
        ('metadata = ["wards"]', "there is no column 'wards', which dataset.toml declares. Did you mean ward?"),
        ("[criteria.tones]\nweight = 2", "there is no column 'tones', which dataset.toml declares. Did you mean tone?"),
        (
            '[groups]\nround = ["ring"]\nother = ["dics", "cross"]',
            "line 3, column diagnosis (and 19 more): 'disc' is in no group of dataset.toml. Did you mean dics?",
        ),
        (
            '[criteria.tone]\nvalues = ["pale", "drak"]',
            "line 3, column tone (and 23 more): 'dark' is no declared value. Did you mean drak?",
        ),
        (
            '[criteria.tone.phrases.drak]\nterse = "d"',
            "dataset.toml [criteria.tone]: has phrases of 'drak', a value of no case. Did you mean dark?",
        ),
        (
            'critical = {group = "rings", lookalike = "disc"}',
            "dataset.toml: critical.group = 'rings' is no group. Did you mean ring?",
        ),
    ],
)
def test_a_declaration_that_does_not_fit_the_table(root: Path, toml: str, words: str) -> None:
    (root / "dataset.toml").write_text(toml)
    assert words in refusal(root)
    assert words in " ".join(failures(root).values())
