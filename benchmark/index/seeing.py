"""Through which encoder an index sees pictures, and what it keeps of one that was taught for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from benchmark.adapting import AdaptiveEncoder, Labels, TaughtEncoder
from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.features import FeatureStore, Progress
from benchmark.index.folder import EXPERTS, IndexFolder, refuse_other_encoder
from benchmark.index.records import Manifest
from benchmark.interfaces import Encoder, ImageFeatures
from benchmark.records import TrainingRecord
from benchmark.session import Session
from benchmark.vision import TaughtVision

HASHES, PARTS = "dealt.hashes", "dealt.parts"
"""Which expert never saw a picture: SHA-256 as bytes, and the expert's number."""


@dataclass(frozen=True)
class Eyes:
    """How the cases of a run are seen: the ``encoder`` for any other picture, ``show`` for pictures of the run, and the
    tensors of files that an index keeps to see the same again.
    """

    encoder: Encoder
    show: Callable[[Sequence[Path], Progress], ImageFeatures]
    kept: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


def refuse_finetuned(config: RunConfig) -> None:
    """Raise ``UserError`` for a run whose methods have an encoder each."""
    if config.finetune:
        raise UserError(
            "finetune: each of its methods has an encoder of its own, and no index can hold one yet: build the index "
            "from a run without it."
        )


def eyes_of_run(session: Session, training: TrainingRecord) -> Eyes:
    """Return how the method of a stored training sees. Where the encoder was taught for the run, its experts come from
    the cache, or are taught again; a training case is shown by the expert that never saw it, any other picture by the
    mean of all.
    """
    if not isinstance(session.vision, TaughtVision):
        return Eyes(session.encoder, FeatureStore(session.cache, session.encoder).images)
    threads = int(training.environment["threads"])
    torch.set_num_threads(threads)  # what is taught depends on it
    session = Session(session.config.model_copy(update={"threads": threads}), session.registry)
    vision = session.vision
    assert isinstance(vision, TaughtVision)
    (adaptation,) = vision.adaptations(0, training.seed)  # an index has one view
    experts = [adaptation.teach(part) for part in range(vision.encoder.parts)]
    packed = {f"{part}.{name}": value for part, one in enumerate(experts) for name, value in one.items()}
    hashes = [list(bytes.fromhex(content)) for content in adaptation.dealt]
    packed[HASHES] = torch.tensor(hashes, dtype=torch.uint8)  # (n, 32)
    packed[PARTS] = torch.tensor(list(adaptation.dealt.values()))  # (n,)
    return Eyes(TaughtEncoder(vision.encoder, experts, adaptation.dealt), adaptation.show, {EXPERTS: packed})


def encoder_of_index(folder: IndexFolder, manifest: Manifest, encoder: Encoder) -> Encoder:
    """Return ``encoder`` as the index was built with it: with the experts that the index keeps.

    Raises:
        UserError: their file is missing or altered, or the encoder is not the one that the index was built with.
    """
    spec, recorded = manifest.spec, manifest.training.encoder
    if isinstance(encoder, AdaptiveEncoder):
        encoder.expect(Labels(spec.groups, tuple(len(criterion.values) for criterion in spec.criteria)))
    refuse_other_encoder(folder.path, recorded, encoder.image_fingerprint, encoder.text_fingerprint)
    if not isinstance(encoder, AdaptiveEncoder):
        return encoder
    packed = load(folder.model_file(manifest, EXPERTS))
    hashes, parts = (packed.pop(name).tolist() for name in (HASHES, PARTS))
    experts: dict[int, dict[str, Tensor]] = {}
    for key, value in packed.items():
        part, _, name = key.partition(".")
        experts.setdefault(int(part), {})[name] = value
    dealt = {bytes(content).hex(): part for content, part in zip(hashes, parts, strict=True)}
    return TaughtEncoder(encoder, [experts[part] for part in sorted(experts)], dealt)
