"""TIRG in its native setting: batch classification under SGD (tirg.py, native.py).

    loss = -log softmax_j(s q_i . s t_j)_i,  s learned, 4 at the start

Of the paper's two losses this is the one for Fashion200k, with that data set's rates; the soft triplet draws its
triplets at random and is not ported (README.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from baselines.cosine import CosineScorer
from baselines.native import NativeMethod, batch_classification
from baselines.tirg import NATIVE_SCALE, TIRG
from benchmark.interfaces import Batch, Representation


class TIRGNative(NativeMethod):
    """TIRG as its authors train it, on frozen features."""

    composer_class = TIRG
    scorer_class = CosineScorer
    label = "tirg-native (projected)"

    def scales(self) -> Mapping[str, nn.Parameter]:
        return {"scale": nn.Parameter(torch.tensor(NATIVE_SCALE))}

    def losses(self, batch: Batch, query: Representation, target: Representation) -> Mapping[str, Tensor]:
        cosines = self.scorer.score(query, target)
        return {"classification": batch_classification(self.learned["scale"] ** 2 * cosines, batch.excluded)}

    def optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        o = self.settings
        return torch.optim.SGD(parameters, lr=o.learning_rate, momentum=o.momentum, weight_decay=o.weight_decay)
