"""Where plugins come from, and how each is imported. Imports no torch."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.errors import UserError
from benchmark.hookspecs import PROJECT


def plugin_sources(shipped: list[str], extra: list[str]) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield name, source in words and importer of every plugin: shipped modules, entry points, and the files and
    modules that the user names. A file named twice comes once.
    """
    for module in shipped:
        yield module, "shipped", partial(importlib.import_module, module)
    for entry in importlib.metadata.entry_points(group=PROJECT):
        yield entry.name, f"entry point {entry.value}", entry.load
    files: set[Path] = set()
    for target in dict.fromkeys(extra):
        if not (target.endswith(".py") or os.sep in target or not target):
            yield target, "module", partial(_import_module, target)
        elif (path := Path(target).expanduser().resolve()) not in files:
            files.add(path)
            yield path.stem, target, partial(_import_file, path)


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"Python finds no module {name!r}; install its package, or name a file: {name}.py") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        problem = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise UserError(f"{problem}; name a .py file, or a module that Python can import")
    # Named by path, so that two files of one name are two plugins and a second load finds the first.
    name = f"dermcir_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
