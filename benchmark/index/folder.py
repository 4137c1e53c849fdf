"""The folder of an index: a manifest that names the state that counts, the weights, and one writer at a time.

    INDEX/manifest.json         everything but vectors; replaced as the last step of every change
    INDEX/models/KEY/           weights.safetensors, neutral.safetensors (the cases' mean features),
                                wordings.safetensors (the descriptors' text vectors), and experts.safetensors where
                                the encoder was taught for the run
    INDEX/states/ or milvus.db  the store's own

A process that dies in the middle leaves the manifest, and so the index, as it was.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from benchmark.errors import UserError
from benchmark.files import sha256, write_atomic
from benchmark.index.records import IndexedCase, Manifest, gathered_facts
from benchmark.index.stores import Vectors, VectorStore, make_store
from benchmark.records import EncoderInfo, digest
from benchmark.store import as_json

MANIFEST, MODELS = "manifest.json", "models"
WEIGHTS, NEUTRAL, WORDINGS = "weights.safetensors", "neutral.safetensors", "wordings.safetensors"
EXPERTS = "experts.safetensors"
OWN = re.compile(r"\.lock|manifest\.json|\..+\.tmp|models(/[0-9a-f]{16})?|states(/\d+)?|milvus\.db.*|\.milvus.*")
"""What an index writes into its folder, also before it was ever whole."""


class IndexFolder:
    """One index on disk."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether an index was ever committed here."""
        return (self.path / MANIFEST).is_file()

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises:
            UserError: there is none, or it is damaged.
        """
        file = self.path / MANIFEST
        try:
            return Manifest.model_validate_json(file.read_bytes())
        except OSError as error:
            raise UserError(
                f"There is no index in {self.path}. Build one: python -m benchmark index --method NAME --dataset NAME "
                f"--index {self.path}."
            ) from error
        except ValidationError as error:
            raise UserError(f"{file} is damaged ({error.errors()[0]['msg']}). Build the index again.") from error

    def model(self, files: Mapping[str, str]) -> Path:
        """Return the folder of the model's files, given their hashes: other files never take its place."""
        return self.path / MODELS / digest(dict(files))[:16]

    def put_model(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Write the model's files and return their hashes; they count once a manifest names these."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for name, content in files.items():
            write_atomic(self.model(hashes) / name, content)
        return hashes

    def model_file(self, manifest: Manifest, name: str) -> bytes:
        """Return the content of one of the model's files.

        Raises:
            UserError: it is missing or not the one that the index was built with.
        """
        path = self.model(manifest.files) / name
        if not path.is_file() or sha256(path) != manifest.files.get(name):
            raise UserError(f"{path} is missing or not the one that the index was built with. Build the index again.")
        return path.read_bytes()

    def opened(self, manifest: Manifest) -> VectorStore:
        """Return the store that the manifest names, opened.

        Raises:
            UserError: it is gone, damaged, or of another model.
        """
        store = make_store(manifest.place.kind, self.path, manifest.fingerprint, manifest.place.uri)
        store.open(manifest.place)
        return store

    def commit(self, manifest: Manifest, store: VectorStore) -> None:
        """Make ``manifest`` the index, then remove what it no longer names."""
        write_atomic(self.path / MANIFEST, as_json(manifest.model_dump(mode="json")))
        store.tidy(manifest.place)
        for model in (self.path / MODELS).glob("*"):
            if model != self.model(manifest.files) and OWN.fullmatch(f"{MODELS}/{model.name}"):
                shutil.rmtree(model, ignore_errors=True)

    def add(self, cases: Sequence[IndexedCase], vectors: Vectors, gone: Sequence[str] = ()) -> Manifest:
        """Add cases to the index, after the cases ``gone`` were deleted. Call it as the only writer.

        Raises:
            UserError: an id is there already, or one of ``gone`` is not; nothing is changed then.
        """
        manifest = self.manifest()
        store = self.opened(manifest)
        try:
            there = [one for one in store.get([case.id for case in cases]) if one.case.id not in gone]
            if there:
                raise UserError(f"{self.path} holds {there[0].case.id!r} already. Delete it first: --delete ID.")
            if gone:
                manifest = self._without(manifest, store, gone)
                store.open(manifest.place)
            place = store.add(cases, vectors)
            facts = gathered_facts(list(cases), manifest.facts)
            update = {"place": place, "count": manifest.count + len(cases), "facts": facts}
            manifest = manifest.model_copy(update=update)
            self.commit(manifest, store)
        finally:
            store.close()
        return manifest

    def delete(self, ids: Sequence[str]) -> Manifest:
        """Delete cases from the index. Call it as the only writer.

        Raises:
            UserError: an id is not there; nothing is deleted then.
        """
        manifest = self.manifest()
        store = self.opened(manifest)
        try:
            return self._without(manifest, store, ids)
        finally:
            store.close()

    def _without(self, manifest: Manifest, store: VectorStore, ids: Sequence[str]) -> Manifest:
        there = {found.case.id for found in store.get(ids)}
        missing = [name for name in ids if name not in there]
        if missing:
            raise UserError(f"{self.path} holds no case {missing[0]!r}; nothing was deleted.")
        manifest = manifest.model_copy(update={"place": store.delete(ids), "count": manifest.count - len(there)})
        self.commit(manifest, store)
        return manifest


def refuse_foreign(path: Path) -> None:
    """Raise ``UserError`` where a folder holds what no index wrote: what an index no longer needs is deleted there."""
    inside = [*path.glob("*"), *path.glob(f"{MODELS}/*"), *path.glob("states/*")]
    names = sorted(str(one.relative_to(path)) for one in inside)
    foreign = [name for name in names if not OWN.fullmatch(name)]
    if foreign:
        raise UserError(
            f"{path} holds {foreign[0]!r}, which is no part of an index. Give an index a folder of its own: --index."
        )


def refuse_other_encoder(path: Path, recorded: EncoderInfo, image: str, text: str) -> None:
    """Raise ``UserError`` where the encoder of today is not the one that the index was built with."""
    sides = [
        side
        for side, was, now in (
            ("image", recorded.image_fingerprint, image),
            ("text", recorded.text_fingerprint, text),
        )
        if was != now
    ]
    if sides:
        raise UserError(
            f"Encoder {recorded.name} has changed since {path} was built ({' and '.join(sides)} side). Train again "
            "with `run` and build the index again, or bring that encoder's weights back."
        )
