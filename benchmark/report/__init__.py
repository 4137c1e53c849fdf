"""Leaderboards from stored runs: nothing is computed anew but metrics, intervals and tests. Imports no torch itself.

evaluations = from_runs(Path("runs"))
write_reports(evaluations, Path("runs/report"), reference="NAME")       # md, csv, tex, figures
terminal(leaderboards(evaluations, reference="NAME")[0])                # a rich table
publish(evaluations, Path("results"), Path("README.md"), reference="NAME")
"""

from __future__ import annotations

from benchmark.report.compact import from_published
from benchmark.report.formats import terminal
from benchmark.report.found import write_found
from benchmark.report.leaderboard import Leaderboard, Line, leaderboard
from benchmark.report.publish import publish
from benchmark.report.table import Evaluated, Table, from_runs, tables, unjudged
from benchmark.report.writing import leaderboards, write_reports

__all__ = [
    "Evaluated",
    "Leaderboard",
    "Line",
    "Table",
    "from_published",
    "from_runs",
    "leaderboard",
    "leaderboards",
    "publish",
    "tables",
    "terminal",
    "unjudged",
    "write_found",
    "write_reports",
]
