"""Hierarchical composer with criterion-tied spatial masks.

Paper: "Composed Vision-Language Retrieval for Skin Cancer Case Search via Joint Alignment of Global and Local
Representations", arXiv 2603.09108. Only its abstract could be read. From the abstract: a transformer that composes
image and text hierarchically; local alignment by several spatial attention masks; global alignment as holistic
supervision.
OUR READING of what it leaves open: levels at strides 16 and 32, composed text tokens handed from level to level, a
[CLS] token for the global query, one mask a criterion tied to it by a classification of that criterion from its region,
and text gathered for each region by attention. Close relatives: VAL (Chen et al., CVPR 2020), TG-CIR (Wen et al., ACM
MM 2023).

Shapes: b batch, t text tokens, n_l positions of level l, n all positions, d width, m masks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.interfaces import Batch, Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures
from plugins.proposed.options import HierarchicalOptions

DEFAULT_MASKS = 4


class HierarchicalComposer(Composer):
    """Composes level by level; represents an image, or an image and a text, by one global and m local vectors."""

    provides = frozenset({"global", "local"})
    scorer = "global-local"

    def __init__(self, spec: FeatureSpec, options: HierarchicalOptions):
        super().__init__(spec, options)
        d, drop = options.width, options.dropout
        self.masks = options.masks or len(spec.criteria) or DEFAULT_MASKS
        tied = options.tied and self.masks == len(spec.criteria)
        self.criterion_key = "local" if tied else "global"
        self.diversity = options.diversity
        self.project_levels = nn.ModuleList(_projection(width, d, drop) for width in spec.level_widths)
        self.project_pooled = _projection(spec.image_width, d, drop)
        self.project_tokens = _projection(spec.text_width, d, drop)
        self.project_text = _projection(spec.text_width, d, drop)
        self.level_embedding = nn.Parameter(torch.randn(len(spec.level_widths), d) * 0.02)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.blocks = nn.ModuleList(
            nn.ModuleList(LevelBlock(d, options.heads, drop) for _ in range(options.layers)) for _ in spec.level_widths
        )
        self.values = nn.Linear(d, d)
        self.mask_queries = nn.Parameter(torch.randn(self.masks, d) * d**-0.5)
        self.text_queries = nn.Parameter(torch.randn(self.masks, d) * d**-0.5)
        self.compose_region = _fusion(2 * d, d, drop)
        self.compose_global = _fusion(3 * d, d, drop)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query: ``global`` (b, d) and ``local`` (b, m, d), both from image and text."""
        levels = self._levels(images)
        summary, tokens = self._hierarchy(levels, texts)
        regions, _ = self._regions(levels)
        words = self._words(tokens, texts.mask)
        local = regions + self.compose_region(torch.cat([regions, words], dim=-1))
        image, text = self.project_pooled(images.pooled), self.project_text(texts.pooled)
        whole = image + text + self.compose_global(torch.cat([image, text, summary], dim=-1))
        return {"global": whole, "local": local}

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate: ``global`` (b, d), ``local`` (b, m, d) and its ``masks`` (b, m, n)."""
        regions, masks = self._regions(self._levels(images))
        return {"global": self.project_pooled(images.pooled), "local": regions, "masks": masks}

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        """Return the mean cosine between the masks of one image: masks that collapse onto each other cost."""
        if self.masks == 1 or not self.diversity:
            return {}
        masks = F.normalize(candidates["masks"], dim=-1)
        overlap = masks @ masks.transpose(1, 2)  # (b, m, m)
        off_diagonal = overlap.sum((1, 2)) - overlap.diagonal(dim1=1, dim2=2).sum(1)
        return {"diversity": self.diversity * off_diagonal.mean() / (self.masks * (self.masks - 1))}

    def _levels(self, images: ImageFeatures) -> list[Tensor]:
        """Project every level to (b, n_l, d) and mark it with its embedding."""
        pairs = zip(self.project_levels, images.levels, strict=True)
        return [project(level) + self.level_embedding[i] for i, (project, level) in enumerate(pairs)]

    def _hierarchy(self, levels: list[Tensor], texts: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the [CLS] token (b, d) and the text tokens (b, t, d) after all levels, fine to coarse."""
        tokens = self.project_tokens(texts.tokens)
        state = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1)  # (b, 1 + t, d)
        padding = F.pad(~texts.mask, (1, 0))
        for blocks, level in zip(self.blocks, levels, strict=True):
            for block in blocks:  # type: ignore[attr-defined]
                state = block(state, level, padding)
        return state[:, 0], state[:, 1:]

    def _regions(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return regions (b, m, d) and masks (b, m, n): softmax over the positions of all levels."""
        positions = torch.cat(levels, dim=1)
        # A linear map of the keys is part of the mask queries, and the map of the values commutes with the weighted
        # sum (a mask sums to 1): the same function as with both maps at every position, for a fraction of the work.
        masks = (self.mask_queries @ positions.transpose(1, 2)).softmax(dim=-1)
        return self.values(masks @ positions), masks

    def _words(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Gather (b, m, d) from the composed text tokens, one attention a region."""
        attention = self.text_queries @ tokens.transpose(1, 2) * tokens.shape[-1] ** -0.5
        return attention.masked_fill(~mask[:, None], -1e4).softmax(dim=-1) @ tokens


def _projection(width: int, d: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, d))


def _fusion(width: int, d: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * d), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * d, d)
    )


class LevelBlock(nn.Module):
    """A pre-norm transformer encoder layer over [state ; image tokens] that returns the state alone.

    The image tokens are keys and values; what a layer would make of them is read by nobody, since only the state goes
    on to the next level, and is not computed.
    """

    def __init__(self, d: int, heads: int, dropout: float):
        super().__init__()
        self.norm_state, self.norm_image, self.norm_out = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.feed_forward = _fusion(d, d, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor, image: Tensor, padding: Tensor) -> Tensor:
        """Return the new state (b, 1 + t, d); ``padding`` (b, 1 + t) is True where the state is to be ignored."""
        asked = self.norm_state(state)
        seen = torch.cat([asked, self.norm_image(image)], dim=1)
        ignored = F.pad(padding, (0, image.shape[1]))
        found, _ = self.attention(asked, seen, seen, key_padding_mask=ignored, need_weights=False)
        state = state + self.dropout(found)
        return self.norm_out(state + self.dropout(self.feed_forward(state)))
