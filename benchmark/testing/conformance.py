"""From a file, a name or a class to the checks of the components it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import PluginError, UserError, near_misses
from benchmark.registry import Component, LoadedPlugin, Registry, load_registry
from benchmark.testing.composer_checks import COMPOSER_CHECKS
from benchmark.testing.dataset_checks import DATASET_CHECKS, DatasetSubject
from benchmark.testing.encoder_checks import ENCODER_CHECKS, EncoderSubject
from benchmark.testing.method_checks import METHOD_CHECKS
from benchmark.testing.scorer_checks import SCORER_CHECKS, ScorerSubject
from benchmark.testing.steps import ConformanceCheck, Step, Suite
from benchmark.testing.subjects import Subject
from benchmark.testing.trained import MethodSubject

CHECKS: Mapping[str, tuple[type[Subject], tuple[Step, ...]]] = {
    "datasets": (DatasetSubject, DATASET_CHECKS),
    "encoders": (EncoderSubject, ENCODER_CHECKS),
    "composers": (MethodSubject, COMPOSER_CHECKS),
    "scorers": (ScorerSubject, SCORER_CHECKS),
    "methods": (MethodSubject, METHOD_CHECKS),
}
"""Kind -> what is built for its checks, and the checks."""


def conformance(
    target: str | Path,
    *,
    kind: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    root: Path | None = None,
    cache: Path | None = None,
    plugins: tuple[str, ...] = (),
) -> list[ConformanceCheck]:
    """Return the checks of ``target`` as callables for ``pytest.mark.parametrize("check", ..., ids=str)``.

    Args are those of ``suites``. Raises ``UserError`` for a target that does not exist, ``PluginError`` for one that
    can't be loaded.
    """
    registry = load_registry(known_plugins(target, plugins))
    found = suites(registry, str(target), kind=kind, options=options, root=root, cache=cache)
    return [check for suite in found for check in suite.checks()]


def suites(
    registry: Registry,
    target: str,
    *,
    kind: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    root: Path | None = None,
    cache: Path | None = None,
) -> list[Suite]:
    """Return the checks of every component that ``target`` stands for, not yet run.

    Args:
        registry: where names are looked up; a file must have been loaded into it, see ``known_plugins``.
        target: a .py file, a component (``tirg``, ``timm:resnet18``, ``folder:DIR``) or a plugin's name.
        kind: only components of this kind, e.g. ``composer``.
        options: name -> its options, as ``--set`` gives them.
        root: the user's copy of a dataset that needs one.
        cache: where datasets draw; the user's cache by default.

    Raises:
        UserError: there is no such target, or an option does not fit.
        PluginError: the file or plugin did not load.
    """
    found = [(c, name) for c, name in _components(registry, target) if kind in (None, c.kind[:-1])]
    if not found:
        kinds = ", ".join(sorted({c.kind[:-1] for c, _ in _components(registry, target)}))
        raise UserError(f"--kind {kind}: {target} has no {kind}. It has: {kinds or 'nothing'}.")
    given = options or {}
    _refuse_stray(given, [component for component, _ in found])
    return [_suite(registry, component, name, given, root, cache) for component, name in found]


def known_plugins(target: str | Path, plugins: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return what to load so that ``target`` is known: ``plugins``, and the target itself where it is a file.

    Raises:
        UserError: the target looks like a file and there is none.
    """
    if not str(target).endswith(".py"):
        return plugins
    if not Path(target).expanduser().is_file():
        raise UserError(f"There is no file {target}. Name a .py file, or an installed component; see `list`.")
    return (*plugins, str(target))


def _components(registry: Registry, target: str) -> list[tuple[Component, str]]:
    """Return the components of a target, each with the name that it is constructed with."""
    owner = _plugin(registry, target)
    if owner:
        if owner.error:
            raise PluginError(f"Plugin {owner.name} ({owner.source}) did not load: {owner.error}")
        every = (component for known in registry.components.values() for component in known.values())
        return [(component, component.name) for component in every if component.owner == owner.name]
    named = [(known[target], target) for known in registry.components.values() if target in known]
    if named:
        return named
    start = target.split(":", 1)[0]
    if ":" in target and f"{start}:" in registry.components["encoders"]:
        return [(registry.components["encoders"][f"{start}:"], target)]
    if ":" in target and start in registry.components["datasets"]:
        return [(registry.components["datasets"][start], target)]
    every_name = [name for known in registry.components.values() for name in known]
    raise UserError(f"Nothing is called {target!r}. {near_misses(target, every_name)}{_broken(registry)}")


def _plugin(registry: Registry, target: str) -> LoadedPlugin | None:
    """Return the plugin that a target names: by its file, or by its name where no component has that name."""
    if target.endswith(".py"):
        wanted = Path(target).expanduser().resolve()
        return next((p for p in registry.plugins if Path(p.source).expanduser().resolve() == wanted), None)
    if any(target in known for known in registry.components.values()):
        return None
    return next((plugin for plugin in registry.plugins if plugin.name == target), None)


def _broken(registry: Registry) -> str:
    return "".join(f"\nPlugin {p.name} ({p.source}) did not load: {p.error}" for p in registry.plugins if p.error)


def _refuse_stray(options: Mapping[str, Any], components: list[Component]) -> None:
    known = {key for component in components for key in (component.name, component.name.rstrip(":"))}
    stray = sorted(set(options) - known)
    if stray:
        raise UserError(f"--set {stray[0]}: it is not among what is checked. {near_misses(stray[0], known)}")


def _suite(
    registry: Registry,
    component: Component,
    name: str,
    options: Mapping[str, Mapping[str, Any]],
    root: Path | None,
    cache: Path | None,
) -> Suite:
    subject_class, steps = CHECKS[component.kind]
    given = options.get(component.name, options.get(component.name.rstrip(":"), {}))
    subject = subject_class(registry, component, name, given, root, cache)
    return Suite(subject.label, subject, steps)
