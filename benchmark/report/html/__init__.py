"""One self-contained page a data set: leaderboards, charts, method cards, commands, and drawn pictures where all
pictures are drawn. No page ever holds a picture of a data set that is not synthetic.

write_pages(boards, evaluations, Path("runs/report/html"), Surroundings(registry, Path("runs")))
"""

from __future__ import annotations

from benchmark.report.html.page import write_pages
from benchmark.report.html.surroundings import Surroundings

__all__ = ["Surroundings", "write_pages"]
