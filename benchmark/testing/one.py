"""One component at a time, given as a class or by name: the results of its checks, for an author's own tests.

Each function takes a class with its options ``model`` as a plugin would register them, or a registered name;
``plugins`` are files or modules to load before, and ``options`` values to set, ``{"width": 64}``. Each runs every check
of its kind, returns the results in order, and raises ``UserError`` for a name or an option that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmark.registry import Component, Registry, load_registry
from benchmark.testing.conformance import suites
from benchmark.testing.steps import CheckResult

Results = tuple[CheckResult, ...]
Given = Mapping[str, Any] | None
NOT_REGISTERED = "given as a class"


def check_method(
    method: type | str, model: type[BaseModel] | None = None, plugins: tuple[str, ...] = (), options: Given = None
) -> Results:
    """Check a method."""
    return _check("methods", method, model, load_registry(plugins), options)


def check_composer(
    composer: type | str, model: type[BaseModel] | None = None, plugins: tuple[str, ...] = (), options: Given = None
) -> Results:
    """Check a composer with the scorer that it names."""
    return _check("composers", composer, model, load_registry(plugins), options)


def check_scorer(
    scorer: type | str, model: type[BaseModel] | None = None, plugins: tuple[str, ...] = (), options: Given = None
) -> Results:
    """Check a scorer, on random vectors or on a composer that provides the keys it reads."""
    return _check("scorers", scorer, model, load_registry(plugins), options)


def check_encoder(
    encoder: type | str, model: type[BaseModel] | None = None, plugins: tuple[str, ...] = (), options: Given = None
) -> Results:
    """Check an encoder."""
    return _check("encoders", encoder, model, load_registry(plugins), options)


def check_dataset(
    dataset: type | str,
    model: type[BaseModel] | None = None,
    plugins: tuple[str, ...] = (),
    options: Given = None,
    root: Path | None = None,
    cache: Path | None = None,
) -> Results:
    """Check a dataset; ``root`` is the copy of one that the user has to bring, ``cache`` where one is drawn."""
    return _check("datasets", dataset, model, load_registry(plugins), options, root, cache)


def _check(
    kind: str,
    component: type | str,
    model: type[BaseModel] | None,
    registry: Registry,
    options: Given,
    root: Path | None = None,
    cache: Path | None = None,
) -> Results:
    name = component if isinstance(component, str) else component.__name__
    if not isinstance(component, str):
        stand_in = Component(kind, name, component.__module__, NOT_REGISTERED, NOT_REGISTERED, component, model)
        registry.components[kind][name] = stand_in
    given = {name.split(":")[0]: options} if options else None
    (suite,) = suites(registry, name, kind=kind[:-1], options=given, root=root, cache=cache)
    return suite.run()
