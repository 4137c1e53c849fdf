"""TG-CIR in its native setting: batch classification and the losses of its teacher (tg_cir.py, native.py).

    loss = -log softmax_j(s cos(q_i, t_j))_i + orthogonality + the teacher's four losses,  s learned, 10 at the start

The teacher's losses are the composer's own in both settings; here it sees the target of the classification.
AdamW at 1e-4 with torch's weight decay of 0.01 and batches of 32; CLIP, which the paper tunes at 1e-5, is not there.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from baselines.cosine import CosineScorer
from baselines.native import NativeMethod, batch_classification
from baselines.tg_cir import NATIVE_SCALE, TGCIR
from benchmark.interfaces import Batch, Representation


class TGCIRNative(NativeMethod):
    """TG-CIR as its authors train it, on frozen features."""

    composer_class = TGCIR
    scorer_class = CosineScorer
    label = "tg-cir-native (projected)"

    def scales(self) -> Mapping[str, nn.Parameter]:
        return {"scale": nn.Parameter(torch.tensor(NATIVE_SCALE))}

    def losses(self, batch: Batch, query: Representation, target: Representation) -> Mapping[str, Tensor]:
        logits = self.learned["scale"] * self.scorer.score(query, target)
        added = self.composer.auxiliary_loss(batch, query, target)
        return {"classification": batch_classification(logits, batch.excluded), **added}

    def optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay)
