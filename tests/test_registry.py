from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from benchmark.errors import PluginError, UserError
from benchmark.registry import load_registry

GOOD = """
    from benchmark.hookspecs import hookimpl
    @hookimpl
    def register_composers(register):
        register("film", "no.such.module:FiLM", summary="s", citation="c")
"""


def plugin(folder: Path, name: str, code: str) -> str:
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(code))
    return str(path)


def error_of(path: str) -> str:
    registry = load_registry((path,))
    loaded = {entry.source: entry for entry in registry.plugins}[path]
    assert {"proposed", "tirg", "clip4cir"} <= set(registry.components["composers"]), "a broken plugin harmed others"
    assert loaded.error is not None
    return loaded.error


def test_shipped_components_are_there_with_their_owners() -> None:
    registry = load_registry()
    assert not [entry.error for entry in registry.plugins if entry.error]
    assert registry.find("datasets", "derm7pt").owner == "plugins.datasets.registration"
    for kind in registry.components.values():
        for component in kind.values():
            assert component.summary
            assert component.citation
            component.load()
            component.options_model()


def test_a_plugin_file_adds_a_name_and_owns_it(tmp_path: Path) -> None:
    registry = load_registry((plugin(tmp_path, "mine", GOOD),))
    assert registry.find_method("film").owner == "mine"


def test_plugins_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMCIR_PLUGINS", plugin(tmp_path, "mine", GOOD))
    assert "film" in load_registry().components["composers"]


def test_plugins_come_from_entry_points(tmp_path: Path) -> None:
    (tmp_path / "strange_pkg.py").write_text(textwrap.dedent(GOOD))
    info = tmp_path / "strange_pkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-pkg\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dermcir]\nstrange = strange_pkg\nbroken = no_such_pkg\n")
    sys.path.insert(0, str(tmp_path))
    try:
        registry = load_registry()
    finally:
        sys.path.remove(str(tmp_path))
    assert registry.find_method("film").owner == "strange"
    broken = {entry.name: entry.error for entry in registry.plugins}["broken"]
    assert broken is not None
    assert "no_such_pkg" in broken


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_module_xyz", ["no_such_module_xyz", "broken.py:1"]),
        ("def f(:", ["SyntaxError", "broken.py:1"]),
        ("x = 1", ["no hook", "@hookimpl"]),
        (
            GOOD.replace("register_composers", "register_composer"),
            ["'register_composer' does not exist", "register_composers"],
        ),
        (GOOD.replace("(register)", "(registrar)"), ["registrar"]),
        (GOOD.replace("summary=", "sumary="), ["sumary", "broken.py"]),
        (GOOD.replace('"film"', '"tirg"'), ["'tirg' is already registered", "baselines.registration", "broken"]),
        (GOOD.replace("register(", "raise ValueError('boom')\n        register("), ["boom", "broken.py:5"]),
    ],
    ids=["import", "syntax", "no hook", "unknown hook", "signature", "keyword", "duplicate", "raises"],
)
def test_a_broken_plugin_is_reported_alone(tmp_path: Path, code: str, words: list[str]) -> None:
    message = error_of(plugin(tmp_path, "broken", code))
    for word in words:
        assert word in message


def test_nothing_of_a_plugin_that_fails_halfway_stays(tmp_path: Path) -> None:
    code = GOOD + '        register("film", "a:B", summary="s", citation="c")\n'
    registry = load_registry((plugin(tmp_path, "twice", code),))
    assert "film" not in registry.components["composers"]


def test_an_unknown_name_says_what_is_near_and_what_exists() -> None:
    with pytest.raises(UserError, match=r"No method is called 'trig'\. Did you mean tirg\? Available: artemis, "):
        load_registry().find_method("trig")


def test_an_unknown_name_mentions_plugins_that_did_not_load(tmp_path: Path) -> None:
    registry = load_registry((plugin(tmp_path, "broken", "raise ValueError('boom')"),))
    with pytest.raises(UserError, match="Plugin broken did not load: ValueError: boom"):
        registry.find_method("film")


def test_a_string_that_leads_nowhere_fails_when_it_is_used(tmp_path: Path) -> None:
    component = load_registry((plugin(tmp_path, "mine", GOOD),)).find_method("film")
    with pytest.raises(PluginError, match=r"composer 'film' of plugin mine \(.*mine\.py:5\): can't load 'no\.such"):
        component.load()


def test_a_class_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    code = GOOD.replace('"no.such.module:FiLM"', "dict")
    with pytest.raises(PluginError, match=r"no subclass of benchmark\.interfaces\.Composer"):
        load_registry((plugin(tmp_path, "mine", code),)).find_method("film").load()


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "--json"], ["--help"], ["run", "--help"], ["check", "--help"], ["tune", "--help"]]
)
def test_listing_and_help_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nsys.argv = ['benchmark', *sys.argv[1:]]\nfrom benchmark.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'numpy', 'timm', 'transformers', 'PIL', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_shadows_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "__init__.py").write_text("")
    root = Path(__file__).resolve().parent.parent
    code = (
        "import sys\nsys.path[:0] = [sys.argv[1], sys.argv[2]]\nfrom benchmark.cli import main\n"
        "sys.argv[1:] = ['list']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert str(tmp_path / "plugins") in done.stderr
    assert "shadows" in done.stderr
    assert "Traceback" not in done.stderr
