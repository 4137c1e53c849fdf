"""One query and its first candidates through stored weights: masks over their pictures, and the parts of the scores.

Shapes: k candidates, b = 1 + k pictures, the query's first, m masks, (r, c) the finest grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.explain.parts import Parts, score_parts
from benchmark.interfaces import Case
from benchmark.masks.measures import Box, Floats
from benchmark.records import EvaluationRecord
from benchmark.report.html.attention import Looker, candidate_masks, mask_names, restore, upsampled
from benchmark.report.html.surroundings import Surroundings
from benchmark.training import ComposedMethod, evaluating


@dataclass(frozen=True)
class Look:
    """``scores`` (k,), named ``parts`` (k,) that add up to them, or none, ``masks`` (b, m, r, c) or None, their
    ``names``, and what the encoder sees of each picture (none where there are no masks).
    """

    scores: Tensor
    parts: Mapping[str, Tensor]
    masks: Floats | None
    names: tuple[str, ...]
    boxes: Sequence[Box]


def look(looker: Looker, record: EvaluationRecord, around: Surroundings, cases: Sequence[Case], text: str) -> Look:
    """Ask with the picture of the first of ``cases`` and ``text``; the others are the candidates.

    Raises:
        UserError: the method has neither masks nor parts, or its weights are gone or don't fit.
    """
    method, encoder = looker.untrained(record), looker.session().encoder
    if method is None:
        raise UserError(
            f"{record.method.row} is no composer with a scorer: it has neither masks nor parts of a score to show. "
            "Name another with --method."
        )
    restore(method, record, around)
    features, texts = looker.features(record, cases).to("cpu"), looker.session().store.texts([text]).to("cpu")
    with torch.no_grad(), evaluating(method.model):
        query = method.composer.compose(features[:1], texts)
        candidates = method.composer.embed(features[1:])
        scores = method.scorer.score(query, candidates)[0]
        parts = score_parts(method.scorer, query, candidates)
    masks = candidate_masks(method, features)
    if masks is None and parts is None:
        raise UserError(
            f"{record.method.row} has no masks, and its score is no sum of a global and local parts: there is nothing "
            "to show beside its ranking. Name another with --method."
        )
    spread = None if masks is None else np.stack([upsampled(one, encoder.grids) for one in masks])
    names = () if masks is None else mask_names(method, masks.shape[1])
    seen = {} if masks is None else looker.seen(cases)
    return Look(scores, _named(method, parts), spread, names, [seen[case.id] for case in cases if seen])


def _named(method: ComposedMethod, parts: Parts | None) -> dict[str, Tensor]:
    """Name the parts, each (k,): the global one, then that of each region."""
    if parts is None:
        return {}
    names = mask_names(method, parts.regions.shape[1])
    return {"global": parts.whole, **dict(zip(names, parts.regions.T, strict=True))}
