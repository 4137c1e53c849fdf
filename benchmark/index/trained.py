"""Stored weights of a run that an index can be built from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import load

from benchmark.assignments import write_assignments
from benchmark.config import RunConfig
from benchmark.containment import contained
from benchmark.errors import UserError
from benchmark.interfaces import FeatureSpec
from benchmark.methods import MethodPlan
from benchmark.records import DatasetInfo, EncoderInfo, TrainingRecord
from benchmark.store import Store
from benchmark.tasks import CASE_SEARCH
from benchmark.training import ComposedMethod


@dataclass(frozen=True)
class Wanted:
    """The training that is looked for: ``seed`` of ``plan`` under ``config``, on ``dataset`` through ``encoder``, of
    the cases of ``view`` but those that are ``excluded``.
    """

    plan: MethodPlan
    seed: int
    config: RunConfig
    dataset: DatasetInfo
    encoder: EncoderInfo
    view: str
    excluded: str = ""

    def command(self) -> str:
        """Return the command that trains it."""
        c, words = self.config, ["python -m benchmark run --methods", self.plan.name]
        given = {
            "dataset": self.dataset.name.split(" [")[0].split(":")[0],
            "root": c.root,
            "encoder": c.encoder,
            "seeds": self.seed,
            "view": c.view,
            "task": c.task if c.task != CASE_SEARCH.name else None,
            "exclude": c.exclude,
            "runs": c.runs if c.runs != RunConfig.model_fields["runs"].default else None,
            "cache": c.cache,
        }
        words += [f"--{flag} {shlex.quote(str(value))}" for flag, value in given.items() if value is not None]
        words += [f"--plugin {shlex.quote(name)}" for name in c.plugins]
        settings = {**c.options, "training": c.training.model_dump(exclude_unset=True)}
        words += [f"--set {shlex.quote(one)}" for one in write_assignments(settings)]
        return " ".join(words)

    def differences(self, record: TrainingRecord) -> list[str]:
        """Return in words what of a stored training is not as wanted."""
        pairs: Mapping[str, tuple[Any, Any]] = {
            "its data set or the data have changed": (record.dataset.fingerprint, self.dataset.fingerprint),
            "its encoder or the weights of that have changed": (
                (record.encoder.image_fingerprint, record.encoder.text_fingerprint),
                (self.encoder.image_fingerprint, self.encoder.text_fingerprint),
            ),
            "its options are others": (record.method.options, self.plan.settings()),
            "its training options are others": (record.training, self.config.training.model_dump()),
            "its source has changed, or it is of another task": (record.sources, self.plan.sources()),
            "it is of a cross-validation fold": ((record.evaluate, record.fold), ("test", None)),
            "it is of another view": (record.view, self.view),
            "it was taught by other cases (--exclude)": (record.excluded, self.excluded),
        }
        return [words for words, (was, now) in pairs.items() if was != now]


def find_training(wanted: Wanted) -> tuple[Path, TrainingRecord]:
    """Return the newest stored training that is as wanted, with its checked record.

    Raises:
        UserError: there is none; the sentence says what the nearest one lacks and which command trains it.
    """
    store = Store(wanted.config.runs)
    found = [
        (wanted.differences(record), -file.stat().st_mtime_ns, file.parent)
        for file in (store.folder / "trainings").glob("[!.]*/record.json")
        if (record := _read(file)) and (record.method.name, record.seed) == (wanted.plan.name, wanted.seed)
    ]
    if not found:
        raise UserError(
            f"{store.folder} holds no trained weights of {wanted.plan.row}, seed {wanted.seed}. Train it first: "
            f"{wanted.command()}."
        )
    differences, _, path = min(found, key=lambda one: (len(one[0]), one[1]))
    if differences:
        raise UserError(
            f"No weights of {wanted.plan.row}, seed {wanted.seed}, in {store.folder} are as asked. The nearest, "
            f"{path.name}: {'; '.join(differences)}. Train it first: {wanted.command()}."
        )
    return path, store.training(path)


def load_method(plan: MethodPlan, spec: FeatureSpec, weights: bytes) -> ComposedMethod:
    """Return the method with stored weights, ready to be asked.

    Raises:
        UserError: the weights do not fit it.
    """
    with contained():
        method = plan.build(spec)
        assert isinstance(method, ComposedMethod), "refuse_unsearchable was asked before"
        try:
            method.load(load(weights))
        except RuntimeError as error:
            raise UserError(
                f"The stored weights do not fit {plan.row}: its source has changed. Train it again."
            ) from error
    method.model.eval()
    return method


def _read(file: Path) -> TrainingRecord | None:
    try:
        return TrainingRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
