"""Whether a composer, its scorer and its losses fit together; if not, what was found, what was expected, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.contracts import place_of
from benchmark.errors import PluginError, describe
from benchmark.interfaces import (
    Composer,
    ImageFeatures,
    LabelledSet,
    Representation,
    Scorer,
    TextFeatures,
    representation_shapes,
    shown,
)

DIMENSIONS = {"global": (2, "(batch, width)"), "local": (3, "(batch, regions, width)")}
"""Of the documented keys of a representation."""


def check_fit(composer: Composer, scorer: Scorer, train: LabelledSet) -> None:
    """Try two cases on the CPU.

    Raises:
        PluginError: a representation or the scores are not as promised, or the scorer can't read the representations.
    """
    who = f"composer {type(composer).__name__} and scorer {type(scorer).__name__}"
    _refuse_unregistered(composer, scorer)
    missing = scorer.requires - composer.provides
    if missing:
        raise PluginError(
            f"{who} do not fit: the scorer reads {sorted(missing)}, the composer provides only "
            f"{sorted(composer.provides)}. Choose another scorer, or add the key to the representations."
        )
    with torch.no_grad():
        query, candidates = _represent(composer, train)
        found = f"Query: {representation_shapes(query)}; candidate: {representation_shapes(candidates)}."
        try:
            score, parts = scorer.score(query, candidates), scorer.parts(query, candidates)
        except (RuntimeError, IndexError, KeyError, ValueError, TypeError) as error:
            raise PluginError(f"{who} do not fit: {describe(error)}. {found}") from error
    if not isinstance(parts, Mapping):
        raise PluginError(f"{type(scorer).__name__}.parts returned {shown(parts)}; return names and scores, or {{}}.")
    for name, value in {"score": score, **parts}.items():
        if not isinstance(value, Tensor) or tuple(value.shape) != (2, 2):
            raise PluginError(
                f"{who} do not fit: 2 queries x 2 candidates gave {name} {shown(value)}, not (2, 2). {found}"
            )


def check_auxiliary(composer: Composer, added: Any, taken: Mapping[str, Tensor]) -> None:
    """Refuse auxiliary losses that are no mapping or that would replace a loss of the unified objective.

    Raises:
        PluginError: what was returned, and what to return.
    """
    problem = None
    if not isinstance(added, Mapping):
        problem = f"{shown(added)}; return a mapping of names to scalar tensors, or {{}}"
    elif twice := sorted(set(added) & set(taken)):
        problem = f"{twice}, which the unified objective has already; choose other names"
    if problem:
        place = place_of(type(composer).auxiliary_loss)
        raise PluginError(f"{type(composer).__name__}.auxiliary_loss ({place}) returned {problem}.")


def check_losses(losses: Mapping[str, Any], epoch: int) -> None:
    """Refuse losses that are no scalar tensors or not finite.

    Raises:
        PluginError: which loss, what it is, and what to look for.
    """
    for name, value in losses.items():
        if not isinstance(value, Tensor) or value.ndim:
            raise PluginError(f"the loss {name!r} is {shown(value)}; make it a tensor of one number, e.g. by .mean().")
        if not torch.isfinite(value):
            raise PluginError(
                f"the loss {name!r} became {value.item()} in epoch {epoch + 1}. Look for a division by zero or a "
                "logarithm of zero in the method, or lower training.learning_rate."
            )


def check_gradient(composer: Composer, *representations: Representation) -> None:
    """Refuse a composer with parameters to train that no gradient can reach.

    Raises:
        PluginError: no representation depends on them.
    """
    reached = any(value.requires_grad for values in representations for value in values.values())
    if not reached and any(parameter.requires_grad for parameter in composer.parameters()):
        raise PluginError(
            f"{type(composer).__name__}: its representations carry no gradient, so it would never learn. Look for "
            "torch.no_grad(), .detach(), .data or numpy in compose and embed; freeze layers by requires_grad_(False)."
        )


def _refuse_unregistered(*networks: nn.Module) -> None:
    """Refuse layers in a plain list or dict: torch would neither train nor store them."""
    for module in (module for network in networks for module in network.modules()):
        for name, value in vars(module).items():
            held = value if isinstance(value, list | tuple) else value.values() if isinstance(value, dict) else ()
            if not name.startswith("_") and any(_trainable(part) for part in held):
                raise PluginError(
                    f"{type(module).__name__}.{name} holds layers in a {type(value).__name__}, which torch neither "
                    f"trains nor stores; use nn.ModuleList or nn.ModuleDict ({place_of(type(module))})."
                )


def _trainable(part: Any) -> bool:
    if isinstance(part, nn.Module):
        return any(parameter.requires_grad for parameter in part.parameters())
    return isinstance(part, nn.Parameter) and part.requires_grad


def _represent(composer: Composer, train: LabelledSet) -> tuple[Representation, Representation]:
    pair = slice(0, 2)
    references, images = train.images[train.reference[pair]].to("cpu"), train.images[pair].to("cpu")
    texts = train.texts[pair].to("cpu")
    with _with_shapes(references, texts):
        query = composer.compose(references, texts)
        candidates = composer.embed(images)
    for name, values in (("compose", query), ("embed", candidates)):
        _check_representation(composer, name, values)
    return query, candidates


@contextmanager
def _with_shapes(images: ImageFeatures, texts: TextFeatures) -> Iterator[None]:
    """Add to an error of torch, which names no tensor, what the composer was given."""
    try:
        yield
    except (RuntimeError, IndexError) as error:
        levels = ", ".join(str(tuple(level.shape)) for level in images.levels)
        error.add_note(
            f"Given: images.pooled {tuple(images.pooled.shape)}, images.levels {levels}, texts.pooled "
            f"{tuple(texts.pooled.shape)}, texts.tokens {tuple(texts.tokens.shape)}. Take widths from "
            "spec.image_width, spec.level_widths and spec.text_width"
        )
        raise


def _check_representation(composer: Composer, side: str, values: Any) -> None:
    problem = _problem(values, composer.provides)
    if problem:
        place = place_of(getattr(type(composer), side))
        raise PluginError(f"{type(composer).__name__}.{side} returned {problem} ({place}).")


def _problem(values: Any, promised: frozenset[str]) -> str | None:
    """Return what is wrong with the representation of two inputs, or None."""
    if values is None:
        return "None; is a `return` missing?"
    if not isinstance(values, Mapping):
        return f"{type(values).__name__}, not a mapping such as {{'global': tensor}}"
    missing = promised - set(values)
    if missing:
        return f"keys {sorted(values)}, but {sorted(missing)} is promised by `provides`; return these keys or change it"
    for key, value in values.items():
        if not isinstance(value, Tensor):
            return f"{type(value).__name__} under {key!r}, not a tensor"
        dimensions, meaning = DIMENSIONS.get(key, (max(value.ndim, 2), "(batch, ...)"))
        if value.ndim != dimensions or value.shape[0] != 2:
            return f"{key} {tuple(value.shape)} for 2 inputs; the batch comes first: {key} is {meaning}"
    return None
