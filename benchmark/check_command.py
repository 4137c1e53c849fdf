"""What ``python -m benchmark check`` does: run the conformance checks of a target, print and write what they say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmark.assignments import parse_assignments
from benchmark.errors import PluginError
from benchmark.files import write_atomic
from benchmark.flags import err, out
from benchmark.registry import load_registry
from benchmark.testing.conformance import known_plugins, suites
from benchmark.testing.reports import junit, markdown, summary
from benchmark.testing.steps import CheckResult, Suite

STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}
MARKS = {"passed": "ok     ", "failed": "FAILED ", "skipped": "skipped"}


def check_command(
    target: str,
    kind: str | None,
    assignments: tuple[str, ...],
    root: Path | None,
    cache: Path | None,
    plugins: tuple[str, ...],
    as_json: bool,
    junit_file: Path | None,
    markdown_file: Path | None,
    show_traces: bool,
) -> int:
    """Check every component that ``target`` stands for. Return 0 where nothing failed, else 1.

    Raises:
        UserError: there is no such file, name or option, or a report can't be written.
    """
    start = time.perf_counter()
    torch.set_num_threads(1)  # tiny tensors: more threads cost time, and sums in another order
    registry = load_registry(known_plugins(target, plugins))
    say = _silent if as_json else _say
    options = parse_assignments(assignments)
    try:
        found = suites(registry, target, kind=kind, options=options, root=root, cache=cache)
    except PluginError as error:
        results = [
            CheckResult(f"plugin {target}", "it loads", "failed", str(error), "`list` shows every plugin's state")
        ]
        say(results[0])
    else:
        results = [result for suite in found for result in _run(suite, say)]
    seconds = time.perf_counter() - start
    _finish(results, seconds, target, as_json, ((junit_file, junit), (markdown_file, markdown)))
    if show_traces:
        err.print("\n".join(result.trace for result in results if result.trace), markup=False, highlight=False)
    return 0 if all(result.passed for result in results) else 1


def _run(suite: Suite, say: Callable[[CheckResult], None]) -> list[CheckResult]:
    if say is not _silent:
        component = suite.subject.component
        out.print(f"{suite.component} ({component.owner}, {component.place})", style="bold", **PLAIN)
    results = []
    for name in suite.steps:
        results.append(suite.result(name))
        say(results[-1])
    return results


PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


def _say(result: CheckResult) -> None:
    out.print(f"{MARKS[result.status]} {result}", style=STYLES[result.status], **PLAIN)


def _silent(result: CheckResult) -> None:
    pass


Writer = Callable[[Sequence[CheckResult], float, str], str]


def _finish(
    results: Sequence[CheckResult],
    seconds: float,
    target: str,
    as_json: bool,
    files: Sequence[tuple[Path | None, Writer]],
) -> None:
    if as_json:
        fields = ("component", "name", "status", "reason", "hint")
        print(json.dumps([{field: getattr(result, field) for field in fields} for result in results], indent=1))
    else:
        out.print(summary(results, seconds), style="bold", **PLAIN)
    for path, write in files:
        if path:
            write_atomic(path, write(results, seconds, target).encode())
