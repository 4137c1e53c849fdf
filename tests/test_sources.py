from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from baselines.late_fusion import LateFusion
from baselines.tirg import TIRG
from benchmark.importing import plugin_sources
from benchmark.sources import changed, source_hashes


def test_a_shipped_method_is_its_file_its_options_and_the_loop_that_trains_it() -> None:
    from benchmark.training import ComposedMethod

    found = set(source_hashes([LateFusion, ComposedMethod]))
    assert found == {
        "baselines.late_fusion",
        "baselines.options",
        "benchmark.training",
        "benchmark.objective",
        "benchmark.evaluation",
    }


def test_a_base_of_another_package_counts() -> None:
    class Sub(TIRG):
        pass

    assert {Sub.__module__, "baselines.tirg", "baselines.options"} <= set(source_hashes([Sub]))


def test_relative_imports_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mypack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text("WIDTH = 3\n")
    (package / "method.py").write_text("from .layers import WIDTH\n\n\nclass Mine:\n    width = WIDTH\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("mypack.method")
    before = source_hashes([module.Mine])
    assert set(before) == {"mypack.method", "mypack.layers"}
    assert changed(before) == []
    (package / "layers.py").write_text("WIDTH = 4\n")
    assert changed(before) == ["mypack.layers"]
    for name in ("mypack", "mypack.method", "mypack.layers"):
        sys.modules.pop(name, None)


def test_a_helper_beside_a_single_file_plugin_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_helper.py").write_text("from my_deeper import WIDTH\n")
    (tmp_path / "my_deeper.py").write_text("import json\n\nWIDTH = 3\n")
    (tmp_path / "tirg.py").write_text("raise RuntimeError('never imported')\n")
    path = tmp_path / "mine.py"
    path.write_text("import numpy.linalg\nimport my_helper\nimport tirg\n\n\nclass Mine:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "tirg", sys.modules["json"])  # the one that Python knows lies elsewhere
    *_, (_, _, load) = plugin_sources([], [str(path)])
    module = load()
    before = source_hashes([module.Mine])
    assert set(before) == {str(path), str(tmp_path / "my_helper.py"), str(tmp_path / "my_deeper.py")}
    assert changed(before) == []
    (tmp_path / "my_deeper.py").write_text("WIDTH = 4\n")
    assert changed(before) == [str(tmp_path / "my_deeper.py")]
    for name in ("my_helper", "my_deeper"):
        sys.modules.pop(name, None)
