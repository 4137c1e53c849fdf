"""Where pictures of a dataset may be written: nowhere inside a repository. Imports no torch."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmark.config import cache_folder
from benchmark.errors import UserError

NAME = "explain"


def choose_folder(given: Path | None, cache: Path | None) -> Path:
    """Return the folder for overlays: the one ``given``, else ``./explain``, or one in the cache where the current
    folder lies in a repository.

    Raises:
        UserError: it lies in the work tree of a git repository.
    """
    if given is None:
        here = Path.cwd() / NAME
        given = here if repository_of(here) is None else cache_folder(cache) / NAME
    found = repository_of(given)
    if found is not None:
        raise UserError(
            f"--out {given} lies in the git repository {found}. Overlays hold pictures of the dataset, which may not "
            "be redistributed: name a folder outside, e.g. --out ~/explain."
        )
    return given.expanduser()


def ignored_by_git(folder: Path) -> bool:
    """Whether git leaves ``folder``, which lies in a work tree and need not exist, out; no where there is no git."""
    whole = folder.expanduser().resolve()
    there = next(parent for parent in (whole, *whole.parents) if parent.is_dir())
    try:
        # A rule like ``/runs/`` is for folders, so a name within is asked for.
        asked = ["git", "-C", str(there), "check-ignore", "-q", str(whole / "x")]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def repository_of(folder: Path) -> Path | None:
    """Return the git work tree that ``folder``, which need not exist, lies in, or None."""
    whole = folder.expanduser().resolve()
    # In a linked work tree and in a submodule .git is a file.
    return next((parent for parent in (whole, *whole.parents) if (parent / ".git").exists()), None)
