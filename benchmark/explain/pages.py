"""The folder of one explained query: an overlay a mask and picture, a page, and the parts of the scores as csv.

OUT/QUERY-METHOD-sSEED/index.html  parts.csv  query/CRITERION.png  RANK-CASE/CRITERION.png
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from benchmark.explain.look import Look
from benchmark.explain.overlays import overlay, png, shrunk
from benchmark.features import open_image
from benchmark.files import write_atomic
from benchmark.interfaces import Case, Dataset
from benchmark.masks.measures import Region
from benchmark.records import EvaluationRecord
from benchmark.report.columns import raw
from benchmark.report.formats import csv_text
from benchmark.store import distinct_slug, slug

SYNTHETIC = "SYNTHETIC: all pictures are drawn by a program; nothing here says how a method does on real ones."
REAL = (
    "These are pictures of {name} ({licence}). They stay on this machine: put this folder into no repository and on no "
    "public page."
)


@dataclass(frozen=True)
class Candidate:
    """One place of the list. ``parts`` add up to the score: the global one, then a region each; none where it is no
    sum.
    """

    rank: int
    case: Case
    group: str
    relevant: bool
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Explained:
    """A query, asked with the picture of ``asking`` in ``view``, and what was found and seen."""

    record: EvaluationRecord
    dataset: Dataset
    view: str
    query: str
    asking: Case
    text: str
    candidates: Sequence[Candidate]
    seen: Look

    def summary(self) -> dict[str, Any]:
        """Return everything but pictures."""
        return {
            "query": self.query,
            "text": self.text,
            "method": self.record.method.row,
            "seed": self.record.seed,
            "dataset": self.record.dataset.name,
            "synthetic": self.dataset.synthetic,
            "candidates": [
                {
                    "rank": one.rank,
                    "case": one.case.id,
                    "group": one.group,
                    "diagnosis": one.case.diagnosis,
                    "relevant": one.relevant,
                    "score": one.score,
                    "parts": dict(one.parts),
                }
                for one in self.candidates
            ],
        }


def write_explained(explained: Explained, folder: Path) -> Path:
    """Write the folder of a query under ``folder`` and return its page.

    Raises:
        UserError: a picture can't be read, or the folder can't be written.
    """
    record = explained.record
    target = folder / f"{distinct_slug(explained.query)}-{slug(record.method.row)}-s{record.seed}"
    headings = [f"Query: {_named(explained.dataset, explained.asking)}"]
    headings += [f"{one.rank}. {_named(explained.dataset, one.case)}" for one in explained.candidates]
    cases = [explained.asking, *(one.case for one in explained.candidates)]
    shown = [
        {"heading": heading, "pictures": _pictures(explained, place, case, target)}
        for place, (heading, case) in enumerate(zip(headings, cases, strict=True))
    ]
    write_atomic(target / "parts.csv", csv_text(_rows(explained)).encode())
    write_atomic(target / "index.html", _page(explained, shown).encode())
    return target / "index.html"


def _named(dataset: Dataset, case: Case) -> str:
    return f"{case.id}, {dataset.taxonomy[case.diagnosis]}: {case.diagnosis}"


def _pictures(explained: Explained, place: int, case: Case, target: Path) -> list[dict[str, str]]:
    """Write the picture at ``place`` as it is and under each mask; return what the page says of each."""
    image = shrunk(open_image(case.images[explained.view]))
    name = "query" if place == 0 else f"{place}-{slug(case.id)}"
    regions = explained.dataset.regions(case) if explained.view == explained.dataset.views[0] else {}
    written = [_write(target, name, "picture", image, "")]
    masks = explained.seen.masks
    for number, mask in enumerate([] if masks is None else masks[place]):
        criterion = explained.seen.names[number]
        known = {key.replace("_", " "): value for key, value in case.descriptors.items()}
        over = overlay(image, mask, explained.seen.boxes[place], _region(regions, criterion))
        written.append(_write(target, name, criterion, over, known.get(criterion, "")))
    return written


def _region(regions: Mapping[str, Region], criterion: str) -> Region | None:
    spoken = {key.replace("_", " "): np.asarray(region) for key, region in regions.items()}
    return spoken.get(criterion)


def _write(target: Path, name: str, what: str, image: Image.Image, said: str) -> dict[str, str]:
    file = f"{name}/{slug(what)}.png"
    write_atomic(target / file, png(image))
    return {"file": file, "name": what, "said": said}


def _columns(explained: Explained) -> list[str]:
    return list(explained.candidates[0].parts) if explained.candidates else []


def _rows(explained: Explained) -> list[list[str]]:
    """Return parts.csv: a line a candidate."""
    columns = _columns(explained)
    rows = []
    for one in explained.candidates:
        facts = [explained.query, str(one.rank), one.case.id, one.group, one.case.diagnosis]
        numbers = [one.score, *(one.parts[name] for name in columns)]
        rows.append([*facts, "yes" if one.relevant else "no", *map(raw, numbers)])
    return [["query", "rank", "case", "group", "diagnosis", "relevant", "score", *columns], *rows]


def _page(explained: Explained, shown: Sequence[Mapping[str, Any]]) -> str:
    record, dataset = explained.record, explained.dataset
    warning = SYNTHETIC if dataset.synthetic else REAL.format(name=record.dataset.name, licence=dataset.licence)
    columns, masks = _columns(explained), explained.seen.masks
    notes = [
        "Green is where a mask looks; each picture is scaled to the maximum of its mask.",
        *(["A magenta line is the rim of the true region."] if dataset.regions(explained.asking) else []),
    ]
    missing = f"{record.method.row} has no masks: only its score is shown."
    protocol = record.protocol
    page = {
        "title": f"{explained.query}: what {record.method.row} found",
        "warning": warning,
        "facts": f"{record.dataset.name}, {protocol.task}, {protocol.evaluate}, encoder {record.encoder.name}, "
        f"seed {record.seed}, text {protocol.text_style}.",
        "text": explained.text,
        "columns": columns,
        "candidates": explained.summary()["candidates"],
        "notes": [
            *([] if columns else [f"The score of {record.method.row} is no sum of a global and local parts."]),
            *(notes if masks is not None else [missing]),
        ],
        "shown": shown,
    }
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2").render(page=page)
