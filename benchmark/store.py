"""Runs on disk: keyed, atomic, resumable. Imports no torch.

    RUNS/trainings/NAME-sSEED-KEY/     weights.safetensors  log.jsonl  timings.json  record.json
    RUNS/evaluations/NAME-sSEED-KEY/   ranking.safetensors  timings.json  record.json
    RUNS/judgments/HASH.safetensors
    RUNS/facts/HASH.safetensors        what robustness reports need beside the judgments of that hash (facts.py)

A unit's folder is filled under a temporary name and renamed when it is whole, so a killed run leaves no half unit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from benchmark.config import Strict
from benchmark.errors import UserError
from benchmark.facts import Facts
from benchmark.files import sha256, write_atomic
from benchmark.protocol import Judgments
from benchmark.records import EvaluationRecord, TrainingRecord, digest

R = TypeVar("R", bound=Strict)
TRAINING_FILES = ("weights.safetensors", "log.jsonl")
EVALUATION_FILES = ("ranking.safetensors",)


class Store:
    """The units of one runs folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def clean(self) -> None:
        """Remove what killed runs left half-written. Call it as the only writer."""
        for part in ("trainings", "evaluations"):
            for left in (self.folder / part).glob(".*.tmp"):
                shutil.rmtree(left, ignore_errors=True)

    def find(self, part: str, key: str) -> Path | None:
        """Return the folder of the unit with ``key`` in ``trainings`` or ``evaluations``, or None."""
        return next((self.folder / part).glob(f"*-{key[:16]}"), None)

    def put(self, part: str, record: TrainingRecord | EvaluationRecord, files: Mapping[str, bytes]) -> Path:
        """Write a unit: all its files, then the record with their hashes, then the rename.

        Raises:
            UserError: the folder is full or read-only; what is stored is kept.
        """
        target = self.folder / part / f"{slug(record.method.row)}-s{record.seed}-{record.key[:16]}"
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, content in files.items():
                write_atomic(temporary / name, content)
            hashes = {name: sha256(temporary / name) for name in files if name != "timings.json"}
            whole = record.model_copy(update={"files": hashes})
            write_atomic(temporary / "record.json", as_json(whole.model_dump(mode="json")))
            os.replace(temporary, target)
        except OSError as error:
            raise UserError(
                f"Can't write {target}: {error.strerror}. Make room or choose another folder with --runs; "
                "what is already stored is kept."
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def training(self, path: Path) -> TrainingRecord:
        """Read and check the record of a training.

        Raises:
            UserError: a file is damaged.
        """
        return _read_record(path, TrainingRecord, TRAINING_FILES)

    def evaluation(self, path: Path) -> EvaluationRecord:
        """Read and check the record of an evaluation.

        Raises:
            UserError: a file is damaged.
        """
        return _read_record(path, EvaluationRecord, EVALUATION_FILES)

    def evaluations(self) -> list[tuple[Path, EvaluationRecord]]:
        """Return every evaluation, oldest first."""
        records = (self.folder / "evaluations").glob("[!.]*/record.json")  # a dot: still being written
        folders = sorted((path.parent for path in records), key=lambda path: (_written(path), path.name))
        return [(path, self.evaluation(path)) for path in folders]

    def put_judgments(self, judgments: Judgments) -> str:
        """Store judgments under their content hash and return it."""
        content = judgments_bytes(judgments)
        name = digest(content.hex())[:32]
        path = self.folder / "judgments" / f"{name}.safetensors"
        if not path.exists():
            write_atomic(path, content)
        return name

    def put_facts(self, name: str, facts: Facts) -> None:
        """Store the facts that belong to the judgments ``name``, or those of a dataset that declares others now."""
        path, content = self._facts(name), facts_bytes(facts)
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)

    def facts(self, name: str) -> Facts | None:
        """Return the facts that belong to the judgments ``name``; None where a run stored none.

        Raises:
            UserError: they are damaged.
        """
        path = self._facts(name)
        return read_facts(path) if path.is_file() else None

    def _facts(self, name: str) -> Path:
        return self.folder / "facts" / f"{name}.safetensors"

    def judgments(self, name: str) -> Judgments:
        """Return stored judgments.

        Raises:
            UserError: they are missing or damaged.
        """
        path = self.folder / "judgments" / f"{name}.safetensors"
        judgments = read_judgments(path)
        if digest(judgments_bytes(judgments).hex())[:32] != name:
            raise damaged(path, "its content does not match its name")
        return judgments


def read_ranking(path: Path) -> NDArray[np.uint16]:
    """Return the stored ranking (q, k) of an evaluation's folder: gallery rows, best first."""
    return read_arrays(path / "ranking.safetensors")[0]["ranking"].astype(np.uint16)


def save_ranking(ranking: NDArray[np.uint16], scores: NDArray[np.float32]) -> bytes:
    """Serialise a ranking (q, k) and the scores (q, g) that it came from."""
    return save({"ranking": np.ascontiguousarray(ranking), "scores": np.ascontiguousarray(scores)})


def judgments_bytes(judgments: Judgments) -> bytes:
    """Serialise judgments; equal judgments give equal bytes."""
    arrays = {
        name: np.ascontiguousarray(getattr(judgments, name))
        for name in ("gains", "excluded", "strata", "gallery_groups")
    }
    names = ("query_ids", "gallery_ids", "stratum_names", "critical", "critical_name", "lookalike")
    return save(arrays, metadata={"judgments": json.dumps({name: getattr(judgments, name) for name in names})})


def read_judgments(path: Path) -> Judgments:
    """Read a judgments file.

    Raises:
        UserError: it is missing or damaged.
    """
    arrays, metadata = read_arrays(path)
    try:
        values: dict[str, Any] = json.loads(metadata["judgments"])
        for name in ("query_ids", "gallery_ids", "stratum_names"):
            values[name] = tuple(values[name])
        return Judgments(**values, **arrays)  # type: ignore[arg-type]  # the arrays by their names
    except (KeyError, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from error


def facts_bytes(facts: Facts) -> bytes:
    """Serialise facts; equal facts give equal bytes."""
    arrays = {name: np.ascontiguousarray(getattr(facts, name)) for name in ("subgroups", "contradictions", "findings")}
    names = {"subgroup_values": dict(facts.subgroup_values), "criteria": facts.criteria}
    content = digest([names, {name: [array.shape, array.tobytes().hex()] for name, array in arrays.items()}])
    return save(arrays, metadata={"facts": json.dumps({**names, "sha256": content})})


def read_facts(path: Path) -> Facts:
    """Read a facts file.

    Raises:
        UserError: it is missing or damaged.
    """
    arrays, metadata = read_arrays(path)
    try:
        values: dict[str, Any] = json.loads(metadata["facts"])
        named = {key: tuple(found) for key, found in values["subgroup_values"].items()}
        facts = Facts(subgroup_values=named, criteria=tuple(values["criteria"]), **arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from error
    if facts_bytes(facts) != path.read_bytes():
        raise damaged(path, "its content does not match its SHA-256")
    return facts


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a safetensors file: its arrays and its metadata.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str, unit: Path | None = None, command: str = "run") -> UserError:
    """Return the error for a stored file that can't be trusted. ``unit`` is what has to be made again by ``command``,
    where that is another one than the file's folder.
    """
    if unit is None:
        unit = path if path.is_dir() or path.parent.name in ("judgments", "facts") else path.parent
    return UserError(
        f"{path} is damaged ({why}) and was not used. Remove {unit} and start the same `{command}` again: "
        "only what is missing runs."
    )


def as_json(value: Any) -> bytes:
    """Return readable JSON with sorted keys."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _written(path: Path) -> int:
    return (path / "record.json").stat().st_mtime_ns


def slug(name: str) -> str:
    """Return a name that is safe as a file's."""
    return re.sub(r"[^a-z0-9.=]+", "-", name.lower()).strip("-")


def distinct_slug(name: str) -> str:
    """Return the same; a few letters of a digest tell names apart that differ in letters which it can't keep."""
    return slug(name) if name.isascii() else f"{slug(name)}-{digest(name)[:6]}".strip("-")


def _read_record(path: Path, model: type[R], expected: tuple[str, ...]) -> R:
    file = path / "record.json"
    try:
        record = model.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise damaged(file, first) from error
    hashes: Mapping[str, str] = record.files  # type: ignore[attr-defined]
    for name in expected:
        if not (path / name).is_file() or sha256(path / name) != hashes.get(name):
            raise damaged(path / name, "it is missing or its SHA-256 differs from the record's")
    return record
