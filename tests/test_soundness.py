from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.interfaces import Case
from benchmark.registry import load_registry
from benchmark.resolve import make_dataset
from benchmark.soundness import common_checks, refuse_unsound
from tests.conftest import TOY


def toy(tmp_path: Path, change: Callable[[Case], Case]):  # type: ignore[no-untyped-def]
    """The toy data set with its fourth test case changed."""
    config = RunConfig(cache=tmp_path)  # type: ignore[call-arg]
    dataset, _ = make_dataset(load_registry((str(TOY),)), "toy", config)
    splits = {split: dataset.cases(split) for split in ("train", "valid", "test")}
    whole = splits["test"]
    splits["test"] = (*whole[:3], change(whole[3]), *whole[4:])
    dataset.cases = splits.__getitem__
    return dataset


@pytest.mark.parametrize(
    ("change", "task", "words"),
    [
        ({"id": "toy-5"}, "case-search", "id 'toy-5' stands in train and test"),
        ({"id": "toy-202"}, "case-search", "id 'toy-202' stands in test, twice"),
        ({"diagnosis": "sapphire"}, "case-search", "diagnosis 'sapphire' of case toy-203 is not in the taxonomy"),
        (
            {"descriptors": {"border": "light", "spot": "none"}},
            "case-search",
            "case toy-203 has the value 'light' of border; it is one of thin, thick",
        ),
        ({"descriptors": {"border": "thin"}}, "case-search", "case toy-203 has no value of spot"),
        ({"id": "a>b"}, "modification", "id 'a>b' holds '>', which joins two ids in task modification"),
    ],
)
def test_a_slip_in_ids_or_labels_is_named_before_a_run(
    tmp_path: Path, change: dict[str, object], task: str, words: str
) -> None:
    refuse_unsound(toy(tmp_path, lambda case: case), "toy", task)
    dataset = toy(tmp_path, lambda case: replace(case, **change))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"Dataset toy: {words}"):
        refuse_unsound(dataset, "toy", task)


def test_an_id_may_hold_the_mark_where_no_two_ids_are_joined(tmp_path: Path) -> None:
    refuse_unsound(toy(tmp_path, lambda case: replace(case, id="a>b")), "toy", "case-search")


def test_a_data_set_without_checks_of_its_own_has_its_ids_and_pictures_looked_at(tmp_path: Path) -> None:
    assert [check.passed for check in common_checks(toy(tmp_path, lambda case: case), "toy")] == [True, True]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    dataset = toy(tmp_path, lambda case: replace(case, id="toy-5", images={"dermoscopic": broken}))
    labels, pictures = common_checks(dataset, "toy")
    assert not labels.passed and "'toy-5' stands in train and test" in labels.detail
    assert not pictures.passed and str(broken) in pictures.detail
