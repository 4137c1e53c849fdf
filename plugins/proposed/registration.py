"""Registers the proposed composer and scorer."""

from __future__ import annotations

from benchmark.hookspecs import Register, hookimpl

PAPER = (
    "Composed Vision-Language Retrieval for Skin Cancer Case Search via Joint Alignment of Global and Local "
    "Representations, arXiv 2603.09108 (our reading of its abstract)"
)


@hookimpl
def register_composers(register: Register) -> None:
    """Register it as a string, so that listing imports no torch."""
    register(
        "proposed",
        "plugins.proposed.composer:HierarchicalComposer",
        options="plugins.proposed.options:HierarchicalOptions",
        summary="evidence of image and text for the group and, by masks and a transformer, for each criterion",
        citation=PAPER,
    )


@hookimpl
def register_scorers(register: Register) -> None:
    """Register it as a string."""
    register(
        "global-local",
        "plugins.proposed.scorer:GlobalLocalScorer",
        options="plugins.proposed.options:GlobalLocalOptions",
        summary="convex mix of global and criterion-wise cosines, weighted by the checklist",
        citation=PAPER,
    )
