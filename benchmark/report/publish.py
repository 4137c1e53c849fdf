"""``report --publish``: new rows into results/, every table rebuilt from what is there, and the README's tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import write_atomic
from benchmark.records import EvaluationRecord
from benchmark.report.compact import FOLDER, CompactTable, Identity, from_published, read_compact, write_compact
from benchmark.report.compact_rows import CompactRow, measured_row, ranked_row
from benchmark.report.formats import short_markdown
from benchmark.report.leaderboard import Leaderboard
from benchmark.report.looks import record_looks
from benchmark.report.table import Evaluated, other_conditions, select, table_folder, task_of
from benchmark.report.wording import spans
from benchmark.report.writing import leaderboards, write_board

MISSING = "not computed yet"
OPENING = re.compile(r"<!-- leaderboard:(\S+) -->")
CLOSING = "<!-- /leaderboard -->"
SECTION = re.compile(rf"{OPENING.pattern}.*?{re.escape(CLOSING)}", re.DOTALL)


def publish(evaluations: Iterable[Evaluated], results: Path, readme: Path, reference: str | None) -> list[str]:
    """Bring the rows of a runs folder into ``results``, rebuild all that is there, and fill the README's tables.

    Only rows with default options under default conditions on test are published. A row whose seeds are all published
    under the same keys stays as it is, whatever its ranking on this machine; any other row is replaced as a whole. The
    tables come from ``results`` alone: without any evaluation this only rebuilds them. Returns what changed, a
    sentence each.

    Raises:
        UserError: a stored file is damaged, the README can't be filled, or something can't be written.
    """
    text = _read_readme(readme)
    from_published(results)  # what is damaged there must be known before anything is written
    messages = _import(evaluations, results)
    published = from_published(results)
    boards = leaderboards(published, reference)
    for board in boards:
        write_board(board, results)
    record_looks(published, boards, results)
    write_atomic(readme, fill(text, boards, _relative(results, readme)).encode())
    return messages


# ------------------------------------------------------------------------------------------------ rows


def publishable(record: EvaluationRecord) -> bool:
    """Whether a record has default options and stands under default conditions on test."""
    usual = record.protocol.evaluate == "test" and not other_conditions(record.protocol, record.dataset)
    return usual and "[" not in record.method.row


def _import(evaluations: Iterable[Evaluated], results: Path) -> list[str]:
    """Merge every table before any is written, so that a damaged file stops it before something has changed."""
    shared: dict[tuple[str, ...], list[Evaluated]] = {}
    for one in evaluations:
        if publishable(one.record):
            shared.setdefault(one.record.table, []).append(one)
    messages: list[str] = []
    merged: list[tuple[Path, CompactTable]] = []
    for key in sorted(shared):
        record = shared[key][-1].record
        folder = results / table_folder(record.dataset.name, record.protocol.task) / FOLDER
        table, told = merge(read_compact(folder), shared[key])
        merged.append((folder, table))
        messages += [f"{record.dataset.name}, {record.protocol.task}: {sentence}" for sentence in told]
    for folder, table in merged:
        write_compact(folder, table)
    return messages


def merge(published: CompactTable | None, evaluations: Sequence[Evaluated]) -> tuple[CompactTable, list[str]]:
    """Return a published table with the rows of ``evaluations`` (one table, oldest first) brought in, and what changed.

    Raises:
        UserError: a ranking or its judgments are damaged.
    """
    chosen, outdated = select(evaluations)
    found: dict[Identity, list[Evaluated]] = {}
    for one in chosen:
        found.setdefault((one.record.method.row, one.record.encoder.name), []).append(one)
    messages = [f"{name} of the runs folder was judged by other data and was left out." for name in outdated]
    old: Mapping[Identity, CompactRow] = published.rows if published else {}
    fingerprints = {record.dataset.fingerprint for row in old.values() for record in row.records}
    same_data = fingerprints <= {chosen[0].record.dataset.fingerprint}
    if published and (published.judgments_hash != chosen[0].record.judgments or not same_data):
        gone = [" with ".join(identity) for identity in old if identity not in found]
        if gone:
            messages.append(f"dropped {', '.join(gone)}: judged by other data than the new rows; run them again.")
        old = {}
    rows = dict(old)
    for identity, members in found.items():
        row, told = _replace(identity, old.get(identity), members)
        rows[identity] = row
        messages += told
    return CompactTable(chosen[0].judgments(), dict(sorted(rows.items()))), messages


def _replace(identity: Identity, old: CompactRow | None, members: Sequence[Evaluated]) -> tuple[CompactRow, list[str]]:
    name = " with ".join(identity)
    if old and {one.record.key for one in members} <= old.keys:
        return old, []
    new = compact(members)
    if old and new.stale and not old.stale:
        return old, [f"kept {name} as published: its source has changed since the run; run it again."]
    seeds = spans([record.seed for record in new.records])
    return new, [f"{'replaced' if old else 'added'} {name}, seeds {seeds}."]


def compact(members: Sequence[Evaluated]) -> CompactRow:
    """Return one row's seeds in the form that its task keeps.

    Raises:
        UserError: a ranking is damaged.
    """
    ordered = sorted(members, key=lambda one: one.record.seed)
    kept = task_of(ordered[0].record.protocol).kept
    return ranked_row(ordered) if kept == "rankings" else measured_row(ordered)


# ------------------------------------------------------------------------------------------------ the README


def fill(text: str, boards: Iterable[Leaderboard], results: str) -> str:
    """Return a README whose marked places hold the short tables; ``results`` is the path of the folder from there."""
    found = {board.table.folder.as_posix(): board for board in boards}

    def section(match: re.Match[str]) -> str:
        name = match[1]
        link = f"{results}/{name}/leaderboard.md"
        body = short_markdown(found[name], link) if name in found else MISSING
        return f"<!-- leaderboard:{name} -->\n{body}\n{CLOSING}"

    return SECTION.sub(section, text)


def _read_readme(readme: Path) -> str:
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"Can't read {readme}: {why}. Give the README to fill with --readme.") from error
    for opening in OPENING.finditer(text):
        end, following = text.find(CLOSING, opening.end()), OPENING.search(text, opening.end())
        if end < 0 or (following and following.start() < end):
            raise UserError(
                f"{readme}: the marker {opening[0]} has no {CLOSING} after it. Add that line where the table ends; "
                "nothing was written."
            )
    return text


def _relative(results: Path, readme: Path) -> str:
    return Path(os.path.relpath(results, readme.parent)).as_posix()
