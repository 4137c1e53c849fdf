"""Slips of a first-time author. Each is one change of a plugin that works; the message says what, where and what next.

A plugin that can't be loaded is reported alone. A component that can't be used as asked stops the command before
anything runs (exit 2). A defect that shows while a method is trained or scored fails that method (exit 1); the others
go on, and their numbers are those of a run without it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.contracts import check_class
from benchmark.errors import PluginError, UserError
from benchmark.interfaces import Composer, Encoder
from benchmark.methods import plan_method
from benchmark.registry import load_registry
from tests.conftest import FAST, TOY_RUN, Command
from tests.slips import (
    AUXILIARY,
    CLASS,
    COMPOSER,
    COMPOSERS,
    LOADING,
    METHOD,
    METHODS,
    OTHERS,
    PLANNING,
    POLLUTERS,
    TOY_PART,
)


def write(folder: Path, name: str, code: str, *edits: tuple[str, str]) -> str:
    """Write a plugin of that name: ``code`` with some edits."""
    for old, new in edits:
        assert old in code, old
        code = code.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(code)
    return str(path)


def says(message: str, *words: str) -> None:
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"


@pytest.mark.parametrize("slip", LOADING)
def test_a_plugin_that_does_not_load(tmp_path: Path, slip: str) -> None:
    edit, words = LOADING[slip]
    path = write(tmp_path, "slip", COMPOSER, edit)
    registry = load_registry((path, write(tmp_path, "sound", COMPOSER, ('"mine"', '"sound"'))))
    errors = {plugin.name: plugin.error for plugin in registry.plugins if plugin.error}
    assert list(errors) == ["slip"]
    says(str(errors["slip"]), *words)
    assert registry.find_method("sound").owner == "sound"
    assert "mine" not in registry.components["composers"]


def test_files_that_are_not_there_twice_or_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = write(tmp_path, "one", COMPOSER)
    same = str(tmp_path / "other" / ".." / "one.py")
    clash = write(tmp_path / "other", "one", COMPOSER)
    rival = write(tmp_path, "rival", COMPOSER)
    named = (one, same, clash, rival, str(tmp_path / "other"), str(tmp_path / "none.py"), "no_such_module")
    errors = {plugin.source: plugin.error for plugin in load_registry(named).plugins if plugin.error}
    assert len(errors) == 5  # the same file, spelt in another way, is no second plugin
    says(errors[clash] or "", "another plugin is already called 'one'", one, "rename the file")
    says(errors[rival] or "", "'mine' is already registered by plugin one", "one.py:20", "rival must choose another")
    says(errors[named[4]] or "", "is a folder; name a .py file")
    says(errors[named[5]] or "", "there is no file", "none.py")
    says(errors["module"] or "", "finds no module 'no_such_module'", "name a file: no_such_module.py")


@pytest.mark.parametrize("slip", PLANNING)
def test_a_component_that_cannot_be_used(tmp_path: Path, slip: str) -> None:
    old, new, given, words = PLANNING[slip]
    registry = load_registry((write(tmp_path, "slip", COMPOSER, (old, new)),))
    with pytest.raises((UserError, PluginError)) as caught:
        plan_method(registry, "mine", given)
    says(str(caught.value), *words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"widht": 3}, ["unknown option 'widht'", "Did you mean width?"]),
        ({"width": "wide"}, ["width = 'wide'", "valid integer"]),
        ({}, ["width is required", "--set"]),
    ],
    ids=["unknown", "type", "missing"],
)
def test_options_that_their_model_refuses(tmp_path: Path, given: dict[str, object], words: list[str]) -> None:
    model = ('citation="me, 2026"', 'citation="me, 2026", options=Wide')
    path = write(tmp_path, "slip", COMPOSER, (CLASS, f"class Wide(Options):\n    width: int\n\n{CLASS}"), model)
    with pytest.raises(UserError) as caught:
        plan_method(load_registry((path,)), "mine", given)
    says(str(caught.value), *words)


def broken(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Write the plugins that fail in training or scoring; return the file and the words of the message by name."""
    made = {}
    for name, (old, new, words) in COMPOSERS.items():
        named = ('"mine"', f'"{name}"')
        made[name] = (write(folder, name, COMPOSER, (old, new.replace("dot-{}", f"dot-{name}")), named), words)
    for name, (body, words) in AUXILIARY.items():
        method = f"{CLASS}    def auxiliary_loss(self, batch, query, candidates):\n        {body}\n\n"
        made[name] = (write(folder, name, COMPOSER, (CLASS, method), ('"mine"', f'"{name}"')), words)
    for name, (old, new, words) in METHODS.items():
        made[name] = (write(folder, name, METHOD, (old, new), ('"mine"', f'"{name}"')), words)
    return made


def run(benchmark: Command, plugins: dict[str, str], runs: str) -> tuple[int, dict[str, float], str]:
    """Run the plugins' methods and two that ship; return status, macro mAP by row, and what was complained of."""
    flags = [part for path in plugins.values() for part in ("--plugin", path)]
    methods = ",".join([*plugins, "late-fusion", "random"])
    done = benchmark(
        *TOY_RUN, *FAST, *flags, "--methods", methods, "--seeds", "0", "--no-controls", "--json", "--runs", runs
    )
    boards = json.loads(done.stdout)
    return done.returncode, {row["method"]: row["macro_map"] for row in boards[0]["rows"]}, done.stderr


def test_methods_that_fail_or_pollute_leave_the_others_as_they_are(tmp_path: Path, benchmark: Command) -> None:
    _, alone, _ = run(benchmark, {}, "alone")
    slips = broken(tmp_path)
    polluters = {name: (("self.centre = ", f"{code}\n        self.centre = ")) for name, code in POLLUTERS.items()}
    files = {name: write(tmp_path, name, METHOD, edit, ('"mine"', f'"{name}"')) for name, edit in polluters.items()}
    at_import = (
        "import torch\n",
        "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n",
    )
    files["early"] = write(tmp_path, "early", METHOD, at_import, ('"mine"', '"early"'))
    status, rows, complaints = run(
        benchmark, {**{name: path for name, (path, _) in slips.items()}, **files}, "together"
    )
    assert status == 1
    assert "Traceback" not in complaints
    assert set(rows) == {*files, *alone}, complaints
    assert {name: rows[name] for name in alone} == alone
    lines = {line.split()[1]: line for line in complaints.splitlines() if line.startswith("FAILED")}
    assert set(lines) == set(slips)
    for name, (path, words) in slips.items():
        says(lines[name].replace(path, "FILE"), f"FAILED {name} (plugin {name}, FILE:", *words)


def test_what_a_constructor_asks_of_the_user_comes_before_anything_runs(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*TOY_RUN, *FAST, "--methods", "late-fusion,sum", "--seeds", "0", "--no-controls")
    assert done.returncode == 2
    says(" ".join(done.stderr.split()), "an encoder whose two spaces are aligned", "leave these methods out")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("slip", OTHERS)
def test_a_dataset_or_an_encoder_that_breaks_its_promise(tmp_path: Path, benchmark: Command, slip: str) -> None:
    kind, base, body, words = OTHERS[slip]
    code = f"class Mine({base}):\n    {body}\n\n@hookimpl\ndef register_{kind}(register):\n"
    call = "    register('mine', Mine, summary='s', citation='c')\n"
    path = write(tmp_path, "slip", TOY_PART + code + call)
    choice = (*TOY_RUN, "--plugin", path, "--methods", "late-fusion", f"--{kind[:-1]}", "mine")
    done = benchmark(*choice, "--no-controls", "--seeds", "0")
    assert done.returncode == 2, done.stderr
    says(" ".join(done.stderr.split()), f"{kind[:-1]} ", "slip.py:", words)
    assert "Traceback" not in done.stderr


def test_every_shipped_component_keeps_the_promises_of_its_interface() -> None:
    """The check reads what is abstract from the interfaces; were nothing so marked, it would let everything pass."""
    assert all(getattr(getattr(Composer, name), "__isabstractmethod__", False) for name in ("compose", "embed"))
    assert Encoder.__abstractmethods__ >= {"preprocess", "encode_images", "encode_texts"}
    for kind in load_registry().components.values():
        for component in kind.values():
            check_class(component.load(), component.interface, component.title)
