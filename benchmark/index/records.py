"""What an index is written down as: its cases, where its vectors lie, and the model that made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from benchmark.config import Strict
from benchmark.interfaces import FeatureSpec
from benchmark.records import TrainingRecord, digest

SCHEMA = 1
MOST_VALUES = 40
"""A fact with more values than this is no filter that a page could offer; it can still be named."""
Filters = Mapping[str, str]
"""Fact -> the value that a case must have, all of them."""


class IndexedCase(Strict):
    """One case of an index. ``facts`` hold everything a filter can name: group, diagnosis, split, metadata and
    descriptors. ``picture`` is the path on the user's own machine and leaves it in no answer; ``sha256`` is that of the
    picture.
    """

    id: str = Field(min_length=1, max_length=256)
    group: str
    diagnosis: str
    facts: dict[str, str]
    picture: str
    sha256: str


class Place(Strict):
    """Where the vectors lie: the ``kind`` of store, the ``name`` that this state of it goes by (a folder, a
    collection), the server's ``uri`` (empty: inside the index's folder), the last committed ``batch``, the ids that
    were ``deleted`` last and may still have rows, and the hashes of its files.
    """

    kind: Literal["faiss", "milvus"]
    name: str
    uri: str = ""
    batch: int = 0
    deleted: tuple[str, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)


class Recipe(Strict):
    """What makes the encoder of an index again: names, options and plugins of a run, and the seed of the weights."""

    dataset: str
    encoder: str
    options: dict[str, dict[str, object]]
    plugins: tuple[str, ...]
    task: str
    seed: int


class Manifest(Strict):
    """One index. ``fingerprint`` is that of the model; vectors of another model are never searched with this one.
    ``files`` are the hashes of the model's files.
    """

    schema_version: int = SCHEMA
    fingerprint: str
    training: TrainingRecord
    recipe: Recipe
    spec: FeatureSpec
    synthetic: bool
    citation: str
    width: int
    count: int
    place: Place
    files: dict[str, str]
    facts: dict[str, tuple[str, ...]]

    @property
    def method(self) -> str:
        """How tables call the method."""
        return self.training.method.row


def model_fingerprint(training: TrainingRecord, seen: str) -> str:
    """Return the digest of all that turns pictures and words into vectors; ``seen`` is the fingerprint of the image
    side, which for an encoder that was taught covers its experts, and in the record the recipe alone.
    """
    sides = [seen, training.encoder.text_fingerprint]
    return digest([SCHEMA, training.key, training.files, training.sources, *sides])


def gathered_facts(cases: list[IndexedCase], known: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return fact -> its values in order, those of ``cases`` added to the ``known``; a fact with too many has none."""
    values: dict[str, set[str]] = {name: set(found) for name, found in known.items()}
    crowded = {name for name, found in known.items() if not found}
    for case in cases:
        for name, value in case.facts.items():
            values.setdefault(name, set()).add(value)
    crowded |= {name for name, found in values.items() if len(found) > MOST_VALUES}
    return {name: () if name in crowded else tuple(sorted(found)) for name, found in sorted(values.items())}
