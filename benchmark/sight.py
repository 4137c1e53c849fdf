"""What the methods of one trial and seed see: cases, queries and galleries through the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark import protocol
from benchmark.interfaces import Case, Gallery, ImageFeatures, LabelledSet, Queries
from benchmark.means import mean_image, mean_text

if TYPE_CHECKING:
    from benchmark.session import Session


@dataclass(frozen=True)
class Sight:
    """The features of every case of a session, in the order of its rows, as one trial and seed see them."""

    session: Session
    trial: protocol.Trial
    images: ImageFeatures

    def labelled(self, cases: Sequence[Case]) -> LabelledSet:
        """Return the labelled set of ``cases``, with the canonical queries that they ask each other."""
        session = self.session
        lesson, judged = session.lesson(cases), protocol.judge(session.dataset, session.task, cases, cases)
        return LabelledSet(
            ids=tuple(case.id for case in cases),
            images=self.features(cases, session.views),
            groups=torch.from_numpy(protocol.group_codes(session.dataset, cases)),
            criteria=torch.from_numpy(protocol.criterion_codes(session.dataset, cases)),
            reference=torch.from_numpy(lesson.references),
            texts=session.store.texts(lesson.texts),
            grades=torch.from_numpy(judged.gains),
            strata=torch.from_numpy(judged.strata.astype(np.int64)),
            targets=None if lesson.targets is None else torch.from_numpy(lesson.targets),
        )

    def queries(self) -> Queries:
        """Return the queries of the trial, without labels; those that lack a part have the mean one of train."""
        session, trial = self.session, self.trial
        questions, without = session.questions(trial), session.config.without
        references = [trial.queries[row] for row in questions.references]
        images = self.features(references, session.searched_views)
        if without == "image":
            images = mean_image(self.features(trial.train, session.views), len(references))
        if without == "text":
            texts = mean_text(session.store.texts(session.lesson(trial.train).texts), len(references))
        else:
            texts = session.store.texts(questions.texts)
        # Of the reference alone: a query's own id in task modification names its target.
        return Queries(tuple(case.id for case in references), images, texts)

    def gallery(self) -> Gallery:
        """Return the gallery of the trial: ids and image features."""
        cases = self.trial.gallery
        return Gallery(tuple(case.id for case in cases), self.features(cases, self.session.searched_views))

    def features(self, cases: Sequence[Case], views: Sequence[str]) -> ImageFeatures:
        """Return the image features of ``cases``, in that order."""
        return self.images[torch.tensor([self.session.row(case, views) for case in cases])]
