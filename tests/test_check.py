"""``python -m benchmark check``: what it prints, writes and exits with."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmark.testing.reports import junit, markdown, summary
from benchmark.testing.steps import CheckResult
from tests.conftest import TOY, Command
from tests.test_cli import refused

MINE = """
from torch import nn
from benchmark.hookspecs import hookimpl
from benchmark.interfaces import Composer, Options
from pydantic import Field


class Settings(Options):
    width: int = Field(8, ge=1, description="common width")


class Mine(Composer):
    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.image = nn.Linear(spec.image_width, options.width)
        self.text = nn.Linear(spec.text_width, options.width)

    def compose(self, images, texts):
        return {"global": self.image(images.pooled) + self.text(texts.pooled)}

    def embed(self, images):
        return {"global": self.image(images.pooled)}


@hookimpl
def register_composers(register):
    register("mine", Mine, options=Settings, summary="sum of projections", citation="this test")
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def test_a_sound_file(benchmark: Command, mine: Path) -> None:
    done = benchmark("check", "mine.py", "--set", "mine.width=5")
    assert done.returncode == 0, done.stderr
    first, *checks, last = done.stdout.splitlines()
    assert first == f"composer mine (mine, {mine}:27)"
    assert not [line for line in checks if line.startswith("FAILED")]
    assert "ok      compose and embed return what is promised: global (5, 5) for 5 queries" in checks
    assert last.startswith("23 checks: ")
    assert ", 0 failed" in last


def test_a_defect_is_one_line_with_reason_and_hint(benchmark: Command, mine: Path) -> None:
    mine.write_text(MINE.replace("self.text(texts.pooled)}", "texts.pooled.mean(0)[:4]}"))
    files = ("--junit", "out/check.xml", "--markdown", "check.md", "--traceback")
    done = benchmark("check", "mine.py", *files)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert line.startswith("FAILED  compose and embed return what is promised: RuntimeError: The size of tensor a (8)")
    assert f"({mine}:19)" in line
    assert "Hint: " in line
    assert "Traceback" in done.stderr
    suite = ET.parse(mine.parent / "out" / "check.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("23", "1")
    assert "| compose and embed return what is promised | failed | RuntimeError: " in (
        (mine.parent / "check.md").read_text()
    )


def test_json_and_kinds(benchmark: Command) -> None:
    done = benchmark("check", str(TOY), "--kind", "encoder", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert {result["component"] for result in results} == {"encoder mean-colour"}
    assert {result["status"] for result in results} == {"passed"}


def test_a_plugin_by_its_name(benchmark: Command, mine: Path) -> None:
    done = benchmark("check", "mine", "--plugin", str(mine))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("composer mine")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import torch\nx = (", ("'(' was never closed", "mine.py:2")),
        ("import no_such_package", ("ModuleNotFoundError", "mine.py:1")),
        ("x = 1", ("implements no hook",)),
    ],
)
def test_a_file_that_does_not_load_has_failed(
    benchmark: Command, mine: Path, code: str, words: tuple[str, ...]
) -> None:
    mine.write_text(code)
    done = benchmark("check", "mine.py")
    assert done.returncode == 1
    assert done.stdout.startswith("FAILED  it loads: Plugin mine")
    assert all(word in done.stdout for word in words), done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.py",), ("There is no file nowhere.py", "list")),
        (("trig",), ("Nothing is called 'trig'", "Did you mean tirg")),
        (("tirg", "--kind", "scorer"), ("tirg has no scorer", "It has: composer")),
        (("tirg", "--set", "tirg.widht=3"), ("unknown option 'widht'", "Did you mean width")),
        (("tirg", "--set", "film.width=3"), ("--set film", "Available: tirg")),
        (("derm7pt",), ("DERM7PT_ROOT", "--root")),
        (("synthetic", "--root", "somewhere"), ("synthetic brings its own data",)),
        (("random", "--junit", "/proc/x.xml"), ("Can't write /proc/x.xml",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and len(value[0].split()) == 1 else "",
)
def test_a_mistake_in_the_request(benchmark: Command, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(benchmark("check", *arguments), *words)


RESULTS = (
    CheckResult("composer a", "it loads", "passed", "A"),
    CheckResult("composer a", "it trains", "failed", "a | b\x00 <c>", "mend\nit", "Traceback: x"),
    CheckResult("composer a", "it learns", "skipped", "needs 'it trains'"),
    CheckResult("scorer b", "it loads", "passed"),
)


def test_a_sentence_a_table_and_xml() -> None:
    assert summary(RESULTS, 1.24) == "4 checks: 2 passed, 1 failed, 1 skipped in 1.2 s."
    table = markdown(RESULTS, 1.24, "a.py").splitlines()
    assert "| it trains | failed | a \\| b\x00 <c> | mend it |" in table
    assert [line for line in table if line.startswith("## ")] == ["## composer a", "## scorer b"]
    suites = ET.fromstring(junit(RESULTS, 1.24, "a.py"))
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [
        ("composer a", "3", "1"),
        ("scorer b", "1", "0"),
    ]
    failure = suites[0][1][0]
    assert (failure.tag, failure.get("message"), failure.text) == ("failure", "a | b� <c>", "mend\nit\nTraceback: x")
