"""Lists of cases that a run leaves out: the file, its name in a record, and stored rankings without them.

Shapes: q queries, g gallery rows, k candidates of a query; q', g', k' those that are left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UserError
from benchmark.modification import shared_references
from benchmark.protocol import Judgments, Trial
from benchmark.records import digest

SHOWN = 3


def read_exclusion(path: Path, known: Collection[str]) -> frozenset[str]:
    """Read case ids, one a line; blank lines and lines that start with # don't count.

    Raises:
        UserError: the file can't be read, or names a case that is not ``known``.
    """
    try:
        lines = path.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"--exclude {path}: {error.strerror}. Give a text file with one case id a line.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--exclude {path}: not UTF-8 text. Give a text file with one case id a line.") from error
    ids = [line.strip() for line in lines]
    ids = [name for name in ids if name and not name.startswith("#")]
    unknown = [name for name in ids if name not in known]
    if unknown:
        shown = ", ".join(unknown[:SHOWN]) + (", ..." if len(unknown) > SHOWN else "")
        raise UserError(
            f"--exclude {path}: {len(unknown)} of {len(ids)} ids are no cases of this dataset ({shown}). "
            "Make the list anew with `python -m benchmark data audit`, or correct those lines."
        )
    return frozenset(ids)


def exclusion_text(ids: Iterable[str], about: str) -> str:
    """Return the content of an exclusion file; ``about`` becomes comment lines."""
    return "".join(f"# {line}\n" for line in about.splitlines()) + "".join(f"{name}\n" for name in ids)


def exclusion_label(ids: Collection[str]) -> str:
    """Return what a record says of left-out cases, e.g. ``7 cases, list 3f9c02ab``; empty where there are none."""
    return f"{len(ids)} cases, list {digest(sorted(ids))[:8]}" if ids else ""


def without_cases(trial: Trial, ids: Collection[str]) -> Trial:
    """Return ``trial`` without the cases of ``ids``, wherever they train, choose, ask or are searched.

    Raises:
        UserError: a part of the trial is left empty.
    """
    if not ids:
        return trial
    names = ("train", "valid", "queries", "gallery")
    parts: dict[str, Any] = {name: tuple(case for case in getattr(trial, name) if case.id not in ids) for name in names}
    empty = [name for name, cases in parts.items() if not cases]
    if empty:
        raise UserError(f"--exclude leaves no case in {', '.join(empty)}; exclude fewer cases.")
    return replace(trial, **parts)


def reduced_judgments(judgments: Judgments, ids: Collection[str]) -> Judgments:
    """Return judgments of the queries (q') and gallery rows (g') that are not in ``ids``."""
    asked, searched = _asking(judgments, ids), _kept(judgments.gallery_ids, ids)
    return replace(
        judgments,
        query_ids=tuple(name for name, kept in zip(judgments.query_ids, asked, strict=True) if kept),
        gallery_ids=tuple(name for name in judgments.gallery_ids if name not in ids),
        gains=judgments.gains[asked][:, searched],
        excluded=_moved(searched)[judgments.excluded[asked]],
        strata=judgments.strata[asked],
        gallery_groups=judgments.gallery_groups[searched],
    )


def reduced_ranking(ranking: NDArray[np.uint16], judgments: Judgments, ids: Collection[str]) -> NDArray[np.uint16]:
    """Return a stored ranking (q, k) without the cases of ``ids``, (q', k'), in rows of the reduced gallery.

    The order of the others stays, so the scores would give the same ranking anew, up to the random order of ties.
    Raises ``ValueError`` where the queries are not left with equally many candidates.
    """
    searched = _kept(judgments.gallery_ids, ids)
    rows = ranking[_asking(judgments, ids)]
    left = searched[rows]
    counts = set(left.sum(axis=1).tolist()) or {0}
    if len(counts) > 1:
        raise ValueError(f"queries are left with {min(counts)} to {max(counts)} candidates")
    return _moved(searched)[rows[left]].reshape(len(rows), *counts).astype(np.uint16)


def _asking(judgments: Judgments, ids: Collection[str]) -> NDArray[np.bool_]:
    """Return (q,): which queries are left. A query is of its own case: by its id, by the reference that its id names,
    or by the row of that case.
    """
    own = judgments.excluded >= 0
    named = _kept(judgments.query_ids, ids) & _kept(shared_references(judgments.query_ids), ids)
    return named & ~(own & ~_kept(judgments.gallery_ids, ids)[judgments.excluded])


def _kept(names: Iterable[str], ids: Collection[str]) -> NDArray[np.bool_]:
    return np.array([name not in ids for name in names], dtype=np.bool_)


def _moved(kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return (g + 1,): the new row of each old one, and -1 for those that are gone and for "no row", the last item."""
    moved = np.where(kept, np.cumsum(kept) - 1, -1)
    return np.append(moved, -1).astype(np.int32)
