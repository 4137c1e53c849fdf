"""Cases -> queries, gallery and judgments; folds for cross-validation. Knows the tasks; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UserError, near_misses
from benchmark.rendering import generator, render

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Dataset

TASKS = ("case-search",)
BOTH = "both"
FOLDS = 5
MOST_GROUPS = 256
FOLD_SEED = "folds of train + valid, version 1"


@dataclass(frozen=True)
class Judgments:
    """The truth that a ranking is judged by, for q queries over g candidates.

    ``gains`` (q, g) uint8: 0 = not relevant, else the graded gain. ``excluded`` (q,) int32: the gallery row of the
    query's own case, or -1 where the gallery does not hold it. ``strata`` (q,) uint8: the stratum of each query (its
    group in ``case-search``), over which the macro average is taken. ``gallery_groups`` (g,) uint8: the group of each
    candidate. ``critical`` and ``lookalike``: codes of the group that must not be missed and of its lookalike, or None.
    """

    query_ids: tuple[str, ...]
    gallery_ids: tuple[str, ...]
    gains: NDArray[np.uint8]
    excluded: NDArray[np.int32]
    strata: NDArray[np.uint8]
    stratum_names: tuple[str, ...]
    gallery_groups: NDArray[np.uint8]
    critical: int | None = None
    critical_name: str = ""
    lookalike: int | None = None


@dataclass(frozen=True)
class Trial:
    """One way to learn and to be judged: which cases train, which choose, which ask, which are searched."""

    fold: int | None
    train: tuple[Case, ...]
    valid: tuple[Case, ...]
    queries: tuple[Case, ...]
    gallery: tuple[Case, ...]


def trials(dataset: Dataset, evaluate: str, gallery: str, view: str | None) -> tuple[Trial, ...]:
    """Return the trials of an evaluation: one on test, or ``FOLDS`` of cross-validation over train + valid.

    In fold k, part k asks and is searched, part k + 1 chooses the checkpoint and the other three train.

    Raises:
        UserError: the view does not exist, or cross-validation is asked to search the archive.
    """
    views = chosen_views(dataset, view)
    train, valid = (_usable(dataset, split, views) for split in ("train", "valid"))
    if evaluate == "test":
        test = _usable(dataset, "test", views)
        return (Trial(None, train, valid, test, test if gallery == "split" else train + valid),)
    if gallery != "split":
        raise UserError("--evaluate cv searches its own fold; --gallery archive goes with --evaluate test.")
    parts = fold_parts(train + valid, dataset)
    chosen = []
    for fold in range(FOLDS):
        asked, chooses = parts[fold], parts[(fold + 1) % FOLDS]
        learnt = tuple(case for other in range(2, FOLDS) for case in parts[(fold + other) % FOLDS])
        chosen.append(Trial(fold, learnt, chooses, asked, asked))
    return tuple(chosen)


def transfer_trial(taught: Dataset, searched: Dataset, gallery: str, view: str | None) -> Trial:
    """Return the trial that learns from ``taught`` and is judged on the test split of ``searched``.

    Raises:
        UserError: a dataset has no such view, or the two have different numbers of views.
    """
    views, others = chosen_views(taught, view), chosen_views(searched, view)
    if len(views) != len(others):
        raise UserError(
            f"--view {view}: {taught.name} has {len(views)} views and {searched.name} {len(others)}; name one view."
        )
    train, valid = (_usable(taught, split, views) for split in ("train", "valid"))
    asked = _usable(searched, "test", others)
    archive = _usable(searched, "train", others) + _usable(searched, "valid", others)
    return Trial(None, train, valid, asked, asked if gallery == "split" else archive)


def fold_parts(cases: Sequence[Case], dataset: Dataset) -> tuple[tuple[Case, ...], ...]:
    """Split ``cases`` into ``FOLDS`` parts, stratified by group, with a fixed seed; each keeps the cases' order."""
    part: dict[str, int] = {}
    offset = 0
    for group in dataset.groups:
        members = [case.id for case in cases if dataset.taxonomy[case.diagnosis] == group]
        for position, index in enumerate(generator(FOLD_SEED, group).permutation(len(members))):
            part[members[index]] = (position + offset) % FOLDS
        offset += len(members)  # goes on where the last group ended, so that the parts are equally large
    return tuple(tuple(case for case in cases if part[case.id] == k) for k in range(FOLDS))


def chosen_views(dataset: Dataset, view: str | None) -> tuple[str, ...]:
    """Return the views that ``view`` stands for: itself, all of them for ``both``, or the dataset's first for None.

    Raises:
        UserError: the dataset has no such view, or no two.
    """
    if view is None:
        return dataset.views[:1]
    if view == BOTH and len(dataset.views) > 1:
        return dataset.views
    if view not in dataset.views:
        known = (*dataset.views, BOTH) if len(dataset.views) > 1 else dataset.views
        raise UserError(f"{dataset.name} has no view {view!r}. {near_misses(view, known)}")
    return (view,)


def _usable(dataset: Dataset, split: str, views: Sequence[str]) -> tuple[Case, ...]:
    cases = dataset.cases(split)  # type: ignore[arg-type]
    return tuple(case for case in cases if all(dataset.unusable(case, view) is None for view in views))


def judge(dataset: Dataset, task: str, queries: Sequence[Case], gallery: Sequence[Case]) -> Judgments:
    """Judge every candidate for every query.

    Gain in ``case-search``: 0 where the group differs; else 1, +1 for the same fine diagnosis, +1 where all criteria
    but at most one are equal (PROTOCOL.md).

    Raises:
        UserError: the task is unknown.
    """
    if task not in TASKS:
        raise UserError(f"No task is called {task!r}. {near_misses(task, TASKS)}")
    if len(dataset.groups) > MOST_GROUPS:
        raise UserError(f"{dataset.name} has {len(dataset.groups)} groups; at most {MOST_GROUPS} can be judged apart.")
    groups_q, groups_g = group_codes(dataset, queries), group_codes(dataset, gallery)
    critical = dataset.critical
    row = {case.id: index for index, case in enumerate(gallery)}
    return Judgments(
        query_ids=tuple(case.id for case in queries),
        gallery_ids=tuple(case.id for case in gallery),
        gains=gains(dataset, queries, gallery),
        excluded=np.array([row.get(case.id, -1) for case in queries], dtype=np.int32),
        strata=groups_q.astype(np.uint8),
        stratum_names=dataset.groups,
        gallery_groups=groups_g.astype(np.uint8),
        critical=dataset.groups.index(critical.group) if critical else None,
        critical_name=critical.name if critical else "",
        lookalike=dataset.groups.index(critical.lookalike) if critical else None,
    )


def gains(dataset: Dataset, queries: Sequence[Case], gallery: Sequence[Case]) -> NDArray[np.uint8]:
    """Return the graded gains (q, g) of ``case-search``; a case's gain for itself is 0."""
    same_group = group_codes(dataset, queries)[:, None] == group_codes(dataset, gallery)[None]
    diagnoses = [np.array([case.diagnosis for case in cases], dtype=object) for cases in (queries, gallery)]
    same_diagnosis = diagnoses[0][:, None] == diagnoses[1][None]
    codes_q, codes_g = stated_codes(dataset, queries, -1), stated_codes(dataset, gallery, -2)
    equal = (codes_q[:, None] == codes_g[None]).sum(-1)
    similar = equal >= max(1, len(dataset.criteria) - 1)
    other = np.array([case.id for case in queries])[:, None] != np.array([case.id for case in gallery])[None]
    graded = (1 + same_diagnosis.astype(np.uint8) + similar.astype(np.uint8)) * (same_group & other)
    return graded.astype(np.uint8)


def group_codes(dataset: Dataset, cases: Sequence[Case]) -> NDArray[np.int64]:
    """Return the position of each case's group in ``dataset.groups``, (n,)."""
    return np.array([dataset.groups.index(dataset.taxonomy[case.diagnosis]) for case in cases], dtype=np.int64)


def criterion_codes(dataset: Dataset, cases: Sequence[Case]) -> NDArray[np.int64]:
    """Return the position of each case's value in each criterion's values, (n, c)."""
    codes = [[c.values.index(case.descriptors[c.name]) for c in dataset.criteria] for case in cases]
    return np.array(codes, dtype=np.int64).reshape(len(cases), len(dataset.criteria))


def stated_codes(dataset: Dataset, cases: Sequence[Case], unknown: int) -> NDArray[np.int64]:
    """Return ``criterion_codes`` with ``unknown`` for values without a wording: two unknown findings don't agree."""
    codes = criterion_codes(dataset, cases)
    for column, criterion in enumerate(dataset.criteria):
        silent = [not criterion.phrases[value].canonical for value in criterion.values]
        codes[np.array(silent)[codes[:, column]], column] = unknown
    return codes


def query_texts(dataset: Dataset, cases: Sequence[Case], style: str) -> list[str]:
    """Render the text of each query from its criteria alone."""
    return [render(dataset.criteria, case.descriptors, style, case.id) for case in cases]
