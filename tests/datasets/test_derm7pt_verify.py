"""Verifying and fingerprinting a copy of Derm7pt, on a tiny fake that is written to a temporary folder."""

import hashlib
import re
from pathlib import Path
from typing import ClassVar

import pytest

from benchmark.interfaces import DatasetContext
from plugins.datasets.derm7pt import SITE
from plugins.datasets.options import Derm7ptOptions
from tests.datasets.fake_derm7pt import (
    TinyDerm7pt,
    failures,
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


def test_a_sound_copy_passes_every_check(root):
    checks = {check.name: check for check in open_fake(root).verify()}
    assert all(check.passed for check in checks.values())
    assert list(checks) == [
        "metadata SHA-256", "columns", "rows", "vocabulary", "splits", "images", "seven-point score", "image SHA-256",
    ]  # fmt: skip
    assert checks["rows"].detail == "15 rows"
    assert checks["images"].detail == "29 files, all decoded"  # two a case, less the replaced one


def test_the_image_digest_is_that_of_sha256sum_over_the_sorted_hashes(root):
    hashes = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (root / "images" / "Fal").iterdir())
    expected = hashlib.sha256("".join(line + "\n" for line in hashes).encode()).hexdigest()
    assert expected in open_fake(root).verify()[-1].detail


def test_another_copy_of_the_metadata_is_told_and_not_refused(root):
    class Known(TinyDerm7pt):
        known_sha256: ClassVar[dict[str, str]] = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((root / "meta").iterdir())
        }

    def told():
        return Known(DatasetContext(root, root), Derm7ptOptions()).verify()[0]

    assert told().detail.startswith("the copy known to dermcir\n")
    for name, digest in Known.known_sha256.items():
        assert f"{digest}  {name}" in told().detail
    set_cell(root, 0, "location", "back")
    assert told().passed
    assert told().detail.startswith("differs (meta.csv) from the copy known to dermcir\n")


@pytest.mark.parametrize("kept", [0, 10, 900])
def test_a_damaged_image_is_found_by_decoding_it(root, kept):
    image = root / "images" / "Fal" / "Fal103.JPG"
    assert image.stat().st_size > 1000
    image.write_bytes(image.read_bytes()[:kept])
    found = failures(root)
    assert f"1 problem: meta/meta.csv, line 5, column clinic: {image} can't be decoded" in found["images"]
    assert SITE in found["images"]
    assert set(found) == {"images", "image SHA-256"}


def test_a_score_that_does_not_follow_from_the_criteria_fails(root):
    set_cell(root, 6, "seven_point_score", "4")
    expected = "meta/meta.csv, line 8, column seven_point_score: is 4, but the criteria give 5"
    assert expected in failures(root)["seven-point score"]


def test_another_number_of_rows_fails(root):
    write_rows(root, [*read_rows(root), read_rows(root)[15]])
    found = failures(root)
    assert "meta/meta.csv: holds 16 rows, expected 15" in found["rows"]
    assert "meta/meta.csv, line 17: row index 15 is in no split" in found["splits"]


def test_a_split_of_another_size_fails(root):
    split_file(root, "test").write_text("indexes\n2\n5\n8\n11\n")
    detail = failures(root)["splits"]
    assert "meta/test_indexes.csv: holds 4 valid indices, expected 5" in detail
    assert "meta/meta.csv, line 16: row index 14 is in no split" in detail


def test_a_failing_check_lists_five_places_and_the_count(root):
    for index in range(7):
        set_cell(root, index, "streaks", "wavy")
    detail = failures(root)["vocabulary"]
    assert detail.startswith("7 problems, the first 5: meta/meta.csv, line 2, column streaks")
    assert re.findall(r"line (\d+)", detail) == ["2", "3", "4", "5", "6"]
    assert SITE in detail


def test_the_fingerprint_follows_labels_and_images(root):
    prints = [open_fake(root).fingerprint()]
    assert open_fake(root).fingerprint() == prints[0]
    set_cell(root, 0, "location", "back")
    prints.append(open_fake(root).fingerprint())
    with (root / "images" / "Fal" / "Fal001.jpg").open("ab") as file:
        file.write(b"\0")
    prints.append(open_fake(root).fingerprint())
    first, second = (root / "images" / "Fal" / f"Fal00{number}.jpg" for number in (2, 3))
    before = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(before)
    prints.append(open_fake(root).fingerprint())
    assert len(set(prints)) == 4, "a changed cell, a changed file and two swapped files each give another"


def test_a_moved_copy_keeps_its_fingerprint(root):
    before = open_fake(root).fingerprint()
    assert open_fake(root.rename(root.parent / "moved")).fingerprint() == before
