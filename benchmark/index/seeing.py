"""Through which encoder an index sees pictures, and what it keeps of one that was taught for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from benchmark.adapting import AdaptiveEncoder, Labels, MeanOfExperts
from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.features import FeatureStore, Progress
from benchmark.index.folder import EXPERTS, IndexFolder
from benchmark.index.records import Manifest
from benchmark.interfaces import Encoder, ImageFeatures
from benchmark.registry import Registry
from benchmark.resolve import make_encoder
from benchmark.session import Session
from benchmark.vision import TaughtVision


@dataclass(frozen=True)
class Eyes:
    """How the cases of a run are seen: the ``encoder`` for any other picture, ``show`` for pictures of the run, and the
    tensors of files that an index keeps to see the same again.
    """

    encoder: Encoder
    show: Callable[[Sequence[Path], Progress], ImageFeatures]
    kept: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


def named_encoder(config: RunConfig, registry: Registry) -> Encoder:
    """Return the encoder of a run as its name says, not yet taught.

    Raises:
        UserError: each method of the run has an encoder of its own.
    """
    if config.finetune:
        raise UserError(
            "finetune: each of its methods has an encoder of its own, and no index can hold one yet: build the index "
            "from a run without it."
        )
    return make_encoder(registry, config)[0]


def eyes_of_run(session: Session, seed: int) -> Eyes:
    """Return how methods of ``seed`` see. Where the encoder was taught for the run, its experts come from the cache, or
    are taught again; a training case is shown by the expert that never saw it, any other picture by the mean of all.
    """
    vision = session.vision
    if not isinstance(vision, TaughtVision):
        store = FeatureStore(session.cache, session.encoder)
        return Eyes(session.encoder, store.images)
    (adaptation,) = vision.adaptations(0, seed)  # an index has one view
    experts = [adaptation.teach(part) for part in range(vision.encoder.parts)]
    packed = {f"{part}.{name}": value for part, one in enumerate(experts) for name, value in one.items()}
    return Eyes(MeanOfExperts(vision.encoder, experts), adaptation.show, {EXPERTS: packed})


def encoder_of_index(folder: IndexFolder, manifest: Manifest, encoder: Encoder) -> Encoder:
    """Return ``encoder`` as the index was built with it: with the experts that the index keeps.

    Raises:
        UserError: their file is missing or altered.
    """
    if not isinstance(encoder, AdaptiveEncoder):
        return encoder
    spec = manifest.spec
    encoder.expect(Labels(spec.groups, tuple(len(criterion.values) for criterion in spec.criteria)))
    experts: list[dict[str, Tensor]] = [{} for _ in range(encoder.parts)]
    for key, value in load(folder.model_file(manifest, EXPERTS)).items():
        part, _, name = key.partition(".")
        experts[int(part)][name] = value
    return MeanOfExperts(encoder, experts)
