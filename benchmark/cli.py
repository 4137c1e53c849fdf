"""The command line: ``python -m benchmark run | tune | report | list | check | new | data | index | search
| serve | speed``. Imports no torch.
"""

from __future__ import annotations

import json as jsonlib
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmark import __version__
from benchmark.check import check
from benchmark.config import RunConfig, build_config, read_switches
from benchmark.data_cli import data_app
from benchmark.errors import PluginError, UserError, describe
from benchmark.experiment import is_experiment, read_experiment
from benchmark.explain.command import explain
from benchmark.flags import AsJson, Cache, Plugins, Root, Runs, Traceback, complain, err, out
from benchmark.index.cli import index, search, serve, speed
from benchmark.masks.command import masks
from benchmark.new import new
from benchmark.registry import KINDS, Component, Registry, load_registry
from benchmark.tune import tune

app = typer.Typer(
    name="benchmark",
    help="dermcir: an honest, extensible benchmark of composed (image + text) skin-lesion case retrieval.",
    epilog="Example: python -m benchmark run --dataset synthetic --methods proposed,tirg,clip4cir",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.command(epilog="Example: python -m benchmark run --methods proposed,tirg --seeds 0-4 --set tirg.width=256")
def run(
    methods: Annotated[str | None, typer.Option(help="Comma-separated methods or composers; see `list`.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset [default: derm7pt where its root is set, else synthetic].")
    ] = None,
    root: Root = None,
    train: Annotated[
        str | None, typer.Option(help="With --test: the dataset that teaches, NAME or NAME:FOLDER.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="With --train: the dataset that is searched, e.g. folder:my-cases.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Your own queries: a JSON object a line with id, image, text [, relevant].")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder [default: packaged].")] = None,
    finetune: Annotated[bool | None, typer.Option(help="Train the image encoder together with each method.")] = None,
    task: Annotated[
        str | None, typer.Option(help="case-search, or modification: the same, but with ... [default: case-search].")
    ] = None,
    evaluate: Annotated[
        str | None, typer.Option(help="test, or cv: 5-fold cross-validation over train + valid.")
    ] = None,
    gallery: Annotated[
        str | None, typer.Option(help="split (the other test cases), or archive (train + valid).")
    ] = None,
    view: Annotated[
        str | None, typer.Option(help="View of query and gallery, or both [default: the dataset's first].")
    ] = None,
    text_style: Annotated[
        str | None, typer.Option(help="canonical, paraphrase, terse, partial:K, contradicting or none.")
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="image or text: queries have the mean one of train instead.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, e.g. 0-4 or 0,2 [default: 0-2].")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Method that the others are tested against [default: the first].")
    ] = None,
    controls: Annotated[bool | None, typer.Option(help="Run the control rows too.")] = None,
    exclude: Annotated[
        Path | None, typer.Option(help="Leave out the case ids of this file, one a line; see `data audit`.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="COMPONENT.OPTION=VALUE or training.OPTION=VALUE.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with any of these settings, or an experiment with variants of them.")
    ] = None,
    plugin: Plugins = None,
    jobs: Annotated[int | None, typer.Option(help="Units that run at once [default: cores / threads].")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads a unit; part of the record [default: 1].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    runs: Runs = None,
    cache: Cache = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; run nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Train and evaluate methods uniformly; print and write the leaderboard. Only what is missing runs."""
    from benchmark.commands import run_command

    flags: dict[str, Any] = {
        "methods": methods,
        "dataset": dataset,
        "root": root,
        "train": train,
        "test": test,
        "queries": queries,
        "encoder": encoder,
        "finetune": finetune,
        "task": task,
        "evaluate": evaluate,
        "gallery": gallery,
        "view": view,
        "text_style": text_style,
        "without": without,
        "seeds": seeds,
        "reference": reference,
        "controls": controls,
        "exclude": exclude,
        "jobs": jobs,
        "threads": threads,
        "device": device,
        "runs": runs,
        "cache": cache,
    }
    switches, assignments = read_switches(config), tuple(options or ())
    shown: dict[str, bool] = {
        "dry_run": dry_run or switches.dry_run,
        "quiet": quiet or switches.quiet,
        "as_json": json or switches.json_output,
        "show_traces": traceback or switches.traceback,
    }
    if config and is_experiment(config):
        from benchmark.experiment_command import run_experiment

        experiment = read_experiment(config, flags, assignments, tuple(plugin or ()))
        registry = _registry(experiment.config.plugins, traceback)
        raise typer.Exit(run_experiment(experiment, registry, **shown))
    parsed = build_config(flags, config, assignments)
    if plugin:
        parsed = parsed.model_copy(update={"plugins": (*parsed.plugins, *plugin)})
    raise typer.Exit(run_command(parsed, _registry(parsed.plugins, traceback), **shown))


@app.command(epilog="Example: python -m benchmark report --runs runs")
def report(
    runs: Runs = None,
    publish: Annotated[bool, typer.Option("--publish", help="Write results/ and the README's tables.")] = False,
    results: Annotated[Path, typer.Option(help="Folder that --publish writes.")] = Path("results"),
    readme: Annotated[Path, typer.Option(help="README whose tables --publish fills.")] = Path("README.md"),
    trec: Annotated[bool, typer.Option("--trec", help="Also write TREC run and qrels files.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write one page a data set, which opens from a file.")
    ] = False,
    pages: Annotated[
        Path | None, typer.Option("--out", help="Folder of the pages [default: RUNS/report/html].")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Method that the others are tested against.")] = None,
    json: AsJson = False,
    plugin: Plugins = None,
    cache: Cache = None,
) -> None:
    """Write the tables and figures of all stored runs; computes nothing anew."""
    from benchmark.commands import report_command

    registry = load_registry(tuple(plugin or ()))
    folder = runs or RunConfig.model_fields["runs"].default
    if runs is not None and not runs.is_dir():
        raise UserError(f"--runs {runs} is no folder. Give the folder of a run, or leave it out for the default.")
    if reference:
        registry.find_method(reference)
    against = reference or registry.defaults["methods"][0]
    if (pages and not html) or (html and publish):
        raise UserError("--out goes with --html, and --html without --publish; give them apart.")
    target = (pages or folder / "report" / "html", registry, cache) if html else None
    report_command(folder, against, publish, results, readme, trec, json, target)


@app.command("list", epilog="Example: python -m benchmark list --json")
def list_components(plugin: Plugins = None, json: AsJson = False) -> None:
    """Show every component with owner, summary and citation, and every plugin that did not load."""
    registry = load_registry(tuple(plugin or ()))
    if json:
        print(jsonlib.dumps(_listing(registry), indent=1))
        return
    for kind in KINDS:
        out.print(_component_table(kind, list(registry.components[kind].values())))
    out.print("A composer runs as a method of the same name, with its own scorer.", style="dim")
    for loaded in registry.plugins:
        if loaded.error:
            out.print(f"Plugin {loaded.name} ({loaded.source}) did not load: {loaded.error}", style="red", markup=False)


# In the order of --help.
app.add_typer(data_app, name="data")
app.command(epilog="Example: python -m benchmark new method my_method")(new)
app.command(epilog="Example: python -m benchmark check my_method.py")(check)
app.command(epilog="Example: python -m benchmark tune --method tirg --dataset derm7pt --trials 20")(tune)
app.command(epilog="Example: python -m benchmark masks --dataset synthetic --variant proposed.tied=false")(masks)
app.command(epilog="Example: python -m benchmark explain --query syn-0093 --method proposed --out ~/explain")(explain)
app.command(epilog="Example: python -m benchmark index --method proposed --dataset synthetic --index cases")(index)
app.command(epilog='Example: python -m benchmark search --index cases --image q.jpg --text "blue-whitish veil"')(search)
app.command(epilog="Example: python -m benchmark serve --index cases")(serve)
app.command(epilog="Example: python -m benchmark speed --index cases --out results/search")(speed)


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit()


def _registry(plugins: tuple[str, ...], show_traces: bool) -> Registry:
    registry = load_registry(plugins)
    for loaded in registry.plugins:
        if loaded.error:
            complain(f"Plugin {loaded.name} ({loaded.source}) did not load: {loaded.error}", "yellow")
            if show_traces:
                err.print(loaded.trace or "", markup=False, highlight=False)
    return registry


def _component_table(kind: str, components: list[Component]) -> Table:
    table = Table(title=kind, title_justify="left", title_style="bold", expand=True)
    for column, ratio in (("name", 2), ("summary", 5), ("citation", 4), ("owner", 3)):
        table.add_column(column, ratio=ratio)
    for component in components:
        table.add_row(component.name, component.summary, component.citation, component.owner)
    return table


def _listing(registry: Registry) -> dict[str, Any]:
    fields = ("name", "owner", "summary", "citation")
    listing: dict[str, Any] = {
        kind: [
            {field: getattr(component, field) for field in fields} for component in registry.components[kind].values()
        ]
        for kind in KINDS
    }
    listing["plugins"] = [{"name": p.name, "source": p.source, "error": p.error} for p in registry.plugins]
    return listing


def main() -> None:
    """Run the command line. Exit 0 = done, 1 = a method failed, 2 = the user's mistake, 130 = interrupted."""
    show = "--traceback" in sys.argv
    try:
        app()
    except (UserError, PluginError) as error:
        if show:
            traceback.print_exc()
        complain(str(error))
        sys.exit(2)
    except Exception as error:
        if show:
            traceback.print_exc()
        complain(f"{describe(error)}. This is a defect of a plugin or of dermcir; --traceback shows where.")
        sys.exit(1)
