"""What each command does, behind the flags of ``cli``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmark import report, trec
from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.files import only_writer
from benchmark.flags import complain, err, out
from benchmark.masks.records import records_of_runs
from benchmark.registry import Registry
from benchmark.report.experiment import experiment_board
from benchmark.report.experiment_files import (
    publish_experiments,
    published_experiments,
    read_manifests,
    write_experiment,
)
from benchmark.report.masks import boards as mask_boards
from benchmark.report.masks import write_masks
from benchmark.report.publish_masks import import_masks, rebuild_masks
from benchmark.report.reading import insert_reading
from benchmark.report.robustness import write_robustness
from benchmark.report.studies import import_studies, published_studies, read_studies
from benchmark.report.tuning import write_tuning
from benchmark.report.writing import write_board
from benchmark.resolve import dataset_name, make_dataset
from benchmark.runner import Outcome, Runner, Unit
from benchmark.session import Session
from benchmark.soundness import common_checks
from benchmark.tasks import CASE_SEARCH
from benchmark.teaching import teach_all
from benchmark.units import Result
from benchmark.vision import TaughtVision


def run_command(
    config: RunConfig, registry: Registry, *, dry_run: bool, quiet: bool, as_json: bool, show_traces: bool
) -> int:
    """Run what is missing and report. Return the exit status."""
    units: list[Unit] = []
    try:
        runner = Runner(config, registry)
        banner(runner)
        if dry_run:
            _show_plan(runner.units(), as_json)
            return 0
        with only_writer(config.runs):
            runner.store.clean()
            units = runner.units()
            outcome = run_units(runner, units, quiet)
            _report_run(runner, outcome, as_json)
    except KeyboardInterrupt:
        done = sum(runner.store.find("evaluations", unit.key) is not None for unit in units)
        stored = f"{done} of {len(units)} units are" if units else "what was finished is"
        complain(f"Stopped: {stored} stored; the same command goes on from there.")
        return 130
    return complain_of(outcome.failures, len(units), config.runs, show_traces)


def complain_of(failures: Sequence[Result], units: int, runs: Path, show_traces: bool) -> int:
    """Say which of so many units failed. Return the exit status."""
    for failure in failures:
        complain(f"FAILED {failure.error}")
        if show_traces:
            err.print(failure.trace, markup=False, highlight=False)
    if failures:
        complain(f"{len(failures)} of {units} units failed; full tracebacks: {runs / 'run.log'}.")
    return 1 if failures else 0


def banner(runner: Runner) -> None:
    """Say what a run is about: data, encoder, task."""
    session = runner.session
    words = f"Dataset {session.dataset_label}, encoder {session.encoder_info.name}, task {runner.config.task}."
    if runner.config.test:
        words += f" Trained on it, judged on {session.searched_label}."
    if session.own:
        words += f" Asked: {session.own.label}, of {session.own.path}."
    if session.dataset.synthetic or session.searched.synthetic:
        words += " SYNTHETIC: the images are drawn; nothing here says how a method does on real ones."
    if not (runner.config.dataset or runner.config.test) and session.dataset.synthetic:
        preferred = runner.registry.defaults["dataset"]
        words += f" To run on {preferred}, set its root (see the README)."
    err.print(words, style="bold", markup=False, highlight=False)
    if len(session.searched.groups) == 1 and runner.config.task == CASE_SEARCH.name and not session.own:
        complain(
            f"{session.searched_label} has one group: each candidate is relevant, so all rows reach 100.", "yellow"
        )


def run_units(runner: Runner, units: list[Unit], quiet: bool) -> Outcome:
    """Make the features and run the units that are missing, with progress bars unless ``quiet``."""
    missing = sum(unit.evaluated is None for unit in units)
    with _progress(quiet) as bars:
        if missing:
            count = len(runner.session.cases) * len(runner.session.views)
            images = bars.add_task("Encoding images", total=count)
            runner.session.warm(lambda done: bars.advance(images, done))
            bars.update(images, completed=count)
            _teach(runner.session, units, bars)
        work = bars.add_task("Training and ranking", total=len(units), completed=len(units) - missing)

        def advance(title: str) -> None:
            bars.update(work, advance=1, description=f"Training and ranking ({title})")

        return runner.run(units, advance)


def _teach(session: Session, units: list[Unit], bars: Progress) -> None:
    """Teach an adaptive encoder what the units that are missing see."""
    if not isinstance(session.vision, TaughtVision):
        return
    pairs = list(dict.fromkeys((unit.trial, unit.seed) for unit in units if unit.evaluated is None))
    views, parts = len(session.views), session.vision.encoder.parts
    work = bars.add_task("Adapting the encoder", total=len(pairs) * views * (parts + 1))
    teach_all(session.config, pairs, views, parts, lambda: bars.advance(work))


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet) as bars:
        yield bars


def _show_plan(units: list[Unit], as_json: bool) -> None:
    waiting = [unit for unit in units if unit.why]
    if as_json:
        rows = [{"unit": unit.title, "trial": unit.trial, "why": unit.why, "key": unit.key} for unit in waiting]
        print(json.dumps({"stored": len(units) - len(waiting), "would_run": rows}, indent=1))
        return
    title = f"{len(waiting)} of {len(units)} units would run"
    table = Table("unit", "trial", "would", title=title, title_justify="left")
    for unit in waiting:
        table.add_row(unit.title, str(unit.trial), unit.why)
    out.print(table)


def _report_run(runner: Runner, outcome: Outcome, as_json: bool) -> None:
    """Print and write the leaderboard of the rows of this run."""
    chosen = [one for one in report.from_runs(runner.config.runs) if one.record.key in outcome.keys]
    boards = report.leaderboards(chosen, runner.reference)
    folder = runner.config.runs / "report"
    for board in boards:
        write_board(board, folder)
    _show(boards, as_json)
    _warn_unjudged(chosen)
    if runner.session.own and chosen:
        found = report.write_found(chosen, folder)
        err.print(f"The first cases of every query: {found}", markup=False, highlight=False, soft_wrap=True)
        try:
            trec.write_all(chosen, folder)
        except UserError as error:  # an id that TREC files can't hold: what was found stands in the other file
            complain(f"No TREC files were written: {error}", "yellow")
    runs = runner.config.runs
    where = "" if runs == RunConfig.model_fields["runs"].default else f" --runs {shlex.quote(str(runs))}"
    words = f"Tables and figures of this run: {folder}. Of all stored runs: python -m benchmark report{where}"
    err.print(words, markup=False, highlight=False, soft_wrap=True)


def _show(boards: list[report.Leaderboard], as_json: bool) -> None:
    if as_json:
        print(json.dumps([_board_json(board) for board in boards], indent=1))
        return
    for board in boards:
        out.print(report.terminal(board, out.width))


def _warn_unjudged(evaluations: list[report.Evaluated]) -> None:
    for sentence in report.unjudged(evaluations):
        complain(sentence, "yellow")


def _board_json(board: report.Leaderboard) -> dict[str, Any]:
    lines = [
        {"method": line.label, "kind": line.kind, "encoder": line.encoder, **line.numbers}
        for line in (*board.lines, *board.apart)
    ]
    table = board.table
    return {
        "dataset": table.dataset.name,
        "synthetic": table.dataset.synthetic,
        "protocol": table.protocol.model_dump(exclude={"fold"}),
        "reference": board.reference,
        "rows": lines,
    }


Pages = tuple[Path, Registry, Path | None]
"""The folder of the pages, the components, and the cache of drawn pictures and features."""


def report_command(
    runs: Path,
    reference: str,
    publish: bool,
    results: Path,
    readme: Path,
    with_trec: bool,
    as_json: bool,
    pages: Pages | None = None,
) -> None:
    """Write the tables of all stored runs, and a page a data set where ``pages`` says where; or publish them.

    Raises:
        UserError: there is nothing to report, or a stored file is damaged.
    """
    evaluations = report.from_runs(runs)
    checks = records_of_runs(runs)
    studies, left_out = read_studies(runs)
    if publish:
        # What is damaged there must be known before anything is written.
        published_experiments(results)
        published_studies(results)
        messages = report.publish(evaluations, results, readme, reference)
        messages += publish_experiments(runs, evaluations, results)
        messages += import_masks(checks, results)
        rebuild_masks(results)
        messages += [*import_studies(studies, results), *left_out]
        write_tuning(published_studies(results), results)
        for message in messages:
            err.print(message, markup=False, highlight=False, soft_wrap=True)
        insert_reading(results)
        return
    if not evaluations:
        raise UserError(f"There are no runs in {runs}. Start one: python -m benchmark run --dataset synthetic.")
    boards = report.leaderboards(evaluations, reference)
    folder = runs / "report"
    for board in boards:
        write_board(board, folder)
    for manifest in read_manifests(runs):
        for path in write_experiment(experiment_board(manifest, evaluations), folder)[:1]:
            err.print(f"Experiment {manifest.name}: {path}", markup=False, highlight=False, soft_wrap=True)
    write_robustness(evaluations, folder, reference)
    for checked in mask_boards(checks):
        write_masks(checked, folder)
    for path in write_tuning(studies, folder):
        err.print(f"Tuning: {path}", markup=False, highlight=False, soft_wrap=True)
    if pages:
        _write_pages(boards, evaluations, runs, pages)
    _show(boards, as_json)
    _warn_unjudged(evaluations)
    err.print(f"Tables and figures: {folder}", markup=False, highlight=False, soft_wrap=True)
    if with_trec:
        trec.write_all(evaluations, folder)


def _write_pages(
    boards: list[report.Leaderboard], evaluations: list[report.Evaluated], runs: Path, pages: Pages
) -> None:
    from benchmark.report.html import Surroundings, write_pages

    folder, registry, cache = pages
    for path in write_pages(boards, evaluations, folder, Surroundings(registry, runs, cache)):
        err.print(f"Page: {path}", markup=False, highlight=False, soft_wrap=True)


def verify_command(config: RunConfig, registry: Registry, as_json: bool) -> int:
    """Check a dataset. Return 0 where everything holds, else 2."""
    dataset, label = make_dataset(registry, dataset_name(config, registry), config)
    checks = dataset.verify() or common_checks(dataset, label)
    if as_json:
        print(json.dumps([vars(check) for check in checks], indent=1))
    else:
        out.print(f"{label}: {dataset.licence}", markup=False, highlight=False)
        for check in checks:
            mark = "ok    " if check.passed else "FAILED"
            print(f"{mark} {check.name}{': ' + check.detail if check.detail else ''}")
    failed = sum(not check.passed for check in checks)
    if failed:
        complain(f"{failed} of {len(checks)} checks failed.")
    return 2 if failed else 0
