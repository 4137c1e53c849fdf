"""Registers the shipped encoders."""

from __future__ import annotations

from benchmark.hookspecs import Register, hookimpl


@hookimpl
def register_encoders(register: Register) -> None:
    """Register them as strings, so that listing imports no torch."""
    register(
        "packaged",
        "plugins.encoders.packaged:PackagedEncoder",
        options="plugins.encoders.options:PackagedOptions",
        summary="EfficientNet-Lite0 (ImageNet) + all-MiniLM-L6-v2, weights from pip packages, no hub",
        citation="Tan & Le, ICML 2019; Wang et al., NeurIPS 2020",
    )
