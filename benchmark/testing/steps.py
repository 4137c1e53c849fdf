"""Named checks of one component: each runs once, in its own try, after the checks that it needs."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.containment import contained
from benchmark.errors import PluginError, UserError, describe

Status = Literal["passed", "failed", "skipped"]


class Failed(Exception):
    """What a check found wrong, and what to do next."""

    def __init__(self, reason: str, hint: str = ""):
        super().__init__(reason)
        self.reason, self.hint = reason, hint


class NotApplicable(Exception):
    """Why a check says nothing about this component."""


@dataclass(frozen=True)
class CheckResult:
    """One line of a conformance run: what was checked of which component, whether it held, and if not, why and what to
    do next. A check that does not apply is skipped, with its reason; it has not failed.
    """

    component: str
    name: str
    status: Status
    reason: str = ""
    hint: str = ""
    trace: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.status != "failed"

    def __str__(self) -> str:
        hint = f" Hint: {self.hint}" if self.hint else ""
        return f"{self.name}{': ' + self.reason if self.reason else ''}{hint}"


@dataclass(frozen=True)
class Step:
    """A check of a subject. ``run`` raises ``Failed`` or ``NotApplicable``, or returns what it measured; the check is
    skipped unless those that it ``needs`` have passed or do not apply. ``hint`` is shown where ``run`` raises something
    else.
    """

    name: str
    run: Callable[[Any], str | None]
    needs: tuple[str, ...] = ()
    hint: str = "mend the line that is named; --traceback shows how it was reached"


class Suite:
    """The checks of one component, and the subject (class, trained methods, ...) that they share."""

    def __init__(self, component: str, subject: Any, steps: Sequence[Step]):
        self.component, self.subject = component, subject
        self.steps = {step.name: step for step in steps}
        self._results: dict[str, CheckResult] = {}

    def run(self) -> tuple[CheckResult, ...]:
        """Run every check that has not run yet; return all results in order."""
        return tuple(self.result(name) for name in self.steps)

    def result(self, name: str) -> CheckResult:
        """Return the result of one check, running it and what it needs where they have not run."""
        if name not in self._results:
            self._results[name] = self._run(self.steps[name])
        return self._results[name]

    def _run(self, step: Step) -> CheckResult:
        for needed in step.needs:
            if self._blocks(needed):
                return self._say(step, "skipped", f"needs {needed!r}")
        try:
            with contained():
                return self._say(step, "passed", step.run(self.subject) or "")
        except NotApplicable as why:
            return self._say(step, "skipped", str(why))
        except Failed as failure:
            return self._say(step, "failed", failure.reason, failure.hint)
        except (Exception, SystemExit) as error:
            told = isinstance(error, PluginError | UserError)
            return self._say(step, "failed", str(error) if told else describe(error), step.hint, traceback.format_exc())

    def _blocks(self, name: str) -> bool:
        """Whether a check keeps those that need it from running: one that does not apply (pairwise) does not."""
        return self.result(name).status == "failed" or any(map(self._blocks, self.steps[name].needs))

    def _say(self, step: Step, status: Status, reason: str, hint: str = "", trace: str = "") -> CheckResult:
        return CheckResult(self.component, step.name, status, reason, hint, trace)

    def checks(self) -> list[ConformanceCheck]:
        """Return one callable a check, for pytest."""
        return [ConformanceCheck(self, name) for name in self.steps]


@dataclass(frozen=True)
class ConformanceCheck:
    """One check of one component as a callable: it raises ``AssertionError`` with reason and hint where it fails."""

    suite: Suite
    name: str

    def __call__(self) -> None:
        """Run it, and what it needs, unless they have run."""
        result = self.suite.result(self.name)
        if not result.passed:
            raise AssertionError(f"{result.component}: {result}\n{result.trace}".rstrip())

    def __str__(self) -> str:
        return f"{self.suite.component}: {self.name}"
