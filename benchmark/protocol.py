"""Cases -> queries, gallery and judgments; folds for cross-validation. Knows the tasks; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark import modification
from benchmark.errors import UserError, near_misses
from benchmark.rendering import generator, render, render_changes
from benchmark.tasks import MODIFICATION, find_task

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Dataset

BOTH = "both"
FOLDS = 5
MOST_GROUPS = 256
FOLD_SEED = "folds of train + valid, version 1"


@dataclass(frozen=True)
class Judgments:
    """The truth that a ranking is judged by, for q queries over g candidates.

    ``gains`` (q, g) uint8: 0 = not relevant, else the graded gain. ``excluded`` (q,) int32: the gallery row of the
    query's own case, or -1 where the gallery does not hold it. ``strata`` (q,) uint8: the stratum of each query (its
    group in ``case-search``, its number of changes in ``modification``), over which the macro average is taken.
    ``gallery_groups`` (g,) uint8: the group of each candidate. ``critical`` and ``lookalike``: codes of the group that
    must not be missed and of its lookalike, or None.
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
class Questions:
    """What q queries say: an id, the row of the reference image among the asking cases (q,), and a text each; in
    ``modification`` also the gallery row of the target (q,).
    """

    ids: tuple[str, ...]
    references: NDArray[np.int64]
    texts: list[str]
    targets: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Trial:
    """One way to learn and to be judged: which cases train, which choose, which ask, which are searched."""

    fold: int | None
    train: tuple[Case, ...]
    valid: tuple[Case, ...]
    queries: tuple[Case, ...]
    gallery: tuple[Case, ...]


def trials(
    dataset: Dataset, evaluate: str, gallery: str, view: str | None, searched: Dataset | None = None
) -> tuple[Trial, ...]:
    """Return the trials of an evaluation: one on test, or ``FOLDS`` of cross-validation over train + valid.

    On test, ``dataset`` teaches and ``searched`` (None: the same) is asked and searched. In fold k, part k asks and is
    searched, part k + 1 chooses the checkpoint and the other three train.

    Raises:
        UserError: the view does not exist, or cross-validation is asked to search the archive.
    """
    if evaluate == "test":
        return (_test_trial(dataset, dataset if searched is None else searched, gallery, view),)
    views = chosen_views(dataset, view)
    if gallery != "split":
        raise UserError("--evaluate cv searches its own fold; --gallery archive goes with --evaluate test.")
    parts = fold_parts(usable(dataset, "train", views) + usable(dataset, "valid", views), dataset)
    chosen = []
    for fold in range(FOLDS):
        asked, chooses = parts[fold], parts[(fold + 1) % FOLDS]
        learnt = tuple(case for other in range(2, FOLDS) for case in parts[(fold + other) % FOLDS])
        chosen.append(Trial(fold, learnt, chooses, asked, asked))
    return tuple(chosen)


def _test_trial(dataset: Dataset, searched: Dataset, gallery: str, view: str | None) -> Trial:
    views, others = chosen_views(dataset, view), chosen_views(searched, view)
    if len(views) != len(others):
        raise UserError(
            f"--view {view}: {dataset.name} has {len(views)} views and {searched.name} {len(others)}; name one view."
        )
    train, valid = (usable(dataset, split, views) for split in ("train", "valid"))
    asked = usable(searched, "test", others)
    if gallery == "split":
        return Trial(None, train, valid, asked, asked)
    return Trial(None, train, valid, asked, usable(searched, "train", others) + usable(searched, "valid", others))


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


def usable(dataset: Dataset, split: str, views: Sequence[str]) -> tuple[Case, ...]:
    """Return the cases of ``split`` that have an honest image of every view."""
    cases = dataset.cases(split)  # type: ignore[arg-type]
    return tuple(case for case in cases if all(dataset.unusable(case, view) is None for view in views))


def ask(dataset: Dataset, task: str, asking: Sequence[Case], gallery: Sequence[Case], style: str) -> Questions:
    """Return the queries of the ``asking`` cases: one a case in ``case-search``, with all of its findings; in
    ``modification`` up to three a case, each with what one target from the gallery has otherwise.

    Raises:
        UserError: the task or the text style is unknown or impossible, or there is nothing to ask.
    """
    if find_task(task) is not MODIFICATION:
        ids = tuple(case.id for case in asking)
        return Questions(ids, np.arange(len(asking)), query_texts(dataset, asking, style))
    edits = draw_edits(dataset, asking, gallery)
    pairs = [(asking[row], gallery[target]) for row, target in zip(edits.references, edits.targets, strict=True)]
    ids = tuple(modification.query_id(reference.id, target.id) for reference, target in pairs)
    texts = [
        render_changes(dataset.criteria, target.descriptors, changed.tolist(), style, name)
        for (_, target), changed, name in zip(pairs, edits.changed, ids, strict=True)
    ]
    return Questions(ids, edits.references, texts, edits.targets)


def recall(dataset: Dataset, task: str, name: str, cases: Mapping[str, Case], style: str) -> tuple[Case, str]:
    """Return the reference and the text of a stored query by its id; ``cases`` are those of the dataset by theirs."""
    if find_task(task) is not MODIFICATION:
        return cases[name], render(dataset.criteria, cases[name].descriptors, style, name)
    reference, target = (cases[part] for part in modification.reference_and_target(name, cases))
    codes = [stated_codes(dataset, [case], modification.UNKNOWN) for case in (reference, target)]
    changed = modification.changes(*codes)[0, 0].tolist()
    return reference, render_changes(dataset.criteria, target.descriptors, changed, style, name)


def judge(dataset: Dataset, task: str, queries: Sequence[Case], gallery: Sequence[Case]) -> Judgments:
    """Judge every candidate for every query that the cases of ``queries`` ask.

    Gain in ``case-search``: 0 where the group differs; else 1, +1 for the same fine diagnosis, +1 where all criteria
    but at most one are equal. Gain in ``modification``: 2 where all criteria equal the target's, 1 where the named
    changes hold and one unnamed criterion differs (benchmark/README.md).

    Raises:
        UserError: the task is unknown, or there is nothing to ask.
    """
    find_task(task)
    if len(dataset.groups) > MOST_GROUPS:
        raise UserError(f"{dataset.name} has {len(dataset.groups)} groups; at most {MOST_GROUPS} can be judged apart.")
    judge_task = _judge_edits if task == MODIFICATION.name else _judge_groups
    return judge_task(dataset, queries, gallery)


def _judge_groups(dataset: Dataset, queries: Sequence[Case], gallery: Sequence[Case]) -> Judgments:
    critical = dataset.critical
    return Judgments(
        query_ids=tuple(case.id for case in queries),
        gallery_ids=tuple(case.id for case in gallery),
        gains=gains(dataset, queries, gallery),
        excluded=_own_rows(queries, gallery),
        strata=group_codes(dataset, queries).astype(np.uint8),
        stratum_names=dataset.groups,
        gallery_groups=group_codes(dataset, gallery).astype(np.uint8),
        critical=dataset.groups.index(critical.group) if critical else None,
        critical_name=critical.name if critical else "",
        lookalike=dataset.groups.index(critical.lookalike) if critical else None,
    )


def _judge_edits(dataset: Dataset, asking: Sequence[Case], gallery: Sequence[Case]) -> Judgments:
    edits = draw_edits(dataset, asking, gallery)
    pairs = zip(edits.references, edits.targets, strict=True)
    return Judgments(
        query_ids=tuple(modification.query_id(asking[row].id, gallery[target].id) for row, target in pairs),
        gallery_ids=tuple(case.id for case in gallery),
        gains=modification.edit_gains(edits, stated_codes(dataset, gallery, modification.UNKNOWN)),
        excluded=_own_rows(asking, gallery)[edits.references],
        strata=edits.strata,
        stratum_names=modification.STRATA,
        gallery_groups=group_codes(dataset, gallery).astype(np.uint8),
    )


def _own_rows(queries: Sequence[Case], gallery: Sequence[Case]) -> NDArray[np.int32]:
    row = {case.id: index for index, case in enumerate(gallery)}
    return np.array([row.get(case.id, -1) for case in queries], dtype=np.int32)


def draw_edits(dataset: Dataset, asking: Sequence[Case], gallery: Sequence[Case]) -> modification.Edits:
    """Draw the queries of ``modification`` from the findings of two sets of cases.

    Raises:
        UserError: no case has a target.
    """
    codes = [stated_codes(dataset, cases, modification.UNKNOWN) for cases in (asking, gallery)]
    edits = modification.draw_edits(codes[0], codes[1], [case.id for case in asking], [case.id for case in gallery])
    if not len(edits):
        most = modification.MOST_CHANGES
        raise UserError(
            f"Task {MODIFICATION.name}: of {len(asking)} cases of {dataset.name}, none has another that differs in "
            f"1 to {most} of its {len(dataset.criteria)} criteria and of which all findings are known. `data stats` "
            "lists what there is; use --task case-search."
        )
    return edits


def asked_codes(dataset: Dataset, task: str, asking: Sequence[Case], gallery: Sequence[Case]) -> NDArray[np.int64]:
    """Return the findings (q, c) that each query asks for: those of its case, overwritten by what the text changes. An
    unknown one has a code that no case of a gallery has.
    """
    if task == MODIFICATION.name:
        return stated_codes(dataset, gallery, -1)[draw_edits(dataset, asking, gallery).targets]
    return stated_codes(dataset, asking, -1)


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
