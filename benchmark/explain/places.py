"""Where pictures of a dataset may be written: nowhere inside a repository. Imports no torch."""

from __future__ import annotations

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


def repository_of(folder: Path) -> Path | None:
    """Return the git work tree that ``folder``, which need not exist, lies in, or None."""
    whole = folder.expanduser().resolve()
    # In a linked work tree and in a submodule .git is a file.
    return next((parent for parent in (whole, *whole.parents) if (parent / ".git").exists()), None)
