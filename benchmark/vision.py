"""How a session sees its pictures: through a fixed encoder, the same for all, through one that is taught for every
trial and seed, or through a network that is trained together with each method.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

import torch

from benchmark import protocol
from benchmark.adapting import Adaptation, AdaptiveEncoder, Labels
from benchmark.errors import UserError
from benchmark.features import FeatureStore, Progress
from benchmark.finetuning import FinetunedMethod, TrainableEncoder
from benchmark.interfaces import Case, Encoder, ImageFeatures, Method, Split
from benchmark.joining import join_views, stacked
from benchmark.records import digest

if TYPE_CHECKING:
    from benchmark.session import Session

PicturesOfViews = Sequence[Sequence[Path]]
"""Pictures of the same cases, one list a view."""


class Vision(Protocol):
    """What a session asks of either."""

    def prepare(self, progress: Progress) -> None:
        """Compute what is missing and the same for all, and keep none of it in memory."""

    def same(self, index: int, seed: int) -> tuple[int, ...]:
        """Return a key: two trials and seeds with equal keys see the same."""

    def show(self, index: int, seed: int, paths: PicturesOfViews) -> ImageFeatures:
        """Return the features of cases as trial ``index`` and ``seed`` see them."""


class FixedVision:
    """Through an encoder that never changes."""

    def __init__(self, session: Session):
        self.session = session

    def prepare(self, progress: Progress) -> None:
        """Encode every picture of the session."""
        for paths in self.session.paths():
            self.session.store.images(paths, progress)

    def same(self, index: int, seed: int) -> tuple[int, ...]:
        """Return the same for all."""
        return ()

    def show(self, index: int, seed: int, paths: PicturesOfViews) -> ImageFeatures:
        """Return the features, from the cache or computed now."""
        return join_views([self.session.store.images(of_view) for of_view in paths])


class TaughtVision:
    """Through the experts of an adaptive encoder, of each view for itself."""

    def __init__(self, session: Session, encoder: AdaptiveEncoder):
        self.session, self.encoder = session, encoder
        dataset = session.dataset
        encoder.expect(Labels(len(dataset.groups), tuple(len(criterion.values) for criterion in dataset.criteria)))

    def prepare(self, progress: Progress) -> None:
        """Make what experts learn from, where any is to be taught; all seeds and folds share it."""
        session = self.session
        pairs = [(index, seed) for index in range(len(session.trials)) for seed in session.config.seeds]
        if all(one.taught for pair in pairs for one in self.adaptations(*pair)):
            return
        cases = [case for trial in session.trials for case in trial.train]
        for view in session.views:
            self._studied(view, cases, progress)

    def same(self, index: int, seed: int) -> tuple[int, ...]:
        """Return trial and seed."""
        return index, seed

    def show(self, index: int, seed: int, paths: PicturesOfViews) -> ImageFeatures:
        """Return what the experts show, taught now where they are not in the cache."""
        pairs = zip(self.adaptations(index, seed), paths, strict=True)
        return join_views([adaptation.show(of_view) for adaptation, of_view in pairs])

    def adaptations(self, index: int, seed: int) -> list[Adaptation]:
        """Return what is taught for trial ``index`` and ``seed``, one a view."""
        session = self.session
        cases = session.trials[index].train
        groups, criteria = (
            torch.from_numpy(make(session.dataset, cases)) for make in (protocol.group_codes, protocol.criterion_codes)
        )
        return [
            Adaptation(
                self.encoder,
                session.cache,
                [case.images[view] for case in cases],
                partial(self._studied, view, cases),
                (groups, criteria),
                seed=seed,
                threads=session.config.threads,
            )
            for view in session.views
        ]

    def _studied(self, view: str, cases: Sequence[Case], progress: Progress = lambda done: None) -> ImageFeatures:
        return studied(self.session, self.encoder.views(), view, cases, progress)


class LiveVision:
    """Through a network that each method trains; what comes before it is fixed."""

    def __init__(self, session: Session, encoder: Encoder):
        if not isinstance(encoder, TrainableEncoder):
            raise UserError(
                f"--finetune: encoder {session.encoder_label} can't be trained together with a method. Leave "
                f"--finetune out, or name an encoder that can, as {session.registry.defaults['encoder']} "
                "(TrainableEncoder in plugins/README.md)."
            )
        self.session, self.encoder = session, encoder
        self.store = FeatureStore(session.cache, encoder.plain())

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that the network is given; its code is among the sources of a run."""
        fixed = (self.encoder, self.store.encoder, self.encoder.views())
        return digest(["fine-tuned", *(one.image_fingerprint for one in fixed)])

    def prepare(self, progress: Progress) -> None:
        """Make what the network takes: the pictures of the session, and augmented versions of training pictures."""
        for paths in self.session.paths():
            self.store.images(paths)
        cases = [case for trial in self.session.trials for case in trial.train]
        for view in self.session.views:
            studied(self.session, self.encoder.views(), view, cases, progress)

    def same(self, index: int, seed: int) -> tuple[int, ...]:
        """Return the same for all."""
        return ()

    def show(self, index: int, seed: int, paths: PicturesOfViews) -> ImageFeatures:
        """Return what the network takes of cases; ``finetuned`` turns it into features."""
        return join_views([self.store.images(of_view) for of_view in paths])

    def finetuned(self, method: Method, index: int) -> Method:
        """Return ``method`` with a network of its own, to be trained on trial ``index``."""
        session, encoder = self.session, self.encoder
        cases = session.trials[index].train

        def augmented() -> ImageFeatures:
            return join_views([studied(session, encoder.views(), view, cases) for view in session.views])

        return FinetunedMethod(method, encoder.network(), len(session.views), augmented)


def studied(
    session: Session, views: Encoder, view: str, cases: Sequence[Case], progress: Progress = lambda done: None
) -> ImageFeatures:
    """Return what the encoder ``views`` makes of training ``cases``. Whole splits are encoded, so that all trials share
    the cache.
    """
    store, parts = FeatureStore(session.cache, views), []
    rows: dict[str, int] = {}
    # Of the data set that teaches: the one that is searched may use the same ids.
    splits = {case.id: split for split in get_args(Split) for case in session.dataset.cases(split)}
    for split in dict.fromkeys(splits[case.id] for case in cases):
        known = [case for case in session.dataset.cases(split) if view in case.images]
        rows.update({case.id: len(rows) + row for row, case in enumerate(known)})
        parts.append(store.images([case.images[view] for case in known], progress))
    return stacked(parts)[torch.tensor([rows[case.id] for case in cases])]
