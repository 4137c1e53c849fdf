"""What ``python -m benchmark data audit`` does, behind the flags of ``data_cli``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import Progress
from rich.table import Table

from benchmark import audit, report
from benchmark.config import RunConfig
from benchmark.data_commands import open_folder, refuse_copy
from benchmark.errors import UserError
from benchmark.exclusion import exclusion_text
from benchmark.features import open_image
from benchmark.files import write_atomic
from benchmark.flags import err, out
from benchmark.registry import Registry
from benchmark.report.formats import csv_text
from benchmark.report.reduced import Change, changes
from benchmark.session import Session
from benchmark.vision import TaughtVision

PAIRS_SHOWN = 30
PAIR_COLUMNS = ("view", "first", "second", "first_split", "second_split", "bits", "cosine", "verdict")
CHANGE_COLUMNS = (
    "table", "method", "encoder", "seeds", "queries_before", "queries_after",
    "macro_map_before", "macro_map_after", "map_before", "map_after", "strata_lost",
)  # fmt: skip


class Finding(NamedTuple):
    """One view's pairs, in rows of the session's cases."""

    view: str
    pairs: list[audit.Pair]


def audit_command(
    config: RunConfig,
    registry: Registry,
    bits: int | None,
    threshold: float | None,
    folder: Path,
    runs: Path | None,
    as_json: bool,
) -> None:
    """Find pairs, write ``pairs.csv`` and ``exclude.txt``, and show what excluding changes in stored leaderboards.

    Raises:
        UserError: the data, the folder or the runs are at fault; nothing is written then.
    """
    session = Session(config, registry)
    near_bits = audit.NEAR_BITS if bits is None else bits
    outlying = audit.OUTLYING if threshold is None else threshold
    if isinstance(session.vision, TaughtVision):
        raise UserError(
            f"--encoder {session.encoder_label} is taught anew for every seed; name a fixed one to audit with."
        )
    stored = _stored(session, runs) if runs else []
    refuse_copy(folder, session.dataset)
    open_folder(folder)
    findings = [
        Finding(view, audit.find_pairs(distances, similarity, near_bits, outlying))
        for view, distances, similarity in _evidence(session)
    ]
    pairs = [pair for finding in findings for pair in finding.pairs]
    ids = [session.cases[row].id for row in audit.surplus(pairs)]
    changed = changes(stored, frozenset(ids))
    write_atomic(folder / "pairs.csv", csv_text([PAIR_COLUMNS, *_pair_rows(session, findings)]).encode())
    about = _about(session, near_bits, outlying, len(pairs), len(ids))
    write_atomic(folder / "exclude.txt", exclusion_text(ids, about).encode())
    if runs:
        write_atomic(folder / "before_after.csv", csv_text([CHANGE_COLUMNS, *map(_change_row, changed)]).encode())
    if as_json:
        print(json.dumps(_audit_json(session, findings, ids, changed), indent=1))
    else:
        _show_audit(session, findings, ids, changed)
    err.print(f"Pairs and exclusion list: {folder}", markup=False, highlight=False, soft_wrap=True)


def _evidence(session: Session) -> Iterator[tuple[str, Any, Any]]:
    """Yield view, hash distances (n, n) and cosines (n, n), one view after the other."""
    count = len(session.cases) * len(session.views)
    with Progress(console=err, disable=not err.is_terminal) as bars:
        encoding, hashing = (bars.add_task(f"{word} images", total=count) for word in ("Encoding", "Hashing"))
        for view, paths in zip(session.views, session.paths(), strict=True):
            pooled = session.store.images(paths, lambda done: bars.advance(encoding, done)).pooled.float().numpy()
            squares = []
            with ThreadPoolExecutor(session.store.workers) as pool:
                for square in pool.map(lambda path: audit.grey_squares(open_image(path)), paths):
                    squares.append(square)
                    bars.advance(hashing)
            yield view, audit.hash_distances(np.stack(squares)), audit.cosines(pooled)
        bars.update(encoding, completed=count)


def _stored(session: Session, runs: Path) -> list[report.Evaluated]:
    """Return the evaluations of the audited data in a runs folder."""
    found = report.from_runs(runs)
    if not found:
        raise UserError(f"There are no runs in {runs}. Name a folder that `run` has written, or leave --runs out.")
    info = session.dataset_info
    same = [one for one in found if one.record.dataset.name == info.name]
    if not same:
        names = ", ".join(sorted({one.record.dataset.name for one in found}))
        raise UserError(f"No run in {runs} is on {info.name}, only on {names}; name another folder with --runs.")
    current = [one for one in same if one.record.dataset.fingerprint == info.fingerprint]
    if not current:
        raise UserError(f"All runs on {info.name} in {runs} used other data than this copy; run the methods again.")
    return current


def _pair_rows(session: Session, findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    ids = [case.id for case in session.cases]
    return [
        (view, ids[p.first], ids[p.second], session.splits[ids[p.first]], session.splits[ids[p.second]],
         str(p.bits), f"{p.cosine:.4f}", p.verdict)
        for view, pairs in findings
        for p in pairs
    ]  # fmt: skip


def _counts(session: Session, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    splits = [session.splits[case.id] for case in session.cases]
    kinds = (audit.NEAR_DUPLICATE, audit.SAME_LESION)
    rows = []
    for view, pairs in findings:
        counted = audit.count(pairs, splits)
        for first, second in dict.fromkeys((a, b) for a, b, _ in sorted(counted)):
            numbers = {kind: counted[first, second, kind] for kind in kinds}
            rows.append({"view": view, "splits": f"{first} - {second}", "across": first != second, **numbers})
    return rows


def _about(session: Session, near_bits: int, outlying: float, pairs: int, excluded: int) -> str:
    return (
        f"{excluded} cases of {session.dataset_label} to leave out: python -m benchmark run --exclude THIS_FILE\n"
        f"Found by `data audit`: {pairs} pairs, view {session.config.view}, encoder {session.encoder_label}, "
        f"near-duplicate up to {near_bits} bits, same lesion from {outlying:g} robust deviations.\n"
        "Rule: of cases that pairs join, the first in the order train, valid, test stays (so the train side of a "
        "cluster that crosses splits), the others are listed."
    )


def _change_row(change: Change) -> tuple[str, ...]:
    (macro_before, map_before), (macro_after, map_after) = change.before, change.after
    numbers = (f"{value:.6f}" for value in (macro_before, macro_after, map_before, map_after))
    counts = (str(change.seeds), *map(str, change.queries))
    return (change.table, change.method, change.encoder, *counts, *numbers, " ".join(change.lost))


def _audit_json(
    session: Session, findings: Sequence[Finding], ids: Sequence[str], changed: Sequence[Change]
) -> dict[str, Any]:
    return {
        "dataset": session.dataset_label,
        "cases": len(session.cases),
        "pairs": [dict(zip(PAIR_COLUMNS, row, strict=True)) for row in _pair_rows(session, findings)],
        "counts": _counts(session, findings),
        "excluded": list(ids),
        "before_after": [dict(zip(CHANGE_COLUMNS, _change_row(change), strict=True)) for change in changed],
    }


def _show_audit(session: Session, findings: Sequence[Finding], ids: Sequence[str], changed: Sequence[Change]) -> None:
    rows = _pair_rows(session, findings)
    shown = f", the first {PAIRS_SHOWN} here and all in pairs.csv" if len(rows) > PAIRS_SHOWN else ""
    _print_table(f"{len(rows)} pairs among {len(session.cases):,} cases{shown}", PAIR_COLUMNS, rows[:PAIRS_SHOWN])
    counts = [[str(cell) for name, cell in row.items() if name != "across"] for row in _counts(session, findings)]
    columns = ("view", "splits", audit.NEAR_DUPLICATE, audit.SAME_LESION)
    _print_table("Pairs within and across splits", columns, counts)
    out.print(f"{len(ids)} cases are on the exclusion list.", highlight=False)
    for table in dict.fromkeys(change.table for change in changed):
        _show_changes([change for change in changed if change.table == table], len(ids))


def _show_changes(changed: Sequence[Change], excluded: int) -> None:
    first = changed[0]
    title = f"{first.table}: without {excluded} cases ({first.queries[0]} -> {first.queries[1]} queries)"
    rows = []
    for change in changed:
        parts = zip(change.before, change.after, strict=True)
        cells = [text for a, b in parts for text in (f"{100 * a:.2f}", f"{100 * b:.2f}", f"{100 * (b - a):+.2f}")]
        rows.append((change.method, change.encoder, str(change.seeds), *cells))
    columns = ("method", "encoder", "seeds", "macro mAP", "after", "change", "mAP", "after", "change")
    _print_table(title, columns, rows)
    if first.lost:
        out.print(
            f"No query of {', '.join(first.lost)} can be judged any more: macro mAP after is the mean over the others, "
            "and its change says nothing.",
            style="yellow",
        )
    out.print("The stored rankings without those cases; nothing is trained again (`run --exclude` does).", style="dim")


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    out.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    if rows:
        out.print(table)
