"""CLIP4Cir's combiner in its native setting: large batches under a fixed scale (clip4cir.py, native.py).

    loss = -log softmax_j(100 cos(q_i, t_j))_i

This is the paper's second stage, whose encoder is frozen. Its first fine-tunes CLIP, whose weights come with no pip
package, so the row is not the whole of CLIP4Cir. A batch is the whole training set, since it is smaller than the 4,096
queries of a batch of the paper. The rate is the upper end of the authors', 4e-5: an epoch is a single step here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from baselines.clip4cir import NATIVE_LOGIT_SCALE, CLIP4Cir
from baselines.cosine import CosineScorer
from baselines.native import NativeMethod, batch_classification
from benchmark.interfaces import Batch, Representation


class CLIP4CirNative(NativeMethod):
    """The combiner as its authors train it, on frozen features."""

    composer_class = CLIP4Cir
    scorer_class = CosineScorer
    label = "clip4cir-native (combiner, projected)"

    def losses(self, batch: Batch, query: Representation, target: Representation) -> Mapping[str, Tensor]:
        cosines = self.scorer.score(query, target)
        return {"classification": batch_classification(NATIVE_LOGIT_SCALE * cosines, batch.excluded)}

    def optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay)
