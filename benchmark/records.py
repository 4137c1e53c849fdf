"""What is written down about a training and an evaluation. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from benchmark.config import Strict

SCHEMA = 1


class MethodInfo(Strict):
    """The method of a record. ``row`` names its row in a table: the label, and whatever differs from the defaults."""

    name: str
    row: str
    owner: str
    summary: str
    citation: str
    scorer: str | None
    options: dict[str, Any]
    modality: str
    trained: bool
    parameters: int
    reads_labels: bool = False


ORACLE = MethodInfo(
    name="oracle-text",
    row="oracle-text",
    owner="benchmark",
    summary="matches the query's criteria with the gallery's true criteria; reads labels that no method sees",
    citation="dermcir, benchmark/README.md",
    scorer=None,
    options={},
    modality="text",
    trained=False,
    parameters=0,
    reads_labels=True,
)
"""The reference row of the harness itself; evaluation.py makes its scores."""


class DatasetInfo(Strict):
    """The dataset of a record. ``view`` is the one that is used unless the user names another."""

    name: str
    fingerprint: str
    synthetic: bool
    citation: str
    view: str = "dermoscopic"


class EncoderInfo(Strict):
    """The encoder of a record."""

    name: str
    image_fingerprint: str
    text_fingerprint: str

    @property
    def finetuned(self) -> bool:
        """Whether it was trained together with the method."""
        return plain_name(self.name) != self.name


FINETUNED = ", fine-tuned with the method"
"""What the name of an encoder says in a record where ``--finetune`` was given."""


def finetuned_name(label: str) -> str:
    """Return ``packaged, fine-tuned with the method [width=96]`` for ``packaged [width=96]``."""
    name, bracket, settings = label.partition(" [")
    return f"{name}{FINETUNED}{bracket}{settings}"


def plain_name(label: str) -> str:
    """Return an encoder's name as it is without ``--finetune``."""
    name, bracket, settings = label.partition(" [")
    return f"{name.removesuffix(FINETUNED)}{bracket}{settings}"


class ProtocolInfo(Strict):
    """What was asked: equal protocols (but for the fold) share a table. ``training`` names what of the shared training
    differs from the defaults, ``excluded`` the list of cases that were left out (exclusion.py), ``queries`` the user's
    own queries (own_queries.py), ``trained_on`` the dataset that taught, where another one is searched, and ``without``
    what the queries lack, ``image`` or ``text``: each has the mean one of train instead of its own.
    """

    task: str
    evaluate: str
    fold: int | None
    gallery: str = "split"
    view: str = "dermoscopic"
    text_style: str = "canonical"
    training: str = ""
    exclusion: str = "own case, by id"
    excluded: str = ""
    queries: str = ""
    trained_on: str = ""
    without: str = ""

    def identity(self) -> dict[str, Any]:
        """Return what goes into keys. ``LATER`` fields count only where they are set, so that earlier keys hold."""
        return self.model_dump(exclude={name for name in LATER if not getattr(self, name)})

    def table(self, dataset: str) -> tuple[str, ...]:
        """Return what two records must share to stand in one table of ``dataset``."""
        conditions = (self.gallery, self.view, self.text_style, self.training, *(getattr(self, name) for name in LATER))
        return (dataset, self.task, self.evaluate, *conditions)


LATER = ("excluded", "queries", "trained_on", "without")
"""Fields of ``ProtocolInfo`` that came after the first tables were published."""


class TrainingRecord(Strict):
    """One trained method: everything that its key is made of, and where it was made."""

    schema_version: int = SCHEMA
    key: str
    method: MethodInfo
    seed: int
    dataset: DatasetInfo
    encoder: EncoderInfo
    evaluate: str
    fold: int | None
    view: str
    excluded: str = ""
    training: dict[str, Any]
    sources: dict[str, str]
    environment: dict[str, str]
    files: dict[str, str]


class EvaluationRecord(Strict):
    """One ranking of one trained method, with all that a table says of it. ``taught`` is the fingerprint of the data
    set that taught, where another one is searched.
    """

    schema_version: int = SCHEMA
    key: str
    training_key: str | None
    method: MethodInfo
    seed: int
    dataset: DatasetInfo
    encoder: EncoderInfo
    protocol: ProtocolInfo
    judgments: str
    training: dict[str, Any]
    sources: dict[str, str]
    environment: dict[str, str]
    files: dict[str, str]
    taught: str = ""

    @property
    def table(self) -> tuple[str, ...]:
        """What two records must share to stand in one table."""
        return self.protocol.table(self.dataset.name)


def digest(value: Any) -> str:
    """Return the hex SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
