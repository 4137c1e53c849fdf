"""What `tune` may change: the search spaces that options declare. Imports no torch.

A field of an options model declares its own: ``Field(128, ..., json_schema_extra={"search": [64, 128, 256]})`` for a
choice, ``{"search": {"low": 0.01, "high": 1.0, "log": True}}`` for a range; whole bounds make whole numbers. Spaces of
components whose options lie in files that are hashed into published tables stand in plugins/defaults.toml instead,
under ``[defaults.search.NAME]``. A space holds the option's default, since the first trial is the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, model_validator

from benchmark.config import RunConfig, Strict, Training, parse_model
from benchmark.errors import UserError, near_misses
from benchmark.registry import Component, Registry

if TYPE_CHECKING:
    from benchmark.methods import MethodPlan

DIGITS = 3


class Range(Strict):
    """All numbers from ``low`` to ``high``; ``log`` spreads them evenly over orders of magnitude."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 where log is true")
        return self

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` lies in it."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def nearest(self, value: Any) -> Any:
        """Return ``value`` with three digits, so that a printed trial can be repeated exactly."""
        return value if self.whole else min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


class Choice(Strict):
    """One of several values."""

    values: tuple[bool | int | float | str, ...]

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is one of them."""
        return value in self.values

    def nearest(self, value: Any) -> Any:
        """Return ``value``."""
        return value


Space = dict[str, Range | Choice]
"""Name as ``--set`` takes it (``tirg.width``, ``tirg.scorer.a``, ``training.scale``) -> what it may be."""


def search_space(registry: Registry, plan: MethodPlan, config: RunConfig, with_training: bool) -> Space:
    """Return the space of a method, of its scorer, and of the shared training if asked for. What the user has set in
    ``config`` is held and left out.

    Raises:
        UserError: a declared space is malformed or lacks the default, or nothing is left to search.
    """
    given = config.options.get(plan.name, {})
    space = _component_space(registry, plan.component, plan.name, given)
    if plan.scorer:
        chosen = given.get("scorer", {})
        held = chosen if isinstance(chosen, Mapping) else {}
        space |= _component_space(registry, plan.scorer, f"{plan.name}.scorer", held)
    if with_training and plan.trained:
        space |= declared(Training, {}, "training", config.training.model_fields_set)
    if not space:
        raise UserError(
            f"Nothing to search for {plan.name}: none of its options declares a search space, or all are set. "
            'Declare one: Field(..., json_schema_extra={"search": [64, 128]}).'
        )
    return space


def _component_space(registry: Registry, component: Component, prefix: str, given: Mapping[str, Any]) -> Space:
    listed = registry.defaults.get("search", {}).get(component.name, {})
    return declared(component.options_model(), listed, prefix, frozenset(given))


def declared(model: type[BaseModel], listed: Mapping[str, Any], prefix: str, held: frozenset[str] | set[str]) -> Space:
    """Return the space of a model's fields: what is ``listed`` for a field, else what it declares. Fields that are
    ``held`` are left out.

    Raises:
        UserError: a space is malformed, lacks the default, or is listed for no field.
    """
    unknown = sorted(set(listed) - set(model.model_fields))
    if unknown:
        raise UserError(
            f"search space of {prefix}: no option {unknown[0]!r}. {near_misses(unknown[0], model.model_fields)}"
        )
    space: Space = {}
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        raw = listed.get(name, extra.get("search") if isinstance(extra, Mapping) else None)
        if raw is not None and name not in held:
            space[f"{prefix}.{name}"] = _read(raw, f"{prefix}.{name}", field.get_default(call_default_factory=True))
    return space


def _read(raw: Any, name: str, default: Any) -> Range | Choice:
    where = f"search space of {name}"
    found = parse_model(Range, raw, where) if isinstance(raw, Mapping) else parse_model(Choice, {"values": raw}, where)
    if not found.holds(default):
        raise UserError(f"{where}: it lacks the default {default!r}, which the first trial tries; widen it.")
    return found


def defaults(space: Space, plan: MethodPlan) -> dict[str, Any]:
    """Return the default of every name in ``space``."""
    models: dict[str, type[BaseModel]] = {plan.name: plan.component.options_model(), "training": Training}
    if plan.scorer:
        models[f"{plan.name}.scorer"] = plan.scorer.options_model()
    found = {}
    for name in space:
        prefix, _, option = name.rpartition(".")
        found[name] = models[prefix].model_fields[option].get_default(call_default_factory=True)
    return found


def applied(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Return ``config`` with ``settings``, whose names are those that ``--set`` takes."""
    values = config.model_dump(exclude_unset=True)
    for name, value in settings.items():
        *path, option = name.split(".") if name.startswith("training.") else ["options", *name.split(".")]
        node = values
        for key in path:
            below = node.get(key, {})
            # A scorer may be given by its name alone.
            node[key] = {"name": below} if isinstance(below, str) else dict(below)
            node = node[key]
        node[option] = value
    return parse_model(RunConfig, values, "a trial's settings")
