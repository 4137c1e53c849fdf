"""VAL: at every level of the image, the text gates what stays and self-attention says what changes.

Yanbei Chen, Shaogang Gong, Loris Bazzani: Image Search with Text Feedback by Visiolinguistic Attention Learning. CVPR
2020. Its code, github.com/yanbeic/VAL, fixes what the paper leaves open; tests/baselines/parity/val.json holds its
numbers.

Legend: b batch, n = h w positions of a level, d common width; x image (b, n, d), c(.) = relu(batch norm(conv(.))).

    v   = c_1x1([x ; text at every position])                                      (b, n, d)
    j   = sigmoid(c_1x1(mean of v over positions)) * sigmoid(c_hxw(mean of v over channels))
    a   = c_1x1([head_1(v_1) ; head_2(v_2)]),  head = softmax(q k^T / sqrt(d / 2)) value, v_i half of the channels
    out = w_j j x + w_s a

The ReLU before both sigmoids is the code's, so that the gate lies in [1/4, 1). Query and candidate are the levels,
each averaged over positions and normalised, one after the other; candidates are not composed.

What differs from the paper in the unified setting: linear maps bring the levels of a frozen encoder and the text to one
width, where the paper fine-tunes a ResNet-50 or MobileNet and takes its last three stages as they are. The packaged
encoder keeps the maps of strides 16 and 32 and a pooled feature, which is the third level, of one position
(``pooled_level``). The width is 128, not 512, which keeps a training on a CPU bearable. Batch normalisation forgets by
0.1, not 0.003, a step: the paper trains for 50,000 steps, we for hundreds. The objective is contrastive on the score;
the paper's is a triplet loss of each level (``native_loss``). Its pre-training on side captions needs captions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.val_options import VALOptions
from benchmark.interfaces import Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures

HEADS = 2
NATIVE_MARGIN = 0.2


class PointwiseConvolution(nn.Module):
    """c_1x1 on positions: (b, n, i) -> (b, n, o), not negative."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations; in training, statistics are taken over batch and positions."""
        x = self.linear(x)
        return F.relu(self.norm(x.flatten(0, 1)).view_as(x))


class SpatialConvolution(nn.Module):
    """c_hxw on a map of one channel (b, n) -> (b, n): the kernel is as large as the grid, the borders are zeros."""

    def __init__(self, grid: tuple[int, int]):
        super().__init__()
        self.grid = grid
        self.convolution = nn.Conv2d(1, 1, grid, bias=False)
        self.norm = nn.BatchNorm2d(1)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations; a kernel of even size reaches further to the bottom right, as TensorFlow's does."""
        h, w = self.grid
        x = F.pad(x.view(-1, 1, h, w), ((w - 1) // 2, w // 2, (h - 1) // 2, h // 2))
        return F.relu(self.norm(self.convolution(x))).flatten(1)


class SelfAttention(nn.Module):
    """One head over the positions: (b, n, d) -> (b, n, d)."""

    def __init__(self, width: int, dropout: float, positions: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.query, self.key):  # the softmax over one position is 1 whatever they say
            layer.requires_grad_(positions > 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended values."""
        logits = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(x.shape[-1])  # (b, n, n)
        return self.dropout(logits.softmax(dim=-1)) @ self.value(x)


class LevelComposition(nn.Module):
    """The published composition of one level (b, n, d) and a text (b, d)."""

    def __init__(
        self,
        width: int,
        grid: tuple[int, int],
        joint_weight: float = 1.0,
        self_weight: float = 0.0,
        dropout: float = 0.1,
    ):
        super().__init__()
        head_width = width // HEADS
        self.joint_weight = nn.Parameter(torch.tensor(joint_weight))
        self.self_weight = nn.Parameter(torch.tensor(self_weight))
        self.fuse = PointwiseConvolution(2 * width, width)
        self.channel_gate = PointwiseConvolution(width, width)
        self.spatial_gate = SpatialConvolution(grid)
        self.heads = nn.ModuleList(SelfAttention(head_width, dropout, math.prod(grid)) for _ in range(HEADS))
        self.transform = PointwiseConvolution(width, width)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Return the composed level (b, n, d). In training b must exceed 1 (batch normalisation)."""
        fused = self.fuse(torch.cat([image, text[:, None].expand_as(image)], dim=-1))  # (b, n, d)
        channels = self.channel_gate(fused.mean(dim=1, keepdim=True)).sigmoid()  # (b, 1, d)
        positions = self.spatial_gate(fused.mean(dim=2)).sigmoid()[..., None]  # (b, n, 1)
        parts = fused.chunk(HEADS, dim=-1)
        attended = torch.cat([head(part) for head, part in zip(self.heads, parts, strict=True)], dim=-1)
        return self.joint_weight * channels * positions * image + self.self_weight * self.transform(attended)


class VAL(Composer):
    """VAL on linear projections of the levels; both representations are ``global`` (b, l d): l unit vectors in a row,
    so that their cosine is the mean of the cosines of the levels.
    """

    label = "val (projected)"

    def __init__(self, spec: FeatureSpec, options: VALOptions):
        super().__init__(spec, options)
        self.pooled_level, width = options.pooled_level, options.width
        widths, grids = spec.level_widths, spec.grids
        if self.pooled_level:
            widths, grids = (*widths, spec.image_width), (*grids, (1, 1))
        self.projections = nn.ModuleList(nn.Linear(level, width) for level in widths)
        # No bias: the batch normalisation that follows would take it away.
        self.text_projection = nn.Linear(spec.text_width, width, bias=False)
        starts = (options.joint_weight, options.self_weight, options.dropout)
        self.compositions = nn.ModuleList(LevelComposition(width, grid, *starts) for grid in grids)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        text = self.text_projection(texts.pooled)
        layers = zip(self.compositions, self.projections, self._levels(images), strict=True)
        return {"global": in_a_row([compose(project(level), text).mean(dim=1) for compose, project, level in layers])}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images, by the projections that the reference image takes."""
        pairs = zip(self.projections, self._levels(images), strict=True)
        # The projection of the mean is the mean of the projections, and quicker.
        return {"global": in_a_row([project(level.mean(dim=1)) for project, level in pairs])}

    def _levels(self, images: ImageFeatures) -> tuple[Tensor, ...]:
        return (*images.levels, images.pooled[:, None]) if self.pooled_level else images.levels


def in_a_row(levels: Sequence[Tensor]) -> Tensor:
    """Return l pooled levels (b, d) as unit vectors, one after the other (b, l d)."""
    return torch.cat([F.normalize(level, dim=-1) for level in levels], dim=-1)


def native_loss(queries: Sequence[Tensor], targets: Sequence[Tensor], margin: float = NATIVE_MARGIN) -> Tensor:
    """Return the paper's loss of l pooled levels (b, d) a side: semi-hard triplets in both directions, summed over the
    levels, on squared distances of unit vectors. Row i of a target level is the target of query i.
    """
    losses = []
    for query, target in zip(queries, targets, strict=True):
        apart = F.normalize(query, dim=-1)[:, None] - F.normalize(target, dim=-1)  # (b, b, d)
        distances = apart.square().sum(dim=-1)  # (b, b)
        losses.append(_semi_hard(distances, margin) + _semi_hard(distances.T, margin))
    return torch.stack(losses).sum()


def _semi_hard(distances: Tensor, margin: float) -> Tensor:
    """Return the mean hinge of the anchors, one a row.

    As in the authors' code, a negative is too hard if it is nearer to the anchor than *its own* query is (the positive
    of its column, where one would expect that of the row). An anchor that has no other negative costs nothing.
    """
    positives = distances.diagonal()
    unfit = (distances < positives) | torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    hardest = distances.masked_fill(unfit, math.inf).amin(dim=1)
    return F.relu(positives - hardest + margin).mean()
