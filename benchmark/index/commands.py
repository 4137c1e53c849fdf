"""What ``index`` and ``search`` do and print."""

from __future__ import annotations

import json as jsonlib
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from benchmark.config import RunConfig, build_config
from benchmark.errors import UserError
from benchmark.features import open_image
from benchmark.files import sha256
from benchmark.flags import out
from benchmark.index.build import ALL_SPLITS, Target, add, build, delete
from benchmark.index.records import Manifest
from benchmark.index.searcher import Hit, Searcher, open_searcher
from benchmark.interfaces import Split
from benchmark.records import digest
from benchmark.registry import Registry, load_registry
from benchmark.resolve import dataset_name
from benchmark.store import slug
from benchmark.tasks import CASE_SEARCH

NOTICE = "Research use only; not a medical device. A case that was found is no diagnosis."
STORES = ("faiss", "milvus")


@dataclass(frozen=True)
class IndexRequest:
    """What the user asked of ``index``: the flags of a run, and where the index lies and what becomes of it."""

    flags: dict[str, Any]
    config: Path | None
    options: tuple[str, ...]
    plugins: tuple[str, ...]
    folder: Path | None
    store: str
    uri: str
    splits: str
    add: Path | None
    delete: str | None


def index_command(request: IndexRequest, as_json: bool) -> None:
    """Build an index, or change one, and say what it holds now."""
    changes = bool(request.add) or request.delete is not None
    if changes and request.flags["methods"]:
        raise UserError("--add and --delete change an index that is there; leave --method out.")
    manifest, folder = _changed(request) if changes else _built(request)
    summary = {
        "index": str(folder),
        "method": manifest.method,
        "dataset": manifest.training.dataset.name,
        "seed": manifest.training.seed,
        "store": manifest.place.kind,
        "cases": manifest.count,
        "width": manifest.width,
        "fingerprint": manifest.fingerprint,
    }
    if as_json:
        print(jsonlib.dumps(summary, indent=1))
        return
    out.print(
        f"{folder}: {manifest.count} cases of {summary['dataset']}, {manifest.method} (seed {summary['seed']}), "
        f"{manifest.place.kind}, {manifest.width} numbers a case.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    where = shlex.quote(str(folder))
    out.print(f'Try: python -m benchmark search --index {where} --text "..."', markup=False, soft_wrap=True)


def _changed(request: IndexRequest) -> tuple[Manifest, Path]:
    if request.folder is None:
        raise UserError("--add and --delete need --index: the folder of the index to change.")
    cache = request.flags["cache"]
    gone = [name.strip() for name in (request.delete or "").split(",") if name.strip()]
    if request.delete is not None and not gone:
        raise UserError("--delete names no case: give ids, comma-separated.")
    if request.add:
        return add(request.folder, request.add, request.plugins, cache, gone), request.folder
    return delete(request.folder, gone), request.folder


def _built(request: IndexRequest) -> tuple[Manifest, Path]:
    config = build_config({"seeds": "0", **_given(request.flags)}, request.config, request.options)
    config = config.model_copy(update={"plugins": (*config.plugins, *request.plugins)})
    if len(config.methods) != 1 or len(config.seeds) != 1:
        raise UserError("An index is of one method and one seed: --method NAME [--seed N].")
    if request.store not in STORES or (request.uri and request.store != "milvus"):
        raise UserError(f"--store {request.store}: choose {' or '.join(STORES)}; --uri goes with milvus.")
    registry = load_registry(config.plugins)
    folder = request.folder or _default_folder(config, registry)
    splits = [split for split in ALL_SPLITS if split in _names(request.splits)]
    return build(config, registry, splits, Target(folder, request.store, request.uri)), folder


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _default_folder(config: RunConfig, registry: Registry) -> Path:
    """Return a folder whose name tells what would be another index apart."""
    parts = [config.methods[0], dataset_name(config, registry)]
    parts += [digest(str(config.root.resolve()))[:6]] if config.root else []
    parts += [config.encoder] if config.encoder else []
    parts += [config.task] if config.task != CASE_SEARCH.name else []
    parts += [f"s{config.seeds[0]}"] if config.seeds[0] else []
    return config.runs / "index" / slug("-".join(parts))


def _names(text: str) -> tuple[Split, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    wrong = sorted(set(names) - set(ALL_SPLITS))
    if wrong or not names:
        raise UserError(f"--splits {text}: name some of {', '.join(ALL_SPLITS)}, comma-separated.")
    return names  # type: ignore[return-value]


@dataclass(frozen=True)
class SearchRequest:
    """What the user asked of ``search``."""

    folder: Path
    image: Path | None
    text: str | None
    k: int
    local_weight: float | None
    filters: tuple[str, ...]
    plugins: tuple[str, ...]
    cache: Path | None


def search_command(request: SearchRequest, as_json: bool) -> None:
    """Search once and print what was found: a table, or JSON."""
    filters = parse_filters(request.filters)
    _refuse_text(request.text)
    picture = open_image(request.image) if request.image else None
    searcher = open_searcher(request.folder, request.plugins, request.cache)
    own = sha256(request.image) if request.image else ""
    images = searcher.model.features([picture], [own]) if picture else None
    asked = searcher.ask(images, request.text)
    hits = searcher.rank(asked, request.k, request.local_weight, filters, own)
    understood = searcher.understand(request.text)
    if as_json:
        answer = {
            "index": str(request.folder),
            "method": searcher.manifest.method,
            "fingerprint": searcher.manifest.fingerprint,
            "local_weight": asked.layout.local_weight if request.local_weight is None else request.local_weight,
            "filters": filters,
            "understood": [asdict(one) for one in understood],
            "results": [hit_as_dict(rank, hit) for rank, hit in enumerate(hits, start=1)],
        }
        print(jsonlib.dumps(answer, indent=1, ensure_ascii=False))
        return
    if understood:
        out.print("Read as: " + "; ".join(one.sentence() for one in understood), markup=False, highlight=False)
    out.print(_table(searcher, hits))
    out.print(NOTICE, style="dim", markup=False)


def _refuse_text(text: str | None) -> None:
    if text is not None and not text.strip():
        raise UserError("--text is empty: write words, or leave it out and ask with a picture alone.")
    if text and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError("--text holds bytes that are no UTF-8: write it in a terminal whose encoding is UTF-8.")


def parse_filters(given: tuple[str, ...]) -> dict[str, str]:
    """Turn ``("location=back",)`` into a mapping.

    Raises:
        UserError: a filter has no name or no value, or a name is given twice.
    """
    filters: dict[str, str] = {}
    for one in given:
        name, equals, value = (part.strip() for part in one.partition("="))
        if not name or not equals or not value:
            raise UserError(f"--filter {one}: write FACT=VALUE, for example --filter location=back.")
        if name in filters:
            raise UserError(f"--filter {one}: {name} was given before; a case has one value.")
        filters[name] = value
    return filters


def hit_as_dict(rank: int, hit: Hit) -> dict[str, Any]:
    """Return a case that was found for JSON; where its picture lies stays on this machine."""
    return {
        "rank": rank,
        "id": hit.case.id,
        "score": round(hit.score, 6),
        "parts": {name: round(value, 6) for name, value in hit.parts.items()},
        "group": hit.case.group,
        "diagnosis": hit.case.diagnosis,
        "facts": hit.case.facts,
        "same_picture": hit.same_picture,
    }


def _table(searcher: Searcher, hits: list[Hit]) -> Table:
    """Return the answer as a table that fits 80 columns: points, and short headings that the caption explains."""
    manifest = searcher.manifest
    note = " (drawn, synthetic cases)" if manifest.synthetic else ""
    title = f"{manifest.count} cases of {manifest.training.dataset.name}{note}, by {manifest.method}"
    codes = short_names(list(hits[0].parts) if hits else [])
    legend = ", ".join(f"{code} {name.replace('_', ' ')}" for name, code in codes.items())
    caption = f"Points of 100; the parts add up to the score: {legend}." if hits else "No case passes the filters."
    table = Table(
        title=escape(title), title_justify="left", caption=caption, caption_justify="left", padding=(0, 1, 0, 0)
    )
    table.add_column("#", justify="right")
    table.add_column("case", no_wrap=True)
    table.add_column("diagnosis")
    for column in ("score", *codes.values()):
        table.add_column(column, justify="right", no_wrap=True)
    for rank, hit in enumerate(hits, start=1):
        marks = [mark for mark, there in (("*", hit.same_picture), ("†", _taught(hit))) if there]
        name = " ".join([hit.case.id, *marks])
        numbers = [f"{100 * value:.1f}" for value in (hit.score, *hit.parts.values())]
        table.add_row(str(rank), escape(name), escape(hit.case.diagnosis), *numbers)
    if any(hit.same_picture for hit in hits):
        caption += " * has the query's own picture."
    if any(map(_taught, hits)):
        caption += " † of train or valid: the method has learnt from it or was chosen by it."
    table.caption = caption
    return table


def _taught(hit: Hit) -> bool:
    return hit.case.facts.get("split") in ("train", "valid")


def short_names(names: list[str]) -> dict[str, str]:
    """Return name -> a heading of two letters, ``blue_whitish_veil`` -> ``BV``; of more where two would be equal."""
    short: dict[str, str] = {}
    for name in names:
        words = name.replace("_", " ").split()
        code = (words[0][0] + words[-1][0]).upper() if len(words) > 1 else name[:2].capitalize()
        length = 3
        while code in short.values():
            code, length = name[:length].capitalize(), length + 1
        short[name] = code
    return short
