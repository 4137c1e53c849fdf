"""Where the masks of a method look: the attention of each region over a picture, for the page's overlays.

Shapes: b pictures, m masks, n positions of all levels, (h, w) the finest grid. A grid covers the encoder's input, which
may be a part of the picture only (footprint.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.errors import UserError
from benchmark.records import EvaluationRecord
from benchmark.report.html.footprint import Box, seen_part
from benchmark.report.html.surroundings import Surroundings, run_config
from benchmark.store import Store

if TYPE_CHECKING:
    from benchmark.interfaces import Case, FeatureSpec, ImageFeatures
    from benchmark.session import Session
    from benchmark.training import ComposedMethod

LEVELS = 255
"""Attention is written as one byte a cell, in hex; the strongest cell of a mask has this value."""


@dataclass(frozen=True)
class Attention:
    """The masks of one method: their names, the grid (h, w), and for each case a string of h * w hex bytes a mask and
    the part of its picture that the grid covers.
    """

    method: str
    names: tuple[str, ...]
    grid: tuple[int, int]
    maps: Mapping[str, tuple[str, ...]]
    seen: Mapping[str, Box]

    @property
    def cropped(self) -> bool:
        """Whether the encoder cuts something off a picture."""
        return any(box[0] > 0 or box[1] > 0 or box[2] < 1 or box[3] < 1 for box in self.seen.values())


def _refuse_finetuned(record: EvaluationRecord) -> None:
    if record.encoder.finetuned:
        raise UserError(
            f"{record.method.row} was trained together with its encoder (--finetune), and where it looks can't be "
            "shown yet; take a run without --finetune."
        )


class Looker:
    """Finds the masks of trained methods on chosen cases of one data set. Features come through one Session."""

    def __init__(self, around: Surroundings, record: EvaluationRecord):
        self.around, self.record = around, record
        self._session: Session | None = None

    def look(self, name: str, record: EvaluationRecord, cases: Sequence[Case]) -> Attention | None:
        """Return where the method of ``record``, shown as ``name``, looks on ``cases``; None where it has no masks.

        Raises:
            UserError: its weights are not there, or no longer fit; the sentence says what to do.
        """
        _refuse_finetuned(record)
        method = self.untrained(record)
        if method is None or candidate_masks(method, blank_features(self.session().spec)) is None:
            return None
        restore(method, record, self.around)
        masks = candidate_masks(method, self.features(record, cases))
        assert masks is not None
        grids = self.session().encoder.grids
        spread = [upsampled(one, grids) for one in masks]
        maps = {case.id: tuple(_hex(mask) for mask in one) for case, one in zip(cases, spread, strict=True)}
        return Attention(name, mask_names(method, masks.shape[1]), _finest(grids), maps, self.seen(cases))

    def seen(self, cases: Sequence[Case]) -> dict[str, Box]:
        """Return the part of each picture that the encoder sees; it is asked once a size."""
        from benchmark.features import open_image

        view, preprocess = self.session().searched_views[0], self.session().encoder.preprocess
        sizes = {case.id: open_image(case.images[view]).size for case in cases}
        parts = {size: seen_part(preprocess, *size) for size in sorted(set(sizes.values()))}
        return {case: parts[size] for case, size in sizes.items()}

    def features(self, record: EvaluationRecord, cases: Sequence[Case]) -> ImageFeatures:
        """Return the features of ``cases`` as the method of ``record`` sees them."""
        return self.session().glance(cases, record.protocol.fold or 0, record.seed)

    def session(self) -> Session:
        """Return the session of the data set, made when it is first asked for.

        Raises:
            UserError: data set or encoder have changed since, or are not here.
        """
        _refuse_finetuned(self.record)
        if self._session is None:
            from benchmark.adapting import AdaptiveEncoder
            from benchmark.session import Session

            taught = self.record.protocol.trained_on
            if taught and ":" in f"{taught}{self.record.dataset.name}":
                raise UserError(
                    f"{self.record.method.row} learnt on {taught} and searched {self.record.dataset.name}; where these "
                    "folders lie is not stored, so that the run can't be looked at again. Take a run on one data set."
                )
            session = Session(run_config(self.record, self.around), self.around.registry)
            if session.encoder.image_fingerprint != self.record.encoder.image_fingerprint:
                raise UserError(f"Encoder {self.record.encoder.name} has changed since the run: run it again.")
            if self.record.protocol.excluded and isinstance(session.encoder, AdaptiveEncoder):
                raise UserError(
                    f"{self.record.method.row} saw through an encoder that was taught without the cases of an "
                    "--exclude list, and where it looks can't be shown yet; take a run without --exclude."
                )
            self._session = session
        return self._session

    def untrained(self, record: EvaluationRecord) -> ComposedMethod | None:
        """Return the method of ``record`` without its weights; None where it is no composer."""
        from benchmark.methods import plan_method
        from benchmark.training import ComposedMethod

        plan = plan_method(self.around.registry, record.method.name, record.method.options, record.protocol.task)
        method = plan.build(self.session().spec) if plan.scorer else None
        return method if isinstance(method, ComposedMethod) else None


def blank_features(spec: FeatureSpec) -> ImageFeatures:
    """Return features of two pictures, all zero, to see what a method makes of any."""
    import torch

    from benchmark.interfaces import ImageFeatures

    pairs = zip(spec.grids, spec.level_widths, strict=True)
    levels = tuple(torch.zeros(2, rows * columns, width) for (rows, columns), width in pairs)
    return ImageFeatures(levels, spec.grids, torch.zeros(2, spec.image_width))


def restore(method: ComposedMethod, record: EvaluationRecord, around: Surroundings) -> None:
    """Load the stored weights of ``record`` into ``method``.

    Raises:
        UserError: they are not there, or no longer fit.
    """
    from safetensors.torch import load

    try:
        method.load(load(_weights(record, around)))
    except RuntimeError as error:
        raise UserError("its source has changed since, so that its weights no longer fit: run it again.") from error


def _weights(record: EvaluationRecord, around: Surroundings) -> bytes:
    store = Store(around.runs) if around.runs else None
    path = store.find("trainings", record.training_key) if store and record.training_key else None
    if store is None or path is None:
        raise UserError("its weights are not in the runs folder: start its command below, then write the page again.")
    store.training(path)
    return (path / "weights.safetensors").read_bytes()


def candidate_masks(method: ComposedMethod, images: ImageFeatures) -> NDArray[np.float32] | None:
    """Return the ``masks`` (b, m, n) of the candidate representation of ``images``, or None where it has none."""
    import torch

    from benchmark.training import evaluating

    with torch.no_grad(), evaluating(method.model):
        representation = method.composer.embed(images.to("cpu"))
    masks = representation.get("masks")
    return None if masks is None else masks.float().numpy()


def mask_names(method: ComposedMethod, count: int) -> tuple[str, ...]:
    """Name the masks by the criteria where each region belongs to one, else by number."""
    criteria = [criterion.name.replace("_", " ") for criterion in method.spec.criteria]
    tied = method.composer.criterion_key == "local" and len(criteria) == count
    return tuple(criteria) if tied else tuple(f"mask {number + 1}" for number in range(count))


def upsampled(masks: ArrayLike, grids: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Spread masks (m, n) over the finest of ``grids`` as attention an area, (m, h, w), the maximum of each mask 1.

    A level's position covers a cell of its grid, so its attention is divided by the area of that cell before levels are
    added. Positions after the last of ``grids`` belong to another view of the case and are left out.
    """
    height, width = _finest(grids)
    values = np.asarray(masks, dtype=np.float64)
    total, start = np.zeros((len(values), height, width)), 0
    for rows, columns in grids:
        level = values[:, start : start + rows * columns].reshape(-1, rows, columns)
        up, across = np.arange(height) * rows // height, np.arange(width) * columns // width
        total += level[:, up][:, :, across] * (rows * columns)
        start += rows * columns
    return total / np.maximum(total.max(axis=(1, 2), keepdims=True), np.finfo(float).tiny)


def _finest(grids: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return max(grids, key=lambda grid: grid[0] * grid[1])


def _hex(mask: NDArray[np.float64]) -> str:
    return np.rint(mask * LEVELS).astype(np.uint8).tobytes().hex()
