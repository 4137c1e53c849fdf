"""Registers the shipped datasets."""

from __future__ import annotations

from benchmark.hookspecs import Register, hookimpl


@hookimpl
def register_datasets(register: Register) -> None:
    """Register them as strings, so that listing imports nothing heavy."""
    register(
        "derm7pt",
        "plugins.datasets.derm7pt:Derm7pt",
        options="plugins.datasets.options:Derm7ptOptions",
        summary="1,011 cases, dermoscopic and clinical view, seven-point criteria (your own copy)",
        citation="Kawahara et al., IEEE Journal of Biomedical and Health Informatics, 2019",
    )
    register(
        "synthetic",
        "plugins.datasets.synthetic.dataset:SyntheticDataset",
        options="plugins.datasets.synthetic.options:SyntheticOptions",
        summary="1,011 drawn cases with the schema and vocabulary of derm7pt and true region masks",
        citation="dermcir (drawn by plugins/datasets/synthetic)",
    )
    register(
        "folder",
        "plugins.datasets.folder.dataset:FolderDataset",
        options="plugins.datasets.options:FolderOptions",
        summary="your own cases: a folder with cases.csv, pictures and an optional dataset.toml",
        citation="the user's own data, cited as its dataset.toml says",
    )
