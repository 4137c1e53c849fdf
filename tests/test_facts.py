from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark import protocol
from benchmark.config import NoOptions
from benchmark.errors import UserError
from benchmark.facts import Facts, gather_facts, no_facts
from benchmark.interfaces import Case, DatasetContext
from benchmark.rendering import contradiction
from benchmark.store import Store, facts_bytes
from tests.toy import ToyDataset


@pytest.fixture
def toy(tmp_path: Path) -> ToyDataset:
    return ToyDataset(DatasetContext(None, tmp_path), NoOptions())


def test_subgroup_values_stand_most_frequent_first_and_a_missing_one_is_unknown(toy: ToyDataset) -> None:
    sides = ["right", "left", "left", ""]
    cases = [Case(str(i), {}, "red", {"border": "thin", "spot": "dark"}, {"side": s}) for i, s in enumerate(sides)]
    facts = gather_facts(toy, "case-search", cases, cases)
    assert facts.subgroup_values == {"side": ("left", "right", "unknown")}
    assert facts.subgroups.tolist() == [[1], [0], [0], [2]]


def test_facts_name_the_statement_that_the_text_makes(toy: ToyDataset) -> None:
    cases = toy.cases("test")
    facts = gather_facts(toy, "case-search", cases, cases)
    assert facts.criteria == ("border", "spot")
    assert facts.findings.tolist() == protocol.criterion_codes(toy, cases).tolist()
    for case, false in zip(cases, facts.contradictions.tolist(), strict=True):
        assert contradiction(toy.criteria, case.descriptors, case.id) == tuple(false)
    assert facts.subgroups[:, 0].tolist() == [0 if number % 4 else 1 for number in range(200, 224)]


def test_a_modification_query_is_of_the_subgroup_of_its_reference(toy: ToyDataset) -> None:
    cases = toy.cases("test")
    facts = gather_facts(toy, "modification", cases, cases)
    edits = protocol.draw_edits(toy, cases, cases)
    assert len(facts.subgroups) == len(edits)
    assert [int(cases[row].metadata["side"] == "right") for row in edits.references] == facts.subgroups[:, 0].tolist()
    assert (facts.contradictions == -1).all()


def test_facts_are_stored_beside_the_judgments_and_read_back(tmp_path: Path, toy: ToyDataset) -> None:
    store, cases = Store(tmp_path / "runs"), toy.cases("valid")
    for facts in (gather_facts(toy, "case-search", cases, cases), no_facts(3, 2)):
        store.put_facts("abc", facts)
        again = store.facts("abc")
        assert isinstance(again, Facts)
        assert facts_bytes(again) == facts_bytes(facts)
        assert np.array_equal(again.findings, facts.findings)
    assert store.facts("other") is None


def test_damaged_facts_are_named(tmp_path: Path) -> None:
    path = tmp_path / "facts" / "abc.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"abc.safetensors is damaged"):
        Store(tmp_path).facts("abc")
