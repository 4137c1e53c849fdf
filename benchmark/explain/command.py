"""The command line of ``python -m benchmark explain``. Imports torch only inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.flags import AsJson, Cache, Plugins, Root, Runs


def explain(
    query: Annotated[str, typer.Option(help="Id of a query: its case, e.g. one of `data preview`.")],
    method: Annotated[
        str | None, typer.Option(help="Method or row of a table [default: the first that `run` takes].")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the run [default: that of the newest run].")] = None,
    root: Root = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run [default: the newest run's].")] = None,
    results: Annotated[int, typer.Option("-k", "--results", min=1, max=50, help="First candidates to show.")] = 5,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder, outside any git repository [default: ./explain, inside a repository CACHE/explain]."
        ),
    ] = None,
    plugin: Plugins = None,
    runs: Runs = None,
    cache: Cache = None,
    json: AsJson = False,
) -> None:
    """Show why a stored run found what it found for one query: where its masks look, and what its score is made of.

    Writes a page with an overlay a criterion for the query and its first candidates. It holds pictures of the dataset:
    never put it into a repository or on a public page.
    """
    from benchmark.explain.run import Request, explain_command

    request = Request(query, method, dataset, root, seed, results, folder, tuple(plugin or ()), runs, cache)
    explain_command(request, json)
