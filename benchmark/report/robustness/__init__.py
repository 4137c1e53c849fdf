"""How results change where queries are worded otherwise, contradict themselves, lack a part, or are broken down."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.files import write_atomic
from benchmark.report.robustness.answers import studies
from benchmark.report.robustness.figures import write_figures
from benchmark.report.robustness.page import csv, markdown, sections
from benchmark.report.robustness.summary import Summary, summarise
from benchmark.report.table import Evaluated

STEMS = ("robustness-test", "robustness-cv")
"""How the files of a page of its own begin."""


def write_robustness(evaluations: Iterable[Evaluated], folder: Path, reference: str | None) -> list[Path]:
    """Write a page, a csv and the figures of every study under ``folder``/DATASET/TASK/, and return their paths.
    ``reference`` names the method that stands for all where only one can be drawn.

    Raises:
        UserError: a stored file is damaged, or the folder is read-only or full.
    """
    written: list[Path] = []
    for study in studies(evaluations):
        summary, target, stem = summarise(study, reference), folder / study.folder, STEMS[study.cross_validated]
        write_atomic(target / f"{stem}.md", markdown(summary, stem).encode())
        written += [target / f"{stem}.md", *_write_beside(summary, target, stem)]
    return written


def write_sections(
    evaluations: Iterable[Evaluated], folder: Path, stem: str, reference: str | None
) -> tuple[str, list[Path]]:
    """Return what ``evaluations`` tell of robustness, as sections of a page, and write the csv and the figures that go
    with it. Return the paths too; where the evaluations are of no study, or of several, there is nothing.

    Raises:
        UserError: a stored file is damaged, or the folder is read-only or full.
    """
    found = studies(evaluations)
    if len(found) != 1:
        return "", []
    summary = summarise(found[0], reference)
    return sections(summary, stem), _write_beside(summary, folder, stem)


def _write_beside(summary: Summary, folder: Path, stem: str) -> list[Path]:
    path = folder / f"{stem}-conditions.csv"
    write_atomic(path, csv(summary).encode())
    return [path, *write_figures(summary, folder, stem)]
