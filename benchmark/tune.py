"""The command line of ``python -m benchmark tune``. Imports torch and Optuna only inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.flags import AsJson, Cache, Plugins, Root, Runs, Traceback


def tune(
    method: Annotated[str, typer.Option(help="Method or composer to tune; see `list`.")],
    trials: Annotated[int, typer.Option(min=1, help="Settings to try, the defaults first.")] = 20,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset [default: derm7pt where its root is set, else synthetic].")
    ] = None,
    root: Root = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder [default: packaged].")] = None,
    task: Annotated[str | None, typer.Option(help="Task [default: case-search].")] = None,
    evaluate: Annotated[str | None, typer.Option(help="cv, and nothing else: test chooses no setting.")] = None,
    view: Annotated[str | None, typer.Option(help="View of query and gallery, or both.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds of each trial, which are averaged [default: 0].")] = None,
    sampler_seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler: same seed, same trials.")] = 0,
    training: Annotated[bool, typer.Option(help="Search the shared training's options too.")] = True,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="COMPONENT.OPTION=VALUE: hold an option, so that it isn't searched."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of a run; what it sets is held.")] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study [default: METHOD-DATASET].")] = None,
    plugin: Plugins = None,
    jobs: Annotated[int | None, typer.Option(help="Folds that run at once [default: cores / threads].")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads a unit; part of the record [default: 1].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    runs: Runs = None,
    cache: Cache = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Search a method's options in cross-validation. Give every method that you compare the same number of trials.

    Writes RUNS/tune/STUDY: trials.csv, best.toml and simplest.toml for `run --config`, and the trials' runs. Started
    again, or with more trials, it goes on from there.
    """
    from benchmark.tune_command import Request, tune_command

    flags: dict[str, Any] = {
        "methods": method,
        "dataset": dataset,
        "root": root,
        "encoder": encoder,
        "task": task,
        "evaluate": evaluate,
        "view": view,
        "seeds": seeds,
        "jobs": jobs,
        "threads": threads,
        "device": device,
        "runs": runs,
        "cache": cache,
    }
    request = Request(
        flags, config, tuple(options or ()), tuple(plugin or ()), method, trials, sampler_seed, training, study
    )
    raise typer.Exit(tune_command(request, quiet=quiet, as_json=json, show_traces=traceback))
