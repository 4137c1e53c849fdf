"""From a method's name and the user's options to a method that can be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel

from benchmark.config import parse_model
from benchmark.containment import contained
from benchmark.contracts import place_of
from benchmark.errors import PluginError, UserError, near_misses
from benchmark.interfaces import Composer, FeatureSpec, Method, Scorer, shown
from benchmark.records import MethodInfo
from benchmark.registry import Component, Registry
from benchmark.sources import source_hashes
from benchmark.targeted import TargetedMethod
from benchmark.tasks import CASE_SEARCH, MODIFICATION
from benchmark.training import ComposedMethod


@dataclass(frozen=True)
class MethodPlan:
    """A method with its checked options: a registered method, or a composer with its scorer and what trains them."""

    component: Component
    options: BaseModel
    scorer: Component | None
    scorer_options: BaseModel | None
    row: str
    composed: type[ComposedMethod] = ComposedMethod

    @property
    def name(self) -> str:
        """The registered name."""
        return self.component.name

    @property
    def trained(self) -> bool:
        """Whether it learns at all, so that the shared training matters."""
        return bool(getattr(self.component.load(), "trained", True))

    def settings(self) -> dict[str, Any]:
        """Return all options, those of the scorer included."""
        settings: dict[str, Any] = self.options.model_dump(mode="json")
        if self.scorer and self.scorer_options:
            settings["scorer"] = {"name": self.scorer.name, **self.scorer_options.model_dump(mode="json")}
        return settings

    def sources(self) -> dict[str, str]:
        """Return the hashes of the files that define it."""
        classes = [self.component.load()]
        if self.scorer:
            classes += [self.scorer.load(), self.composed]
        return source_hashes(classes)

    def build(self, spec: FeatureSpec) -> Method:
        """Construct the method; seed torch before.

        Raises:
            PluginError: the class can't be constructed as ``Class(spec, options)``, or ``modules`` returns no tuple of
                networks.
        """
        if self.scorer is None:
            method: Method = self.component.construct(spec=spec, options=self.options)
            _refuse_networks(method)
            return method
        composer: Composer = self.component.construct(spec=spec, options=self.options)
        scorer: Scorer = self.scorer.construct(spec=spec, options=self.scorer_options)
        return self.composed(spec, self.options, composer, scorer)

    def refuse_misuse(self, spec: FeatureSpec) -> None:
        """Construct it where nothing is computed or stored, to hear before a run what its constructor asks of the user.

        Raises:
            UserError: it can't be used with these options or these features, e.g. of an encoder that isn't aligned.
        """
        with contained(), torch.device("meta"):
            try:
                self.build(spec)
            except UserError:
                raise
            except (Exception, SystemExit):
                return  # A defect is left to the unit that meets it, so that the other methods go on.

    def info(self, method: Method | None = None) -> MethodInfo:
        """Describe it for a record; ``method`` supplies the number of parameters."""
        cls = self.component.load()
        networks = method.modules() if method else ()
        return MethodInfo(
            name=self.name,
            row=self.row,
            owner=self.component.owner,
            summary=self.component.summary,
            citation=self.component.citation,
            scorer=self.scorer.name if self.scorer else None,
            options=self.settings(),
            modality=cls.modality,  # type: ignore[attr-defined]
            trained=self.trained,
            parameters=sum(parameter.numel() for network in networks for parameter in network.parameters()),
        )


def _refuse_networks(method: Method) -> None:
    """Hear before training what would end a run after it."""
    try:
        networks = method.modules()
    except Exception:
        return  # it may need what fit makes
    if not (isinstance(networks, tuple | list) and all(isinstance(one, torch.nn.Module) for one in networks)):
        raise PluginError(
            f"{type(method).__name__}.modules() returned {shown(networks)}, not a tuple of networks; write for example "
            f"`return (self.model,)` ({place_of(type(method))})."
        )


def plan_method(registry: Registry, name: str, given: Mapping[str, Any], task: str = CASE_SEARCH.name) -> MethodPlan:
    """Resolve ``name`` for ``task`` and check the options that were ``given`` for it.

    Raises:
        UserError: an unknown name or option.
        PluginError: the component can't be loaded.
    """
    component = registry.find_method(name)
    own = {key: value for key, value in given.items() if key != "scorer"}
    options = parse_model(component.options_model(), own, f"options of method {name}")
    scorer, scorer_options = None, None
    if component.kind == "composers":
        scorer, scorer_options = _scorer(registry, component, given.get("scorer", {}))
    elif "scorer" in given:
        raise UserError(f"Method {name} has no scorer to set: it is no composer.")
    label = getattr(component.load(), "label", None) or name
    changed = changes(options)
    if scorer and scorer_options:
        if scorer.name != component.load().scorer:  # type: ignore[attr-defined]
            changed["scorer"] = scorer.name
        changed.update({f"scorer.{key}": value for key, value in changes(scorer_options).items()})
    composed = TargetedMethod if task == MODIFICATION.name else ComposedMethod
    return MethodPlan(component, options, scorer, scorer_options, labelled(label, changed), composed)


def that_learn(plans: Mapping[str, MethodPlan], named: Sequence[str]) -> dict[str, MethodPlan]:
    """Return the plans without controls that learn nothing: no encoder can be trained together with them.

    Raises:
        UserError: such a method is among those that the user ``named``.
    """
    wanted = [name for name in named if not plans[name].trained]
    if wanted:
        raise UserError(
            f"--finetune trains the encoder together with a method, and {', '.join(wanted)} learns nothing; leave it "
            "out of --methods, or run it without --finetune."
        )
    return {name: plan for name, plan in plans.items() if plan.trained}


def _scorer(registry: Registry, composer: Component, given: Any) -> tuple[Component, BaseModel]:
    if not isinstance(given, str | Mapping):
        raise UserError(
            f"options of method {composer.name}: scorer = {given!r} is neither a name nor a table of options."
        )
    cls: Any = composer.load()
    table = {"name": given} if isinstance(given, str) else dict(given)
    if "name" not in table and cls.scorer not in registry.components["scorers"]:
        known = near_misses(str(cls.scorer), registry.components["scorers"])
        raise PluginError(f"{composer.title} asks for the scorer {cls.scorer!r}, which is no registered name. {known}")
    scorer = registry.find("scorers", table.pop("name", cls.scorer))
    provides = _keys(composer, "provides")
    missing = _keys(scorer, "requires") - provides
    if missing:
        raise UserError(
            f"Composer {composer.name} and scorer {scorer.name} do not fit: the scorer reads {sorted(missing)}, the "
            f"composer provides only {sorted(provides)}. Choose another scorer."
        )
    return scorer, parse_model(scorer.options_model(), table, f"options of scorer {scorer.name}")


def _keys(component: Component, attribute: str) -> frozenset[str]:
    keys = getattr(component.load(), attribute)
    if not isinstance(keys, set | frozenset):
        raise PluginError(f"{component.title}: {attribute} = {keys!r} must be a set of keys: frozenset({{'global'}}).")
    return frozenset(keys)


def changes(options: BaseModel) -> dict[str, Any]:
    """Return the options that differ from their defaults."""
    fields = type(options).model_fields
    return {
        name: getattr(options, name)
        for name, field in fields.items()
        if field.is_required() or getattr(options, name) != field.get_default(call_default_factory=True)
    }


def labelled(name: str, shown: Mapping[str, Any]) -> str:
    """Return ``name``, or ``name [key=value, ...]`` where settings differ from the defaults."""
    return f"{name} [{', '.join(f'{key}={value}' for key, value in shown.items())}]" if shown else name
