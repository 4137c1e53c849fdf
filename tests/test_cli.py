"""Bad input, said as a user would meet it: one sentence (what, where, what next), exit 2, no traceback."""

from __future__ import annotations

import fcntl
import json
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.conftest import FAST, NARROW, ROOT, TOY_RUN, Command
from tests.datasets.fake_derm7pt import pair_in_valid, write_fake

QUICK = (*TOY_RUN, *FAST, "--methods", "late-fusion", "--no-controls", "--seeds", "0", "--jobs", "1")

PLUGIN = """
    import torch
    from torch import nn
    from benchmark.hookspecs import hookimpl
    from benchmark.interfaces import Composer

    class Mine(Composer):
        def __init__(self, spec, options):
            super().__init__(spec, options)
            self.map = nn.Linear(spec.image_width, 4)
        def compose(self, images, texts):
            return {"global": self.map(images.pooled)}
        def embed(self, images):
            return {"global": self.map(images.pooled)}

    @hookimpl
    def register_composers(register):
        register("mine", Mine, summary="s", citation="c")
"""


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    flat = " ".join(done.stderr.split())
    for word in words:
        assert word in flat, f"{word!r} is not in: {flat}"


def write_plugin(folder: Path, old: str = "", new: str = "") -> str:
    code = textwrap.dedent(PLUGIN)
    assert old in code
    (folder / "mine.py").write_text(code.replace(old, new) if old else code)
    return str(folder / "mine.py")


def test_a_run_prints_and_writes_a_leaderboard(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*TOY_RUN, *FAST, *NARROW, "--methods", "tirg", "--seeds", "0-1", "--json")
    assert done.returncode == 0, done.stderr
    (board,) = json.loads(done.stdout)
    assert board["synthetic"] is True
    assert board["reference"].startswith("tirg")
    rows = {row["method"].split(" ")[0]: row for row in board["rows"]}
    controls = {"image-only", "text-only", "late-fusion", "posterior", "random"}
    assert {"tirg", *controls, "oracle-text", "chance"} == set(rows)
    assert rows["tirg"]["seeds"] == 2
    written = {path.name for path in (tmp_path / "runs" / "report").rglob("*.*")}
    assert {"leaderboard.md", "leaderboard.csv", "leaderboard.tex", "macro_map.svg", "per_group.svg"} <= written
    assert "SYNTHETIC" in done.stderr


def test_jobs_change_the_time_and_nothing_else(tmp_path: Path, benchmark: Command) -> None:
    boards = []
    for jobs in ("1", "2"):
        arguments = (*NARROW, "--methods", "tirg", "--seeds", "0-1", "--no-controls", "--json", "--runs", f"runs{jobs}")
        boards.append(benchmark(*TOY_RUN, *FAST, *arguments, "--jobs", jobs).stdout)
    assert boards[0] == boards[1]
    assert json.loads(boards[0])


def test_cross_validation_reports_folds(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*QUICK, "--evaluate", "cv", "--json")
    assert done.returncode == 0, done.stderr
    (board,) = json.loads(done.stdout)
    assert board["protocol"]["evaluate"] == "cv"
    assert board["rows"][0]["folds"] == 5
    assert list((tmp_path / "runs" / "report").rglob("leaderboard-cv.md"))


def test_other_galleries_and_styles_have_tables_of_their_own(tmp_path: Path, benchmark: Command) -> None:
    assert benchmark(*QUICK).returncode == 0
    assert benchmark(*QUICK, "--gallery", "archive").returncode == 0
    assert benchmark(*QUICK, "--text-style", "paraphrase").returncode == 0
    assert benchmark("report").returncode == 0
    assert len(list((tmp_path / "runs" / "report").rglob("leaderboard.md"))) == 3


@pytest.mark.parametrize("view", ["clinical", "both"])
def test_other_views_are_searched(tmp_path: Path, benchmark: Command, view: str) -> None:
    done = benchmark(*QUICK, "--methods", "proposed", "--view", view, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["protocol"]["view"] == view


def test_trec_files_are_written_on_request(tmp_path: Path, benchmark: Command) -> None:
    assert benchmark(*QUICK).returncode == 0
    assert benchmark("report", "--trec").returncode == 0
    (run,) = (tmp_path / "runs" / "report" / "trec").rglob("*.run")
    lines = [line.split() for line in run.read_text().splitlines()]
    assert len(lines) == 24 * 23
    assert [int(line[4]) for line in lines[:23]] == list(range(23, 0, -1)) or float(lines[0][4]) > float(lines[1][4])
    assert list((tmp_path / "runs" / "report" / "trec").rglob("qrels*.txt"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "trig"), ("No method is called 'trig'", "Did you mean tirg?")),
        (("--encoder", "packagd"), ("No encoder is called 'packagd'", "packaged")),
        (("--dataset", "derm7"), ("No dataset is called 'derm7'", "derm7pt")),
        (("--task", "case-serch"), ("No task is called 'case-serch'", "case-search")),
        (("--view", "clinicl"), ("no view 'clinicl'", "Did you mean clinical")),
        (("--seeds", "4-0"), ("seeds", "the first of a range must not exceed its last")),
        (("--text-style", "partial:9"), ("K must lie between 1 and 2",)),
        (("--evaluate", "train"), ("evaluate", "'test' or 'cv'")),
        (("--set", "tirg.widht=3"), ("unknown option 'widht'", "Did you mean width")),
        (("--set", "training.epochs=0"), ("training.epochs", "greater than or equal to 1")),
        (("--set", "posterior.width=3"), ("posterior", "does not use")),
        (("--reference", "posterior"), ("--reference posterior", "tirg")),
        (("--config", "nowhere.toml"), ("nowhere.toml", "No such file")),
        (("--methds", "tirg"), ("No such option",)),
        (("--root", "somewhere"), ("brings its own data", "--root")),
        (("--encoder", ""), ("--encoder is empty",)),
        (("--methods", ","), ("--methods is empty",)),
        (("--device", "cuda"), ("--device cuda", "Available: auto, cpu")),
        (("--set", "tirg.scorer=global-local"), ("do not fit", "['local']", "Choose another scorer")),
        (("--set", "tirg.scorer=3"), ("neither a name nor a table",)),
        (("--set", "training.scale=inf"), ("training.scale", "finite number")),
        (("--seeds", "0-99999999"), ("more than 1000 seeds",)),
        (("--seeds", "99999999999"), ("distinct whole numbers",)),
        (("--plugin", "./nowhere", "--methods", "nowhere"), ("did not load", "name a .py file")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value[0].startswith("--") else "",
)
def test_a_mistake_in_the_request(benchmark: Command, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(benchmark(*TOY_RUN, "--methods", "tirg", "--no-controls", *arguments), *words)


def test_no_root(benchmark: Command) -> None:
    refused(benchmark("run", "--dataset", "derm7pt"), "DERM7PT_ROOT", "--root", "derm.cs.sfu.ca")


def test_a_root_that_is_not_derm7pt(tmp_path: Path, benchmark: Command) -> None:
    refused(benchmark("run", "--dataset", "derm7pt", "--root", str(tmp_path)), str(tmp_path), "meta.csv")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("streaks", "streeks", ("meta.csv", "streaks")),
        (",typical,", ",tipical,", ("meta.csv", "tipical", "pigment_network")),
    ],
    ids=["a column is missing", "an unknown value"],
)
def test_a_broken_table(tmp_path: Path, benchmark: Command, old: str, new: str, words: tuple[str, ...]) -> None:
    root = write_fake(tmp_path / "release_v0")
    meta = root / "meta" / "meta.csv"
    assert old in meta.read_text()
    meta.write_text(meta.read_text().replace(old, new, 1))
    refused(benchmark("run", "--dataset", "derm7pt", "--root", str(root)), *words)
    refused(benchmark("data", "verify", "derm7pt", "--root", str(root)), "checks failed")


def test_a_truncated_jpeg(tmp_path: Path, benchmark: Command) -> None:
    root = write_fake(tmp_path / "release_v0")
    pair_in_valid(root)
    for picture in (root / "images").rglob("*.[jJ][pP][gG]"):
        picture.write_bytes(picture.read_bytes()[:200])
    refused(
        benchmark("run", "--dataset", "derm7pt", "--root", str(root), "--quiet"), ".jpg: can't be read as a picture"
    )
    checked = benchmark("data", "verify", "derm7pt", "--root", str(root))
    assert checked.returncode == 2
    assert "FAILED" in checked.stdout


def test_data_verify_of_a_good_set(benchmark: Command) -> None:
    done = benchmark("data", "verify", "synthetic", "--set", "synthetic.cases=40", "--set", "synthetic.size=64")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert done.stdout.count("ok    ") >= 3


def test_an_output_folder_that_cannot_be_written(benchmark: Command) -> None:
    refused(benchmark(*QUICK, "--runs", "/proc/runs"), "Can't write to the runs folder /proc/runs", "--runs")


def test_a_full_disk_loses_nothing(tmp_path: Path, benchmark: Command) -> None:
    """A limit on the size of a file stands for the full disk: the same write fails, with another reason."""
    assert benchmark(*QUICK).returncode == 0
    before = sorted(path.name for path in (tmp_path / "runs" / "evaluations").iterdir())

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    done = benchmark(*QUICK, "--set", "late-fusion.width=64", preexec_fn=limit)
    refused(done, "Can't write", "File too large", "what is already stored is kept")
    assert sorted(path.name for path in (tmp_path / "runs" / "evaluations").iterdir()) == before
    assert benchmark(*QUICK, "--set", "late-fusion.width=64").returncode == 0


def test_a_second_run_on_the_same_folder(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "runs").mkdir()
    with (tmp_path / "runs" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused(benchmark(*QUICK), "Another run is writing to runs", "--runs")


@pytest.mark.parametrize("part", ["ranking.safetensors", "record.json"])
def test_a_damaged_run_file(tmp_path: Path, benchmark: Command, part: str) -> None:
    assert benchmark(*QUICK).returncode == 0
    (path,) = (tmp_path / "runs" / "evaluations").glob(f"*/{part}")
    path.write_bytes(path.read_bytes()[:-20])
    for command in (QUICK, ("report",)):
        refused(benchmark(*command), f"{path.parent.name}/{part} is damaged", "Remove", "start the same `run` again")
    path.unlink()
    for left in path.parent.iterdir():
        left.unlink()
    path.parent.rmdir()
    assert benchmark(*QUICK).returncode == 0


def test_a_damaged_feature_cache_is_said_and_computed_again(tmp_path: Path, benchmark: Command) -> None:
    assert benchmark(*QUICK).returncode == 0
    for shard in (tmp_path / "cache" / "features").iterdir():
        shard.write_bytes(shard.read_bytes()[:-3])
    done = benchmark(*QUICK, "--seeds", "1")
    assert done.returncode == 0
    assert "computed again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reference_or_a_folder_that_is_not_there(tmp_path: Path, benchmark: Command) -> None:
    refused(benchmark("report", "--reference", "trig"), "No method is called 'trig'", "tirg")
    refused(benchmark("report", "--publish", "--runs", "typo"), "--runs typo is no folder")


def test_nothing_to_report(benchmark: Command) -> None:
    refused(benchmark("report"), "There are no runs in runs", "benchmark run")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('{"global": self.map(images.pooled)}', '{"global": self.map(images.pooled) * float("nan")}', ("nan",)),
        (
            "def embed(self, images):",
            "def embed(self, images):\n        raise ValueError('boom')",
            ("boom", "mine.py:14"),
        ),
        ("self.map = ", "self.mapp = ", ("no attribute 'map'", "mine.py:")),
        ("__init__(self, spec, options)", "__init__(self, spec)", ("Mine(spec, options) failed", "Define __init__")),
    ],
    ids=["NaN", "raises", "attribute", "signature"],
)
def test_a_method_that_fails_is_marked_and_the_others_finish(
    tmp_path: Path, benchmark: Command, old: str, new: str, words: tuple[str, ...]
) -> None:
    plugin = write_plugin(tmp_path, old, new)
    arguments = (*TOY_RUN, *FAST, "--plugin", plugin, "--methods", "mine,late-fusion", "--no-controls", "--seeds", "0")
    done = benchmark(*arguments, "--json", "--jobs", "1")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    flat = " ".join(done.stderr.split())
    assert "FAILED mine" in flat
    for word in words:
        assert word in flat
    rows = [row["method"] for row in json.loads(done.stdout)[0]["rows"]]
    assert any(row.startswith("late-fusion") for row in rows)
    assert "Traceback" in (tmp_path / "runs" / "run.log").read_text()
    assert "Traceback" in benchmark(*arguments, "--traceback", "--jobs", "1").stderr


def test_a_worker_that_dies_fails_its_units_and_the_table_is_still_made(tmp_path: Path, benchmark: Command) -> None:
    plugin = write_plugin(
        tmp_path, "def embed(self, images):", "def embed(self, images):\n        import os; os._exit(9)"
    )
    arguments = (*TOY_RUN, *FAST, "--plugin", plugin, "--no-controls", "--seeds", "0-1", "--jobs", "2", "--json")
    assert benchmark(*arguments, "--methods", "late-fusion").returncode == 0
    done = benchmark(*arguments, "--methods", "late-fusion,mine")
    assert done.returncode == 1
    assert "a worker process died" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["method"] for row in json.loads(done.stdout)[0]["rows"]][:1] == ["late-fusion"]


def test_a_plugin_that_exits_fails_alone(tmp_path: Path, benchmark: Command) -> None:
    plugin = write_plugin(tmp_path, "def embed(self, images):", "def embed(self, images):\n        raise SystemExit(7)")
    arguments = (*TOY_RUN, *FAST, "--plugin", plugin, "--no-controls", "--seeds", "0", "--jobs", "1")
    done = benchmark(*arguments, "--methods", "mine,late-fusion")
    assert done.returncode == 1
    assert "FAILED mine" in done.stderr
    assert "late-fusion" in done.stdout


def test_a_dataset_plugin_that_raises_is_a_sentence(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "bad.py").write_text(
        "from tests.toy import ToyDataset\nfrom benchmark.hookspecs import hookimpl\n\n"
        "class Bad(ToyDataset):\n    def cases(self, split):\n        return 1 / 0\n\n"
        "@hookimpl\ndef register_datasets(register):\n    register('bad', Bad, summary='s', citation='c')\n"
    )
    done = benchmark(*QUICK, "--plugin", "bad.py", "--dataset", "bad")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "bad.py:6" in done.stderr


def test_a_broken_plugin_stops_only_what_names_it(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_xyz\n")
    done = benchmark(*QUICK, "--plugin", "broken.py")
    assert done.returncode == 0
    assert "Plugin broken (broken.py) did not load" in done.stderr
    refused(
        benchmark(*QUICK, "--plugin", "broken.py", "--methods", "film"),
        "No method is called 'film'",
        "no_such_module_xyz",
    )


def test_ctrl_c_leaves_a_resumable_state_and_says_so(tmp_path: Path) -> None:
    arguments = [
        *TOY_RUN,
        "--methods",
        "tirg,clip4cir",
        "--seeds",
        "0-9",
        "--jobs",
        "2",
        "--set",
        "training.batch_size=24",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "DERMCIR_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's shell has it ignored
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.glob("runs/evaluations/[!.]*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "units are stored; the same command goes on from there" in errors
    assert "Traceback" not in errors
