"""The sentences around a leaderboard, in markdown; other formats strip the emphasis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from benchmark.records import FINETUNED, EvaluationRecord
from benchmark.report.columns import LABELS, NEAR, STALE, missed_heading
from benchmark.report.leaderboard import BOOTSTRAP_DRAWS, CHANCE, SEPARABLE, TEST_DRAWS, Leaderboard, Line
from benchmark.report.table import Row, other_conditions
from benchmark.tasks import CASE_SEARCH

SYNTHETIC = (
    "All images of this table are **synthetic**: a program draws them, "
    "and nothing here says how a method does on real ones."
)
REGISTERED = "As they were registered when the rows were made; `python -m benchmark list` says what is shipped now."
SHIPPED = ("plugins", "baselines", "benchmark")
VARIANTS = "plugins.variants"
"""Packages whose methods need no ``--plugin``, and what among them does."""
GALLERIES = {"split": "the other cases of the same split", "archive": "the cases of train and valid"}


def title(board: Leaderboard) -> str:
    """Return e.g. ``Leaderboard: derm7pt, case-search``; a drawn dataset is called synthetic."""
    table = board.table
    kind = "**Synthetic** leaderboard" if table.dataset.synthetic else "Leaderboard"
    folds = ", cross-validation" if board.cross_validated else ""
    other = f" ({table.folder.name})" if len(table.folder.parts) > 2 else ""
    return f"{kind}: {table.dataset.name}, {table.protocol.task}{folds}{other}"


def plain(text: str) -> str:
    """Return markdown without emphasis and code marks."""
    return text.replace("**", "").replace("`", "")


def facts(board: Leaderboard) -> str:
    """Return one line on what was searched, by whom and how often."""
    table, protocol = board.table, board.table.protocol
    judgments = list(table.judgments.values())
    queries = sum(len(one.query_ids) for one in judgments)
    judged = sum(int((one.gains > 0).any(axis=1).sum()) for one in judgments)
    groups = ", ".join(f"{name} {count}" for name, count in table.groups.items())
    encoders = sorted({line.encoder for line in board.lines})
    seeds = sorted({seed for row in table.rows for seed in row.seeds})
    parts = [
        f"dataset {table.dataset.name}",
        f"task {protocol.task}",
        f"{queries:,} queries" + (f" in {len(judgments)} folds" if board.cross_validated else ""),
        *([f"only {judged:,} of them have a relevant candidate and count"] if judged < queries else []),
        f"{_candidates(board)} candidates each ({_searched(board)})",
        f"{table.task.counted} {groups}",
        *([f"encoder {encoders[0]}"] if len(encoders) == 1 else []),
        f"seeds {spans(seeds)}",
        f"queries: your own, {protocol.queries}" if protocol.queries else f"text {protocol.text_style}",
        f"view {protocol.view}",
        *([f"trained on {protocol.trained_on}"] if protocol.trained_on else []),
        *([f"queries without {protocol.without}: the mean one of train instead"] if protocol.without else []),
        *([f"training {protocol.training}"] if protocol.training else []),
        *([f"excluded {protocol.excluded}"] if protocol.excluded else []),
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _searched(board: Leaderboard) -> str:
    protocol = board.table.protocol
    asked_from_outside = all((one.excluded < 0).all() for one in board.table.judgments.values())
    if protocol.gallery == "split" and protocol.queries and asked_from_outside:
        return "the cases of the test split"
    return GALLERIES.get(protocol.gallery, protocol.gallery)


def _candidates(board: Leaderboard) -> str:
    counts = {len(one.gallery_ids) - int((one.excluded >= 0).any()) for one in board.table.judgments.values()}
    return f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"


def spans(numbers: Sequence[int]) -> str:
    """Return ``0-4`` for consecutive numbers, else ``0, 2, 5``."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(str(number) for number in numbers)


def method_paragraph(board: Leaderboard) -> str:
    """Return how the averages, intervals and p values were made."""
    gap = (
        "Composition gap: macro mAP minus that of the better of the image-only and text-only rows, which are trained "
        "by the contrastive objective. Parameters are those of the method alone, without the encoder."
    )
    if board.cross_validated:
        return (
            "Numbers are percentage points: the mean over folds of the mean over a fold's seeds. ± is the standard "
            "error over folds, for differences that of the difference paired by fold; a difference under two standard "
            f"errors is a tie. {gap}{_note(board)}"
        )
    task = board.table.task
    drawn = f"queries within {task.stratum}" if task.unit == "query" else f"{task.unit}s"
    missed = f" {missed_heading(board).capitalize()}: lower is better." if board.critical else ""
    return (
        "Numbers are percentage points, means over seeds. ± is the standard deviation over seeds; [95 %] is a "
        f"two-level bootstrap interval of macro mAP (seeds, then {drawn}; "
        f"{BOOTSTRAP_DRAWS:,} draws), conditional on this gallery. {_tests(board)} {gap}{missed}{_note(board)}"
    )


def legend(board: Leaderboard) -> str:
    """Return what the columns of the README's table are, in a sentence each."""
    name = next(iter(board.table.judgments.values())).critical_name
    drawn = "queries" if board.table.task.unit == "query" else "references"
    tested = any("p_holm" in line.numbers for line in board.lines)
    sentences = [
        f"Points; ±: standard deviation over seeds; [95 %]: interval over seeds and {drawn}.",
        "Composition gap: macro mAP minus that of the better of image-only and text-only.",
        *(
            [f"Missed {name}@10: {name} queries without one in the first ten; lower is better."]
            if board.critical
            else []
        ),
        *(["Grade 2: relevant is only what equals the target in all criteria."] if board.table.task.exact else []),
        *(
            [
                f"{board.reference} minus row: above 0 where {board.reference} is the better one; p: of that "
                f"difference, adjusted by Holm over the {board.family} tested rows of the full table."
            ]
            if tested
            else []
        ),
        "Parameters: without the encoder.",
    ]
    return " ".join(sentences)


def _note(board: Leaderboard) -> str:
    return f" {board.table.task.note}" if board.table.task.note else ""


def open_tests(board: Leaderboard) -> list[str]:
    """Return the sentence on p and wins where they are left open; tables that have a paragraph say it there."""
    return [] if board.cross_validated or board.has_reference else [_tests(board)]


def _tests(board: Leaderboard) -> str:
    name = f"`{board.reference}`"
    if not board.has_reference:
        return f"p and wins are left open: no row of this table is of {name}, the method to test against."
    return (
        f"{name} minus row: the difference in macro mAP, both with the row's encoder; its interval is drawn alike, for "
        f"both together. p: two-sided sign-flip test of that difference ({TEST_DRAWS:,} draws, signs flipped by "
        f"{board.table.task.unit}), adjusted by Holm over the {board.family} rows that {name} is tested against; the "
        f"interval is not adjusted. Wins by seed: seeds in which {name} has the higher macro mAP."
    )


def marks(board: Leaderboard) -> list[str]:
    """Return one sentence for each mark in the table, and for what was left out."""
    lines = (*board.lines, *board.apart)
    found = []
    if any(line.near_best for line in lines):
        found.append(
            f"{NEAR} not separable from the best row (paired p > {SEPARABLE}, not adjusted): a description, no test."
        )
    if any(line.kind == "reads labels" for line in lines):
        found.append(f"{LABELS} reads labels that no method sees: a reference point, not a method.")
    if any(line.kind == "chance" for line in lines):
        found.append(f"{CHANCE}: the expectation of a random ranking, computed exactly.")
    found += [_stale(line) for line in lines if line.row and line.row.changed]
    return found + _seed_notes(board) + list(board.table.notes)


def _stale(line: Line) -> str:
    assert line.row is not None
    return f"{STALE} `{line.label}`: made with other versions of {', '.join(line.row.changed)}; run it again."


def _seed_notes(board: Leaderboard) -> list[str]:
    """Say where a comparison had fewer seeds than one of its two rows, or none."""
    if board.cross_validated:
        return []
    apart = [board.name(line) for line in board.lines if not line.best and "p_best" not in line.numbers]
    notes = [f"Not compared with the best row, with which it shares no seed: {', '.join(apart)}."] if apart else []
    if not board.has_reference:
        return notes
    asked = {line.encoder: line.numbers["seeds"] for line in board.lines if line.reference}
    short = [
        board.name(line)
        for line in board.lines
        if line.numbers.get("wins_of", np.inf) < max(line.numbers["seeds"], asked.get(line.encoder, 0))
    ]
    none = [board.name(line) for line in board.lines if not line.reference and "wins_of" not in line.numbers]
    if short:
        notes.append(
            f"Difference, interval, p and wins use only the seeds shared with `{board.reference}`, so the difference "
            f"is not that of the two averages shown: {', '.join(short)}."
        )
    alone = f"Not tested (no seed or no encoder shared with `{board.reference}`): {', '.join(none)}."
    return notes + ([alone] if none else [])


def rebuilding(board: Leaderboard) -> list[str]:
    """Return how the rows were made: a command for each encoder, the training, and what they ran on. Nothing where the
    data set or the protocol has what a command of this kind can't name.
    """
    dataset, protocol = board.table.dataset.name, board.table.protocol
    if protocol.queries or protocol.trained_on or protocol.excluded or protocol.training or set(dataset) & set(":["):
        return []
    commands: list[str] = []
    named: set[tuple[str, str]] = set()
    for encoder in dict.fromkeys(line.encoder for line in board.lines):
        members = [line.row for line in board.lines if line.row and line.encoder == encoder and _plain(line.row)]
        if members:
            commands.append(f"```sh\n{_command(board, encoder, members)}\n```")
            named.update((row.method.row, encoder) for row in members)
    if not commands:
        return []
    records = [record for line in board.lines if line.row for record in line.row.records]
    trained = next((record.training for record in records if record.training), {})
    told = ", ".join(f"{name.replace('_', '-')} {value:g}" for name, value in trained.items())
    others = [board.name(line) for line in board.lines if (line.label, line.encoder) not in named]
    native = any(record.method.name.endswith("-native") for record in records)
    sentences = [
        *([f"Of {', '.join(others)} the page of `report --html` has the commands."] if others else []),
        *(["`python -m benchmark report` then makes one table of all rows."] if len(commands) > 1 else []),
        *([f"Shared training: {told}."] if told else []),
        *(["Rows called -native are trained as their papers do, by the options in their json."] if native else []),
        *made_with(records),
        "Which commit made which row, all of its options, and the digests of its code, data and features stand in its "
        "json under runs/.",
    ]
    return [*commands, " ".join(sentences)]


def made_with(records: Iterable[EvaluationRecord]) -> list[str]:
    """Return the sentence on commits, PyTorch and machine that made evaluations, where their records say so."""
    given = list(records)
    names = ("commit", "torch", "device", "processor")
    known = {name: sorted({one.environment[name] for one in given if one.environment.get(name)}) for name in names}
    if len(known["torch"]) > 1:
        known["torch"] = _releases(given)
    ran = ", ".join(f"{name} {' and '.join(values)}" for name, values in known.items() if values)
    return [f"Made with {ran}."] if ran else []


def _releases(records: Sequence[EvaluationRecord]) -> list[str]:
    """Return the release of PyTorch that most records name, and each other one with the rows that it made."""
    usual = Counter(one.environment.get("torch", "") for one in records).most_common(1)[0][0]
    others: dict[str, dict[str, None]] = {}
    for one in records:
        release = one.environment.get("torch", "")
        if release and release != usual:
            others.setdefault(release, {})[f"`{one.method.row}` with encoder {one.encoder.name}"] = None
    return [usual, *(f"{release} ({', '.join(rows)})" for release, rows in sorted(others.items()))]


def _plain(row: Row) -> bool:
    """Whether a shared command can name a row: shipped, and all of its options and those of its encoder defaults."""
    owner = row.method.owner
    shipped = owner.partition(".")[0] in SHIPPED and not f"{owner}.".startswith(f"{VARIANTS}.")
    simple = " [" not in row.method.row and " [" not in row.encoder and FINETUNED not in row.encoder
    return shipped and simple and bool(row.records)


def _command(board: Leaderboard, encoder: str, members: Sequence[Row]) -> str:
    protocol, dataset = board.table.protocol, board.table.dataset
    names = list(dict.fromkeys(row.method.name for row in members))
    told = [record.environment for row in members for record in row.records]
    devices = {one.get("device", "").split(" ")[0] for one in told} - {""}
    threads = {one.get("threads", "1") for one in told} - {"1"}
    flags = {
        "dataset": dataset.name,
        "encoder": encoder,
        "task": protocol.task if protocol.task != CASE_SEARCH.name else "",
        "evaluate": "cv" if board.cross_validated else "",
        "methods": ",".join(names),
        "reference": board.reference if board.reference in names[1:] else "",
        "seeds": spans(sorted({seed for row in members for seed in row.seeds})).replace(", ", ","),
        **other_conditions(protocol, dataset),
        "device": next(iter(devices)) if len(devices) == 1 else "",
        "threads": next(iter(threads)) if len(threads) == 1 else "",
    }
    given = [f"--{name.replace('_', '-')} {value}" for name, value in flags.items() if value]
    # A row that reads labels comes with the controls; the others of them are among the rows anyway.
    alone = [] if any(line.kind == "reads labels" for line in board.apart) else ["--no-controls"]
    return " ".join(["python -m benchmark run", *given, *alone])


def rows(board: Leaderboard) -> list[str]:
    """Return what each row is and whose work, once a method, as it was registered when the row was made."""
    found = {}
    for line in (*board.lines, *board.apart):
        if line.row:
            method = line.row.method
            found[line.label] = f"`{line.label}`: {method.summary.rstrip('.')}. {method.citation.rstrip('.')}."
    return list(found.values())
