"""An opened index: what is found for a picture and words, and what each part of the score says.

Shapes: d width of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from benchmark.config import RunConfig
from benchmark.errors import UserError, near_misses
from benchmark.index.descriptors import Understood, understand
from benchmark.index.folder import NEUTRAL, WEIGHTS, WORDINGS, IndexFolder
from benchmark.index.model import Asked, SearchModel, parts, unpack_features, weights
from benchmark.index.records import Filters, IndexedCase, Manifest, model_fingerprint
from benchmark.index.seeing import encoder_of_index
from benchmark.index.stores import Found, Vectors
from benchmark.index.trained import load_method
from benchmark.interfaces import Blocks, Encoder, ImageFeatures
from benchmark.methods import plan_method
from benchmark.registry import Registry, load_registry
from benchmark.rendering import UNSTATED
from benchmark.resolve import make_encoder
from benchmark.training import ComposedMethod

MOST_RESULTS = 100


@dataclass(frozen=True)
class Hit:
    """One case that was found. ``parts`` add up to ``score``. ``same_picture``: it shows the query's own picture."""

    case: IndexedCase
    score: float
    parts: Mapping[str, float]
    same_picture: bool


class Searcher:
    """One index with the model that it was built with, ready to be asked."""

    def __init__(self, path: Path, manifest: Manifest, model: SearchModel, known_wordings: Tensor):
        self.path, self.manifest, self.model = path, manifest, model
        self.known_wordings = known_wordings
        self.store = IndexFolder(path).opened(manifest)

    @cached_property
    def layout(self) -> Blocks:
        """The blocks of every query's vector, and the method's own local weight."""
        return self.model.ask(self.model.neutral, None if self.reads == "image" else UNSTATED).layout

    @property
    def local_weight(self) -> float | None:
        """The share of local evidence in the score, or None where the score has no local part."""
        return self.layout.local_weight if any(block.local for block in self.layout.blocks) else None

    @property
    def reads(self) -> str:
        """What the method reads of a query: ``image``, ``text`` or ``image+text``."""
        return self.model.method.composer.modality

    def ask(self, images: ImageFeatures | None, text: str | None) -> Asked:
        """Return the query of one picture's features, of a text, or of both."""
        return self.model.ask(images, text)

    def understand(self, text: str | None) -> list[Understood]:
        """Return which descriptors a text came closest to."""
        return understand(text, self.model, self.manifest.spec.criteria, self.known_wordings)

    def rank(
        self, asked: Asked, k: int, local_weight: float | None = None, filters: Filters | None = None, picture: str = ""
    ) -> list[Hit]:
        """Return the ``k`` best cases. ``picture`` is the SHA-256 of the query's own one.

        Raises:
            UserError: a filter is none of the index's facts, or the score has no local part to weigh.
        """
        if not 1 <= k <= MOST_RESULTS:
            raise UserError(f"k = {k}: ask for 1 to {MOST_RESULTS} cases.")
        self._refuse(asked, local_weight, filters or {})
        weighted = asked.vector * weights(asked.layout, local_weight)
        (found,) = self.store.search(weighted[None], k, filters or {})
        return [self._hit(asked, weighted, one, picture) for one in found]

    def _hit(self, asked: Asked, weighted: Vectors, one: Found, picture: str) -> Hit:
        said = parts(asked.layout, weighted, one.vector)
        return Hit(one.case, one.score, said, bool(picture) and one.case.sha256 == picture)

    def _refuse(self, asked: Asked, local_weight: float | None, filters: Filters) -> None:
        for name, value in filters.items():
            if name not in self.manifest.facts:
                raise UserError(f"No fact of a case is called {name!r}. {near_misses(name, self.manifest.facts)}")
            values = self.manifest.facts[name]
            if values and value not in values:
                raise UserError(f"No case has {name} = {value!r}. {near_misses(value, values)}")
        if local_weight is None:
            return
        if not 0 <= local_weight <= 1:
            raise UserError(f"local weight = {local_weight}: it is a share, from 0 to 1.")
        if not any(block.local for block in asked.layout.blocks):
            raise UserError(f"The score of {self.manifest.method} has no local part to weigh; leave local weight out.")


def open_searcher(path: Path, plugins: tuple[str, ...] = (), cache: Path | None = None) -> Searcher:
    """Open the index in ``path`` and load its model.

    Raises:
        UserError: there is none, or its vectors, weights, source or encoder are not those that it was built with.
    """
    folder = IndexFolder(path)
    manifest = folder.manifest()
    registry = load_registry((*manifest.recipe.plugins, *plugins))
    recipe = manifest.recipe
    config = RunConfig(dataset=recipe.dataset, encoder=recipe.encoder, options=recipe.options, cache=cache)
    encoder = encoder_of_index(folder, manifest, make_encoder(registry, config)[0])
    method = _method(folder, manifest, registry, encoder)
    neutral = unpack_features(load(folder.model_file(manifest, NEUTRAL)), manifest.spec.grids)
    known = load(folder.model_file(manifest, WORDINGS))["wordings"]
    return Searcher(path, manifest, SearchModel(method, encoder, neutral), known)


def _method(folder: IndexFolder, manifest: Manifest, registry: Registry, encoder: Encoder) -> ComposedMethod:
    record, recipe = manifest.training, manifest.recipe
    plan = plan_method(registry, record.method.name, record.method.options, recipe.task)
    sources = plan.sources()
    if sources != record.sources:
        files = sorted({name for name, _ in sources.items() ^ record.sources.items()})
        raise UserError(
            f"The source of {record.method.row} has changed since {folder.path} was built ({', '.join(files)}). Train "
            "it again with `run` and build the index again."
        )
    if model_fingerprint(record, encoder.image_fingerprint) != manifest.fingerprint:
        raise UserError(f"The manifest in {folder.path} was altered. Build the index again.")
    return load_method(plan, manifest.spec, folder.model_file(manifest, WEIGHTS))
