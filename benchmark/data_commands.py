"""What ``python -m benchmark data stats`` and ``data preview`` do, and into which folders ``data`` may write."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmark.config import RunConfig
from benchmark.contact_sheet import choose, contact_sheet
from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.flags import out
from benchmark.hookspecs import PROJECT
from benchmark.interfaces import Dataset
from benchmark.protocol import chosen_views
from benchmark.registry import Registry
from benchmark.resolve import dataset_name, make_dataset
from benchmark.store import distinct_slug
from benchmark.tally import as_rows, markdown, tallies


def stats_command(config: RunConfig, registry: Registry, as_json: bool) -> None:
    """Print the tables of a dataset."""
    dataset, label = make_dataset(registry, dataset_name(config, registry), config)
    found = tallies(dataset)
    if as_json:
        print(json.dumps({tally.title: as_rows(tally) for tally in found}, indent=1))
        return
    print(f"# {label}\n")
    print("\n".join(markdown(tally) for tally in found), end="")


def preview_command(
    config: RunConfig, registry: Registry, folder: Path, group: str | None, criteria: tuple[str, ...], number: int
) -> None:
    """Write a contact sheet, but no picture under a licence into the repository or into the user's copy of the data.

    Raises:
        UserError: the folder is refused or can't be written, or what to show is unknown.
    """
    dataset, label = make_dataset(registry, dataset_name(config, registry), config)
    (view, *others) = chosen_views(dataset, config.view)
    if others:
        raise UserError(f"A contact sheet shows one view; choose --view {view} or --view {others[0]}.")
    _refuse_repository(folder, dataset)
    refuse_copy(folder, dataset)
    cases = choose(dataset, group, criteria, number, view)
    content = contact_sheet(dataset, cases, view)
    open_folder(folder)
    path = folder / f"{'-'.join(distinct_slug(part) for part in (label, view, group or 'all', *criteria))}.jpg"
    write_atomic(path, content)
    out.print(f"{len(cases)} cases: {path}", markup=False, highlight=False, soft_wrap=True)


def _refuse_repository(folder: Path, dataset: Dataset) -> None:
    if dataset.synthetic:
        return
    for place in (folder.resolve(), *folder.resolve().parents):
        if _is_checkout(place):
            raise UserError(
                f"--out {folder} lies in the repository ({place}), from where pictures would be published with the "
                f"code. The licence of {dataset.name}: {dataset.licence} Name a folder elsewhere."
            )


def _is_checkout(place: Path) -> bool:
    """Whether a folder is the top of a git working tree of this project."""
    try:
        named = f'name = "{PROJECT}"' in (place / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return named and (place / ".git").exists()


def refuse_copy(folder: Path, dataset: Dataset) -> None:
    """Raise ``UserError`` where ``folder`` lies in the user's own copy of a dataset."""
    root = dataset.context.root
    if root and not dataset.synthetic and folder.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"--out {folder} lies in your copy of {dataset.name} ({root}), which must stay as it was licensed to you "
            "and as `data verify` knows it. Name a folder elsewhere."
        )


def open_folder(folder: Path) -> None:
    """Make a folder and prove that it can be written, before anything is computed for it.

    Raises:
        UserError: it can't be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise UserError(f"Can't write to --out {folder}: {error.strerror}. Name another folder with --out.") from error
