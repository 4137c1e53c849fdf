"""Flags that several commands share, and how commands print. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out, err = Console(), Console(stderr=True)

Plugins = Annotated[
    list[str] | None, typer.Option("--plugin", help="A plugin: path/to/file.py or pkg.module. Repeatable.")
]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show the full traceback of a plugin's error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Root = Annotated[Path | None, typer.Option(help="Your copy of the dataset [default: its environment variable].")]
Cache = Annotated[
    Path | None,
    typer.Option(help="Folder for drawn images and features [default: DERMCIR_CACHE, else the user's cache]."),
]
Runs = Annotated[Path | None, typer.Option(help="Folder of the runs [default: runs].")]


def complain(message: str, style: str = "red") -> None:
    """Print a sentence on standard error, unbroken, so that paths can be copied."""
    err.print(message, style=style, markup=False, highlight=False, soft_wrap=True)
