"""Made-up evaluations: 30 queries in three groups, rankings of chosen quality from a seeded generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save

from benchmark.evaluation import rank
from benchmark.protocol import Judgments
from benchmark.records import DatasetInfo, EncoderInfo, EvaluationRecord, MethodInfo, ProtocolInfo, digest
from benchmark.report.compact import judgments_hash
from benchmark.report.table import Evaluated
from benchmark.store import Store, damaged

GROUPS = np.repeat([0, 1, 2], [15, 10, 5]).astype(np.uint8)
QUALITY = {"ours": 1.6, "rival": 1.0, "image-only": 0.5, "text-only": 0.3}
MODALITY = {"image-only": "image", "text-only": "text"}


def judgments(groups=GROUPS, prefix="case") -> Judgments:
    """Each case asks, the others are searched; the same group is relevant. MEL must not be missed."""
    ids = tuple(f"{prefix}{i}" for i in range(len(groups)))
    gains = (groups[:, None] == groups[None]).astype(np.uint8)
    np.fill_diagonal(gains, 0)
    rows = np.arange(len(groups), dtype=np.int32)
    return Judgments(ids, ids, gains, rows, groups, ("NEV", "MEL", "BCC"), groups, 1, "melanoma", 0)


def record(
    method="ours", seed=0, truth=None, *, row=None, owner="tests", synthetic=False, protocol=None, **changes
) -> EvaluationRecord:
    """A record whose key depends on everything that is asked for."""
    asked = {"task": "case-search", "evaluate": "test", "fold": None, "gallery": "split", "view": "dermoscopic",
             "text_style": "canonical", **(protocol or {})}  # fmt: skip
    fields = {
        "training_key": None,
        "method": MethodInfo(
            name=method, row=row or method, owner=owner, summary=f"what {method} does", citation="nobody 2024",
            scorer=None, options={}, modality=MODALITY.get(method, "image+text"), trained=True,
            parameters=1_234_567 if method == "ours" else 345_000, reads_labels=method == "oracle",
        ),
        "seed": seed,
        "dataset": DatasetInfo(name="toy", fingerprint="f", synthetic=synthetic, citation="nobody 2024"),
        "encoder": EncoderInfo(name="packaged", image_fingerprint="i", text_fingerprint="t"),
        "protocol": ProtocolInfo(**asked),
        "judgments": judgments_hash(truth or judgments()),
        "training": {},
        "sources": {},
        "environment": {"python": "3.11"},
        "files": {},
        **changes,
    }  # fmt: skip
    shown = {name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in fields.items()}
    return EvaluationRecord(key=digest(shown), **fields)


def evaluated(made: EvaluationRecord, ranking, truth=None, where="runs/x/ranking.safetensors") -> Evaluated:

    return Evaluated(made, lambda: ranking, lambda: truth or judgments(), lambda why: damaged(Path(where), why))


def one(method="ours", seed=0, truth=None, quality=None, **changes) -> Evaluated:
    """An evaluation whose scores are noise plus ``quality`` for the relevant."""
    known = truth or judgments()
    level = QUALITY.get(method, 0.8) if quality is None else quality
    rng = np.random.default_rng([seed, *method.encode()])
    scores = rng.normal(size=known.gains.shape) + level * known.gains
    return evaluated(record(method, seed, known, **changes), rank(scores, known), known)


def study(seeds=3, methods=("ours", "rival", "image-only", "text-only", "oracle"), **changes) -> list[Evaluated]:
    """Some methods, a reader of labels, three seeds."""
    return [one(method, seed, **changes) for method in methods for seed in range(seeds)]


def store_runs(folder: Path, evaluations) -> Path:
    """Write evaluations as a real runs folder."""
    store = Store(folder)
    for made in evaluations:
        store.put_judgments(made.judgments())
        store.put("evaluations", made.record, {"ranking.safetensors": save({"ranking": made.ranking()})})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
