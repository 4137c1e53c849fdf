"""``data stats``, ``data audit`` and ``data preview`` as a user meets them."""

from __future__ import annotations

import csv
import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmark.config import RunConfig
from benchmark.contact_sheet import choose
from benchmark.errors import UserError
from benchmark.registry import load_registry
from benchmark.resolve import make_dataset
from tests.conftest import FAST, ROOT, TOY, TOY_RUN, Command
from tests.datasets.fake_derm7pt import write_fake
from tests.test_cli import refused

TOY_DATA = ("toy", "--plugin", str(TOY))
TOY_AUDIT = ("data", "audit", *TOY_DATA, "--encoder", "mean-colour")
QUICK = (*TOY_RUN, *FAST, "--methods", "late-fusion", "--no-controls", "--seeds", "0", "--jobs", "1")

# The toy with three pictures copied: test case 205 is train case 4 as a JPEG, 210 is 209 mirrored, 101 is 100 darkened.
TWINS = """
    from PIL import Image, ImageEnhance, ImageOps
    from benchmark.hookspecs import hookimpl
    from tests.toy import ToyDataset

    COPIES = {
        205: (4, lambda p: p),
        210: (209, ImageOps.mirror),
        101: (100, lambda p: ImageEnhance.Brightness(p).enhance(0.9)),
    }

    class Twins(ToyDataset):
        name = "twins"

        def _case(self, number, folder):
            case = super()._case(number, folder)
            if number in COPIES:
                source, change = COPIES[number]
                original = super()._case(source, folder)
                path = folder / f"{number}-copy.jpg"
                change(Image.open(original.images["dermoscopic"]).convert("RGB")).save(path, quality=90)
                case = type(case)(case.id, {"dermoscopic": path}, case.diagnosis, case.descriptors)
            return case

        def fingerprint(self):
            return "twins-1"

    @hookimpl
    def register_datasets(register):
        register("twins", Twins, summary="s", citation="c")
"""


@pytest.fixture
def twins(tmp_path: Path) -> tuple[str, ...]:
    plugin = tmp_path / "twins.py"
    plugin.write_text(textwrap.dedent(TWINS))
    return ("--plugin", str(TOY), "--plugin", str(plugin), "--encoder", "mean-colour")


# ------------------------------------------------------------------------------------------------ stats


def test_stats_of_the_fake_derm7pt_count_what_the_file_holds(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark("data", "stats", "derm7pt", "--root", str(write_fake(tmp_path / "fake")), "--json")
    assert done.returncode == 0, done.stderr
    tables = json.loads(done.stdout)
    # The rows are three a group, and row i is in split i % 3: one case a group and split.
    groups = {row["group"]: row for row in tables["Groups"]}
    assert set(groups) == {"BCC", "NEV", "MEL", "MISC", "SK", "all"}
    assert all((row["train"], row["valid"], row["test"], row["all"]) == (1, 1, 1, 3)
               for name, row in groups.items() if name != "all")  # fmt: skip
    assert groups["all"]["all"] == 15
    veil = {row["value"]: row["all"] for row in tables["Criteria"] if row["criterion"] == "blue_whitish_veil"}
    assert veil == {"absent": 11, "present": 4}
    assert {row["what"]: row["count"] for row in tables["Summary"]}["distinct profiles"] == 15
    views = {row["view"]: row for row in tables["Cases with a usable image"]}
    assert (views["dermoscopic"]["all"], views["clinical"]["all"], views["clinical"]["left out"]) == (15, 14, 1)
    metadata = {row["field"]: row for row in tables["Metadata"]}
    assert metadata["sex"] == {"field": "sex", "levels": 1, "blank": 0, "cases a level": "female 15"}
    assert (metadata["case_id"]["levels"], metadata["case_id"]["blank"]) == (0, 15)


def test_stats_are_markdown_tables(benchmark: Command) -> None:
    done = benchmark("data", "stats", *TOY_DATA)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "# toy"
    assert {"## Summary", "## Groups", "## Criteria", "## Cases with a usable image"} <= set(lines)
    assert "## Metadata" in lines
    assert "| R       |      12 |       4 |      8 |    24 |" in lines


# ------------------------------------------------------------------------------------------------ audit


def test_an_audit_finds_the_copies_and_lists_the_test_side(tmp_path: Path, benchmark: Command, twins) -> None:  # type: ignore[no-untyped-def]
    done = benchmark("data", "audit", "twins", *twins, "--out", "found", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    copies = {(pair["first"], pair["second"]) for pair in found["pairs"] if pair["verdict"] == "near-duplicate"}
    assert copies == {("toy-4", "toy-205"), ("toy-209", "toy-210"), ("toy-100", "toy-101")}
    counts = {(row["splits"], row["across"]): row["near-duplicate"] for row in found["counts"]}
    assert counts["train - test", True] == counts["test - test", False] == counts["valid - valid", False] == 1
    assert {"toy-205", "toy-210", "toy-101"} <= set(found["excluded"])
    with (tmp_path / "found" / "pairs.csv").open() as file:
        assert list(csv.DictReader(file)) == found["pairs"]
    lines = (tmp_path / "found" / "exclude.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == found["excluded"]
    assert {path.suffix for path in (tmp_path / "found").iterdir()} == {".csv", ".txt"}, "numbers and ids, no picture"


def test_the_table_after_an_audit_is_that_of_a_ranking_anew(tmp_path: Path, benchmark: Command, twins) -> None:  # type: ignore[no-untyped-def]
    """``late-fusion`` is trained the same way where only test cases go, so `run --exclude` must give the same row."""
    run = ("run", "--dataset", "twins", *twins, *QUICK[len(TOY_RUN) :], "--quiet", "--json")
    before = json.loads(benchmark(*run).stdout)[0]
    done = benchmark("data", "audit", "twins", *twins, "--runs", "runs", "--threshold", "99", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (row,) = found["before_after"]
    assert float(row["macro_map_before"]) == pytest.approx(before["rows"][0]["macro_map"], abs=1e-6)
    tested = [name for name in found["excluded"] if int(name.split("-")[1]) >= 200]
    assert int(row["queries_after"]) == 24 - len(tested)
    (tmp_path / "test.txt").write_text("\n".join(tested))
    after = json.loads(benchmark(*run, "--exclude", "test.txt").stdout)[0]
    assert after["protocol"]["excluded"].startswith(f"{len(tested)} cases, list ")
    assert float(row["macro_map_after"]) == pytest.approx(after["rows"][0]["macro_map"], abs=1e-6)
    assert (tmp_path / "audit" / "before_after.csv").is_file()
    again = benchmark("data", "audit", "twins", *twins, "--runs", "runs")
    assert f": without {len(found['excluded'])} cases (24 -> {row['queries_after']} queries)" in again.stdout
    assert "excluded=" in again.stdout, "the run with a list has a table of its own"


def test_a_run_with_a_list_stands_apart_and_leaves_other_keys_alone(tmp_path: Path, benchmark: Command) -> None:
    assert benchmark(*QUICK).returncode == 0
    (tmp_path / "exclude.txt").write_text("# why\ntoy-200\ntoy-3\n")
    assert "0 of 1 units would run" in benchmark(*QUICK, "--dry-run").stdout
    done = benchmark(*QUICK, "--exclude", "exclude.txt")
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "runs" / "report").rglob("*excluded=*/leaderboard.md")
    assert "23 queries; 22 candidates each" in page.read_text()
    assert "excluded 2 cases, list " in page.read_text()
    assert "0 of 1 units would run" in benchmark(*QUICK, "--exclude", "exclude.txt", "--dry-run").stdout
    (tmp_path / "empty.txt").write_text("# nothing was found\n")
    assert "0 of 1 units would run" in benchmark(*QUICK, "--exclude", "empty.txt", "--dry-run").stdout


def test_folds_stay_where_they_are_when_cases_are_left_out(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "exclude.txt").write_text("toy-3\n")
    done = benchmark(*QUICK, "--evaluate", "cv", "--exclude", "exclude.txt", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["rows"][0]["folds"] == 5


# ------------------------------------------------------------------------------------------------ preview


def test_a_contact_sheet_holds_the_cases_asked_for(tmp_path: Path, benchmark: Command) -> None:
    arguments = ("--out", "sheet", "--group", "R", "--criterion", "spot=dark", "-n", "5")
    done = benchmark("data", "preview", *TOY_DATA, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 cases: sheet")
    with Image.open(tmp_path / "sheet" / "toy-dermoscopic-r-spot=dark.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.size == (5 * 222 + 6, 178 + 6), "five tiles of 216 + 6 in one row of 144 + 34, and a rim of 6"
        assert sheet.getpixel((6 + 108, 6 + 40))[0] > 120, "the first square is red"


def test_a_contact_sheet_shows_the_cases_that_have_a_picture_of_the_view(tmp_path: Path) -> None:
    config = RunConfig(cache=tmp_path)  # type: ignore[call-arg]
    dataset, _ = make_dataset(load_registry((str(TOY),)), "toy", config)
    alone = replace(dataset.cases("test")[0], id="alone", images={"dermoscopic": tmp_path / "x.png"})
    dataset.cases = lambda split: (alone,) if split == "test" else ()  # type: ignore[method-assign]
    assert choose(dataset, None, (), 9, "dermoscopic") == [alone]
    with pytest.raises(UserError, match="No case of toy has a usable clinical picture"):
        choose(dataset, None, (), 9, "clinical")


def test_a_licensed_picture_enters_no_repository(tmp_path: Path, benchmark: Command) -> None:
    root = write_fake(tmp_path / "fake")
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / "pyproject.toml").write_text('[project]\nname = "dermcir"\n')
    (tmp_path / "link").symlink_to(clone)
    preview = ("data", "preview", "derm7pt", "--root", str(root), "--out")
    for folder in (clone, clone / "deep" / "down", tmp_path / "link" / "sheet"):
        refused(benchmark(*preview, str(folder)), "lies in the repository", "may not be redistributed", "elsewhere")
    refused(benchmark(*preview, str(root / "sheet")), "lies in your copy of derm7pt", "elsewhere")
    assert not list(clone.rglob("*.jpg"))
    assert not (root / "sheet").exists()
    done = benchmark(*preview, str(tmp_path / "sheet"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sheet" / "derm7pt-dermoscopic-all.jpg").is_file()
    drawn = benchmark("data", "preview", *TOY_DATA, "--out", str(clone / "sheet"), "-n", "1")
    assert drawn.returncode == 0, "drawn pictures may go anywhere"


def test_this_repository_is_known_as_one() -> None:
    from benchmark.data_commands import _is_checkout

    assert _is_checkout(ROOT) == (ROOT / ".git").exists()
    assert not _is_checkout(ROOT / "benchmark")


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("command", ["stats", "audit", "preview"])
def test_a_dataset_that_is_not_there(benchmark: Command, command: str) -> None:
    out = () if command == "stats" else ("--out", "found")
    refused(benchmark("data", command, "derm7", *out), "No dataset is called 'derm7'", "derm7pt")
    refused(benchmark("data", command, "derm7pt", *out), "Derm7pt needs your own copy", "--root")


def test_a_folder_that_cannot_be_written(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(benchmark(*TOY_AUDIT, "--out", "file/found"), "Can't write to --out file/found", "Name another folder")
    refused(benchmark("data", "preview", *TOY_DATA, "--out", "file/x"), "Can't write to --out file/x")
    root = write_fake(tmp_path / "fake")
    done = benchmark("data", "audit", "derm7pt", "--root", str(root), "--out", str(root / "found"))
    refused(done, "lies in your copy of derm7pt")


def test_runs_that_cannot_be_compared(tmp_path: Path, benchmark: Command, twins) -> None:  # type: ignore[no-untyped-def]
    refused(benchmark(*TOY_AUDIT, "--runs", "nowhere"), "There are no runs in nowhere", "leave --runs out")
    assert benchmark(*QUICK).returncode == 0
    refused(benchmark("data", "audit", "twins", *twins, "--runs", "runs"), "No run in runs is on twins, only on toy")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("toy-200\ntoy-9999\n", ("--exclude list.txt", "1 of 2 ids are no cases of this dataset (toy-9999)")),
        ("".join(f"toy-{number}\n" for number in range(200, 224)), ("--exclude leaves no case in queries, gallery",)),
        (None, ("--exclude list.txt", "No such file")),
    ],
)
def test_a_list_that_cannot_be_used(
    tmp_path: Path, benchmark: Command, content: str | None, words: tuple[str, ...]
) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_text(content)
    refused(benchmark(*QUICK, "--exclude", "list.txt"), *words)
    assert not (tmp_path / "runs" / "evaluations").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--group", "r"), ("no group 'r'", "Available: B, G, R")),
        (("--criterion", "spots=dark"), ("no criterion 'spots'", "Did you mean spot?")),
        (("--criterion", "spot=drak"), ("spot has no value 'drak'", "Did you mean dark?")),
        (("--criterion", "spot"), ("write NAME=VALUE",)),
        (("--criterion", "spot=dark", "--criterion", "spot=none"), ("spot", "dark", "none")),
        (("--view", "sideways"), ("no view 'sideways'",)),
        (("--view", "both"), ("shows one view",)),
    ],
)
def test_a_sheet_that_cannot_be_made(
    tmp_path: Path, benchmark: Command, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(benchmark("data", "preview", *TOY_DATA, "--out", "sheet", *arguments), *words)
    assert not (tmp_path / "sheet").exists()
