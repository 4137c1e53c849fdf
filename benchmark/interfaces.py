"""What a dataset, an encoder, a composer, a scorer and a method promise, and the values that pass between them.

Shapes: b batch, q queries, g gallery, n cases or tokens, d width, m local regions, c criteria.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

Split = Literal["train", "valid", "test"]
Representation = Mapping[str, Tensor]
"""Named tensors with the batch first. Documented keys: ``"global"`` (b, d), ``"local"`` (b, m, d) and, of a candidate,
optionally ``"masks"`` (b, m, n): how much region i looks at each position of the image levels, fine to coarse, at least
0. Overlays and the check of masks against true regions read it; no score does.
"""


class Options(BaseModel):
    """Base of every component's options: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ------------------------------------------------------------------------------------------------ datasets


@dataclass(frozen=True)
class Phrases:
    """How one value of one criterion is worded.

    ``canonical`` is used in training and in the main table. ``terse`` is a clinician's shorthand, or empty where a
    clinician would leave the finding out. ``paraphrases`` (at least five) never occur in training.
    """

    canonical: str
    terse: str
    paraphrases: tuple[str, ...]


@dataclass(frozen=True)
class Criterion:
    """One descriptor that a query's text may state, e.g. ``blue_whitish_veil`` with values absent and present.

    ``weight`` is the checklist weight (any positive unit; the harness normalises over the criteria of a dataset).
    """

    name: str
    values: tuple[str, ...]
    weight: float
    phrases: Mapping[str, Phrases]


@dataclass(frozen=True)
class Case:
    """One case: an id unique in its dataset, one image path a view, a fine diagnosis, a value for
    every criterion (``descriptors``), and free metadata that no query text may use.
    """

    id: str
    images: Mapping[str, Path]
    diagnosis: str
    descriptors: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CriticalGroup:
    """The group that must not be missed (e.g. melanoma) and the one that it is confused with (e.g. nevus)."""

    group: str
    name: str
    lookalike: str


@dataclass(frozen=True)
class Check:
    """One line of ``Dataset.verify``: what was checked, whether it held, and if not, where and what to do."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class DatasetContext:
    """Where a dataset lives: ``root`` is the user's copy (None where none was given), ``cache`` a folder to draw in."""

    root: Path | None
    cache: Path


class Dataset(ABC):
    """Cases in three fixed splits, with the labels and words that the protocol needs.

    A subclass is constructed as ``Class(context, options)`` and must raise ``UserError`` when its data is unusable.
    """

    name: str
    licence: str
    citation: str
    root_variable: ClassVar[str | None] = None
    """Environment variable that holds the root, for a dataset that the user has to bring."""
    synthetic: bool = False
    """True where the images are drawn: every table then says so."""
    views: tuple[str, ...] = ("dermoscopic",)
    """The views of a case; the first is used unless the user names another."""
    label: str | None = None
    """What tables add to the registered name, where one component reads many datasets: ``folder:rings``."""
    taxonomy: Mapping[str, str]
    """Fine diagnosis -> group."""
    groups: tuple[str, ...]
    """The groups in the order of display."""
    criteria: tuple[Criterion, ...] = ()
    critical: CriticalGroup | None = None
    subgroups: tuple[str, ...] = ()
    """Keys of ``Case.metadata`` by which reports break results down, e.g. ``("sex",)``; an empty value is "unknown"."""

    def __init__(self, context: DatasetContext, options: BaseModel):
        self.context = context
        self.options = options

    @abstractmethod
    def cases(self, split: Split) -> tuple[Case, ...]:
        """Return the cases of ``split`` in a fixed order."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hex digest that changes whenever a case, a label or an image changes."""

    def verify(self) -> tuple[Check, ...]:
        """Check the data thoroughly; every failure names file and row and says what to do."""
        return ()

    def unusable(self, case: Case, view: str) -> str | None:
        """Return why ``case`` has no honest image of ``view`` (e.g. replaced by another view), or None."""
        return None

    def regions(self, case: Case) -> Mapping[str, NDArray[np.bool_]]:
        """Return where the findings of ``case`` are: criterion -> boolean (h, w) over the image of the first view, all
        False where there is nothing to see. Empty where nobody knows, as for nearly every dataset.
        """
        return {}


# ------------------------------------------------------------------------------------------------ features


@dataclass(frozen=True)
class ImageFeatures:
    """Image features of b images: ``levels`` fine to coarse, each (b, n_l, d_l) over a grid (h_l, w_l) with
    h_l * w_l = n_l in row-major order, and ``pooled`` (b, d).
    """

    levels: tuple[Tensor, ...]
    grids: tuple[tuple[int, int], ...]
    pooled: Tensor

    def __len__(self) -> int:
        return int(self.pooled.shape[0])

    def __getitem__(self, index: Tensor | slice) -> ImageFeatures:
        return ImageFeatures(tuple(level[index] for level in self.levels), self.grids, self.pooled[index])

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> ImageFeatures:
        """Return the same features on ``device`` as ``dtype``."""
        levels = tuple(level.to(device, dtype) for level in self.levels)
        return ImageFeatures(levels, self.grids, self.pooled.to(device, dtype))


@dataclass(frozen=True)
class TextFeatures:
    """Text features of b texts: ``tokens`` (b, n, d), boolean ``mask`` (b, n) that is True on real tokens, ``pooled``
    (b, d).
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    def __len__(self) -> int:
        return int(self.pooled.shape[0])

    def __getitem__(self, index: Tensor | slice) -> TextFeatures:
        return TextFeatures(self.tokens[index], self.mask[index], self.pooled[index])

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> TextFeatures:
        """Return the same features on ``device`` as ``dtype`` (the mask stays boolean)."""
        return TextFeatures(self.tokens.to(device, dtype), self.mask.to(device), self.pooled.to(device, dtype))


@dataclass(frozen=True)
class FeatureSpec:
    """The shapes that a method can count on: widths of the image levels, their grids, the pooled image and the text,
    the number of groups, the criteria of the dataset, and whether pooled image and text share one space.
    ``complete_texts``: a query's text states the findings of its own case, so that it speaks of the case's group too
    (``case-search``), not only what is to change (``modification``). ``criterion_labels``: the codes of criteria in a
    batch may be learnt from (``training.criterion_weight`` is not 0). ``evidence``: image features are those of
    benchmark/evidence.py.
    """

    level_widths: tuple[int, ...]
    grids: tuple[tuple[int, int], ...]
    image_width: int
    text_width: int
    groups: int
    criteria: tuple[Criterion, ...]
    aligned: bool = False
    complete_texts: bool = True
    criterion_labels: bool = True
    evidence: bool = False


class Encoder(ABC):
    """An image side and a text side, fingerprinted apart. Constructed as ``Class(name, options)``, where ``name`` is
    all that the user wrote, e.g. ``timm:resnet50``.
    """

    level_widths: tuple[int, ...]
    grids: tuple[tuple[int, int], ...]
    image_width: int
    text_width: int
    aligned: bool = False
    """True where pooled image and pooled text lie in one space, of one width, so that their cosine means something."""
    evidence: bool = False
    """True where image features are log-probabilities of groups and criteria, as benchmark/evidence.py says."""

    @property
    @abstractmethod
    def image_fingerprint(self) -> str:
        """Hex digest of model, weights and preprocessing of the image side."""

    @property
    @abstractmethod
    def text_fingerprint(self) -> str:
        """Hex digest of model, weights and tokenizer of the text side."""

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Tensor:
        """Turn an RGB picture into an input (3, h, w), float32. Called from several threads at once."""

    @abstractmethod
    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Encode preprocessed inputs (b, 3, h, w), float32."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode b texts; n is the longest of them in tokens."""

    def to(self, device: torch.device) -> None:
        """Move both sides to ``device``. The harness encodes on the CPU, so that all cached features are of one kind of
        hardware, and does not call it.
        """
        return None


# ------------------------------------------------------------------------------------------------ methods


@dataclass(frozen=True)
class Gallery:
    """Candidates of a search: ids and image features, nothing else."""

    ids: tuple[str, ...]
    images: ImageFeatures


@dataclass(frozen=True)
class Queries:
    """Queries of a search: an id, the features of a reference image and of a text for each."""

    ids: tuple[str, ...]
    images: ImageFeatures
    texts: TextFeatures


@dataclass(frozen=True)
class LabelledSet:
    """Labelled cases and the queries made from them, for training or for choosing a checkpoint.

    ``images`` (n), ``groups`` (n,) and ``criteria`` (n, c) are codes in the order of the dataset. ``reference`` (q,) is
    the row of each query's image, ``texts`` (q) its text, ``grades`` (q, n) the graded relevance (0 = not relevant) and
    ``strata`` (q,) the code over which the macro average is taken. A query's own reference is never its candidate.
    In task ``modification`` several queries share a reference, one after the other, and ``targets`` (q,) is the row of
    the case that each was made from; its text names the criteria in which target and reference differ.
    """

    ids: tuple[str, ...]
    images: ImageFeatures
    groups: Tensor
    criteria: Tensor
    reference: Tensor
    texts: TextFeatures
    grades: Tensor
    strata: Tensor
    targets: Tensor | None = None

    def gallery(self) -> Gallery:
        """Return the cases as a gallery, without labels."""
        return Gallery(self.ids, self.images)

    def queries(self) -> Queries:
        """Return the queries without labels."""
        ids = tuple(self.ids[row] for row in self.reference.tolist())
        return Queries(ids, self.images[self.reference], self.texts)


@dataclass(frozen=True)
class FitContext:
    """What training may know besides the data: seed, device, the shared training options, and a log sink that takes
    one mapping of numbers an epoch.
    """

    seed: int
    device: torch.device
    training: Any
    log: Callable[[Mapping[str, float]], None]


@dataclass(frozen=True)
class Batch:
    """One training batch after encoding: ``positives`` and ``excluded`` (q, g) booleans, ``criteria`` (g, c) and
    ``groups`` (g,) codes of the candidates, ``query_criteria`` (q, c) and ``query_groups`` (q,) of the references.
    """

    positives: Tensor
    excluded: Tensor
    groups: Tensor
    criteria: Tensor
    query_groups: Tensor
    query_criteria: Tensor


class Composer(nn.Module):
    """Turns a reference image and a text into a query representation, and an image into a candidate representation.

    Constructed as ``Class(spec, options)``.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"global"})
    """Keys of both representations."""
    scorer: ClassVar[str] = "cosine"
    """Name of the scorer that goes with it unless the user names another."""
    label: ClassVar[str | None] = None
    """How the row is called in a table, where the registered name would promise too much."""
    modality: ClassVar[Literal["image", "text", "image+text"]] = "image+text"
    criterion_key: str = "global"
    """Candidate key that the criterion heads read: ``"global"``, or ``"local"`` where region i is criterion i's."""

    def __init__(self, spec: FeatureSpec, options: BaseModel):
        super().__init__()
        self.spec = spec
        self.options = options

    @abstractmethod
    def compose(self, images: ImageFeatures, texts: TextFeatures) -> Representation:
        """Return the query representation of b reference images and b texts."""
        raise NotImplementedError(f"{type(self).__name__} must define compose(images, texts)")

    @abstractmethod
    def embed(self, images: ImageFeatures) -> Representation:
        """Return the candidate representation of b images. It may not depend on any query."""
        raise NotImplementedError(f"{type(self).__name__} must define embed(images)")

    def compose_text(self, texts: TextFeatures, neutral: ImageFeatures) -> Representation:
        """Return the query representation of b texts without pictures, for case search. ``neutral`` (b) is the mean
        picture of the searched cases, and by default the text is composed with it. Optional.
        """
        return self.compose(neutral, texts)

    def compose_image(self, images: ImageFeatures) -> Representation:
        """Return the query representation of b pictures without a text, for case search; by default what ``embed``
        makes of them, as a case is compared with cases. Optional.
        """
        return self.embed(images)

    def auxiliary_loss(self, batch: Batch, query: Representation, candidates: Representation) -> Mapping[str, Tensor]:
        """Return named scalar losses to add to the unified objective."""
        return {}


@dataclass(frozen=True)
class Block:
    """One block of a scorer's vectors: what its part of the score is called (``"global"``, or a criterion's name), its
    width, its share of the blocks of its kind (local or not), which sum to 1, and whether it is local evidence.
    """

    name: str
    width: int
    share: float
    local: bool = False


@dataclass(frozen=True)
class Blocks:
    """The blocks of a scorer's vectors, in their order, and the share of the local ones in the score, in [0, 1].

    A block's weight is ``share * local_weight`` where it is local, else ``share * (1 - local_weight)``.
    """

    blocks: tuple[Block, ...]
    local_weight: float


class Scorer(nn.Module):
    """Compares query and candidate representations. Constructed as ``Class(spec, options)``."""

    requires: ClassVar[frozenset[str]] = frozenset({"global"})
    """Representation keys that it reads."""
    pairwise: ClassVar[bool] = False
    """True where the score is no inner product of one vector a side."""

    def __init__(self, spec: FeatureSpec, options: BaseModel):
        super().__init__()
        self.spec = spec
        self.options = options

    @abstractmethod
    def score(self, query: Representation, candidates: Representation) -> Tensor:
        """Return scores (q, g); higher is more relevant."""
        raise NotImplementedError(f"{type(self).__name__} must define score(query, candidates)")

    def parts(self, query: Representation, candidates: Representation) -> Mapping[str, Tensor]:
        """Return named parts (q, g) of the score that the objective should also supervise alone."""
        return {}

    def as_vectors(self, representation: Representation, side: Literal["query", "candidate"]) -> Tensor:
        """Return (b, d) such that the score is the inner product of a query's and a candidate's vector."""
        raise NotImplementedError(f"{type(self).__name__} is pairwise: its score is no inner product")

    def blocks(self, representation: Representation) -> Blocks | None:
        """Return how the vectors of ``representation`` fall into blocks, or None (the default) for one whole. Optional.

        With it ``search`` says what each block adds to a score, and weighs local evidence anew for a query. It promises
        that ``as_vectors(r, "query")`` is ``as_vectors(r, "candidate")`` with each block times its weight.
        """
        return None


class Method(ABC):
    """Anything that ranks a gallery for queries. Constructed as ``Class(spec, options)``.

    Only ``train`` and ``valid`` carry labels.
    """

    modality: ClassVar[Literal["image", "text", "image+text"]] = "image+text"
    label: ClassVar[str | None] = None
    trained: ClassVar[bool] = True

    def __init__(self, spec: FeatureSpec, options: BaseModel):
        self.spec = spec
        self.options = options

    @abstractmethod
    def fit(self, train: LabelledSet, valid: LabelledSet, context: FitContext) -> None:
        """Learn from ``train``; ``valid`` may choose a checkpoint and nothing more."""

    @abstractmethod
    def score(self, queries: Queries, gallery: Gallery) -> Tensor:
        """Return scores (q, g), finite, higher is more relevant."""

    def modules(self) -> tuple[nn.Module, ...]:
        """Return the networks whose parameters the table counts."""
        return ()

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Return everything that ``load`` needs, as tensors for a safetensors file."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` returned."""


def shown(value: Any) -> str:
    """Describe what a plugin returned, for an error message: ``float32 (4, 128)``, or ``None`` or the type's name."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return "None (is a `return` missing?)" if value is None else f"an object of {type(value).__name__}"


def representation_shapes(representation: Representation) -> str:
    """Describe a representation for an error message, e.g. ``global (4, 128), local (4, 7, 128)``."""
    return ", ".join(f"{key} {tuple(value.shape)}" for key, value in representation.items())
