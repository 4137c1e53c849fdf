"""What `tune` may change: declared spaces, what is held, and settings put into a run's configuration."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from benchmark.config import RunConfig, Training, build_config
from benchmark.errors import UserError
from benchmark.interfaces import Options
from benchmark.methods import MethodPlan, plan_method
from benchmark.registry import Component, Registry, load_registry
from benchmark.search_space import Choice, Range, applied, defaults, search_space

REGISTRY = load_registry()
NAMES = [*REGISTRY.components["composers"], *REGISTRY.components["methods"]]
TUNED = [name for name in NAMES if plan_method(REGISTRY, name, {}).trained]


def space_of(name: str, *assignments: str, with_training: bool = False) -> dict[str, Any]:
    config = build_config({}, None, assignments)
    plan = plan_method(REGISTRY, name, config.options.get(name, {}))
    return search_space(REGISTRY, plan, config, with_training)


@pytest.mark.parametrize("name", TUNED)
def test_every_trained_method_that_ships_can_be_tuned_from_its_defaults(name: str) -> None:
    space = space_of(name)  # a malformed space, or one without the default, is refused
    first = defaults(space, plan_method(REGISTRY, name, {}))
    assert space and all(space[key].holds(first[key]) for key in space)


def test_a_method_its_scorer_and_the_shared_training_are_searched_together() -> None:
    space = space_of("proposed", with_training=True)
    assert space["proposed.width"] == Choice(values=(64, 128, 256))
    assert space["proposed.scorer.a"] == Range(low=0.1, high=0.9)
    assert space["training.learning_rate"] == Range(low=1e-4, high=3e-3, log=True)
    assert not any(name.startswith("training.") for name in space_of("proposed"))


def test_every_method_gets_the_same_space_of_the_training() -> None:
    spaces = [space_of(name, with_training=True) for name in TUNED]
    shared = [{key: one for key, one in space.items() if key.startswith("training.")} for space in spaces]
    assert all(space == shared[0] for space in shared)


def test_what_the_user_sets_is_held() -> None:
    space = space_of("proposed", "proposed.width=64", "proposed.scorer.a=0.5", "training.scale=7", with_training=True)
    assert not {"proposed.width", "proposed.scorer.a", "training.scale"} & set(space)
    assert {"proposed.dropout", "training.learning_rate"} <= set(space)


def test_settings_go_where_set_would_put_them() -> None:
    config = build_config({"seeds": "3"}, None, ("tirg.scorer=cosine", "training.epochs=5"))
    made = applied(config, {"tirg.width": 64, "tirg.scorer.x": 1, "training.scale": 7.0})
    assert made.options == {"tirg": {"scorer": {"name": "cosine", "x": 1}, "width": 64}}
    assert (made.training.epochs, made.training.scale, made.training.patience) == (5, 7.0, Training().patience)  # type: ignore[call-arg]
    assert (made.seeds, config.options) == ((3,), {"tirg": {"scorer": "cosine"}})


def test_numbers_are_rounded_to_three_digits_inside_their_range() -> None:
    assert Range(low=1e-4, high=3e-3, log=True).nearest(0.00051234) == 0.000512
    assert Range(low=0.12345, high=1.0).nearest(0.12346) == 0.12345  # 0.123 would lie outside
    assert Range(low=1, high=2000).nearest(1234) == 1234
    assert Choice(values=(64, 128)).nearest(64) == 64


class Declared(Options):
    size: int = Field(2, json_schema_extra={"search": [1, 2]})
    rate: float = Field(0.1, json_schema_extra={"search": {"low": 0.01, "high": 1.0, "log": True}})
    plain: int = Field(3)


def declared(model: type[Options], listed: dict[str, Any] | None = None) -> dict[str, Any]:
    component = Component("composers", "mine", "me", "s", "c", dict, model)
    plan = MethodPlan(component, model(), None, None, "mine")
    return search_space(Registry(defaults={"search": {"mine": listed or {}}}), plan, RunConfig(), False)


def test_a_field_declares_its_own_space_and_one_without_is_not_searched() -> None:
    assert declared(Declared) == {
        "mine.size": Choice(values=(1, 2)),
        "mine.rate": Range(low=0.01, high=1.0, log=True),
    }
    assert declared(Declared, {"size": {"low": 1, "high": 4}})["mine.size"].whole


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"siez": [1, 2]}, "no option 'siez'. Did you mean size"),
        ({"size": [3, 4]}, "space of mine.size: it lacks the default 2"),
        ({"size": {"low": 3, "high": 9}}, "lacks the default 2"),
        ({"rate": {"low": 0.0, "high": 1.0, "log": True}}, "above 0 where log is true"),
        ({"rate": {"low": 1.0, "high": 0.1}}, "low must be below high"),
        ({"rate": {"low": 1.0}}, "high is required"),
        ({"rate": {"low": 0.01, "high": 1.0, "step": 2}}, "unknown option 'step'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_bad_space_is_named(listed: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        declared(Declared, listed)


def test_a_method_without_a_space_says_how_to_declare_one() -> None:
    with pytest.raises(UserError, match="Nothing to search for random"):
        space_of("random", with_training=True)
