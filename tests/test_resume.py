"""Kill a real run at several moments; the resumed run must end as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import FAST, NARROW, ROOT, TOY, TOY_RUN, Command

ARGUMENTS = (*TOY_RUN, *FAST, *NARROW, "--methods", "tirg,late-fusion", "--seeds", "0-1", "--jobs", "2")


def tables(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in (folder / "report").rglob("*") if path.suffix in (".md", ".csv", ".tex"))
    return {path.name: path.read_bytes() for path in found}


def stored(folder: Path) -> int:
    return len(list((folder / "evaluations").glob("[!.]*/record.json")))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    env = {**os.environ, "DERMCIR_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmark", *ARGUMENTS, "--runs", str(folder / "runs")]
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return tables(folder / "runs")


@pytest.mark.parametrize("after", [0, 1, 4, 9], ids=lambda n: f"after {n} units")
def test_a_killed_run_resumes_to_the_same_tables(
    tmp_path: Path, benchmark: Command, undisturbed: dict[str, bytes], after: int
) -> None:
    runs = tmp_path / "runs"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *ARGUMENTS, "--runs", str(runs)],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while (
        time.monotonic() < deadline
        and process.poll() is None
        and not ((runs / ".lock").exists() and stored(runs) >= after)
    ):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = stored(runs)
    assert survived >= after
    done = benchmark(*ARGUMENTS, "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    assert tables(runs) == undisturbed
    assert len(undisturbed) >= 3
    assert not list(runs.glob("*/.*.tmp"))


def test_only_what_is_missing_runs_and_dry_run_says_why(tmp_path: Path, benchmark: Command) -> None:
    arguments = (*TOY_RUN, *FAST, "--methods", "late-fusion", "--no-controls", "--seeds", "0")
    first = benchmark(*arguments, "--dry-run")
    assert "1 of 1 units would run" in first.stdout
    assert "train (missing)" in first.stdout
    assert not (tmp_path / "runs").exists(), "a dry run writes nothing"
    assert benchmark(*arguments).returncode == 0
    unit = next((tmp_path / "runs" / "trainings").iterdir())
    before = (unit / "weights.safetensors").stat().st_mtime_ns
    assert "0 of 1 units would run" in benchmark(*arguments, "--dry-run").stdout
    assert benchmark(*arguments).returncode == 0
    assert (unit / "weights.safetensors").stat().st_mtime_ns == before
    other = benchmark(*arguments, "--dry-run", "--text-style", "terse")
    assert "rank (trained before)" in other.stdout
    assert "train (config" not in other.stdout


def test_an_edited_plugin_runs_again(tmp_path: Path, benchmark: Command) -> None:
    source = (ROOT / "baselines" / "late_fusion.py").read_text()
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        source.replace("LateFusionOptions", "NoOptions")
        .replace("from baselines.options import NoOptions", "from benchmark.config import NoOptions")
        .replace("options.width", "8")
        + "\n\nfrom benchmark.hookspecs import hookimpl\n\n@hookimpl\ndef register_composers(register):\n"
        "    register('mine', LateFusion, summary='s', citation='c')\n"
    )
    arguments = (*TOY_RUN, "--plugin", str(plugin), "--methods", "mine", "--no-controls", "--seeds", "0")
    fast = ("--set", "training.epochs=1", "--set", "training.batch_size=24")
    assert benchmark(*arguments, *fast).returncode == 0
    plugin.write_text(plugin.read_text() + "\n# edited\n")
    again = benchmark(*arguments, *fast, "--dry-run")
    assert f"train (source changed: {plugin})" in again.stdout.replace("\n", "")


def test_workers_end_when_only_their_parent_is_killed(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmark",
        *TOY_RUN,
        "--methods",
        "clip4cir,tirg",
        "--seeds",
        "0-9",
        "--jobs",
        "2",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and stored(tmp_path / "runs") < 1:
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(Path(f"/proc/{child}").exists() for child in children):
        time.sleep(0.1)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('f"{value} {noun}", value[:3]', 'f"{noun}: {value}", value[:3]'),
        ('("thin", "thick"), 2.0', '("thin", "thick"), 3.0'),
        ('"blue": "B"}', '"blue": "G"}'),
    ],
    ids=["words", "weights", "groups"],
)
def test_other_words_weights_or_groups_run_again(tmp_path: Path, benchmark: Command, old: str, new: str) -> None:
    """The fingerprint of the toy dataset says nothing of these; the keys must."""
    plugin = tmp_path / "toy2.py"
    plugin.write_text((ROOT / "tests" / "toy.py").read_text())
    arguments = ("run", "--plugin", str(plugin), *TOY_RUN[3:], *FAST, "--methods", "late-fusion", "--no-controls")
    assert benchmark(*arguments, "--seeds", "0").returncode == 0
    assert old in plugin.read_text()
    plugin.write_text(plugin.read_text().replace(old, new))
    again = benchmark(*arguments, "--seeds", "0", "--dry-run")
    assert "1 of 1 units would run" in again.stdout
    assert "words, labels" in " ".join(again.stdout.split())


def test_a_unit_that_is_being_written_is_not_read(tmp_path: Path, benchmark: Command) -> None:
    run = (*TOY_RUN, *FAST, "--methods", "late-fusion", "--no-controls", "--seeds", "0")
    assert benchmark(*run).returncode == 0
    (whole,) = (tmp_path / "runs" / "evaluations").iterdir()
    half = whole.with_name(f".{whole.name}.tmp")
    half.mkdir()
    (half / "record.json").write_text("{")
    done = benchmark("report", "--plugin", str(TOY))
    assert done.returncode == 0, done.stderr


def test_a_first_run_with_another_encoder_is_called_missing_not_changed(tmp_path: Path, benchmark: Command) -> None:
    run = [*TOY_RUN, *FAST, "--methods", "late-fusion", "--no-controls", "--seeds", "0"]
    assert benchmark(*run).returncode == 0
    run[run.index("mean-colour")] = "nearest-colour"
    planned = benchmark(*run, "--plugin", str(TOY.with_name("toy_adaptive.py")), "--dry-run")
    assert "train (missing)" in planned.stdout, planned.stderr
