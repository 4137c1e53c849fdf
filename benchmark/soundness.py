"""What a run takes for granted of a data set, asked before anything is computed. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from benchmark.errors import UserError
from benchmark.modification import MARK
from benchmark.tasks import MODIFICATION

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Check, Dataset


def refuse_unsound(dataset: Dataset, label: str, task: str) -> None:
    """Look at ids and labels: an id that occurs twice would leave a query its own picture in the gallery, or teach a
    method what it is tested on.

    Raises:
        UserError: an id occurs twice, a label is not declared, or an id can't be part of a query's of ``task``; the
            case is named.
    """
    from benchmark.interfaces import Split

    where: dict[str, str] = {}
    for split in get_args(Split):
        for case in dataset.cases(split):
            if case.id in where:
                twice = f"{where[case.id]} and {split}" if where[case.id] != split else f"{split}, twice"
                raise _refused(
                    label,
                    f"id {case.id!r} stands in {twice}. A case has one id and one split, so that no query finds its "
                    "own picture and no test case was learnt from: name each case once",
                )
            where[case.id] = split
            _refuse_labels(dataset, case, label)
            if task == MODIFICATION.name and MARK in case.id:
                raise _refused(label, f"id {case.id!r} holds {MARK!r}, which joins two ids in task {task}: rename it")


def common_checks(dataset: Dataset, label: str) -> tuple[Check, ...]:
    """Return what ``data verify`` says of a data set without checks of its own: ids, labels, and every picture."""
    from benchmark.features import open_image
    from benchmark.interfaces import Check, Split

    problem = ""
    try:
        refuse_unsound(dataset, label, "")
    except UserError as error:
        problem = str(error)
    paths = [path for split in get_args(Split) for case in dataset.cases(split) for path in case.images.values()]
    broken = []
    for path in paths:
        try:
            open_image(path)
        except UserError as error:
            broken.append(str(error))
    return (
        Check("ids are unique and labels declared", not problem, problem),
        Check(f"every image can be decoded ({len(paths)})", not broken, "; ".join(broken)),
    )


def _refuse_labels(dataset: Dataset, case: Case, label: str) -> None:
    group = dataset.taxonomy.get(case.diagnosis)
    if group not in dataset.groups:
        found = "is not in the taxonomy" if group is None else f"is of group {group!r}, which is not in groups"
        raise _refused(label, f"diagnosis {case.diagnosis!r} of case {case.id} {found}: declare it")
    for criterion in dataset.criteria:
        value = case.descriptors.get(criterion.name)
        if value not in criterion.values:
            found = "no value" if value is None else f"the value {value!r}"
            raise _refused(
                label, f"case {case.id} has {found} of {criterion.name}; it is one of {', '.join(criterion.values)}"
            )


def _refused(label: str, what: str) -> UserError:
    return UserError(f"Dataset {label}: {what}. `python -m benchmark check` looks at the whole data set.")
