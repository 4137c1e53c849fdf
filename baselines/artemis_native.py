"""ARTEMIS in its native setting: batch classification of its score under a learned scale (artemis.py, native.py).

    loss = -log softmax_j(exp(t) (EM_ij + IS_ij))_i,  t learned, 2.65926 at the start

AdamW at 5e-4 with torch's weight decay of 0.01 and batches of 32, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from baselines.artemis import ARTEMIS, NATIVE_SCALE, ARTEMISScorer
from baselines.native import NativeMethod, batch_classification
from benchmark.interfaces import Batch, Representation


class ARTEMISNative(NativeMethod):
    """ARTEMIS as its authors train it, on frozen features."""

    composer_class = ARTEMIS
    scorer_class = ARTEMISScorer
    label = "artemis-native (projected)"

    def scales(self) -> Mapping[str, nn.Parameter]:
        return {"temperature": nn.Parameter(torch.tensor(math.log(NATIVE_SCALE)))}

    def losses(self, batch: Batch, query: Representation, target: Representation) -> Mapping[str, Tensor]:
        logits = self.learned["temperature"].exp() * self.scorer.score(query, target)
        return {"classification": batch_classification(logits, batch.excluded)}

    def optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay)
