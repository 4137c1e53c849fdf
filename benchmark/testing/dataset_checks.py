"""What a dataset must keep: cases, labels and words that fit, pictures that open, a stable fingerprint."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import get_args

from benchmark.config import RunConfig
from benchmark.errors import PluginError
from benchmark.features import open_image
from benchmark.interfaces import Case, Criterion, Dataset, Split
from benchmark.rendering import render
from benchmark.resolve import make_dataset
from benchmark.testing.method_checks import BUILDS
from benchmark.testing.steps import Failed, Step
from benchmark.testing.subjects import ABOUT, LOADS, Subject

OPENED = 24
"""At most so many pictures a view are decoded; ``data verify`` decodes all."""
PARAPHRASES = 5
SPLITS: tuple[Split, ...] = get_args(Split)


class DatasetSubject(Subject):
    """A dataset and its cases. One that the user has to bring is opened at once: no checks run without its root.

    Raises:
        UserError: there is no root, or no such data in it.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        with suppress(PluginError):
            if self.root or self.component.load().root_variable:  # type: ignore[attr-defined]
                _ = self.dataset

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset, constructed as a run does it."""
        return self.build()

    def build(self) -> Dataset:
        """Construct another one."""
        given = {self.component.name: dict(self.given)}
        config = RunConfig(root=self.root, cache=self.cache, options=given)
        return make_dataset(self.registry, self.name, config)[0]

    @cached_property
    def cases(self) -> dict[str, tuple[Case, ...]]:
        """Split -> its cases."""
        return {split: self.dataset.cases(split) for split in SPLITS}

    @property
    def every(self) -> list[Case]:
        """The cases of all splits."""
        return [case for cases in self.cases.values() for case in cases]


def constructed(subject: DatasetSubject) -> None:
    """``Class(context, options)`` works, and the class says whose data it is."""
    dataset = subject.dataset
    for name in ("name", "licence", "citation"):
        text = getattr(dataset, name, None)
        if not isinstance(text, str) or not text.strip():
            raise Failed(f"{type(dataset).__name__}.{name} is {text!r}", f"say {name} = '...' in the class")


def labels_are_declared(subject: DatasetSubject) -> str:
    """Groups, taxonomy, critical group and views fit each other."""
    d = subject.dataset
    for name in ("groups", "taxonomy", "views"):
        if not getattr(d, name, None):
            raise Failed(f"{type(d).__name__} has no {name}", f"set {name} in the class or in __init__")
    _distinct("groups", d.groups)
    _distinct("views", d.views)
    stray = sorted(set(d.taxonomy.values()) ^ set(d.groups))
    if stray:
        raise Failed(f"groups and the groups of the taxonomy differ: {stray}", "taxonomy: fine diagnosis -> group")
    named = {d.critical.group, d.critical.lookalike} if d.critical else set()
    if not named <= set(d.groups):
        raise Failed(f"critical names {sorted(named)}, of which not all are groups", f"choose among {d.groups}")
    return f"{len(d.groups)} groups, {len(d.taxonomy)} diagnoses, {len(d.criteria)} criteria"


def criteria_have_words(subject: DatasetSubject) -> str:
    """Every criterion has values, a weight, and for every value a canonical wording and at least five others."""
    criteria = subject.dataset.criteria
    if not criteria:
        return "no criteria"
    _distinct("names of the criteria", [criterion.name for criterion in criteria])
    for criterion in criteria:
        _check_criterion(criterion)
    return f"{sum(len(criterion.values) for criterion in criteria)} values"


def _check_criterion(criterion: Criterion) -> None:
    where = f"criterion {criterion.name!r}"
    _distinct(f"values of {where}", criterion.values)
    if len(criterion.values) < 2 or not 0 < criterion.weight < math.inf:
        raise Failed(f"{where} has values {criterion.values} and weight {criterion.weight}", "two values, a weight > 0")
    if set(criterion.phrases) != set(criterion.values):
        stray = sorted(set(criterion.phrases) ^ set(criterion.values))
        raise Failed(f"{where}: phrases and values differ: {stray}", "give Phrases for every value and no other")
    for value, phrases in criterion.phrases.items():
        # An empty canonical wording says that nobody knows the value: it is stated in no style.
        if phrases.canonical and len(set(phrases.paraphrases)) < PARAPHRASES:
            found = len(set(phrases.paraphrases))
            raise Failed(
                f"{where}, value {value!r} has {found} different paraphrases",
                f"give at least {PARAPHRASES} that differ: they test wordings that no training has seen",
            )
        if phrases.canonical in phrases.paraphrases and phrases.canonical:
            raise Failed(
                f"{where}, value {value!r}: the canonical wording is a paraphrase too", "paraphrases are unseen"
            )


def splits_are_apart(subject: DatasetSubject) -> str:
    """Each split has cases, ids are unique, and none stands in two splits."""
    for split, cases in subject.cases.items():
        if not cases:
            raise Failed(f"cases({split!r}) is empty", "every split has cases")
        wrong = [case for case in cases if not isinstance(case, Case)]
        if wrong:
            raise Failed(
                f"cases({split!r}) holds {type(wrong[0]).__name__}", "return benchmark.interfaces.Case objects"
            )
    _distinct("ids of the cases", [case.id for case in subject.every])
    return ", ".join(f"{len(cases)} {split}" for split, cases in subject.cases.items())


def labels_are_known(subject: DatasetSubject) -> str:
    """Every diagnosis is in the taxonomy, and every case has one known value for every criterion."""
    d = subject.dataset
    values = {criterion.name: criterion.values for criterion in d.criteria}
    for case in subject.every:
        if case.diagnosis not in d.taxonomy:
            raise Failed(
                f"case {case.id}: diagnosis {case.diagnosis!r} is not in the taxonomy", "add it with its group"
            )
        if set(case.descriptors) != set(values):
            stray = sorted(set(case.descriptors) ^ set(values))
            raise Failed(f"case {case.id}: descriptors and criteria differ: {stray}", "one value for every criterion")
        wrong = [name for name, value in case.descriptors.items() if value not in values[name]]
        if wrong:
            found = case.descriptors[wrong[0]]
            raise Failed(f"case {case.id}: {wrong[0]} = {found!r}", f"the criterion has the values {values[wrong[0]]}")
    for key in d.subgroups:
        if not any(key in case.metadata for case in subject.every):
            raise Failed(f"no case has metadata {key!r}, which subgroups names", "name keys of Case.metadata")
    alone = [
        f"{group} in {split}"
        for split, cases in subject.cases.items()
        for group, count in Counter(d.taxonomy[case.diagnosis] for case in cases).items()
        if count == 1
    ]
    return f"but alone in its group, so that its query finds nothing relevant: {', '.join(alone)}" if alone else ""


def pictures_open(subject: DatasetSubject) -> str:
    """Every case has a picture of a declared view, every file exists, and a sample of them can be decoded."""
    views = subject.dataset.views
    for case in subject.every:
        if not case.images or not set(case.images) <= set(views):
            raise Failed(f"case {case.id} has pictures of {sorted(case.images)}", f"the views are {views}")
        missing = [path for path in case.images.values() if not path.is_file()]
        if missing:
            raise Failed(f"case {case.id}: there is no file {missing[0]}", "cases() must leave every picture in place")
    opened = 0
    for view in views:
        paths = [case.images[view] for case in subject.every if view in case.images]
        for path in paths[:: max(1, len(paths) // OPENED)]:
            open_image(path)
            opened += 1
    return f"{opened} of {sum(len(case.images) for case in subject.every)} decoded"


def regions_fit(subject: DatasetSubject) -> str:
    """The true regions of a case, where there are some, name criteria and are boolean, of its picture's size."""
    d, case = subject.dataset, subject.every[0]
    regions = d.regions(case)
    stray = sorted(set(regions) - {criterion.name for criterion in d.criteria})
    if stray:
        raise Failed(f"regions of case {case.id} name {stray}, which are no criteria", "criterion -> region")
    width, height = open_image(case.images[d.views[0]]).size if regions else (0, 0)
    for name, region in regions.items():
        if region.shape != (height, width) or region.dtype != bool:
            found = f"{region.dtype} {region.shape}"
            raise Failed(f"the region of {name} in case {case.id} is {found}", f"return bool {(height, width)}")
    return f"{len(regions)} regions a case" if regions else "it knows none"


def texts_are_rendered(subject: DatasetSubject) -> str:
    """Every case has a text in every style."""
    criteria = subject.dataset.criteria
    partial = [f"partial:{k + 1}" for k in range(len(criteria))]
    styles = ["canonical", "paraphrase", "terse", *partial, "contradicting", "none"]
    longest = ""
    for style in styles:
        for case in subject.every:
            text = render(criteria, case.descriptors, style, case.id)
            if not text.strip():
                raise Failed(f"case {case.id}, style {style}: the text is empty", "every value needs its wordings")
            longest = max(longest, text, key=len)
    return f"{len(styles)} styles, at most {len(longest)} letters"


def two_constructions_agree(subject: DatasetSubject) -> None:
    """A second construction gives the same cases in the same order, and the same fingerprint."""
    other = subject.build()
    hint = "draw from generators with a fixed seed, sort what a folder lists, and keep time and id() out of it"
    for split in SPLITS:
        if other.cases(split) != subject.cases[split]:
            raise Failed(f"cases({split!r}) differ between two constructions", hint)
    one, two = subject.dataset.fingerprint(), other.fingerprint()
    if not isinstance(one, str) or not one.strip():
        raise Failed(f"fingerprint() returned {one!r}", "return a digest of cases, labels and pictures")
    if one != two:
        raise Failed("fingerprint() differs between two constructions", hint)


def verifies(subject: DatasetSubject) -> str:
    """The dataset's own ``verify`` finds nothing."""
    checks = subject.dataset.verify()
    broken = [check for check in checks if not check.passed]
    if broken:
        hint = f"{len(broken)} of {len(checks)} fail; `python -m benchmark data verify` lists them all"
        raise Failed(f"verify(): {broken[0].name}: {broken[0].detail}", hint)
    return f"{len(checks)} checks of its own"


def _distinct(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Failed(f"{what} are not unique: {twice[0]!r} stands there twice or more", "name each once")


DECLARES = "groups, taxonomy and views fit"
WORDS = "criteria have values, weights and words"
APART = "splits hold cases and are apart"
LABELS = "every case has known labels"
DATASET_CHECKS = (
    *ABOUT,
    Step(BUILDS, constructed, (LOADS,), "define __init__(self, context, options), or none"),
    Step(DECLARES, labels_are_declared, (BUILDS,)),
    Step(WORDS, criteria_have_words, (DECLARES,), "Criterion(name, values, weight, phrases={value: Phrases(...)})"),
    Step(APART, splits_are_apart, (BUILDS,), "cases(split) returns a tuple for train, valid and test"),
    Step(LABELS, labels_are_known, (DECLARES, APART)),
    Step("every picture is there and opens", pictures_open, (DECLARES, APART), "every path leads to an intact picture"),
    Step("true regions fit the pictures", regions_fit, ("every picture is there and opens",)),
    Step("texts can be rendered in every style", texts_are_rendered, (WORDS, LABELS), "every value needs its Phrases"),
    Step("two constructions agree", two_constructions_agree, (APART,)),
    Step("its own verify finds nothing", verifies, (BUILDS,)),
)
"""Checks of a dataset, in order."""
