"""The folder of drawn pictures: whole or absent, whatever process is killed while it draws. Imports no torch."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, cpu_count, delayed

from benchmark.errors import UserError
from plugins.datasets.synthetic.painter import paint, save_options
from plugins.datasets.synthetic.profile import CaseProfile

MOST_JOBS = 4
FEWEST_IN_PARALLEL = 48
"""Below this many pictures, starting a second process takes longer than drawing them."""

UNFINISHED = ".unfinished"
STALE_SECONDS = 3600


def picture_path(folder: Path, profile: CaseProfile) -> Path:
    """Return where the picture of ``profile`` lies in ``folder``."""
    return folder / f"{profile.id}.jpg"


def ensure_drawn(folder: Path, profiles: Sequence[CaseProfile], seed: int, size: int) -> None:
    """Draw every profile into ``folder`` unless all of them are there.

    Pictures are drawn into a folder of another name, which is renamed when it is complete. Where another process was
    faster, its folder stays. ``UserError`` where the disk refuses.
    """
    if is_complete(folder, profiles):
        return
    _sweep(folder.parent)
    unfinished = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}{UNFINISHED}")
    try:
        unfinished.mkdir(parents=True)
        _draw_all(unfinished, profiles, seed, size)
        _put_in_place(unfinished, folder, profiles)
    except OSError as error:
        where = "name a folder with free space through --cache or DERMCIR_CACHE"
        raise UserError(f"The synthetic pictures could not be written to {folder}: {error}. Next: {where}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def is_complete(folder: Path, profiles: Sequence[CaseProfile]) -> bool:
    """Say whether ``folder`` holds a picture of every profile."""
    if not folder.is_dir():
        return False
    present = {entry.name for entry in os.scandir(folder)}
    return all(picture_path(folder, profile).name in present for profile in profiles)


def _sweep(parent: Path) -> None:
    """Remove what a killed run left behind; a folder written to within the hour may belong to a run that goes on."""
    for leftover in parent.glob(f"*{UNFINISHED}"):
        if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)


def _put_in_place(unfinished: Path, folder: Path, profiles: Sequence[CaseProfile]) -> None:
    if folder.exists() and not is_complete(folder, profiles):
        shutil.rmtree(folder)  # somebody deleted some of its files
    try:
        unfinished.rename(folder)
    except OSError:
        if not is_complete(folder, profiles):
            raise


def _draw_all(folder: Path, profiles: Sequence[CaseProfile], seed: int, size: int) -> None:
    jobs = min(MOST_JOBS, cpu_count()) if len(profiles) >= FEWEST_IN_PARALLEL else 1
    Parallel(n_jobs=jobs)(delayed(_draw)(picture_path(folder, p), p, seed, size) for p in profiles)


def _draw(path: Path, profile: CaseProfile, seed: int, size: int) -> None:
    picture, _ = paint(profile, seed, size)
    picture.save(path, **save_options(profile, seed))
