"""The pluggy manager: guarded loading, names and owners, "did you mean". Imports no torch."""

from __future__ import annotations

import importlib
import importlib.util
import os
import tomllib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pluggy
from pydantic import BaseModel

from benchmark import hookspecs
from benchmark.config import NoOptions
from benchmark.containment import contained
from benchmark.contracts import (
    calling_place,
    check_attributes,
    check_base,
    check_class,
    check_hooks,
    check_registration,
)
from benchmark.errors import PluginError, UserError, describe, near_misses
from benchmark.importing import plugin_sources

KINDS = ("datasets", "encoders", "composers", "scorers", "methods")
HOOKS = [f"register_{kind}" for kind in KINDS]
BUILTINS = Path(__file__).resolve().parent.parent / "plugins" / "defaults.toml"


@dataclass(frozen=True)
class Component:
    """One registered name. ``target`` and ``options_target`` are classes or ``"module:Class"`` strings; ``place`` is
    the file and line that registered it.
    """

    kind: str
    name: str
    owner: str
    summary: str
    citation: str
    target: type | str
    options_target: type | str | None
    place: str = ""

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.kind[:-1]} {self.name!r} of plugin {self.owner}" + (f" ({self.place})" if self.place else "")

    @property
    def interface(self) -> type:
        """The class of ``benchmark.interfaces`` that it must derive from."""
        base: type = getattr(importlib.import_module("benchmark.interfaces"), self.kind[:-1].capitalize())
        return base

    def load(self) -> type:
        """Import and return the class.

        Raises:
            PluginError: the import fails, or the class is none of the kind.
        """
        loaded: type = _resolve(self.target, self)
        check_base(loaded, self.interface, self.title)
        return loaded

    def construct(self, **arguments: Any) -> Any:
        """Return an instance of the class, which gets the arguments by position.

        Raises:
            PluginError: the class breaks a promise of its interface, or its constructor takes other arguments.
        """
        cls = self.load()
        check_class(cls, self.interface, self.title)
        try:
            made = cls(*arguments.values())
        except (TypeError, AttributeError) as error:
            if f"{NoOptions.__name__!r} object" in str(error):
                error.add_note("It has no options yet: give their model to register(..., options=MyOptions)")
            if "argument" not in str(error) and "__init__() call" not in str(error):
                raise
            given = ", ".join(arguments)
            raise PluginError(
                f"{self.title}: {cls.__name__}({given}) failed: {describe(error)}. "
                f"Define __init__(self, {given}), and call super().__init__({given}) first."
            ) from error
        check_attributes(made, self.interface, self.title)
        return made

    def options_model(self) -> type[BaseModel]:
        """Import and return the pydantic model of its options.

        Raises:
            PluginError: the import fails, or it is no pydantic model.
        """
        if self.options_target is None:
            return NoOptions
        model = _resolve(self.options_target, self)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise PluginError(
                f"{self.title}: options={model!r} is no pydantic model. Derive it from benchmark.interfaces.Options."
            )
        return model


def _resolve(target: type | str, component: Component) -> Any:
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise PluginError(f"{component.title}: can't load {target!r}: {describe(error)}") from error


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

    def controls(self, task: str) -> list[str]:
        """Return the methods that stand in every table of ``task``."""
        found: list[str] = self.defaults.get("controls_of_task", {}).get(task, self.defaults["controls"])
        return found

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
    for name, source, importer in plugin_sources(settings["plugins"], [*extra, *named]):
        plugin = LoadedPlugin(name, source)
        registry.plugins.append(plugin)
        before = {kind: dict(known) for kind, known in registry.components.items()}
        try:
            with contained():
                _load_one(manager, registry, plugin, importer())
        except (Exception, SystemExit) as error:
            plugin.error, plugin.trace = describe(error), traceback.format_exc()
            registry.components = before
    return registry


def _load_one(manager: pluggy.PluginManager, registry: Registry, loaded: LoadedPlugin, plugin: Any) -> None:
    """Register and call one plugin alone: pluggy itself would stop all of them at the first that raises."""
    if manager.has_plugin(loaded.name):
        first = next(known.source for known in registry.plugins if known.name == loaded.name)
        raise UserError(
            f"another plugin is already called {loaded.name!r} ({first}); rename the file or the entry point"
        )
    check_hooks(plugin, partial(_marked_hook, manager, plugin), HOOKS)
    manager.register(plugin, loaded.name)
    try:
        implementations = 0
        for kind in KINDS:
            for hook in getattr(manager.hook, f"register_{kind}").get_hookimpls():
                if hook.plugin is plugin:
                    _call_hook(hook.function, _bound_register(registry, kind, loaded.name))
                    implementations += 1
        if not implementations:
            raise UserError(f"it implements no hook; mark one of {', '.join(HOOKS)} with @hookimpl")
    except BaseException:
        manager.unregister(plugin)
        raise


def _call_hook(function: Callable[..., Any], register: hookspecs.Register) -> None:
    try:
        function(register)
    except TypeError as error:
        if "register()" in str(error):
            error.add_note('Write register("name", Class, summary="...", citation="...").')
        raise


def _marked_hook(manager: pluggy.PluginManager, plugin: Any, name: str) -> str | None:
    options = manager.parse_hookimpl_opts(plugin, name)
    return None if options is None else options.get("specname") or name


def _bound_register(registry: Registry, kind: str, owner: str) -> hookspecs.Register:
    def register(
        name: str, component: type | str, *, summary: str, citation: str, options: type | str | None = None
    ) -> None:
        place = calling_place(1)
        try:
            check_registration(name, component, summary, citation, options)
            _refuse_rivals(registry, kind, name, owner)
        except UserError as error:
            raise UserError(f"{error} ({place})") from error
        registry.components[kind][name] = Component(kind, name, owner, summary, citation, component, options, place)

    # What a call with other arguments says: register() missing ..., not _bound_register.<locals>.register().
    register.__qualname__ = "register"
    return register


def _refuse_rivals(registry: Registry, kind: str, name: str, owner: str) -> None:
    for rival in ("methods", "composers") if kind in ("methods", "composers") else (kind,):
        if name in registry.components[rival]:
            first = registry.components[rival][name]
            raise UserError(
                f"{kind[:-1]} {name!r} is already registered by plugin {first.owner}, {first.place}; "
                f"{owner} must choose another name"
            )


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
