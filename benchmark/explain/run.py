"""What ``python -m benchmark explain`` does: find the stored run, look again, write pictures and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.explain.found import find_run
from benchmark.explain.look import look
from benchmark.explain.pages import Candidate, Explained, write_explained
from benchmark.explain.places import choose_folder
from benchmark.flags import complain, err
from benchmark.interfaces import Case, Dataset, Split
from benchmark.protocol import Judgments, recall
from benchmark.records import EvaluationRecord
from benchmark.registry import load_registry
from benchmark.report.html.attention import Looker
from benchmark.report.html.surroundings import Surroundings, dataset_component
from benchmark.report.table import stale
from benchmark.store import Store, as_json, read_ranking


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    query: str
    method: str | None
    dataset: str | None
    root: Path | None
    seed: int | None
    results: int
    folder: Path | None
    plugins: tuple[str, ...]
    runs: Path | None
    cache: Path | None


def explain_command(request: Request, to_stdout: bool) -> None:
    """Write the page of one query, or say as JSON what it shows.

    Raises:
        UserError: the folder lies in a repository, no stored run asks the query, or there is nothing to show.
    """
    folder = choose_folder(request.folder, request.cache)
    registry = load_registry(request.plugins)
    runs = request.runs or RunConfig.model_fields["runs"].default
    method = request.method or registry.defaults["methods"][0]
    path, record, judgments = find_run(Store(runs), request.query, method, request.dataset, request.seed)
    if dataset_component(record.dataset.name) not in registry.components["datasets"]:
        raise UserError(f"The plugin of {record.dataset.name} is not loaded: add --plugin with its file or module.")
    if stale(record):
        complain(f"{', '.join(stale(record))} changed since the run: what is shown may differ from it.", "yellow")
    around = Surroundings(registry, runs, request.cache, request.root)
    explained = _explained(request, path, record, judgments, around)
    page = write_explained(explained, folder)
    if to_stdout:
        print(as_json(explained.summary()).decode(), end="")
    err.print(f"Page: {page}", markup=False, highlight=False, soft_wrap=True)


def _explained(
    request: Request, path: Path, record: EvaluationRecord, judgments: Judgments, around: Surroundings
) -> Explained:
    looker = Looker(around, record)
    dataset = looker.session().searched
    if dataset.fingerprint() != record.dataset.fingerprint:
        raise UserError(f"{record.dataset.name} has changed since the run: start its command again, then this one.")
    cases = _every(dataset)
    asking, text = recall(dataset, record.protocol.task, request.query, cases, record.protocol.text_style)
    asked = judgments.query_ids.index(request.query)
    rows = read_ranking(path)[asked][: request.results].tolist()
    shown = [asking, *(cases[judgments.gallery_ids[row]] for row in rows)]
    seen = look(looker, record, around, shown, text)
    candidates = [
        Candidate(
            rank=rank,
            case=case,
            group=dataset.taxonomy[case.diagnosis],
            relevant=bool(judgments.gains[asked, row]),
            score=float(seen.scores[rank - 1]),
            parts={name: float(part[rank - 1]) for name, part in seen.parts.items()},
        )
        for rank, (row, case) in enumerate(zip(rows, shown[1:], strict=True), start=1)
    ]
    return Explained(record, dataset, looker.session().searched_views[0], request.query, asking, text, candidates, seen)


def _every(dataset: Dataset) -> dict[str, Case]:
    return {case.id: case for split in get_args(Split) for case in dataset.cases(split)}
