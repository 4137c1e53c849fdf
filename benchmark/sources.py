"""Which source files define a method, and whether they have changed since a run. Imports no torch."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark.files import sha256

HARNESS = frozenset(
    f"benchmark.{name}"
    for name in ("training", "objective", "evaluation", "evidence", "targeted", "finetuning", "live")
)
"""The files of the harness that shape what a method learns: loop, loss, the score that chooses a checkpoint, how
classifiers start from evidence, the batches of ``modification``, and the joint training with an encoder."""
FOREIGN = frozenset({"benchmark", "torch", *sys.stdlib_module_names})
"""Packages whose bases do not count: their versions are in the record."""
SHIPPED = frozenset({"benchmark", "baselines", "plugins"})
PLUGIN = "dermcir_plugin_"
"""How the modules of single-file plugins begin."""


def source_hashes(classes: Iterable[type]) -> dict[str, str]:
    """Return name -> SHA-256 of the files that define ``classes``: their own modules and those of their bases, the
    modules of the same package that these import, and the training loop where it is imported. A single-file plugin and
    the files beside it that it imports are named by their paths.
    """
    bases = [base.__module__ for cls in classes for base in cls.__mro__]
    pending = [name for name in bases if name in HARNESS or name.split(".")[0] not in FOREIGN]
    found: dict[str, str] = {}
    while pending:
        module = pending.pop()
        file = source_file(module)
        single = module.startswith(PLUGIN) or module.endswith(".py")
        name = str(file) if single else module
        if file is None or name in found:
            continue
        found[name] = sha256(file)
        package = module.split(".")[0]
        for imported in _imports(file, module):
            own = imported.split(".")[0] == package and package != "benchmark"
            beside = _beside(file, imported) if single else None
            if beside:
                pending.append(str(beside))
            elif own or imported in HARNESS:
                pending.append(imported)
    return dict(sorted(found.items()))


def changed(recorded: Mapping[str, str]) -> list[str]:
    """Return the recorded sources whose file differs now; a source that is not installed here is left out."""
    current = {name: source_file(name) for name in recorded}
    return [name for name, file in current.items() if file is not None and sha256(file) != recorded[name]]


def source_file(name: str) -> Path | None:
    """Return the file of a module, without importing it, or of a plugin that is named by its path."""
    if name.endswith(".py"):
        return Path(name) if Path(name).is_file() else None
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            return None
        origin = spec.origin if spec else None
    return Path(origin) if origin and Path(origin).is_file() else None


def _beside(file: Path, imported: str) -> Path | None:
    """Return the file of a module that ``file``, a single-file plugin or one of its helpers, imports from its folder;
    None for all others.
    """
    if not imported or imported.split(".")[0] in SHIPPED | FOREIGN:
        return None
    *folders, last = imported.split(".")
    there = file.parent.joinpath(*folders)
    path = next((one for one in (there / last / "__init__.py", there / f"{last}.py") if one.is_file()), None)
    found = source_file(imported) if path else None  # another one may come first on Python's path
    return path if path and found and found.resolve() == path.resolve() else None


def _imports(file: Path, module: str) -> set[str]:
    """Return the names of the modules that ``module``, read from ``file``, imports at any place."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            names.add(source)
            names.update(f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names
