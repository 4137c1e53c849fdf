"""TG-CIR: image and text become tokens that are mixed one by one; a teacher that sees the target shows how.

Haokun Wen, Xian Zhang, Xuemeng Song, Yinwei Wei, Liqiang Nie: Target-Guided Composed Image Retrieval. ACM MM 2023. Its
code, github.com/haokunwen/TG-CIR (the ViT branch), fixes what the paper leaves open; tests/baselines/parity/tg_cir.json
holds its numbers.

Legend: b batch, g candidates, n positions, d common width, P channel masks, Q spatial masks, k = P + Q tokens.

    token_p = relu(mask_p) * global                                p = 1..P
    token_q = mean_n(sigmoid(<w_q, x_n> + b_q) * x_n)              q = 1..Q
    m = sigmoid(MLP([image_k ; text_k])); query_k = m image_k + (1 - m) text_k
    score = cos(mean_k query_k, mean_k candidate_k)

Image and text share all masks. In training a teacher composes u image_k + v text_k, where u = sigmoid(MLP([image_k ;
target_k])) and v = sigmoid(MLP([text_k ; target_k])); m and 1 - m learn to be u and v. A query's target is one of its
positives in the batch, drawn anew in each step. Only ``auxiliary_loss`` knows it; ranking never uses the teacher.

What differs from the paper in the unified setting: linear maps of frozen features replace a fine-tuned CLIP; the mean
of a text's tokens leaves padding out; the other positives of a query are not negatives of its teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.tg_cir_options import TGCIROptions
from benchmark.interfaces import Batch, Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures

NATIVE_SCALE = 10.0
OUTSIDE = 0.1
"""Initial value of a channel mask outside its own block of channels, where it is 1."""
NEVER = -1e4
"""Logit of a pair that is no candidate."""


class Part(NamedTuple):
    """Local ``features`` (b, n, w), which of them are ``real`` (b, n), and their linear map to the common width."""

    features: Tensor
    real: Tensor
    projection: nn.Linear


class Tokens(nn.Module):
    """Turns a global feature and local ones into k = P + Q tokens; image and text share it."""

    def __init__(self, width: int, channel_masks: int, spatial_masks: int):
        super().__init__()
        masks = torch.full((channel_masks, width), OUTSIDE)
        block = width // channel_masks
        for row in range(channel_masks):
            masks[row, row * block : (row + 1) * block] = 1.0
        self.channel_masks = nn.Parameter(masks)
        self.spatial_masks = nn.Linear(width, spatial_masks)

    def forward(self, whole: Tensor, parts: Sequence[Part]) -> Tensor:
        """Return tokens (b, k, d) of ``whole`` (b, d) and the local features in ``parts``, which count as one set."""
        of_channels = whole[:, None] * F.relu(self.channel_masks)  # (b, P, d)
        count = torch.stack([part.real.sum(1) for part in parts]).sum(0).clamp(min=1)
        of_places = torch.stack([self._masked_sum(part) for part in parts]).sum(0) / count[:, None, None]  # (b, Q, d)
        return torch.cat([of_channels, of_places], dim=1)

    def _masked_sum(self, part: Part) -> Tensor:
        """Return sum_n(mask_n * x_n) (b, Q, d), where x = projection(features).

        Both the masks' logits and the sum are linear in x, so the projection is applied to the masks and to the Q sums
        instead of to every position: the same function for a fraction of the work.
        """
        to_masks = F.linear(part.projection.weight.T, self.spatial_masks.weight)  # (w, Q)
        masks = torch.sigmoid(part.features @ to_masks + self.spatial_masks(part.projection.bias))
        masks = (masks * part.real[..., None]).transpose(1, 2)  # (b, Q, n)
        return masks @ part.features @ part.projection.weight.T + masks.sum(2, keepdim=True) * part.projection.bias


class Teacher(nn.Module):
    """Composes with the target in sight. Used in training alone."""

    def __init__(self, width: int, tokens: int):
        super().__init__()
        self.image_share = _share(width)
        self.text_share = _share(width)
        self.token_weights = nn.Parameter(torch.ones(tokens))
        self.scale = nn.Parameter(torch.tensor(NATIVE_SCALE))

    def forward(self, image: Tensor, text: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the composed tokens (b, k, d) and the shares of image and text in them, (b, k, 1) each."""
        of_image = self.image_share(torch.cat([image, target], dim=-1))
        of_text = self.text_share(torch.cat([text, target], dim=-1))
        return of_image * image + of_text * text, of_image, of_text

    def vectors(self, tokens: Tensor) -> Tensor:
        """Return the unit tokens (b, k, d), weighted, as one vector (b, k * d)."""
        return (F.normalize(tokens, dim=-1) * self.token_weights[:, None]).flatten(1)


class TGCIR(Composer):
    """TG-CIR on linear projections of pooled and coarsest local features; ``global`` (b, d) is of unit length.

    A query also holds its ``image`` and ``text`` tokens (b, k, d) and the image's ``share`` of each (b, k, 1), a
    candidate its ``tokens`` (b, k, d): what the losses of training read.
    """

    label = "tg-cir (projected)"

    def __init__(self, spec: FeatureSpec, options: TGCIROptions):
        super().__init__(spec, options)
        width, tokens = options.width, options.channel_masks + options.spatial_masks
        self.settings = options
        self.levels = _coarsest(spec.grids)
        self.image_projection = nn.Linear(spec.image_width, width)
        self.text_projection = nn.Linear(spec.text_width, width)
        self.local_projections = nn.ModuleList(nn.Linear(spec.level_widths[level], width) for level in self.levels)
        self.word_projection = nn.Linear(spec.text_width, width)
        self.tokens = Tokens(width, options.channel_masks, options.spatial_masks)
        self.image_share = _share(width)
        self.teacher = Teacher(width, tokens)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        image = self._image_tokens(images)
        words = Part(texts.tokens, texts.mask, self.word_projection)
        text = self.tokens(self.text_projection(texts.pooled), [words])
        share = self.image_share(torch.cat([image, text], dim=-1))  # (b, k, 1)
        mixed = share * image + (1 - share) * text
        return {"global": _whole(mixed), "image": image, "text": text, "share": share}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images."""
        tokens = self._image_tokens(images)
        return {"global": _whole(tokens), "tokens": tokens}

    def _image_tokens(self, images: ImageFeatures) -> Tensor:
        parts = []
        for projection, level in zip(self.local_projections, self.levels, strict=True):
            assert isinstance(projection, nn.Linear)
            features = images.levels[level]  # (b, n, w)
            real = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
            parts.append(Part(features, real, projection))
        return self.tokens(self.image_projection(images.pooled), parts)

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        """Return the orthogonality penalty and the four losses of the teacher; a query without a positive has none."""
        sets = (query["image"], candidates["tokens"], query["text"])
        penalty = torch.stack([overlap(tokens) for tokens in sets]).mean()
        losses = {"orthogonality": self.settings.orthogonality * penalty}
        positives = batch.positives & ~batch.excluded
        taught = positives.any(1)
        if taught.any():
            query = {key: value[taught] for key, value in query.items()}
            losses |= self._teach(query, candidates, positives[taught], batch.excluded[taught])
        return losses

    def _teach(
        self, query: Representation, candidates: Representation, positives: Tensor, excluded: Tensor
    ) -> dict[str, Tensor]:
        o, teacher = self.settings, self.teacher
        target = torch.multinomial(positives.float(), 1).flatten()  # (b,)
        tokens = candidates["tokens"]
        # The teacher learns to use its target; it must not bend the query's own tokens towards an answer.
        composed, of_image, of_text = teacher(query["image"].detach(), query["text"].detach(), tokens[target])
        vectors = teacher.vectors(tokens)  # (g, k * d)
        logits = teacher.scale * teacher.vectors(composed) @ vectors.T  # (b, g)
        hidden = (positives | excluded).scatter(1, target[:, None], False)
        share, total = query["share"], of_image + of_text
        student = query["global"] @ candidates["global"].T
        cosines = F.normalize(vectors, dim=-1)
        shares = F.mse_loss(share, of_image.detach()) + F.mse_loss(1 - share, of_text.detach())
        rankings = divergence(student, cosines[target] @ cosines.T, excluded, o.temperature)
        return {
            "teacher_ranking": o.teacher_ranking * F.cross_entropy(logits.masked_fill(hidden, NEVER), target),
            "teacher_balance": o.teacher_balance * F.mse_loss(total, torch.ones_like(total)),
            "mask_distillation": o.mask_distillation * shares,
            "ranking_distillation": o.ranking_distillation * rankings,
        }


def overlap(tokens: Tensor) -> Tensor:
    """Return the mean squared difference between the cosines of the tokens (b, k, d) of one case and the identity."""
    unit = F.normalize(tokens, dim=-1)
    cosines = unit @ unit.transpose(1, 2)  # (b, k, k)
    return (cosines - torch.eye(cosines.shape[1], device=cosines.device)).square().mean()


def divergence(student: Tensor, teacher: Tensor, excluded: Tensor, temperature: float) -> Tensor:
    """Return the mean over queries of KL(teacher || student) between softmaxes of scores (b, g) over the temperature.

    The teacher gets no gradient. Where ``excluded`` (b, g) is True, neither gives any probability.
    """
    log_student, log_teacher = (
        F.log_softmax((scores / temperature).masked_fill(excluded, NEVER), dim=1)
        for scores in (student, teacher.detach())
    )
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def native_loss(queries: Tensor, targets: Tensor, scale: Tensor | float = NATIVE_SCALE) -> Tensor:
    """Return the paper's batch contrastive loss of unit vectors: row i of ``targets`` (b, d) is query i's target."""
    return F.cross_entropy(scale * queries @ targets.T, torch.arange(len(queries), device=queries.device))


def _share(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid())


def _whole(tokens: Tensor) -> Tensor:
    return F.normalize(tokens.mean(1), dim=-1)


def _coarsest(grids: tuple[tuple[int, int], ...]) -> list[int]:
    """Return the levels with the fewest positions: the last of each view, where levels differ in size."""
    sizes = [rows * columns for rows, columns in grids]
    return [level for level, size in enumerate(sizes) if size == min(sizes)]
