"""Results of checks as a sentence, as a markdown table and as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence

from benchmark import __version__
from benchmark.testing.steps import CheckResult

UNPRINTABLE = {code: "�" for code in range(32) if chr(code) not in "\t\n\r"}
"""What XML 1.0 can't hold."""


def summary(results: Sequence[CheckResult], seconds: float) -> str:
    """Return how many checks passed, failed and were skipped, and how long they took."""
    count = Counter(result.status for result in results)
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    return f"{len(results)} checks: {count['passed']} passed, {count['failed']} failed{skipped} in {seconds:.1f} s."


def markdown(results: Sequence[CheckResult], seconds: float, target: str) -> str:
    """Return a page with one table a component."""
    lines = [f"# Conformance of {target}", "", f"{summary(results, seconds)} dermcir {__version__}.", ""]
    for component in dict.fromkeys(result.component for result in results):
        lines += [f"## {component}", "", "| check | result | reason | hint |", "| --- | --- | --- | --- |"]
        for result in results:
            if result.component == component:
                cells = (result.name, result.status, result.reason, result.hint)
                lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def junit(results: Sequence[CheckResult], seconds: float, target: str) -> str:
    """Return JUnit XML, one test suite a component; traces stand in the failures."""
    root = ET.Element("testsuites", name=f"dermcir check {target}", time=f"{seconds:.3f}")
    for component in dict.fromkeys(result.component for result in results):
        own = [result for result in results if result.component == component]
        count = Counter(result.status for result in own)
        numbers = {"tests": len(own), "failures": count["failed"], "skipped": count["skipped"], "errors": 0}
        suite = ET.SubElement(root, "testsuite", {"name": component, **{k: str(v) for k, v in numbers.items()}})
        for result in own:
            _case(suite, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, result: CheckResult) -> None:
    case = ET.SubElement(suite, "testcase", name=result.name, classname=result.component.replace(" ", "."))
    reason = result.reason.translate(UNPRINTABLE)
    if result.status == "failed":
        failure = ET.SubElement(case, "failure", message=reason)
        failure.text = f"{result.hint}\n{result.trace}".translate(UNPRINTABLE).strip()
    elif result.status == "skipped":
        ET.SubElement(case, "skipped", message=reason)
