"""The pluggy manager: guarded loading, names and owners, "did you mean". Imports no torch."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import sysconfig
import tomllib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
from pydantic import BaseModel

from benchmark import hookspecs
from benchmark.config import NoOptions
from benchmark.errors import PluginError, UserError, near_misses

KINDS = ("datasets", "encoders", "composers", "scorers", "methods")
BUILTINS = Path(__file__).resolve().parent.parent / "plugins" / "defaults.toml"


@dataclass(frozen=True)
class Component:
    """One registered name. ``target`` and ``options_target`` are classes or ``"module:Class"`` strings."""

    kind: str
    name: str
    owner: str
    summary: str
    citation: str
    target: type | str
    options_target: type | str | None

    def load(self) -> type:
        """Import and return the class.

        Raises:
            PluginError: the import fails, or the class is none of the kind.
        """
        loaded = _resolve(self.target, self)
        base = getattr(importlib.import_module("benchmark.interfaces"), self.kind[:-1].capitalize())
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise PluginError(
                f"{self.kind[:-1]} {self.name!r} of plugin {self.owner}: {loaded!r} is no subclass of "
                f"benchmark.interfaces.{base.__name__}. Derive the class from it."
            )
        return loaded

    def options_model(self) -> type[BaseModel]:
        """Import and return the pydantic model of its options.

        Raises:
            PluginError: the import fails, or it is no pydantic model.
        """
        if self.options_target is None:
            return NoOptions
        model = _resolve(self.options_target, self)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            place = f"{self.kind[:-1]} {self.name!r} of plugin {self.owner}"
            raise PluginError(f"{place}: options={model!r} is no pydantic model.")
        return model


def _resolve(target: type | str, component: Component) -> Any:
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        place = f"{component.kind[:-1]} {component.name!r} of plugin {component.owner}"
        raise PluginError(f"{place}: can't load {target!r}: {describe(error)}") from error


@dataclass
class LoadedPlugin:
    """One plugin: where it came from, and the error that stopped it, if any."""

    name: str
    source: str
    error: str | None = None
    trace: str | None = None


@dataclass
class Registry:
    """Every component by kind and name, and every plugin with its state."""

    components: dict[str, dict[str, Component]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    plugins: list[LoadedPlugin] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    def find(self, kind: str, name: str) -> Component:
        """Return the component ``name``; an encoder may be found by a prefix such as ``timm:``.

        Raises:
            UserError: nothing of that kind has the name.
        """
        known = self.components[kind]
        if name in known:
            return known[name]
        prefix = name.split(":", 1)[0] + ":"
        if ":" in name and prefix in known:
            return known[prefix]
        raise UserError(f"No {kind[:-1]} is called {name!r}. {near_misses(name, known)}{self._broken_hint()}")

    def find_method(self, name: str) -> Component:
        """Return the method ``name``, or the composer of that name, which runs as a method with its scorer.

        Raises:
            UserError: neither exists.
        """
        for kind in ("methods", "composers"):
            if name in self.components[kind]:
                return self.components[kind][name]
        known = {*self.components["methods"], *self.components["composers"]}
        raise UserError(f"No method is called {name!r}. {near_misses(name, known)}{self._broken_hint()}")

    def _broken_hint(self) -> str:
        broken = [plugin for plugin in self.plugins if plugin.error]
        return "".join(f"\nPlugin {plugin.name} did not load: {plugin.error}" for plugin in broken)


def load_registry(extra: tuple[str, ...] = ()) -> Registry:
    """Load plugins in order: shipped defaults, entry points, ``extra`` (``--plugin``), ``DERMCIR_PLUGINS``.

    A plugin that fails is recorded with its error and harms no other.
    """
    _refuse_shadowing()
    settings = tomllib.loads(BUILTINS.read_text(encoding="utf-8"))
    named = [name for name in os.environ.get("DERMCIR_PLUGINS", "").split(",") if name]
    registry = Registry(defaults=settings["defaults"], sources=(*extra, *named))
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, source, importer in _sources(settings["plugins"], [*extra, *named]):
        plugin = LoadedPlugin(name, source)
        registry.plugins.append(plugin)
        try:
            _load_one(manager, registry, name, importer())
        except (Exception, SystemExit) as error:
            plugin.error, plugin.trace = describe(error), traceback.format_exc()
            _forget(registry, name)
    return registry


def _sources(shipped: list[str], extra: list[str]) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    for module in shipped:
        yield module, "shipped", partial(importlib.import_module, module)
    for entry in importlib.metadata.entry_points(group=hookspecs.PROJECT):
        yield entry.name, f"entry point {entry.value}", entry.load
    for target in dict.fromkeys(extra):
        if target.endswith(".py") or os.sep in target or not target:
            yield Path(target).stem, target, partial(_import_file, Path(target))
        else:
            yield target, "module", partial(importlib.import_module, target)


def _import_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise UserError(f"there is no file {path}; name a .py file, or a module that Python can import")
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


def _load_one(manager: pluggy.PluginManager, registry: Registry, name: str, plugin: Any) -> None:
    """Register and call one plugin alone: pluggy itself would stop all of them at the first that raises."""
    if manager.has_plugin(name):
        raise UserError(f"another plugin is already called {name!r}; rename the file or the entry point")
    manager.register(plugin, name)
    try:
        _refuse_unknown_hooks(manager, plugin)
        implementations = 0
        for kind in KINDS:
            for hook in getattr(manager.hook, f"register_{kind}").get_hookimpls():
                if hook.plugin is plugin:
                    hook.function(*[_bound_register(registry, kind, name) for _ in hook.argnames])
                    implementations += 1
        if not implementations:
            hooks = ", ".join(f"register_{kind}" for kind in KINDS)
            raise UserError(f"it implements no hook; mark one of {hooks} with @hookimpl")
    except Exception:
        manager.unregister(plugin)
        raise


def _refuse_unknown_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    for caller in manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            near = near_misses(caller.name, [f"register_{kind}" for kind in KINDS])
            raise UserError(f"hook {caller.name!r} does not exist. {near}")


def _bound_register(registry: Registry, kind: str, owner: str) -> hookspecs.Register:
    def register(
        name: str, component: type | str, *, summary: str, citation: str, options: type | str | None = None
    ) -> None:
        rivals = ("methods", "composers") if kind in ("methods", "composers") else (kind,)
        for rival in rivals:
            if name in registry.components[rival]:
                first = registry.components[rival][name].owner
                raise UserError(
                    f"{kind[:-1]} {name!r} is already registered by plugin {first}; {owner} must choose another name"
                )
        registry.components[kind][name] = Component(kind, name, owner, summary, citation, component, options)

    return register


def _forget(registry: Registry, owner: str) -> None:
    for known in registry.components.values():
        for name in [name for name, component in known.items() if component.owner == owner]:
            del known[name]


def _refuse_shadowing() -> None:
    home = BUILTINS.parent.parent
    for package in ("plugins", "baselines"):
        spec = importlib.util.find_spec(package)
        origin = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if origin != home / package:
            raise UserError(
                f"The folder {origin} shadows dermcir's own package {package!r} (expected {home / package}). "
                "Rename your folder or start the command from another one."
            )


def describe(error: BaseException) -> str:
    """Describe an exception in a sentence with a file and line: the last that is neither a library's nor the harness's,
    since that is where an author can mend it.
    """
    text = f"{type(error).__name__}: {error}" if not isinstance(error, UserError) else str(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if isinstance(error, UserError) or not frames:
        return text
    others = (sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"], str(Path(__file__).parent))
    own = [frame for frame in frames if not frame.filename.startswith(others)]
    place = (own or frames)[-1]
    return f"{text} ({place.filename}:{place.lineno})"
