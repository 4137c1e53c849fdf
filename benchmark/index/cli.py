"""The command lines of ``index``, ``search``, ``serve`` and ``speed``. Imports torch, faiss and FastAPI only inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.flags import AsJson, Cache, Plugins, Root, Runs, Traceback

Index = Annotated[Path, typer.Option("--index", help="Folder of the index.")]


def index(
    method: Annotated[
        str | None, typer.Option(help="Composer whose stored weights make the index; see `list`.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset [default: derm7pt where its root is set, else synthetic].")
    ] = None,
    root: Root = None,
    folder: Annotated[
        Path | None, typer.Option("--index", help="Folder of the index [default: RUNS/index/METHOD-DATASET].")
    ] = None,
    store: Annotated[
        str, typer.Option(help="faiss (a file), or milvus (a local file; with --uri a server).")
    ] = "faiss",
    uri: Annotated[str, typer.Option(help="Milvus server, e.g. http://localhost:19530.")] = "",
    splits: Annotated[str, typer.Option(help="Whose cases can be found.")] = "train,valid,test",
    add: Annotated[
        Path | None, typer.Option(help="Add cases: a JSON object a line with id, image [, group, diagnosis, facts].")
    ] = None,
    delete: Annotated[str | None, typer.Option(help="Delete cases: comma-separated ids.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the weights [default: 0].")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder [default: packaged].")] = None,
    task: Annotated[str | None, typer.Option(help="Task that the weights were trained for.")] = None,
    view: Annotated[str | None, typer.Option(help="View that is indexed [default: the dataset's first].")] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="COMPONENT.OPTION=VALUE or training.OPTION=VALUE, as in `run`.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of the run that trained the weights.")] = None,
    plugin: Plugins = None,
    runs: Runs = None,
    cache: Cache = None,
    json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Build an index of a data set's cases from stored weights, so that `search` and `serve` can find them; or change
    one with --add and --delete. An index is replaced as a whole: a crash leaves the old one.
    """
    from benchmark.index.commands import IndexRequest, index_command

    flags: dict[str, Any] = {
        "methods": method,
        "dataset": dataset,
        "root": root,
        "encoder": encoder,
        "task": task,
        "view": view,
        "seeds": None if seed is None else str(seed),
        "runs": runs,
        "cache": cache,
    }
    request = IndexRequest(
        flags, config, tuple(options or ()), tuple(plugin or ()), folder, store, uri, splits, add, delete
    )
    index_command(request, as_json=json)


def search(
    folder: Index,
    image: Annotated[Path | None, typer.Option(help="Picture of the lesion.")] = None,
    text: Annotated[str | None, typer.Option(help='Findings, e.g. "blue-whitish veil, irregular streaks".')] = None,
    k: Annotated[int, typer.Option("-k", help="How many cases.")] = 10,
    local_weight: Annotated[
        float | None, typer.Option(help="Share of the criteria in the score, 0 to 1 [default: the method's].")
    ] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="FACT=VALUE, e.g. location=back. Repeatable: all must hold.")
    ] = None,
    plugin: Plugins = None,
    cache: Cache = None,
    json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Find the cases of an index that are nearest to a picture, to findings, or to both, and say why.

    Research use only; not a medical device.
    """
    from benchmark.index.commands import SearchRequest, search_command

    request = SearchRequest(folder, image, text, k, local_weight, tuple(filters or ()), tuple(plugin or ()), cache)
    search_command(request, as_json=json)


def serve(
    folders: Annotated[list[Path], typer.Option("--index", help="Folder of an index. Repeat it to compare methods.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; another than 127.0.0.1 needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="DERMCIR_TOKEN", show_envvar=True, help="What a reader must know to be answered."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Requests that are worked on at once.")] = 2,
    waiting: Annotated[int, typer.Option(min=0, help="Requests that may wait; the others are answered 429.")] = 16,
    plugin: Plugins = None,
    cache: Cache = None,
    traceback: Traceback = False,
) -> None:
    """Serve a page and an API for case search on this machine. Uploads are neither stored nor logged.

    Research use only; not a medical device.
    """
    from benchmark.serve.command import ServeRequest, serve_command

    serve_command(ServeRequest(tuple(folders), host, port, token, workers, waiting, tuple(plugin or ()), cache))


def speed(
    folder: Index,
    steps: Annotated[str, typer.Option(help="What to measure.")] = "latency,scale,serve",
    vectors: Annotated[int, typer.Option(help="The most vectors that are searched.")] = 1_000_000,
    clients: Annotated[int, typer.Option(min=1, help="Clients of the service.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="How long they ask.")] = 30.0,
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for the vectors, 2 bytes a number [default: the system's].")
    ] = None,
    target: Annotated[Path | None, typer.Option("--out", help="Folder for the table, e.g. results/search.")] = None,
    plugin: Plugins = None,
    cache: Cache = None,
    json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Measure case search on this machine: one answer, a million vectors, many clients. Leave it nothing else to do."""
    from benchmark.speed.command import SpeedRequest, speed_command

    speed_command(
        SpeedRequest(folder, steps, vectors, clients, seconds, scratch, target, tuple(plugin or ()), cache), json
    )
