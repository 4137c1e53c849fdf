"""What ``run --config`` does with an experiment: every variant through the runner, and then the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from benchmark import report
from benchmark.commands import banner, complain_of, run_units
from benchmark.errors import UserError
from benchmark.experiment import Experiment, Manifest, Member, Variant
from benchmark.files import only_writer
from benchmark.flags import complain, err, out
from benchmark.registry import Registry
from benchmark.report.experiment import experiment_board
from benchmark.report.experiment_files import write_experiment, write_manifest
from benchmark.report.experiment_formats import as_rows, question_table
from benchmark.runner import Runner, Unit
from benchmark.units import Result


def run_experiment(
    experiment: Experiment, registry: Registry, *, dry_run: bool, quiet: bool, as_json: bool, show_traces: bool
) -> int:
    """Run what is missing of every variant and report. Return the exit status, like ``run``."""
    runners = [_runner(variant, experiment, registry) for variant in experiment.variants]
    manifest = _checked(experiment, runners)
    if dry_run:
        _show_plan(list(_plans(experiment, runners)), as_json)
        return 0
    failures: list[Result] = []
    done, count, runs = 0, 0, experiment.config.runs
    try:
        with only_writer(runs):
            for variant, runner, units in _plans(experiment, runners):
                done, count = done + 1, count + len(units)
                err.print(f"{done} of {len(experiment.variants)}: {variant.title}", markup=False, highlight=False)
                manifest = _with_keys(manifest, variant, units)
                write_manifest(manifest, runs)
                failures += _run(runner, units, quiet)
            _report(manifest, runs, as_json)
    except KeyboardInterrupt:
        complain(
            f"Stopped at variant {done} of {len(experiment.variants)}: what was finished is stored; the same command "
            "goes on from there."
        )
        return 130
    return complain_of(failures, count, runs, show_traces)


def _checked(experiment: Experiment, runners: Sequence[Runner]) -> Manifest:
    """Say what the run is about. Return what belongs to the experiment, without keys."""
    session = runners[0].session
    labels = {runner.session.searched_label for runner in runners}
    if len(labels) > 1:
        raise UserError(
            f"--config {experiment.path}: its variants read {', '.join(sorted(labels))}; give the options of a dataset "
            "at the top of the file, since only variants on the same data can be compared."
        )
    banner(runners[0])
    members = tuple(
        Member(question=variant.question, variant=variant.name, base=variant.base, method=method)
        for variant, runner in zip(experiment.variants, runners, strict=True)
        for method in runner.plans
    )
    return Manifest(
        name=experiment.name,
        dataset=session.searched_label,
        task=session.task,
        members=members,
        notes=dict(experiment.notes),
    )


def _runner(variant: Variant, experiment: Experiment, registry: Registry) -> Runner:
    try:
        return Runner(variant.config, registry)
    except UserError as error:
        raise UserError(f"--config {experiment.path}, variant {variant.name!r}: {error}") from error


def _plans(experiment: Experiment, runners: Sequence[Runner]) -> Iterator[tuple[Variant, Runner, list[Unit]]]:
    """Yield each variant with its units as they are when its turn comes: what an equal one before it has computed is
    found stored.
    """
    for variant, runner in zip(experiment.variants, runners, strict=True):
        yield variant, runner, runner.units()


def _run(runner: Runner, units: list[Unit], quiet: bool) -> list[Result]:
    if all(unit.evaluated for unit in units):
        return []
    runner.store.clean()
    return run_units(runner, units, quiet).failures


# ------------------------------------------------------------------------------------------------ what belongs to it


def _with_keys(manifest: Manifest, variant: Variant, units: Sequence[Unit]) -> Manifest:
    def told(member: Member) -> Member:
        if (member.question, member.variant) != (variant.question, variant.name):
            return member
        keys = tuple(unit.key for unit in units if unit.plan.name == member.method)
        return member.model_copy(update={"keys": keys})

    return manifest.model_copy(update={"members": tuple(told(member) for member in manifest.members)})


# ------------------------------------------------------------------------------------------------ what is said


def _show_plan(plans: Sequence[tuple[Variant, Runner, list[Unit]]], as_json: bool) -> None:
    seen: set[str] = set()
    rows = []
    for variant, _, units in plans:
        waiting = [unit for unit in units if unit.why and unit.key not in seen]
        seen |= {unit.key for unit in units}
        why = ", ".join(dict.fromkeys(unit.why for unit in waiting))
        rows.append((variant, units, len(waiting), why or "stored, or equal to a variant above"))
    would = sum(count for _, _, count, _ in rows)
    if as_json:
        told = [
            {"question": v.question, "variant": v.name, "units": len(units), "would_run": count, "why": why}
            for v, units, count, why in rows
        ]
        print(json.dumps({"units": len(seen), "would_run": would, "variants": told}, indent=1))
        return
    title = f"{would} of {len(seen)} units would run"
    table = Table("question", "variant", "units", "would run", "why", title=title, title_justify="left")
    for variant, units, count, why in rows:
        table.add_row(variant.question, variant.name, str(len(units)), str(count), why)
    out.print(table)


def _report(manifest: Manifest, runs: Path, as_json: bool) -> None:
    board = experiment_board(manifest, report.from_runs(runs))
    for path in write_experiment(board, runs / "report")[:1]:
        err.print(f"Tables and figure: {path}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(as_rows(board), indent=1))
        return
    for question in board.questions:
        out.print(question_table(board, question))
