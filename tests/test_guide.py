"""The guide, plugins/README.md: its code runs, its commands work, and what it says of hooks and interfaces is so."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import Field

from benchmark import hookspecs, interfaces, search_space
from benchmark.interfaces import Options
from benchmark.new import Plan, read_template
from benchmark.own_queries import read_queries
from benchmark.registry import KINDS
from tests.conftest import FAST, ROOT, TOY, TOY_RUN, Command

GUIDE = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
INTERFACES = ("Composer", "Scorer", "Method", "Encoder", "Dataset")
VALUES = (
    "ImageFeatures",
    "TextFeatures",
    "FeatureSpec",
    "Batch",
    "LabelledSet",
    "Queries",
    "Gallery",
    "FitContext",
    "Case",
    "Criterion",
    "Phrases",
    "CriticalGroup",
    "Check",
    "DatasetContext",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)


def named(opening: str) -> dict[str, str]:
    """The Python blocks whose first line names them, by the name of their file."""
    found = ((re.match(opening, code), code) for code in blocks("python"))
    return {f"{match[1].replace('-', '_')}.py": code for match, code in found if match}


WRITTEN_OUT = named(r"# (?!test_)(\w+)\.py\n")
TESTS = named(r"# (test_\w+)\.py\n")
GENERATED = named(r'"""([\w-]+): ')
NEW = dict(re.findall(r"`python -m benchmark new (\w+ [\w-]+(?: --full)?)` writes (this)", GUIDE))
COMMANDS = [line for block in blocks("console") for line in block.splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder that holds every file of the guide."""
    for name, code in {**WRITTEN_OUT, **GENERATED}.items():
        (tmp_path / name).write_text(code)
    write_cases(tmp_path / "my-cases")
    for code in blocks("toml"):
        name = re.match(r"# (\S+)\n", code)
        if name:
            (tmp_path / name[1]).write_text(code)
    return tmp_path


def write_cases(folder: Path) -> None:
    """The table of the guide six times over, with pictures, so that every split holds cases of every kind."""
    header, *rows = "".join(blocks("csv")).splitlines()
    repeated = [
        row.replace("case-", f"case-{time}-").replace("pictures/", f"{time}-") for time in range(6) for row in rows
    ]
    folder.mkdir()
    (folder / "cases.csv").write_text("\n".join([header, *repeated]))
    for number, name in enumerate(re.findall(r"[\w-]+\.jpg", "".join(repeated))):
        Image.new("RGB", (32, 24), (9 * number % 256, 5 * number % 256, 90)).save(folder / name)


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert set(re.findall(r"^ *```(\w+)", GUIDE, flags=re.MULTILINE)) == {"python", "console", "toml", "csv", "json"}
    assert len(WRITTEN_OUT) + len(GENERATED) + len(TESTS) + len(FRAGMENTS) == len(blocks("python"))
    assert len(NEW) == len(GENERATED)


def test_the_plugins_of_the_guide_train_and_rank(desk: Path, benchmark: Command) -> None:
    plugins = [word for name in WRITTEN_OUT for word in ("--plugin", name)]
    methods = re.findall(r'register\("([\w-]+)"', "".join(WRITTEN_OUT.values()))
    done = benchmark(*TOY_RUN, *FAST, *plugins, "--methods", ",".join(methods), "--no-controls", "--seeds", "0")
    assert done.returncode == 0, done.stderr
    for method in methods:
        assert method in done.stdout


def test_the_first_plugin_has_eight_lines() -> None:
    code = [line for line in WRITTEN_OUT["hadamard.py"].splitlines() if line and not line.startswith("#")]
    assert len(code) == 8
    assert GUIDE.index("# hadamard.py") == GUIDE.index("```python") + len("```python\n")


@pytest.mark.parametrize("arguments", NEW)
def test_what_new_writes_stands_in_the_guide_as_it_is(arguments: str) -> None:
    kind, name, *full = arguments.split()
    plan = Plan(kind, name, read_template(kind, bool(full)))
    assert GENERATED[f"{plan.module}.py"] == plan.code()


FRAGMENTS = [code for code in blocks("python") if code not in {**WRITTEN_OUT, **GENERATED, **TESTS}.values()]


def test_the_test_of_the_guide_passes(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    (code,) = TESTS.values()
    names: dict[str, Any] = {}
    exec(code, names)
    (mark,) = names["test_conformance"].pytestmark
    assert len(mark.args[1]) > 15
    for check in mark.args[1]:
        names["test_conformance"](check)


def test_fragments_are_true() -> None:
    names: dict[str, object] = {"Options": Options, "Field": Field}
    for code in FRAGMENTS:
        exec(code, names)
    settings = names["Settings"]
    assert isinstance(settings, type) and issubclass(settings, Options)
    assert settings().model_dump() == {"width": 128}
    searched = names["Searched"]
    assert isinstance(searched, type) and issubclass(searched, Options)
    assert search_space.declared(searched, {}, "mine", frozenset()) == {
        "mine.width": search_space.Choice(values=(64, 128, 256)),
        "mine.dropout": search_space.Range(low=0.0, high=0.5),
    }


def adapted(command: str) -> list[str]:
    """The words after ``python -m benchmark``; a run is planned on the toy dataset, as far as it names no other. A
    study has one short trial there.
    """
    assert command.startswith("python -m benchmark "), command
    words = shlex.split(command)[3:]
    if words[0] not in ("run", "tune"):
        return words
    words = ["toy" if word == "synthetic" else word for word in words]  # which would be drawn first, for a minute
    toy = {"--encoder": "mean-colour"} if "--train" in words else {"--dataset": "toy", "--encoder": "mean-colour"}
    added = [word for flag, value in toy.items() if flag not in words for word in (flag, value)]
    brief = ("--dry-run",) if words[0] == "run" else (*FAST, "--trials", "1")
    return [*words, "--plugin", str(TOY), *added, *brief, "--quiet", "--jobs", "1"]


def test_the_commands_of_the_guide_work_one_after_another(desk: Path, benchmark: Command) -> None:
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        done = benchmark(*adapted(command))
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_the_queries_of_the_guide_can_be_asked(desk: Path) -> None:
    (line,) = [json.loads(code) for code in blocks("json")]
    Image.new("RGB", (32, 24)).save(desk / line["image"])
    (desk / "q.jsonl").write_text(json.dumps(line))
    assert read_queries(desk / "q.jsonl").texts == {"q1": "blurred edge, dots present"}


def test_the_entry_point_of_the_guide_is_the_one_that_new_writes(tmp_path: Path, benchmark: Command) -> None:
    (block,) = [code for code in blocks("toml") if "entry-points" in code]
    assert benchmark("new", "method", "my-fusion", "--package").returncode == 0
    assert block in (tmp_path / "my-fusion" / "pyproject.toml").read_text()


def signature(function: object) -> str:
    """``(register: Register) -> None``; annotations are strings there."""
    return str(inspect.signature(function)).replace("'", "").replace("(self, ", "(")  # type: ignore[arg-type]


def test_every_hook_is_documented_with_its_signature() -> None:
    hooks = {f"register_{kind}" for kind in KINDS}
    assert {name for name in vars(hookspecs) if name.startswith("register_")} == hooks
    documented = dict(re.findall(r"^\| `(register_\w+)(\(.*?\) -> \w+)` \|", GUIDE, flags=re.MULTILINE))
    assert documented == {hook: signature(getattr(hookspecs, hook)) for hook in hooks}
    assert f"`register{signature(hookspecs.Register.__call__)}`" in GUIDE


def section(title: str) -> str:
    return GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", INTERFACES)
def test_interfaces_are_documented_as_they_are(name: str) -> None:
    interface = getattr(interfaces, name)
    cells = re.findall(r"^\| (`.*?) \|", section(name), flags=re.MULTILINE)
    documented = re.findall(r"`(\w+)(?:\((.*?)\))?`", " ".join(cells))
    for member, arguments in documented:
        known = inspect.getattr_static(interface, member, None)
        if inspect.isfunction(known):
            assert re.findall(r"\w+", arguments) == list(inspect.signature(known).parameters)[1:], member
        else:
            assert known is not None or member in interface.__annotations__, member
    public = {key for key in (*vars(interface), *interface.__annotations__) if not key.startswith("_")}
    elsewhere = {member for member in public if re.search(rf"`{member}( = \w+)?`", section(name))}
    assert public - {member for member, _ in documented} - elsewhere == set()


@pytest.mark.parametrize("name", VALUES)
def test_every_field_of_a_value_is_named(name: str) -> None:
    assert f"`{name}" in GUIDE or name in ("Batch", "FitContext", "DatasetContext")
    for field in dataclasses.fields(getattr(interfaces, name)):
        assert re.search(rf"\b{field.name}\b", GUIDE), f"{name}.{field.name}"
