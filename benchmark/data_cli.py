"""The command line of ``python -m benchmark data``: verify, stats, audit and preview. Imports torch only inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.config import build_config
from benchmark.flags import AsJson, Cache, Plugins, Root
from benchmark.registry import load_registry

data_app = typer.Typer(help="Look after a dataset.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="DATASET", help="Name of the dataset.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="COMPONENT.OPTION=VALUE.")]


@data_app.command("verify", epilog="Example: python -m benchmark data verify derm7pt --root /data/derm7pt/release_v0")
def data_verify(
    dataset: Name,
    root: Root = None,
    cache: Cache = None,
    options: Settings = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> None:
    """Check a dataset thoroughly: every file, row, label and image."""
    from benchmark.commands import verify_command

    config = build_config({"dataset": dataset, "root": root, "cache": cache}, None, tuple(options or ()))
    raise typer.Exit(verify_command(config, load_registry(tuple(plugin or ())), json))


@data_app.command("stats", epilog="Example: python -m benchmark data stats derm7pt")
def data_stats(
    dataset: Name,
    root: Root = None,
    cache: Cache = None,
    options: Settings = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> None:
    """Count groups, criteria, views and metadata by split, as markdown tables."""
    from benchmark.data_commands import stats_command

    config = build_config({"dataset": dataset, "root": root, "cache": cache}, None, tuple(options or ()))
    stats_command(config, load_registry(tuple(plugin or ())), json)


@data_app.command("audit", epilog="Example: python -m benchmark data audit derm7pt --runs runs --out audit")
def data_audit(
    dataset: Name,
    root: Root = None,
    view: Annotated[str | None, typer.Option(help="View to compare, e.g. clinical, or both.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder whose features are compared [default: packaged].")
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(min=0, max=256, help="Near-duplicate: at most so many of 256 bits differ [default: 40]."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, help="Same lesion: robust standard deviations above the usual neighbour [default: 3]."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for pairs.csv and exclude.txt.")] = Path("audit"),
    runs: Annotated[Path | None, typer.Option(help="Runs whose leaderboards to show before and after.")] = None,
    cache: Cache = None,
    options: Settings = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> None:
    """Find near-duplicate images and probable same-lesion pairs; list what to exclude and what that changes."""
    from benchmark.audit_command import audit_command

    flags = {"dataset": dataset, "root": root, "view": view, "encoder": encoder, "cache": cache}
    config = build_config(flags, None, tuple(options or ()))
    audit_command(config, load_registry(tuple(plugin or ())), bits, threshold, out, runs, json)


@data_app.command("preview", epilog="Example: python -m benchmark data preview synthetic --out sheet --group MEL -n 20")
def data_preview(
    dataset: Name,
    out: Annotated[Path, typer.Option(help="Your folder for the contact sheet, outside the repository.")],
    group: Annotated[str | None, typer.Option(help="Only cases of this group.")] = None,
    criterion: Annotated[
        list[str] | None, typer.Option(help="Only cases with NAME=VALUE, e.g. streaks=irregular. Repeatable.")
    ] = None,
    number: Annotated[int, typer.Option("-n", min=1, max=400, help="At most so many cases.")] = 40,
    view: Annotated[str | None, typer.Option(help="View to show, e.g. clinical.")] = None,
    root: Root = None,
    cache: Cache = None,
    options: Settings = None,
    plugin: Plugins = None,
) -> None:
    """Draw a contact sheet of cases into a folder of yours."""
    from benchmark.data_commands import preview_command

    flags = {"dataset": dataset, "root": root, "view": view, "cache": cache}
    config = build_config(flags, None, tuple(options or ()))
    preview_command(config, load_registry(tuple(plugin or ())), out, group, tuple(criterion or ()), number)
