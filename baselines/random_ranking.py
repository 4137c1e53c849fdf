"""Random control: chance, measured. Scores are drawn anew for every query from its id and the method's seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from benchmark.interfaces import FeatureSpec, FitContext, Gallery, LabelledSet, Method, Queries
from benchmark.rendering import generator


class RandomRanking(Method):
    """Ranks every gallery at random."""

    trained = False

    def __init__(self, spec: FeatureSpec, options: BaseModel):
        super().__init__(spec, options)
        self.seed = torch.zeros(1, dtype=torch.int64)

    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Keep the seed; there is nothing to learn."""
        self.seed = torch.tensor([context.seed])

    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return uniform numbers (q, g)."""
        rows = [generator(str(int(self.seed)), query).random(len(gallery.ids)) for query in queries.ids]
        return torch.from_numpy(np.stack(rows))

    def state(self) -> dict[str, Tensor]:
        """Return the seed."""
        return {"seed": self.seed}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the seed."""
        self.seed = state["seed"]
