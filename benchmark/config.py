"""Pydantic models of a run and of the shared training; every flag of ``run`` is a field here. Imports no torch."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchmark.assignments import parse_assignments
from benchmark.errors import UserError, near_misses

MOST_SEEDS = 1_000
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoOptions(Strict):
    """Options of a component that has none."""


class Training(Strict):
    """The unified training that every trained method gets (benchmark/README.md, "Unified objective"). ``search`` is
    what `tune` may set (search_space.py), the same for every method.
    """

    epochs: int = Field(40, ge=1, description="at most this many passes over the training queries")
    patience: int = Field(10, ge=1, description="stop after this many epochs without a better validation score")
    batch_size: int = Field(40, ge=8, description="queries a batch, balanced over the groups")
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="peak learning rate of AdamW, cosine decay",
        json_schema_extra={"search": {"low": 1e-4, "high": 3e-3, "log": True}},
    )
    weight_decay: float = Field(
        0.05,
        ge=0,
        description="decoupled weight decay",
        json_schema_extra={"search": {"low": 0.005, "high": 0.5, "log": True}},
    )
    scale: float = Field(
        10.0,
        gt=0,
        description="initial value of the learned logit scale",
        json_schema_extra={"search": {"low": 5.0, "high": 30.0, "log": True}},
    )
    parts_weight: float = Field(0.5, ge=0, description="weight of the objective on each part of a score alone")
    criterion_weight: float = Field(
        0.3,
        ge=0,
        description="weight of the criterion classification; 0 trains without",
        json_schema_extra={"search": {"low": 0.0, "high": 1.0}},
    )


FINETUNING = {"epochs": 12, "learning_rate": 1e-3}
"""The shared training under ``finetune``, where the user sets nothing else: an epoch costs a pass through the network,
which learns at 0.3 of this rate (finetuning.py).
"""


class RunConfig(Strict):
    """Everything that ``run`` can be told, by flags or by a TOML file with these keys."""

    methods: tuple[str, ...] = ()
    controls: bool = True
    dataset: str | None = None
    root: Path | None = None
    train: str | None = None
    test: str | None = None
    queries: Path | None = None
    encoder: str | None = None
    finetune: bool = False
    task: str = "case-search"
    evaluate: Literal["test", "cv"] = "test"
    gallery: Literal["split", "archive"] = "split"
    view: str | None = None
    text_style: str = "canonical"
    without: str = ""
    seeds: tuple[int, ...] = (0, 1, 2)
    reference: str | None = None
    exclude: Path | None = None
    jobs: int | None = Field(None, ge=1)
    threads: int = Field(1, ge=1)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    runs: Path = Path("runs")
    cache: Path | None = None
    plugins: tuple[str, ...] = ()
    training: Training = Training()
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _finetuning(cls, values: Any) -> Any:
        given = values.get("training", {}) if isinstance(values, Mapping) and values.get("finetune") is True else None
        if isinstance(given, Training):
            given = given.model_dump(exclude_unset=True)
        return {**values, "training": {**FINETUNING, **given}} if isinstance(given, Mapping) else values

    @field_validator("runs")
    @classmethod
    def _home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        return parse_seeds(value) if isinstance(value, str) else value

    @field_validator("seeds")
    @classmethod
    def _usable_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 0 or max(value) >= 2**31 or len(set(value)) < len(value):
            raise ValueError("seeds are distinct whole numbers from 0 to 2147483647, at least one")
        return value

    @field_validator("methods", "plugins", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("text_style")
    @classmethod
    def _style(cls, value: str) -> str:
        named = ("canonical", "paraphrase", "terse", "contradicting", "none")
        if value not in named and not re.fullmatch(r"partial:\d+", value):
            raise ValueError(f"use {', '.join(named)} or partial:K (K criteria are stated, e.g. partial:3)")
        return value

    @field_validator("without")
    @classmethod
    def _lacking(cls, value: str) -> str:
        if value not in ("", "image", "text"):
            raise ValueError("a query can be asked without image or without text")
        return value


class Switches(BaseModel):
    """What ``run`` shows and whether it runs at all; a TOML file may set these beside the keys of a run."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool = False
    quiet: bool = False
    json_output: bool = Field(default=False, alias="json")
    traceback: bool = False


SWITCHES = frozenset(field.alias or name for name, field in Switches.model_fields.items())


def read_switches(path: Path | None) -> Switches:
    """Return the switches of a TOML file.

    Raises:
        UserError: the file is no TOML, or a switch is neither true nor false.
    """
    values = {key: value for key, value in read_config(path).items() if key in SWITCHES} if path else {}
    return parse_model(Switches, values, f"--config {path}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Parse ``"0-4"`` or ``"0,2,5"`` into seeds, in order, without repeats.

    Raises:
        ValueError: the text is neither.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise ValueError(f"{text!r} is no list of seeds; write for example 0-4 or 0,2,5")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= MOST_SEEDS:
            raise ValueError(f"{text!r} asks for more than {MOST_SEEDS} seeds")
        seeds.extend(range(first, last + 1))
    if not seeds:
        raise ValueError(f"{text!r} holds no seed; the first of a range must not exceed its last")
    return tuple(dict.fromkeys(seeds))


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML file of a run.

    Raises:
        UserError: it can't be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}. Give the path of a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: not valid TOML: {error}.") from error


def build_config(flags: Mapping[str, Any], path: Path | None, assignments: tuple[str, ...] = ()) -> RunConfig:
    """Merge, in rising order of precedence, defaults, the TOML file, ``--set`` and the flags that were given.

    Raises:
        UserError: a key is unknown or a value invalid.
    """
    where = f"--config {path}" if path else "the command line"
    return parse_model(RunConfig, merge_settings(read_settings(path) if path else {}, flags, assignments, where), where)


def read_settings(path: Path) -> dict[str, Any]:
    """Read a TOML file without its switches.

    Raises:
        UserError: it can't be read or is no TOML.
    """
    return {key: value for key, value in read_config(path).items() if key not in SWITCHES}


def merge_settings(
    values: dict[str, Any], flags: Mapping[str, Any], assignments: tuple[str, ...], where: str
) -> dict[str, Any]:
    """Return ``values`` of a file, called ``where``, under ``--set`` and flags; nothing is checked against a model yet.

    Raises:
        UserError: a flag is empty, or an assignment leads into a plain value.
    """
    tree = parse_assignments(assignments)
    for name, given in tree.items():
        target = values if name == "training" else values.setdefault("options", {})
        if not isinstance(target, dict):
            raise UserError(f"{where}: options must be a table.")
        if not isinstance(target.get(name, {}), dict):
            raise UserError(f"{where}: {name} must be a table, not {target[name]!r}.")
        target[name] = merge(target.get(name, {}), given)
    empty = [key for key, value in flags.items() if isinstance(value, str) and not value.strip(" ,")]
    if empty:
        raise UserError(f"--{empty[0].replace('_', '-')} is empty: give it a value, or leave it out for the default.")
    return {**values, **{key: value for key, value in flags.items() if value is not None}}


def merge(old: Any, new: Any) -> Any:
    """Return ``old`` under ``new``: tables are merged key by key, anything else is replaced."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}


def parse_model(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Validate ``values`` against ``model``.

    Raises:
        UserError: one sentence a problem, with the near misses of an unknown key.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UserError("\n".join(_sentence(model, problem, where) for problem in error.errors())) from error


def _sentence(model: type[BaseModel], problem: Any, where: str) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        leaf = str(problem["loc"][-1])
        owner = Training if problem["loc"][0] == "training" and len(problem["loc"]) > 1 else model
        return f"{where}: unknown option {place!r}. {near_misses(leaf, owner.model_fields)}"
    if problem["type"] == "missing":
        return f"{where}: {place} is required; give it with --set COMPONENT.{place}=VALUE or in the TOML file."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {place} = {problem['input']!r}: {message}."


def cache_folder(given: Path | None) -> Path:
    """Return the folder for caches: ``--cache``, else ``DERMCIR_CACHE``, else the user's cache directory."""
    if given:
        return given.expanduser()
    if os.environ.get("DERMCIR_CACHE"):
        return Path(os.environ["DERMCIR_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dermcir"
