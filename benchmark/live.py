"""Image features that a network makes at the moment they are asked for, so that it can be trained with what reads them.

To a method they look like cached ones: it selects rows and asks for levels and pooled vectors. Between two steps of the
optimiser a picture is run through the network once, however often it is asked for.

Shapes: n pictures, b of them, v augmented views, p positions of the network's input, d its width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from benchmark.interfaces import ImageFeatures
from benchmark.joining import join_views, stacked

CHUNK = 16
"""Pictures that go through the network at once where nothing is learnt: a whole gallery needs much memory."""


class Pictures:
    """Pictures as a network takes them: levels (n, p, d), several of them a view of a case; and of training pictures
    augmented versions, levels (n, v p, d), one after the other.
    """

    def __init__(
        self,
        network: nn.Module,
        plain: ImageFeatures,
        grids: Sequence[tuple[int, int]],
        *,
        views: int = 1,
        augmented: ImageFeatures | None = None,
        seed: int = 0,
    ):
        """``grids`` are those of the features of one case, seen in so many ``views``; ``seed`` draws augmentations."""
        self.network, self.plain, self.grids, self.views = network, plain, tuple(grids), views
        self.augmented, self.draw = augmented, torch.Generator().manual_seed(seed)
        self._known, self._state = torch.empty(0, dtype=torch.long), self._now()
        self._made: ImageFeatures | None = None

    def features(self, rows: Tensor) -> ImageFeatures:
        """Return the features of ``rows`` (b,) on the network's device. In training each row shows an augmented version
        of its picture, drawn anew after every step, and gradients reach the network; else it is the picture itself.
        """
        if self._state != self._now():
            self._known, self._state, self._made = rows[:0], self._now(), None
        asked = rows.unique()
        missing = asked[~torch.isin(asked, self._known)]
        if len(missing):
            made = self._run(missing)
            self._made = stacked([self._made, made]) if self._made is not None else made
            self._known = torch.cat([self._known, missing])
        assert self._made is not None
        place = torch.empty(len(self.plain), dtype=torch.long)
        place[self._known] = torch.arange(len(self._known))
        return self._made[place[rows].to(self._made.pooled.device)]

    def _now(self) -> tuple[object, ...]:
        """Return what features depend on besides their rows; a change in place raises a tensor's version."""
        values = (*self.network.parameters(), *self.network.buffers())
        return self.network.training, torch.is_grad_enabled(), *((id(one), one._version) for one in values)

    def _run(self, rows: Tensor) -> ImageFeatures:
        device = next(self.network.parameters()).device
        levels = [level.to(device, torch.float32) for level in self._inputs(rows)]
        size = len(rows) if self.network.training else CHUNK
        with parametrize.cached():
            return stacked(
                [self._through([level[i : i + size] for level in levels]) for i in range(0, len(rows), size)]
            )

    def _inputs(self, rows: Tensor) -> list[Tensor]:
        """Return the levels (b, p, d) that the network is to see, one augmentation a row for all of its levels."""
        if self.augmented is None or not self.network.training:
            return [level[rows] for level in self.plain.levels]
        sizes = [level.shape[1] for level in self.plain.levels]
        split = [level.unflatten(1, (-1, p)) for level, p in zip(self.augmented.levels, sizes, strict=True)]
        drawn = torch.randint(split[0].shape[1], (len(rows),), generator=self.draw)
        return [level[rows, drawn] for level in split]

    def _through(self, levels: Sequence[Tensor]) -> ImageFeatures:
        share = len(levels) // self.views
        parts = [tuple(levels[start : start + share]) for start in range(0, len(levels), share)]
        return join_views([self.network(part) for part in parts])


class LiveImages(ImageFeatures):
    """Rows of ``Pictures`` in the guise of features."""

    def __init__(self, pictures: Pictures, rows: Tensor | None = None):
        self.pictures = pictures
        self.rows = torch.arange(len(pictures.plain)) if rows is None else rows

    @property
    def levels(self) -> tuple[Tensor, ...]:
        """The levels, made now."""
        return self.pictures.features(self.rows).levels

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """The grids of the levels."""
        return self.pictures.grids

    @property
    def pooled(self) -> Tensor:
        """The pooled vectors, made now."""
        return self.pictures.features(self.rows).pooled

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor | slice) -> LiveImages:
        return LiveImages(self.pictures, self.rows[index])

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> ImageFeatures:
        """Return what they are now, on ``device`` as ``dtype``."""
        return self.pictures.features(self.rows).to(device, dtype)
