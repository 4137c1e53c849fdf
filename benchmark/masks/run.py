"""What ``python -m benchmark masks`` does: train what is missing, measure what is missing, show what is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.commands import banner, run_units
from benchmark.config import RunConfig, build_config
from benchmark.errors import UserError
from benchmark.files import only_writer
from benchmark.flags import complain, err, out
from benchmark.masks.check import Check
from benchmark.masks.records import records_of_runs
from benchmark.registry import load_registry
from benchmark.report.masks import boards, csv_rows, terminal, write_masks
from benchmark.runner import Runner


@dataclass(frozen=True)
class Request:
    """What the user asked for: the flags of a run, what is set for all rows, a row a variant, and Grad-CAM or not."""

    flags: Mapping[str, Any]
    assignments: tuple[str, ...]
    variants: tuple[str, ...]
    plugins: tuple[str, ...]
    grad_cam: bool


def masks_command(request: Request, quiet: bool, as_json: bool) -> int:
    """Check masks and report. Return 0, or 1 where a unit failed.

    Raises:
        UserError: the dataset knows no regions, or a method has no masks.
    """
    registry = load_registry(request.plugins)
    checks = [Check(Runner(config, registry)) for config in _configs(request, registry.defaults["methods"][0])]
    banner(checks[0].runner)
    for check in checks:
        check.refuse()
    runs = checks[0].runner.config.runs
    with only_writer(runs):
        failed = sum(_measure(check, quiet) for check in checks)
        torch.set_num_threads(checks[0].runner.config.threads)
        for title in checks[0].baselines(checks[0].runner.config.seeds, request.grad_cam):
            _say(title)
    _show(checks[0], as_json)
    return 1 if failed else 0


def _configs(request: Request, usual: str) -> list[RunConfig]:
    """Return the configuration as it is set, and one a variant; ``usual`` is the method where none is named."""
    flags = {**request.flags, "methods": request.flags["methods"] or usual, "evaluate": "test", "controls": False}
    sets = [request.assignments, *((*request.assignments, variant) for variant in request.variants)]
    if any(variant.startswith("training.") for variant in request.variants):
        raise UserError("--variant training...: rows of one table share their training; change it for all with --set.")
    return [build_config(flags, None, one).model_copy(update={"plugins": request.plugins}) for one in sets]


def _measure(check: Check, quiet: bool) -> int:
    """Train and measure one runner's rows; return how many units failed."""
    runner = check.runner
    runner.store.clean()
    units = runner.units()
    outcome = run_units(runner, units, quiet)
    for failure in outcome.failures:
        complain(f"FAILED {failure.error}")
    for title in check.methods(units):
        _say(title)
    return len(outcome.failures)


def _say(title: str) -> None:
    err.print(f"Measured: {title}", markup=False, highlight=False, soft_wrap=True)


def _show(check: Check, as_json: bool) -> None:
    """Write the tables of the runs folder, and print that of the dataset at hand."""
    runs = check.runner.config.runs
    found = boards(records_of_runs(runs))
    for board in found:
        write_masks(board, runs / "report")
    shown = [board for board in found if board.dataset.name == check.session.dataset_label]
    if as_json:
        header, *rows = csv_rows(shown)
        print(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=1))
        return
    for board in shown:
        out.print(terminal(board))
    err.print(f"Tables and figure: {runs / 'report'}", markup=False, highlight=False, soft_wrap=True)
