"""``python -m benchmark new``: a plugin to start from, as one file or as an installable package. Imports no torch."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from benchmark import __version__
from benchmark.errors import UserError, near_misses
from benchmark.registry import Registry, load_registry

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("method", "dataset", "encoder", "composer", "scorer")
FULL = "method"
RESERVED = ("training",)
"""Names that ``--set NAME.OPTION`` reads as something else."""


@dataclass(frozen=True)
class Plan:
    """What to write: the registered ``name``, its kind, and the template of its code."""

    kind: str
    name: str
    template: str

    @property
    def module(self) -> str:
        """The name as Python can import it."""
        return self.name.replace("-", "_")

    @property
    def project(self) -> str:
        """The name as packages spell it."""
        return self.name.replace("_", "-").lower()

    @property
    def values(self) -> dict[str, str]:
        """What stands for the placeholders of the templates."""
        return {
            "name": self.name,
            "cls": self._class_name(),
            "module": self.module,
            "project": self.project,
            "kind": self.kind,
            "version": __version__,
        }

    def _class_name(self) -> str:
        """``my-method`` -> ``MyMethod``; the kind is added where the template uses that name for something else."""
        camel = "".join(part[:1].upper() + part[1:] for part in self.module.split("_"))
        taken = re.findall(r"\w+", self.template)
        return camel + self.kind.capitalize() if camel in taken or keyword.iskeyword(camel) else camel

    def code(self) -> str:
        """The plugin itself."""
        return Template(self.template).substitute(self.values)


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name to register, e.g. my_method or my-method.")],
    full: Annotated[
        bool, typer.Option("--full", help="A method with a fit and a score of its own, not a composer.")
    ] = False,
    package: Annotated[
        bool, typer.Option("--package", help="An installable package with entry point, test and README.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
) -> None:
    """Write a plugin to start from: one short file that already runs. Nothing is overwritten."""
    registry = load_registry()
    plan = Plan(kind, name, read_template(kind, full))
    _refuse_name(plan, registry)
    if package:
        commands = package_commands(plan, registry)
        target = write_package(plan, folder, commands)
    else:
        target = write_file(plan, folder)
        commands = file_commands(plan, target, registry)
    print(f"Wrote {target}. Try next:", *commands, sep="\n  ")


def read_template(kind: str, full: bool) -> str:
    """Return the template of a plugin of ``kind``; ``full`` asks for a method that is no composer.

    Raises:
        UserError: there is no such kind, or no such template of it.
    """
    if kind not in KINDS:
        raise UserError(f"There is nothing to write for {kind!r}. {near_misses(kind, KINDS)}")
    if full and kind != FULL:
        raise UserError(f"--full goes with `new {FULL} NAME`: a {kind} has one template only.")
    # Most methods are a composer: it is shorter and gets its training, its scorer and its checkpoints for nothing.
    file = "composer" if kind == FULL and not full else kind
    return (TEMPLATES / f"{file}.py.tmpl").read_text(encoding="utf-8")


def _refuse_name(plan: Plan, registry: Registry) -> None:
    """Refuse what can't be registered, imported or told from another component."""
    name, module = plan.name, plan.module
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise UserError(f"{name!r} is no name: use letters, digits, - and _, starting with a letter, e.g. my_method.")
    if keyword.iskeyword(module) or name in RESERVED:
        raise UserError(f"{name!r} means something else to Python or to --set. Choose another name, e.g. my_{module}.")
    for kind, known in registry.components.items():
        if name in known:
            raise UserError(
                f"The name {name!r} is taken: {kind[:-1]} {name!r} is registered by plugin {known[name].owner}. "
                "Choose another name."
            )
    if importable(module):
        raise UserError(
            f"Python already has a module {module!r}, which {module}.py would hide. Choose another name, e.g. "
            f"my_{module}."
        )


def importable(module: str) -> bool:
    """Whether Python finds ``module`` elsewhere than in the current folder."""
    here = Path.cwd()
    path = [entry for entry in sys.path if Path(entry).resolve() != here]
    return module in sys.stdlib_module_names or PathFinder.find_spec(module, path) is not None


def write_file(plan: Plan, folder: Path) -> Path:
    """Write the plugin as one file into ``folder``; return its path.

    Raises:
        UserError: the file exists, or the folder can't be written.
    """
    _write(folder, {f"{plan.module}.py": plan.code()})
    return folder / f"{plan.module}.py"


def write_package(plan: Plan, folder: Path, commands: list[str]) -> Path:
    """Write an installable package into a new folder of ``folder``; return that folder.

    Raises:
        UserError: the folder exists, or can't be written.
    """
    root = folder / plan.project
    if root.exists():
        raise UserError(f"{root} exists and is not overwritten. Choose another name, or another --folder.")
    values = {**plan.values, "commands": "\n".join(commands[1:])}
    files = {
        "pyproject.toml": _filled("pyproject.toml", values),
        "README.md": _filled("README.md", values),
        f"src/{plan.module}/__init__.py": plan.code(),
        f"tests/test_{plan.module}.py": _filled("test.py", values),
    }
    _write(folder, {f"{plan.project}/{name}": text for name, text in files.items()})
    return root


def _filled(file: str, values: Mapping[str, str]) -> str:
    return Template((TEMPLATES / "package" / f"{file}.tmpl").read_text(encoding="utf-8")).substitute(values)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--folder {folder} is no folder. Name one; it is made where it does not exist.")
    for path, text in ((folder / name, text) for name, text in files.items()):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise UserError(
                f"{path} exists and is not overwritten. Choose another name, or another --folder."
            ) from error
        except OSError as error:
            raise UserError(f"{path} can't be written: {error.strerror}. Choose another --folder.") from error


def file_commands(plan: Plan, path: Path, registry: Registry) -> list[str]:
    """Return the two commands to try on a single file."""
    file = shlex.quote(str(path))
    return [f"python -m benchmark run --plugin {file} {_choice(plan, registry)}", f"python -m benchmark check {file}"]


def package_commands(plan: Plan, registry: Registry) -> list[str]:
    """Return the commands to try on a package."""
    return [
        f"cd {shlex.quote(plan.project)}",
        "pip install --editable '.[test]'",
        "python -m pytest",
        f"python -m benchmark check {plan.name}",
        f"python -m benchmark run {_choice(plan, registry)}",
    ]


def _choice(plan: Plan, registry: Registry) -> str:
    """The flags that bring the component into a run, beside the methods that a run compares by default."""
    first, rival = registry.defaults["methods"][:2]
    if plan.kind in ("method", "composer"):
        return f"--methods {plan.name},{rival}"
    if plan.kind == "scorer":
        return f"--methods {rival} --set {rival}.scorer={plan.name}"
    return f"--{plan.kind} {plan.name} --methods {first},{rival}"
