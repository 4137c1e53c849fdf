"""The command line of ``python -m benchmark check``. Imports torch only inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.flags import AsJson, Cache, Plugins, Root, Traceback

Kind = Literal["dataset", "encoder", "composer", "scorer", "method"]


def check(
    target: Annotated[
        str,
        typer.Argument(help="A plugin's .py file, a component such as tirg or timm:resnet18, or a plugin's name."),
    ],
    kind: Annotated[Kind | None, typer.Option(help="Check components of this kind alone.")] = None,
    options: Annotated[list[str] | None, typer.Option("--set", help="COMPONENT.OPTION=VALUE.")] = None,
    root: Root = None,
    cache: Cache = None,
    plugin: Plugins = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the results as markdown tables to this file.")] = None,
    json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Try a component on a tiny world: shapes, gradients, leaks, seeds, weights, learning. Exit 1 if one fails."""
    from benchmark.check_command import check_command

    status = check_command(
        target,
        kind,
        tuple(options or ()),
        root,
        cache,
        tuple(plugin or ()),
        as_json=json,
        junit_file=junit,
        markdown_file=markdown,
        show_traces=traceback,
    )
    raise typer.Exit(status)
