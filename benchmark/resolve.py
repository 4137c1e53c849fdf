"""From a run's configuration to its datasets and its encoder, and how tables call them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig, cache_folder, parse_model
from benchmark.errors import UserError
from benchmark.interfaces import Dataset, DatasetContext, Encoder
from benchmark.methods import changes, labelled
from benchmark.registry import Component, Registry


def dataset_name(config: RunConfig, registry: Registry) -> str:
    """Return the dataset of a run: the one that is named, else the preferred one where its root is configured, else the
    bundled one.
    """
    if config.train or config.dataset:
        return str(config.train or config.dataset)
    preferred = registry.defaults["dataset"]
    variable = registry.find("datasets", preferred).load().root_variable  # type: ignore[attr-defined]
    configured = config.root is not None or bool(variable and os.environ.get(variable))
    return str(preferred if configured else registry.defaults["dataset_without_root"])


def make_dataset(registry: Registry, name: str, config: RunConfig) -> tuple[Dataset, str]:
    """Construct the dataset ``name``, or ``name:ROOT``; return it with its name in tables.

    Raises:
        UserError: the name, an option or the data is at fault.
    """
    name, _, place = name.partition(":")
    component = registry.find("datasets", name)
    options = _options(component, config.options.get(name, {}))
    cls: Any = component.load()
    root = Path(place) if place else config.root
    if root is None and cls.root_variable and os.environ.get(cls.root_variable):
        root = Path(os.environ[cls.root_variable])
    if root is not None and cls.root_variable is None:
        raise UserError(f"Dataset {name} brings its own data; leave --root (or the folder after its name) out.")
    context = DatasetContext(root.expanduser() if root else None, cache_folder(config.cache))
    dataset: Dataset = component.construct(context=context, options=options)
    return dataset, labelled(f"{name}:{dataset.label}" if dataset.label else name, changes(options))


def make_encoder(registry: Registry, config: RunConfig) -> tuple[Encoder, str]:
    """Construct the encoder of a run; return it with its name in tables.

    Raises:
        UserError: the name or an option is at fault.
    """
    name = config.encoder or registry.defaults["encoder"]
    component = registry.find("encoders", name)
    # A name with dots or slashes can't stand before the dot of --set, so its prefix does: --set timm.height=256.
    given = config.options.get(name, config.options.get(name.split(":")[0], {}))
    options = _options(component, given)
    encoder: Encoder = component.construct(name=name, options=options)
    return encoder, labelled(name, changes(options))


def _options(component: Component, given: dict[str, Any]) -> Any:
    return parse_model(component.options_model(), given, f"options of {component.kind[:-1]} {component.name}")
