"""Hierarchical composer with criterion-tied spatial masks and experts that are trained apart.

Paper: "Composed Vision-Language Retrieval for Skin Cancer Case Search via Joint Alignment of Global and Local
Representations", arXiv 2603.09108. Only its abstract could be read. From the abstract: a transformer that composes
image and text hierarchically; local alignment by several spatial attention masks; global alignment as holistic
supervision.

OUR READING of what it leaves open:

- Levels at strides 16 and 32; text tokens pass through transformer layers that see one level after the other.
- One mask a criterion. Region i is gathered by mask i from the image; words i are gathered from the composed tokens.
  Each is read as evidence for the values of criterion i, and a block is the mean of the values' prototypes under it:

      c_i = sum_v p(v | region_i) e_iv            q_i = sum_v p(v | region_i, words_i) e_iv

  with p(v | region, words) = softmax(logits of the region + logits of the words), a product of experts (Hinton, Neural
  Computation, 2002). The global block is the same over prototypes of the whole image, pooled image and pooled text.
- A candidate's block is completed to unit length in a coordinate that every query has as zero. So each cosine ranks by
  the inner product above, which for orthogonal prototypes is the probability that query and candidate agree.
- An encoder that itself shows evidence for groups and criteria (benchmark/evidence.py) is believed first: experts of
  the image learn what to add to what it says of the whole, and of a criterion in its region.
- The experts are trained apart, each by its own classification of the group or of the criterion that its mask is tied
  to, and the contrastive objective learns what joins them: trained together, the text side, which names a training case
  by its wording, silences the image side.

Left out by default, since cross-validation on adapted features found no use for it: a [CLS] token that corrects the
global query (option ``summary``). There it also found no reason to let local evidence lead: see the scorer's ``a``.

Task ``modification``: a text states only what is to change, which a product of experts can't express, since the region
would outvote it. There words have one more class, "not named", and a query's evidence is edited:

      q_i = sum_v (u(v | words_i) + u(not named | words_i) p(v | region_i)) e_iv

What is named counts twice as much as what is not, within the cosine (``Prototypes.query``). Word experts learn to tell
by classification; what a text names is read from the relevant candidates of a batch (``named_values``). A text says
nothing of the group then, so the global part has free prototypes.

Where there is nothing to classify, that is with untied masks, and for the global part in ``modification``, the same
parts are trained by the contrastive objective alone. Close relatives: VAL (Chen et al., CVPR 2020), TG-CIR (Wen et al.,
ACM MM 2023).

Shapes: b batch, t text tokens, n_l positions of level l, n all positions, d width, m masks, v values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.evidence import Given, given_groups, given_values
from benchmark.interfaces import Batch, Composer, FeatureSpec, ImageFeatures, Representation, TextFeatures
from plugins.proposed.layers import LevelBlock, Prototypes, classifier, projection
from plugins.proposed.options import HierarchicalOptions

DEFAULT_MASKS = 4
FREE_PROTOTYPES = 8
"""Prototypes of a block where no label says how many there are."""


class HierarchicalComposer(Composer):
    """Composes level by level; represents an image, or an image and a text, by one global and m local blocks."""

    provides = frozenset({"global", "local"})
    scorer = "global-local"

    def __init__(self, spec: FeatureSpec, options: HierarchicalOptions):
        super().__init__(spec, options)
        d, drop = options.width, options.dropout
        self.masks = options.masks or len(spec.criteria) or DEFAULT_MASKS
        self.tied = options.tied and self.masks == len(spec.criteria)
        self.criterion_key = "local" if self.tied else "global"
        self.grouped = spec.complete_texts
        self.labelled = self.tied and spec.criterion_labels
        self.edits = self.labelled and not self.grouped
        self.apart, self.diversity = options.apart, options.diversity
        values = [len(criterion.values) for criterion in spec.criteria] if self.tied else [FREE_PROTOTYPES] * self.masks
        self.unnamed = values if self.edits else []
        groups = spec.groups if self.grouped else FREE_PROTOTYPES
        self.levels = chosen_levels(spec, options.levels)
        self.project_levels = nn.ModuleList(projection(spec.level_widths[i], d, drop) for i in self.levels)
        self.project_tokens = projection(spec.text_width, d, drop)
        self.level_embedding = nn.Parameter(torch.randn(len(self.levels), d) * 0.02)
        self.blocks = nn.ModuleList(
            nn.ModuleList(LevelBlock(d, options.heads, drop) for _ in range(options.layers)) for _ in self.levels
        )
        self.mask_queries = nn.Parameter(torch.randn(self.masks, d) * d**-0.5)
        self.text_queries = nn.Parameter(torch.randn(self.masks, d) * d**-0.5)
        self.values = nn.Linear(d, d)
        self.image_expert, self.text_expert = (
            classifier(width, d, groups, options.expert_dropout) for width in (spec.image_width, spec.text_width)
        )
        self.region_experts, self.word_experts = (
            nn.ModuleList(nn.Linear(d, count + more) for count in values) for more in (0, int(self.edits))
        )
        # Where the encoder itself shows evidence, that of the whole picture and of each region is what experts correct.
        last: nn.Linear = self.image_expert[-1]  # type: ignore[assignment]
        self.given = given_groups(spec, last) if self.grouped else Given(None)
        self.given_values = nn.ModuleList(
            given_values(spec, i, expert) if self.tied else Given(None)  # type: ignore[arg-type]
            for i, expert in enumerate(self.region_experts)
        )
        self.group_prototypes = Prototypes(groups, d)
        self.value_prototypes = nn.ModuleList(Prototypes(count, d, shares=self.edits) for count in values)
        self.summary = nn.Linear(d, groups) if options.summary else None
        if self.summary is not None:
            self.cls = nn.Parameter(torch.randn(1, 1, d) * 0.02)
            nn.init.zeros_(self.summary.weight)  # It starts as no correction and learns one where that helps.
            nn.init.zeros_(self.summary.bias)
        self.summary_dropout = nn.Dropout(0.5)

    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query: ``global`` (b, d) and ``local`` (b, m, d) from image and text, and the text's own evidence:
        ``text_groups`` (b, groups) and ``text_values`` (b, sum of values), both logits.
        """
        levels = self._levels(images)
        return self._query(levels, texts, self._seen(images, levels)[0], self._whole(images))

    def compose_text(self, texts: TextFeatures, neutral: ImageFeatures) -> Representation:
        """Return the query of texts alone: tokens are composed with the neutral picture, and evidence is that of the
        words alone. What a mean picture is evidence for, the commonest values, would outvote what is said.
        """
        return self._query(self._levels(neutral), texts, None, None)

    def compose_image(self, images: ImageFeatures) -> Representation:
        """Return the query of pictures alone: evidence is that of the picture. ``embed`` would complete the blocks to
        unit length, so that what is unsure would come near to all else that is.
        """
        seen, _ = self._seen(images, self._levels(images))
        local = [block.query(logits) for logits, block in zip(seen, self.value_prototypes, strict=True)]  # type: ignore[operator]
        return {
            "global": self.group_prototypes.query(self._whole(images)),
            "local": torch.stack(local, dim=1),
        }

    def _query(
        self, levels: list[Tensor], texts: TextFeatures, seen: list[Tensor] | None, image: Tensor | None
    ) -> Representation:
        """Compose ``texts`` with ``levels``; add the evidence of the regions (b, v_i) each and of the whole picture
        (b, groups), where there is a picture.
        """
        summary, tokens = self._hierarchy(levels, texts)
        said, text = self._each(self.word_experts, self._words(tokens, texts.mask)), self.text_expert(texts.pooled)
        whole = self._apart(text, self.grouped)
        if image is not None:
            whole = self._apart(image, self.grouped) + whole
        if self.summary is not None:
            whole = whole + self.summary(self.summary_dropout(summary))
        local = []
        for i, block in enumerate(self.value_prototypes):
            words = self._apart(said[i], self.labelled)
            region = words.new_zeros(()) if seen is None else self._apart(seen[i], self.labelled)
            local.append(_edited(block, region, words) if self.edits else block.query(region + words))  # type: ignore[arg-type, operator]
        return {
            "global": self.group_prototypes.query(whole),
            "local": torch.stack(local, dim=1),
            "text_groups": text,
            "text_values": torch.cat(said, dim=-1),
        }

    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate: ``global`` (b, d), ``local`` (b, m, d), its ``masks`` (b, m, n), and the logits
        ``image_groups`` (b, groups) and ``image_values`` (b, sum of values).
        """
        image, (seen, masks) = self._whole(images), self._seen(images, self._levels(images))
        pairs = zip(seen, self.value_prototypes, strict=True)
        local = [block.candidate(self._apart(one, self.labelled)) for one, block in pairs]  # type: ignore[operator]
        return {
            "global": self.group_prototypes.candidate(self._apart(image, self.grouped)),
            "local": torch.stack(local, dim=1),
            "masks": masks,
            "image_groups": image,
            "image_values": torch.cat(seen, dim=-1),
        }

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> dict[str, Tensor]:
        """Return the experts' own losses, where there is something to classify, and the mean cosine between the masks
        of one image: masks that collapse onto each other cost.
        """
        losses = {}
        if self.grouped:
            losses["image_groups"] = F.cross_entropy(candidates["image_groups"], batch.groups)
            losses["text_groups"] = F.cross_entropy(query["text_groups"], batch.query_groups)
        if self.labelled:
            losses["image_values"] = self._values_loss(candidates["image_values"], self.region_experts, batch.criteria)
            words, said = query["text_values"], batch.query_criteria
            if self.edits:
                said, known = named_values(batch, self.unnamed)
                words, said = words[known], said[known]
            if len(words):
                losses["text_values"] = self._values_loss(words, self.word_experts, said)
        if self.masks > 1 and self.diversity:
            masks = F.normalize(candidates["masks"], dim=-1)
            overlap = masks @ masks.transpose(1, 2)  # (b, m, m)
            off_diagonal = overlap.sum((1, 2)) - overlap.diagonal(dim1=1, dim2=2).sum(1)
            losses["diversity"] = self.diversity * off_diagonal.mean() / (self.masks * (self.masks - 1))
        return losses

    @staticmethod
    def _values_loss(logits: Tensor, experts: nn.ModuleList, codes: Tensor) -> Tensor:
        """Return the cross entropy of logits (b, sum of values), averaged over the criteria, of codes (b, m)."""
        parts = logits.split([expert.out_features for expert in experts], dim=-1)
        return torch.stack([F.cross_entropy(part, codes[:, i]) for i, part in enumerate(parts)]).mean()

    def _apart(self, logits: Tensor, classified: bool) -> Tensor:
        """Keep the contrastive objective from experts that have a classification of their own."""
        return logits.detach() if classified and self.apart else logits

    @staticmethod
    def _each(experts: nn.ModuleList, features: Tensor) -> list[Tensor]:
        """Return the logits (b, v_i) of expert i on features (b, m, d)."""
        return [expert(features[:, i]) for i, expert in enumerate(experts)]

    def _whole(self, images: ImageFeatures) -> Tensor:
        """Return the image's evidence for the groups, logits (b, groups)."""
        logits: Tensor = self.image_expert(images.pooled) + self.given(images.pooled)
        return logits

    def _seen(self, images: ImageFeatures, levels: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the evidence of each region, logits (b, v_i), and the masks (b, m, n)."""
        regions, masks = self._regions(levels)
        seen = self._each(self.region_experts, regions)
        if self.spec.evidence and self.tied:
            shown = masks @ torch.cat([images.levels[i] for i in self.levels], dim=1)  # (b, m, w)
            pairs = zip(seen, self.given_values, strict=True)
            seen = [logits + given(shown[:, i]) for i, (logits, given) in enumerate(pairs)]
        return seen, masks

    def _levels(self, images: ImageFeatures) -> list[Tensor]:
        """Project every chosen level to (b, n_l, d) and mark it with its embedding."""
        pairs = zip(self.project_levels, self.levels, strict=True)
        return [project(images.levels[i]) + self.level_embedding[row] for row, (project, i) in enumerate(pairs)]

    def _hierarchy(self, levels: list[Tensor], texts: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the [CLS] token (b, d), where there is one, and the text tokens (b, t, d) after all levels, fine to
        coarse.
        """
        state, padding = self.project_tokens(texts.tokens), ~texts.mask
        if self.summary is not None:
            state = torch.cat([self.cls.expand(len(state), -1, -1), state], dim=1)  # (b, 1 + t, d)
            padding = F.pad(padding, (1, 0))
        for blocks, level in zip(self.blocks, levels, strict=True):
            for block in blocks:  # type: ignore[attr-defined]
                state = block(state, level, padding)
        return state[:, 0], state if self.summary is None else state[:, 1:]

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


def named_values(batch: Batch, unnamed: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what each text asks to change, codes (q, c), and the queries (q,) of which the batch tells.

    A criterion is named where every relevant candidate differs in it from the reference: the target, which training
    puts into the batch, differs in what is named and in nothing else. Else the code is ``unnamed``, by criterion.
    """
    relevant = batch.positives & ~batch.excluded
    kept = batch.criteria[None] == batch.query_criteria[:, None]  # (q, g, c)
    named = ~(kept & relevant[..., None]).any(dim=1)
    wanted = batch.criteria[relevant.int().argmax(dim=1)]  # (q, c) of the first that is relevant
    codes = torch.where(named, wanted, torch.tensor(unnamed, device=wanted.device))
    return codes, relevant.any(dim=1)


def _edited(block: Prototypes, region: Tensor, words: Tensor) -> Tensor:
    """Return the query's block (b, d): the value that the words name as far as they name one, else that of the region.

    ``region`` are logits (b, v), or () where there is no picture; the last of the logits ``words`` (b, v + 1) is "not
    named". A block that is named counts twice as much as one that is not.
    """
    said = words.softmax(dim=-1)
    unnamed = said[:, -1:]
    wanted = said[:, :-1] + unnamed * region.expand_as(said[:, :-1]).softmax(dim=-1)
    return block.query(wanted.clamp(min=1e-6).log(), share=1 - unnamed / 2)


def chosen_levels(spec: FeatureSpec, levels: Literal["both", "fine", "coarse"]) -> tuple[int, ...]:
    """Return the numbers of the levels that are read: all, or the finest or the coarsest alone (of each view)."""
    areas = [height * width for height, width in spec.grids]
    wanted = {"both": areas, "fine": [max(areas)], "coarse": [min(areas)]}[levels]
    return tuple(i for i, area in enumerate(areas) if area in wanted)
