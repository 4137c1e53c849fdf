"""The command line of ``python -m benchmark masks``. Imports torch only inside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from benchmark.flags import AsJson, Cache, Plugins, Root, Runs


def masks(
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated composers with masks [default: the first of a run].")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset that knows its true regions, e.g. synthetic.")] = None,
    root: Root = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder [default: packaged].")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, e.g. 0-4 or 0,2 [default: 0-2].")] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="COMPONENT.OPTION=VALUE or training.OPTION=VALUE, for all rows.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="COMPONENT.OPTION=VALUE: a further row that differs in this alone. Repeatable."),
    ] = None,
    grad_cam: Annotated[bool, typer.Option(help="Compare with Grad-CAM; needs captum (dermcir[masks]).")] = True,
    plugin: Plugins = None,
    jobs: Annotated[int | None, typer.Option(help="Units that run at once [default: cores / threads].")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads a unit; part of the record [default: 1].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    runs: Runs = None,
    cache: Cache = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    json: AsJson = False,
) -> None:
    """Check whether masks look where they should, on a dataset that knows its true regions.

    Takes stored weights from the runs folder and trains what is missing, as `run` does. Pointing game and intersection
    over union a criterion, beside Grad-CAM, a bell in the middle, and chance. `report` shows the stored checks too.
    """
    from benchmark.masks.run import Request, masks_command

    flags: dict[str, Any] = {
        "methods": methods,
        "dataset": dataset,
        "root": root,
        "encoder": encoder,
        "seeds": seeds,
        "jobs": jobs,
        "threads": threads,
        "device": device,
        "runs": runs,
        "cache": cache,
    }
    request = Request(flags, tuple(options or ()), tuple(variant or ()), tuple(plugin or ()), grad_cam)
    raise typer.Exit(masks_command(request, quiet, json))
