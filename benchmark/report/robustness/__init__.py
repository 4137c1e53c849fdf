"""How results change where queries are worded otherwise, contradict themselves, lack a part, or are broken down."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.files import write_atomic
from benchmark.report.robustness.answers import studies
from benchmark.report.robustness.figures import write_figures
from benchmark.report.robustness.page import csv, markdown
from benchmark.report.robustness.summary import summarise
from benchmark.report.table import Evaluated


def write_robustness(evaluations: Iterable[Evaluated], folder: Path, reference: str | None) -> list[Path]:
    """Write ``robustness.md``, ``robustness.csv`` and the figures of every study under ``folder``/DATASET/TASK/, and
    return their paths. ``reference`` names the method that stands for all where only one can be drawn.

    Raises:
        UserError: a stored file is damaged, or the folder is read-only or full.
    """
    written: list[Path] = []
    for study in studies(evaluations):
        summary, target = summarise(study, reference), folder / study.folder
        for name, text in (("robustness.md", markdown(summary)), ("robustness.csv", csv(summary))):
            write_atomic(target / name, text.encode())
            written.append(target / name)
        written += write_figures(summary, target)
    return written
