"""A registered component with the user's options, and the checks of what every component says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmark.config import parse_model
from benchmark.contracts import place_of
from benchmark.registry import Component, Registry
from benchmark.testing.steps import Failed, Step

LOADS = "it loads"
STRICT = 'derive the options from benchmark.interfaces.Options, which sets extra="forbid" and frozen=True'


@dataclass
class Subject:
    """What is checked: ``name`` is all that the user wrote (``timm:resnet18``), ``given`` are options by --set,
    ``root`` and ``cache`` the folders of a dataset.
    """

    registry: Registry
    component: Component
    name: str
    given: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Refuse options of the user that do not fit; what is the plugin's fault is for the checks to find."""
        if self.given:
            _ = self.options

    @property
    def options(self) -> BaseModel:
        """The checked options.

        Raises:
            UserError: an option is unknown or invalid.
            PluginError: the model can't be loaded.
        """
        own = {key: value for key, value in self.given.items() if key != "scorer"}
        return parse_model(self.component.options_model(), own, f"options of {self.kind} {self.component.name}")

    @property
    def kind(self) -> str:
        """The kind in the singular, e.g. ``composer``."""
        return self.component.kind[:-1]

    @property
    def label(self) -> str:
        """How results name it, e.g. ``composer tirg``."""
        return f"{self.kind} {self.name}"

    @property
    def class_name(self) -> str:
        """The name of its class."""
        return self.component.load().__name__


def called(function: Callable[..., Any]) -> str:
    """Name a function of the plugin with its file and line."""
    place = place_of(function)
    return f"{function.__qualname__}{f' ({place})' if place else ''}"


def loads(subject: Subject) -> str:
    """The class and its options model can be imported and are what they should be."""
    model = subject.component.options_model()
    return f"{subject.class_name}, options {model.__name__}"


def introduced(subject: Subject) -> str:
    """Summary and citation are given."""
    component = subject.component
    for name, text in (("summary", component.summary), ("citation", component.citation)):
        if not isinstance(text, str) or not text.strip():
            call = f"register({component.name!r}, ...)"
            raise Failed(f"{call} gives {name}={text!r}", f'say {name}="...": it stands in `list` and in every record')
    return component.citation


def options_are_strict(subject: Subject) -> str:
    """The options are frozen, refuse unknown keys and have defaults."""
    model = subject.component.options_model()
    for setting, wanted in (("extra", "forbid"), ("frozen", True)):
        if model.model_config.get(setting) != wanted:
            found = model.model_config.get(setting)
            raise Failed(f"{model.__name__}.model_config has {setting}={found!r}, not {wanted!r}", STRICT)
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    if required:
        raise Failed(
            f"{model.__name__}.{required[0]} has no default", "a component must run without --set; give each a default"
        )
    silent = [name for name, info in model.model_fields.items() if not info.description]
    described = f"; a Field(description=...) would explain {', '.join(silent)}" if silent else ""
    return f"{len(model.model_fields)} options{described}"


ABOUT = (
    Step(LOADS, loads, hint="mend the import or the class that register(...) names"),
    Step("it says what it is and whose", introduced),
    Step("its options are strict and have defaults", options_are_strict, (LOADS,), STRICT),
)
"""Checks of every component."""
