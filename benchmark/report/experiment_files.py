"""Experiments on disk: what belongs to one, its pages, and its compact runs under results/.

RUNS/experiments/DATASET/TASK/NAME.json         the manifest: questions, variants, and the keys of their evaluations
RESULTS/DATASET/TASK/NAME.md .csv .tex          the tables, and a picture with its csv
RESULTS/DATASET/TASK/NAME/experiment.json       the manifest
RESULTS/DATASET/TASK/NAME/judgments-HASH.safetensors, and where a run stored them facts-HASH.safetensors: subgroups
RESULTS/DATASET/TASK/NAME/ROW.safetensors .json what each query scored, and the records (compact_rows.py)

A record knows nothing of experiments: an evaluation that several variants share is made, stored and published once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from pydantic import ValidationError

from benchmark.errors import UserError
from benchmark.experiment import Manifest, read_notes
from benchmark.facts import Facts
from benchmark.files import write_atomic
from benchmark.protocol import Judgments
from benchmark.records import EvaluationRecord
from benchmark.report.compact import distinct_names, judgments_hash
from benchmark.report.compact_rows import CompactRow, damaged_compact, measured_row, read_row
from benchmark.report.experiment import Board, experiment_board
from benchmark.report.experiment_figure import draw_differences, figure_rows
from benchmark.report.experiment_formats import experiment_csv, experiment_latex, experiment_markdown
from benchmark.report.figures import write_figure
from benchmark.report.robustness import write_sections
from benchmark.report.robustness.answers import CANONICAL, condition, measured_with_shares
from benchmark.report.table import Evaluated, measure, stale, table_folder
from benchmark.store import as_json, damaged, facts_bytes, judgments_bytes, read_facts, read_judgments, slug

FOLDER = "experiments"
MANIFEST = "experiment.json"
JUDGMENTS = "judgments-"
FACTS = "facts-"
PICTURE = "-differences"


def write_manifest(manifest: Manifest, runs: Path) -> None:
    """Keep what belongs to an experiment in a runs folder.

    Raises:
        UserError: the folder is read-only or full.
    """
    write_atomic(_manifest_path(manifest, runs), as_json(manifest.model_dump(mode="json")))


def read_manifests(runs: Path) -> list[Manifest]:
    """Return what a runs folder knows of experiments.

    Raises:
        UserError: a manifest is damaged.
    """
    return [_read_manifest(path) for path in sorted((runs / FOLDER).glob("*/*/*.json"))]


def _manifest_path(manifest: Manifest, runs: Path) -> Path:
    return runs / FOLDER / table_folder(manifest.dataset, manifest.task) / f"{slug(manifest.name)}.json"


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise damaged(path, str(error).splitlines()[0], unit=path) from error


def write_experiment(board: Board, folder: Path) -> list[Path]:
    """Write md, csv, tex and the picture with its csv under ``folder``/DATASET/TASK/ and return their paths, the page
    first; nothing without a result. An experiment that asks otherwise than canonically also gets what robustness/ has
    to say of it.

    Raises:
        UserError: the folder is read-only or full.
    """
    if not board.lines:
        return []
    manifest = board.manifest
    target, name = folder / table_folder(manifest.dataset, manifest.task), slug(manifest.name)
    sections, beside = write_sections(board.evaluations, target, name, manifest.members[0].method)
    published = (folder / FOLDER / f"{manifest.name}.toml").is_file()
    page = experiment_markdown(board, f"{name}{PICTURE}.svg", sections, published)
    texts = {
        ".md": page,
        ".csv": experiment_csv(board),
        ".tex": experiment_latex(board),
    }
    for suffix, text in texts.items():
        write_atomic(target / f"{name}{suffix}", text.encode())
    pictures = write_figure(target, f"{name}{PICTURE}", figure_rows(board), partial(draw_differences, board))
    return [*(target / f"{name}{suffix}" for suffix in texts), *pictures, *beside]


# ------------------------------------------------------------------------------------------------ published


def published_experiments(results: Path) -> list[Board]:
    """Return every experiment under results/, from its compact runs alone.

    Raises:
        UserError: a file is damaged, missing or left over.
    """
    return [_read_published(path.parent) for path in sorted(results.glob(f"*/*/*/{MANIFEST}"))]


def publish_experiments(runs: Path, evaluations: Sequence[Evaluated], results: Path) -> list[str]:
    """Bring the experiments of a runs folder into ``results`` and rebuild the pages of all that are there.

    Only an experiment whose file lies at ``results``/experiments/NAME.toml is published, and only as a whole. Returns
    what changed, a sentence each.

    Raises:
        UserError: a stored file is damaged, or something can't be written.
    """
    known = {one.record.key: one for one in evaluations}
    messages = [told for manifest in read_manifests(runs) if (told := _publish(manifest, known, results))]
    for path in sorted(results.glob(f"*/*/*/{MANIFEST}")):
        _refresh_notes(path.parent, results)
    for board in published_experiments(results):
        write_experiment(board, results)
    return messages


def _refresh_notes(folder: Path, results: Path) -> None:
    """Take the words beside the questions from the experiment's file, as it is now; they need no new run."""
    manifest = _published_manifest(folder)
    file = results / FOLDER / f"{manifest.name}.toml"
    if file.is_file():
        asked = {member.question for member in manifest.members}
        notes = {question: note for question, note in read_notes(file).items() if question in asked}
        if notes != manifest.notes:
            write_atomic(
                folder / MANIFEST, as_json(manifest.model_copy(update={"notes": notes}).model_dump(mode="json"))
            )


def _publish(manifest: Manifest, known: Mapping[str, Evaluated], results: Path) -> str:
    """Return what was done; empty where the same is published already."""
    name = f"Experiment {manifest.name} ({manifest.dataset}, {manifest.task})"
    if not (results / FOLDER / f"{manifest.name}.toml").is_file():
        return f"{name} is left out: {results / FOLDER / manifest.name}.toml does not exist."
    folder = results / table_folder(manifest.dataset, manifest.task) / slug(manifest.name)
    if (folder / MANIFEST).is_file() and _published_manifest(folder).members == manifest.members:
        return ""
    missing = [one for one in manifest.members if not one.keys or not all(key in known for key in one.keys)]
    if missing:
        return f"{name} is left out: {len(missing)} of {len(manifest.members)} rows have no result yet; run it again."
    if any(stale(known[key].record) for key in manifest.keys):
        return f"{name} is left out: its sources have changed since the run; run it again."
    _write_published(folder, manifest, known)
    return f"{name}: {len(manifest.members)} rows."


def _write_published(folder: Path, manifest: Manifest, known: Mapping[str, Evaluated]) -> None:
    own = [known[key] for key in sorted(manifest.keys)]
    kept = measured_with_shares if any(condition(one.record.protocol) != CANONICAL for one in own) else measure
    rows = {keys: measured_row([known[key] for key in keys], kept) for keys in {one.keys for one in manifest.members}}
    truths = {known[key].record.judgments: known[key].judgments for key in sorted(manifest.keys)}
    contents = {MANIFEST: as_json(manifest.model_dump(mode="json"))}
    contents |= {f"{JUDGMENTS}{name}.safetensors": judgments_bytes(truth()) for name, truth in truths.items()}
    for one in own:
        if facts := one.facts() if one.facts else None:
            contents[f"{FACTS}{one.record.judgments}.safetensors"] = facts_bytes(facts.publishable())
    for keys, name in _names(rows).items():
        contents[f"{name}.safetensors"] = rows[keys].content()
        contents[f"{name}.json"] = as_json([record.model_dump(mode="json") for record in rows[keys].records])
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} holds something else than an experiment; give {manifest.name}.toml another name.")
    for name, content in contents.items():
        write_atomic(folder / name, content)
    for path in folder.iterdir():
        if path.name not in contents:
            path.unlink()


def _names(rows: Mapping[tuple[str, ...], CompactRow]) -> dict[tuple[str, ...], str]:
    first = {keys: row.records[0] for keys, row in rows.items()}
    return distinct_names({keys: slug(f"{one.method.row}-{one.encoder.name}") for keys, one in first.items()}, MANIFEST)


def _published_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise damaged_compact(path, str(error).splitlines()[0]) from error


def _read_published(folder: Path) -> Board:
    path, manifest = folder / MANIFEST, _published_manifest(folder)
    truths = _read_truths(folder)

    def truth(record: EvaluationRecord) -> Judgments:
        if record.judgments not in truths:
            raise damaged_compact(folder / f"{JUDGMENTS}{record.judgments}.safetensors", "it is missing")
        return truths[record.judgments]

    stems = {one.stem for one in (*folder.glob("*.json"), *folder.glob("*.safetensors"))}
    names = sorted(name for name in stems - {path.stem} if not name.startswith((JUDGMENTS, FACTS)))
    read = [one for name in names for one in read_row(folder, name).evaluated(truth, folder / f"{name}.safetensors")]
    facts = cache(partial(_read_facts, folder))
    found = [one._replace(facts=partial(facts, one.record.judgments)) for one in read]
    if {one.record.key for one in found} != manifest.keys:
        raise damaged_compact(path, "its keys are others than those of the rows beside it")
    return experiment_board(manifest, found)


def _read_facts(folder: Path, judgments: str) -> Facts | None:
    path = folder / f"{FACTS}{judgments}.safetensors"
    try:
        return read_facts(path) if path.is_file() else None
    except UserError as error:
        raise damaged_compact(path, "it is no whole safetensors file, or does not match its SHA-256") from error


def _read_truths(folder: Path) -> dict[str, Judgments]:
    truths = {}
    for path in sorted(folder.glob(f"{JUDGMENTS}*.safetensors")):
        truth, name = read_judgments(path), path.stem.removeprefix(JUDGMENTS)
        if judgments_hash(truth) != name:
            raise damaged_compact(path, "its content does not match its name")
        truths[name] = truth
    return truths
