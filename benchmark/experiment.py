"""An experiment file: questions, and for each a base and variants of one run. Imports no torch.

seeds = "0"                      # any key of a run, for all variants

[[variants]]
question = "Share of the local similarity"
name = "a = 0.6"
base = true                      # one a question: the others are compared with it
note = "What readers must know." # optional, printed with the question

[[variants]]
question = "Share of the local similarity"
name = "a = 0"
options.proposed.scorer.a = 0.0  # any of ``VARIES``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from benchmark.config import RunConfig, Strict, merge, merge_settings, parse_model, read_config, read_settings
from benchmark.errors import UserError, near_misses

VARIES = (
    "methods",
    "encoder",
    "finetune",
    "view",
    "text_style",
    "without",
    "gallery",
    "exclude",
    "training",
    "options",
)
"""What a variant may set. Data, task, seeds and folds are the experiment's, else nothing could be paired."""
VARIANTS = "variants"
TAKEN = frozenset(
    {
        *("leaderboard", "leaderboard-cv", "robustness-test", "robustness-cv", "found"),
        *("masks", "runs", "tuning", "tuning-summary"),
    }
)
"""Slugs of other files and folders that lie where an experiment's do."""


class Entry(Strict):
    """One ``[[variants]]`` table; its other keys are settings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    question: str = Field(min_length=1)
    name: str = Field(min_length=1)
    base: bool = False
    note: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """What it sets."""
        return dict(self.__pydantic_extra__ or {})


@dataclass(frozen=True)
class Variant:
    """One variant with its whole configuration."""

    question: str
    name: str
    base: bool
    config: RunConfig

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.question}: {self.name}"


@dataclass(frozen=True)
class Experiment:
    """The variants of a file, in its order; ``name`` is the file's, without its ending; ``notes`` are by question."""

    name: str
    path: Path
    config: RunConfig
    variants: tuple[Variant, ...]
    notes: Mapping[str, str]


class Member(Strict):
    """One row of an experiment: a method of a variant, and the keys of its evaluations, empty until they are known."""

    question: str
    variant: str
    base: bool
    method: str
    keys: tuple[str, ...] = ()


class Manifest(Strict):
    """What an experiment consists of, as a runs folder and results/ keep it. ``notes`` map a question to what readers
    must know of it.
    """

    name: str
    dataset: str
    task: str
    members: tuple[Member, ...]
    notes: dict[str, str] = Field(default_factory=dict)

    @property
    def keys(self) -> frozenset[str]:
        """The keys of all members."""
        return frozenset(key for member in self.members for key in member.keys)

    def base_of(self, member: Member) -> Member:
        """Return what ``member`` is compared with: the same method of its question's base, or the base's only one."""
        bases = [one for one in self.members if one.question == member.question and one.base]
        return next((one for one in bases if one.method == member.method), bases[0])


def is_experiment(path: Path | None) -> bool:
    """Whether a TOML file has variants.

    Raises:
        UserError: it can't be read or is no TOML.
    """
    return path is not None and VARIANTS in read_config(path)


def read_experiment(
    path: Path, flags: Mapping[str, Any], assignments: tuple[str, ...] = (), plugins: tuple[str, ...] = ()
) -> Experiment:
    """Read an experiment. Flags and ``--set`` change the settings of all variants; what a variant sets itself stands.

    Raises:
        UserError: a key is unknown, a value invalid, a name taken twice, or a base missing; file and variant are named.
    """
    from benchmark.store import slug  # with numpy, for which `list` and --help must not wait

    where = f"--config {path}"
    if slug(path.stem) in TAKEN or not slug(path.stem):
        raise UserError(f"{where}: an experiment is called like its file, and {path.stem} is taken; rename the file.")
    values = read_settings(path)
    entries = _entries(values.pop(VARIANTS), where)
    _refuse_settings(entries, flags, where)
    _check_bases(entries, where)
    shared = merge_settings({"evaluate": "cv", "controls": False, **values}, flags, assignments, where)
    common = parse_model(RunConfig, shared, where)
    if common.evaluate != "cv":
        raise UserError(
            f"{where}: evaluate = {common.evaluate!r}: an experiment chooses between variants, so it runs in "
            "cross-validation over train + valid, and test stays unseen. Leave evaluate out."
        )
    shared["plugins"] = (*common.plugins, *plugins)
    variants = tuple(_variant(entry, shared, common.methods, where) for entry in entries)
    _refuse_unpaired(variants, where)
    plugins = shared["plugins"]
    return Experiment(path.stem, path, common.model_copy(update={"plugins": plugins}), variants, _notes(entries))


def read_notes(path: Path) -> dict[str, str]:
    """Return what the file of an experiment tells readers, by question.

    Raises:
        UserError: it can't be read or is no experiment.
    """
    return _notes(_entries(read_config(path).get(VARIANTS), f"--config {path}"))


def _notes(entries: Sequence[Entry]) -> dict[str, str]:
    notes: dict[str, str] = {}
    for entry in entries:
        if entry.note:
            notes[entry.question] = " ".join(filter(None, [notes.get(entry.question), entry.note]))
    return notes


def _entries(raw: Any, where: str) -> list[Entry]:
    if not (isinstance(raw, list) and raw and all(isinstance(one, dict) for one in raw)):
        raise UserError(f"{where}: {VARIANTS} must be tables, each under a line [[{VARIANTS}]].")
    entries = [parse_model(Entry, one, f"{where}, variant {i} ({one.get('name')!r})") for i, one in enumerate(raw, 1)]
    names = [(entry.question, entry.name) for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"{where}: question {twice[0]!r} has two variants named {twice[1]!r}; rename one.")
    return entries


def _refuse_settings(entries: list[Entry], flags: Mapping[str, Any], where: str) -> None:
    for entry in entries:
        for key in entry.settings:
            named = f"{where}, variant {entry.name!r}"
            if key in RunConfig.model_fields and key not in VARIES:
                raise UserError(
                    f"{named}: {key} is the same for all variants; set it at the top of the file. A variant may set "
                    f"{', '.join(VARIES)}."
                )
            if key not in VARIES:
                raise UserError(f"{named}: unknown key {key!r}. {near_misses(key, (*Entry.model_fields, *VARIES))}")
            if flags.get(key) is not None:
                raise UserError(
                    f"--{key.replace('_', '-')}: {entry.name!r} and others of {where} set it; leave it out."
                )


def _check_bases(entries: list[Entry], where: str) -> None:
    for question in dict.fromkeys(entry.question for entry in entries):
        bases = [entry.name for entry in entries if entry.question == question and entry.base]
        if len(bases) != 1:
            found = f"has the bases {', '.join(map(repr, bases))}" if bases else "has no base"
            raise UserError(f"{where}: question {question!r} {found}; mark exactly one of its variants base = true.")


def _variant(entry: Entry, shared: dict[str, Any], methods: tuple[str, ...], where: str) -> Variant:
    where = f"{where}, variant {entry.name!r}"
    values = merge(shared, entry.settings)
    chosen = parse_model(RunConfig, values, where).methods
    # Options of the file for a method that this variant leaves out are no mistake of the user's.
    kept = {
        name: given
        for name, given in values.get("options", {}).items()
        if name in chosen or name not in methods or name in entry.settings.get("options", {})
    }
    return Variant(entry.question, entry.name, entry.base, parse_model(RunConfig, {**values, "options": kept}, where))


def _refuse_unpaired(variants: tuple[Variant, ...], where: str) -> None:
    for variant in variants:
        base = next(one for one in variants if one.question == variant.question and one.base)
        alone = [name for name in variant.config.methods if name not in base.config.methods]
        if alone and len(base.config.methods) != 1:
            raise UserError(
                f"{where}, variant {variant.name!r}: its method {alone[0]} has nothing to be compared with in the base "
                f"{base.name!r} ({', '.join(base.config.methods) or 'the default methods'})."
            )
