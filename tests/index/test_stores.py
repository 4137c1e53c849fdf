"""Both stores of vectors, on four vectors whose inner products are worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.index.milvus_store import MilvusStore
from benchmark.index.records import IndexedCase, Place
from benchmark.index.stores import VectorStore, make_store

MODEL = "f" * 64
VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], dtype=np.float32)
QUERY = np.array([[1, 0.5]], dtype=np.float32)  # scores 1, 0.5, 1 (0.6 + 0.4), -1


def case(name: str, **facts: str) -> IndexedCase:
    return IndexedCase(id=name, group="g", diagnosis="d", facts=facts, picture="/nowhere/x.jpg", sha256="0" * 64)


CASES = [case("a", site="back"), case("b", site='a "b" \\ c'), case("c", site="back", sex="f"), case("é/../d", sex="f")]


@pytest.fixture(params=["faiss", "milvus", "milvus by URI"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[VectorStore, Place]]:
    uri = request.getfixturevalue("milvus_server") if request.param == "milvus by URI" else ""
    store = make_store(request.param.split()[0], tmp_path / "index", MODEL, uri)
    place = store.create(CASES, VECTORS)
    store.open(place)
    yield store, place
    store.close()


def found(store: VectorStore, k: int = 4, **filters: str) -> list[tuple[str, float]]:
    (answer,) = store.search(QUERY, k, filters)
    return [(one.case.id, round(one.score, 5)) for one in answer]


def test_the_best_inner_products_come_first_with_their_vectors(made: tuple[VectorStore, Place]) -> None:
    store, _ = made
    assert sorted(found(store)[:2]) == [("a", 1.0), ("c", 1.0)]
    assert found(store)[2:] == [("b", 0.5), ("é/../d", -1.0)]
    assert len(found(store, k=2)) == 2
    assert len(found(store, k=50)) == store.count() == 4
    (answer,) = store.search(VECTORS[2:3], 1, {})
    assert answer[0].case == CASES[2]
    assert answer[0].vector.tolist() == VECTORS[2].tolist()


def test_filters_must_all_hold_and_may_hold_any_character(made: tuple[VectorStore, Place]) -> None:
    store, _ = made
    assert sorted(name for name, _ in found(store, site="back")) == ["a", "c"]
    assert found(store, site="back", sex="f") == [("c", 1.0)]
    assert found(store, site='a "b" \\ c') == [("b", 0.5)]
    assert found(store, site="nowhere") == []
    assert found(store, **{'x" or "1" == "1': "1"}) == []


def test_cases_are_added_and_deleted_by_id(made: tuple[VectorStore, Place]) -> None:
    store, _ = made
    store.open(store.add([case("e", site="arm")], np.array([[2, 0]], dtype=np.float32)))
    assert found(store, k=1) == [("e", 2.0)]
    store.open(store.delete(["e", "a"]))
    assert {name for name, _ in found(store)} == {"b", "c", "é/../d"}
    assert [one.case.id for one in store.get(["c", "a", "é/../d"])] == ["c", "é/../d"]
    assert store.count() == 3


def test_a_deletion_that_no_manifest_names_changes_nothing(made: tuple[VectorStore, Place]) -> None:
    store, old = made
    gone = store.delete(["a"])  # and here the process dies
    store.open(old)
    assert store.count() == 4 and [one.case.id for one in store.get(["a"])] == ["a"]
    store.open(gone)  # where it is committed, the rows may be there still
    assert store.count() == 3 and store.get(["a"]) == []
    assert "a" not in {name for name, _ in found(store)}
    store.open(store.add([case("a", site="new")], VECTORS[:1]))
    assert [one.case.facts for one in store.get(["a"])] == [{"site": "new"}]
    assert store.count() == 4


def test_ids_and_facts_may_hold_any_character(made: tuple[VectorStore, Place]) -> None:
    store, _ = made
    names = ["o'n", "a\\b", "x'] or id != 'q' or id in ['z", 'say "hi"']
    store.open(store.add([case(name, größe="3 mm") for name in names], np.ones((4, 2), dtype=np.float32)))
    assert [one.case.id for one in store.get(names)] == names
    assert {name for name, _ in found(store, k=9, größe="3 mm")} == set(names)
    store.open(store.delete(names))
    assert store.count() == 4 and store.get(names) == []


def test_what_no_manifest_names_is_never_found(made: tuple[VectorStore, Place]) -> None:
    store, old = made
    late = np.array([[9, 9]], dtype=np.float32)
    store.add([case("late")], late)  # and here the process dies
    store.open(old)
    assert {name for name, _ in found(store)} == {"a", "b", "c", "é/../d"}
    assert store.get(["late"]) == []
    assert store.count() == 4
    place = store.add([case("later")], late)  # what the dead one left is in nobody's way
    store.open(place)
    assert {name for name, _ in found(store, k=9)} == {"a", "b", "c", "é/../d", "later"}


def test_a_new_state_takes_the_old_ones_place_once_it_is_tidied(made: tuple[VectorStore, Place]) -> None:
    store, old = made
    new = store.create(CASES[:1], VECTORS[:1])
    store.open(old)
    assert store.count() == 4
    store.tidy(new)
    store.open(new)
    assert store.count() == 1
    with pytest.raises(UserError, match="Build the index again"):
        store.open(old)


def test_vectors_of_another_model_are_refused(made: tuple[VectorStore, Place]) -> None:
    store, place = made
    store.fingerprint = "e" * 64
    with pytest.raises(UserError, match="made by another model"):
        store.open(place)


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    store = make_store("faiss", tmp_path, MODEL)
    place = store.create(CASES, VECTORS)
    file = tmp_path / "states" / place.name / "vectors.faiss"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"vectors\.faiss is missing or damaged"):
        store.open(place)


@pytest.mark.parametrize(("closed", "served"), [(2, True), (3, False)])
def test_a_line_that_was_closed_for_pings_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: int, served: bool
) -> None:
    import pymilvus

    attempts = []

    def client(*_: object, **__: object) -> str:
        attempts.append(1)
        if len(attempts) <= closed:
            raise pymilvus.MilvusException(2, "Fail connecting") from ConnectionError("UNAVAILABLE: Too many pings")
        return "a client"

    monkeypatch.setattr(pymilvus, "MilvusClient", client)
    if served:
        assert MilvusStore(tmp_path, MODEL, "http://host:1").client == "a client"
    else:
        with pytest.raises(UserError, match="Milvus at http://host:1: Fail connecting"):
            MilvusStore(tmp_path, MODEL, "http://host:1")
    assert len(attempts) == 3


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Milvus at http://127\.0\.0\.1:9.*--uri"):
        make_store("milvus", tmp_path, MODEL, "http://127.0.0.1:9")
