"""Build an index from stored weights, add cases to it, delete some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from pydantic import Field, ValidationError
from safetensors.torch import save

from benchmark.config import RunConfig, Strict, cache_folder
from benchmark.errors import UserError
from benchmark.explain.places import ignored_by_git, repository_of
from benchmark.features import Progress, open_image
from benchmark.files import hash_files, only_writer
from benchmark.index.descriptors import embed_wordings
from benchmark.index.folder import NEUTRAL, WEIGHTS, WORDINGS, IndexFolder, refuse_foreign
from benchmark.index.model import SearchModel, mean_features, pack_features, refuse_unsearchable
from benchmark.index.records import IndexedCase, Manifest, Recipe, gathered_facts, model_fingerprint
from benchmark.index.searcher import open_searcher
from benchmark.index.seeing import eyes_of_run, refuse_finetuned
from benchmark.index.stores import make_store
from benchmark.index.trained import Wanted, find_training, load_method
from benchmark.interfaces import Case, Dataset, Split
from benchmark.methods import MethodPlan, plan_method
from benchmark.protocol import usable
from benchmark.records import TrainingRecord
from benchmark.registry import Registry
from benchmark.session import Session

FLAG = "--index"
BATCH = 16
ADDED = "added"
"""The split of a case that ``--add`` brought."""


@dataclass(frozen=True)
class Target:
    """Where an index goes: its folder, the kind of store, and the server's URI."""

    folder: Path
    kind: str = "faiss"
    uri: str = ""


def build(
    config: RunConfig,
    registry: Registry,
    splits: Sequence[Split],
    target: Target,
    progress: Progress = lambda done: None,
) -> Manifest:
    """Index the cases of ``splits`` with the stored weights of the one method and seed of ``config``.

    Raises:
        UserError: there are no such weights, or the method has no vectors, or the folder is taken by another store.
    """
    refuse_finetuned(config)
    config = config.model_copy(update={"evaluate": "test"})  # weights of folds are no index's
    session, folder = Session(config, registry), IndexFolder(target.folder)
    view = _one_view(session)
    plan = plan_method(registry, config.methods[0], config.options.get(config.methods[0], {}), config.task)
    refuse_unsearchable(plan)
    path, training = find_training(_wanted(session, plan, view))
    weights = (path / WEIGHTS).read_bytes()
    refuse_foreign(target.folder)
    _refuse_other_place(folder, target)
    _refuse_repository(session, target.folder)
    eyes = eyes_of_run(session, training)
    model = SearchModel(load_method(plan, session.spec, weights), eyes.encoder)
    cases = [
        indexed(session.dataset, case, split, view)
        for split in splits
        for case in usable(session.dataset, split, (view,))
        if case.id not in session.left_out
    ]
    if not cases:
        raise UserError(f"No case of {', '.join(splits)} has a {view} picture: name other --splits or another --view.")
    images = eyes.show([Path(case.picture) for case in cases], progress)
    vectors = model.candidates(images)
    tensors = {
        NEUTRAL: pack_features(mean_features(images)),
        WORDINGS: {"wordings": embed_wordings(model, session.spec.criteria)},
        **eyes.kept,
    }
    contents = {WEIGHTS: weights, **{name: save(dict(named)) for name, named in tensors.items()}}
    fingerprint = model_fingerprint(training, eyes.encoder.image_fingerprint)
    with only_writer(target.folder, FLAG):
        files = folder.put_model(contents)
        store = make_store(target.kind, target.folder, fingerprint, target.uri)
        try:
            place = store.create(cases, vectors)
            manifest = Manifest(
                fingerprint=fingerprint,
                training=training,
                recipe=_recipe(session, training),
                spec=session.spec,
                synthetic=session.dataset.synthetic,
                citation=session.dataset.citation,
                width=vectors.shape[1],
                count=len(cases),
                place=place,
                files=files,
                facts=gathered_facts(cases, {}),
            )
            folder.commit(manifest, store)
        finally:
            store.close()
    return manifest


def _recipe(session: Session, training: TrainingRecord) -> Recipe:
    config = session.config
    used = {session.encoder_label.split(" [")[0], session.encoder_label.split(":")[0]}
    return Recipe(
        dataset=session.dataset_label,
        encoder=session.encoder_label.split(" [")[0],
        options={name: given for name, given in config.options.items() if name in used},
        plugins=tuple(str(Path(name).resolve()) if name.endswith(".py") else name for name in config.plugins),
        task=session.task,
        seed=training.seed,
    )


def _one_view(session: Session) -> str:
    if len(session.views) > 1:
        raise UserError(f"--view {session.config.view}: a picture that somebody asks with is one; name one view.")
    return session.views[0]


def _wanted(session: Session, plan: MethodPlan, view: str) -> Wanted:
    config = session.config
    return Wanted(plan, config.seeds[0], config, session.dataset_info, session.encoder_info, view, session.excluded)


def _refuse_other_place(folder: IndexFolder, target: Target) -> None:
    if folder.exists:
        place = folder.manifest().place
        if (place.kind, place.uri) != (target.kind, target.uri):
            held = f"{place.kind}{f' at {place.uri}' if place.uri else ''}"
            raise UserError(f"{folder.path} holds an index in {held}. Choose another folder with {FLAG}, or remove it.")
        _refuse_added(folder)


def _refuse_added(folder: IndexFolder) -> None:
    """Building again would drop the cases that the user added."""
    manifest = folder.manifest()
    try:
        store = folder.opened(manifest)
    except UserError:  # damaged: building it again is the way out
        return
    try:
        (found,) = store.search(np.zeros((1, manifest.width), dtype=np.float32), 1, {"split": ADDED})
    finally:
        store.close()
    if found:
        raise UserError(
            f"{folder.path} holds cases that --add brought, e.g. {found[0].case.id!r}; building again would drop them. "
            f"Choose another folder with {FLAG}, or --delete them first and --add them after."
        )


def _refuse_repository(session: Session, folder: Path) -> None:
    """Vectors and findings of licensed cases are not to be published with code."""
    if session.dataset.synthetic:
        return
    place = repository_of(folder)
    if place and not ignored_by_git(folder):
        raise UserError(
            f"{FLAG} {folder} lies in the repository {place}, from where the vectors and findings of "
            f"{session.dataset_label} would be published with the code. The licence: {session.dataset.licence} Name a "
            "folder elsewhere, or one that .gitignore lists."
        )


def indexed(dataset: Dataset, case: Case, split: str, view: str) -> IndexedCase:
    """Return what an index keeps of a case."""
    group = dataset.taxonomy[case.diagnosis]
    picture = case.images[view].resolve()
    facts = {**case.metadata, **case.descriptors, "group": group, "diagnosis": case.diagnosis, "split": split}
    facts = {name: value for name, value in facts.items() if value}
    (content,) = hash_files([picture])
    return IndexedCase(
        id=case.id, group=group, diagnosis=case.diagnosis, facts=facts, picture=str(picture), sha256=content
    )


class NewCase(Strict):
    """One line of a file for ``--add``. ``image`` is relative to the file."""

    id: str = Field(min_length=1, max_length=256)
    image: Path
    group: str = ""
    diagnosis: str = ""
    facts: dict[str, str] = Field(default_factory=dict)


def add(
    path: Path, file: Path, plugins: tuple[str, ...] = (), cache: Path | None = None, gone: Sequence[str] = ()
) -> Manifest:
    """Add the cases of a JSON-lines file to an index, with the index's own model; delete the cases ``gone`` before.

    Raises:
        UserError: a line or a picture can't be read, an id is there already, or one of ``gone`` is not; nothing is
            changed then.
    """
    IndexFolder(path).manifest()  # which says where there is none
    lines = _read_lines(file)
    pictures = [(file.parent / line.image).resolve() for line in lines]
    for line, picture in zip(lines, pictures, strict=True):
        if not picture.is_file():
            raise UserError(
                f"--add {file}: case {line.id!r}: there is no picture {picture}; `image` is relative to the file."
            )
    hashes = hash_files(pictures)
    with only_writer(path, FLAG):
        searcher = open_searcher(path, plugins, cache_folder(cache))
        searcher.store.close()
        vectors = [
            searcher.model.candidates(
                searcher.model.features([open_image(one) for one in pictures[i : i + BATCH]], hashes[i : i + BATCH])
            )
            for i in range(0, len(pictures), BATCH)
        ]
        cases = [
            IndexedCase(
                id=line.id,
                group=line.group,
                diagnosis=line.diagnosis,
                facts={"split": ADDED, "group": line.group, "diagnosis": line.diagnosis, **line.facts},
                picture=str(picture),
                sha256=content,
            )
            for line, picture, content in zip(lines, pictures, hashes, strict=True)
        ]
        return IndexFolder(path).add(cases, np.concatenate(vectors), list(dict.fromkeys(gone)))


def _read_lines(file: Path) -> list[NewCase]:
    try:
        rows = [row for row in file.read_text(encoding="utf-8-sig").split("\n") if row.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--add {file}: can't be read ({error}). Give a file with a JSON object a line.") from error
    lines: dict[str, NewCase] = {}
    for number, row in enumerate(rows, start=1):
        try:
            line = NewCase.model_validate_json(row)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UserError(
                f'--add {file}, line {number}: {place} {first["msg"]}. Write for example {{"id": "n1", '
                '"image": "n1.jpg", "diagnosis": "clark nevus", "facts": {"location": "back"}}.'
            ) from error
        if line.id in lines:
            raise UserError(f"--add {file}, line {number}: the id {line.id!r} occurs twice; rename one.")
        lines[line.id] = line
    if not lines:
        raise UserError(f"--add {file}: it holds no case. Write a JSON object a line: id, image.")
    return list(lines.values())


def delete(path: Path, ids: Sequence[str]) -> Manifest:
    """Delete cases from an index by id.

    Raises:
        UserError: an id is not there; nothing is deleted then.
    """
    IndexFolder(path).manifest()  # which says where there is none
    with only_writer(path, FLAG):
        return IndexFolder(path).delete(list(dict.fromkeys(ids)))


ALL_SPLITS: tuple[Split, ...] = get_args(Split)
