"""Check the masks of trained methods and of what they are compared with; only what is missing is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from benchmark import protocol
from benchmark.containment import contained
from benchmark.environment import environment
from benchmark.interfaces import Case
from benchmark.masks.fit import Fit, Maps, chance, fits
from benchmark.masks.gradcam import gradcam_maps, train_classifier
from benchmark.masks.looks import centre, mask_maps, masked, seen_parts
from benchmark.masks.measures import Box
from benchmark.masks.records import MaskRecord, code_digest, find_record, put_record, stored_fits
from benchmark.masks.truth import Truth, truths
from benchmark.records import EncoderInfo, digest
from benchmark.runner import Runner, Unit
from benchmark.sight import Sight
from benchmark.training import ComposedMethod

CENTRE = "the same bell in the middle of every picture"
CHANCE = "a point at random; the whole picture as the mask"
GRADCAM = (
    "Grad-CAM of the case's true value (Selvaraju et al., ICCV 2017; captum), of a classifier of the criteria on one "
    "level of the same frozen features"
)

BLIND: dict[str, Any] = {"encoder": EncoderInfo(name="none", image_fingerprint="", text_fingerprint=""), "training": {}}


@dataclass(frozen=True)
class Part:
    """The cases that choose, or those that are judged, with their truth and what the encoder sees of each picture."""

    cases: tuple[Case, ...]
    truth: list[Truth]
    boxes: list[Box]


class Check:
    """The checks of one runner's methods and seeds. Valid matches masks and thresholds, the searched cases judge."""

    def __init__(self, runner: Runner):
        self.runner, self.session = runner, runner.session
        self.trial = self.session.trials[0]
        self.names = [criterion.name for criterion in self.session.dataset.criteria]

    @cached_property
    def valid(self) -> Part:
        """The cases that choose."""
        return self._part(self.trial.valid)

    @cached_property
    def judged(self) -> Part:
        """The cases that are judged."""
        return self._part(self.trial.gallery)

    def _part(self, cases: tuple[Case, ...]) -> Part:
        session = self.session
        boxes = seen_parts(session.encoder, cases, session.searched_views[0])
        return Part(cases, truths(session.dataset, cases), boxes)

    def refuse(self) -> None:
        """Raise ``UserError`` where the dataset knows no regions or a method has no masks; nothing is trained yet."""
        truths(self.session.dataset, self.trial.gallery[:1])
        for name, plan in self.runner.plans.items():
            masked(plan.build(self.session.spec), self.session.spec, name)

    def methods(self, units: Iterable[Unit]) -> Iterator[str]:
        """Measure the stored weights of ``units`` where that is missing; yield what was measured."""
        for unit in units:
            path = self.runner.store.find("trainings", unit.training_key)
            key = self._key("method", unit.training_key)
            if path is None or find_record(self.runner.config.runs, key):
                continue
            stored = self.runner.store.training(path)
            weights = (path / "weights.safetensors").read_bytes()
            shared = {"row": unit.plan.row, "summary": unit.plan.component.summary, "seed": unit.seed}
            found = self._fits(*self._masks(unit, weights))
            learnt = {"training_key": unit.training_key, "weights": hashlib.sha256(weights).hexdigest()}
            self._put(key, found, {**shared, **learnt, "method": True, "sources": stored.sources})
            yield unit.title

    def baselines(self, seeds: Iterable[int], grad_cam: bool) -> Iterator[str]:
        """Measure chance, the centre and, where asked for, Grad-CAM of every level; yield what was measured."""
        for row, summary in (("chance", CHANCE), ("centre", CENTRE)):
            key = self._key(row)
            if not find_record(self.runner.config.runs, key):
                self._put(key, self._guess(row), {"row": row, "summary": summary, "seed": 0, **BLIND})
                yield row
        levels = enumerate(self.session.encoder.grids) if grad_cam else ()
        for level, (rows, columns) in levels:
            for seed in seeds:
                row = f"Grad-CAM, {rows} x {columns}"
                key = self._learnt_key(row, seed)
                if not find_record(self.runner.config.runs, key):
                    self._grad_cam(key, row, level, seed)
                    yield f"{row}, seed {seed}"

    def _guess(self, row: str) -> dict[str, Fit]:
        if row == "chance":
            return chance(self.judged.truth, self.names)
        return self._fits(centre(len(self.valid.cases)), centre(len(self.judged.cases)))

    def _fits(self, of_valid: Maps, of_judged: Maps) -> dict[str, Fit]:
        return fits(of_valid, of_judged, self.valid.truth, self.judged.truth, self.names)

    def _masks(self, unit: Unit, weights: bytes) -> tuple[Maps, Maps]:
        session = self.session
        sight = session.sight(unit.trial, unit.seed)
        with contained():
            method = unit.plan.build(session.spec)
            method.load(load_tensors(weights))
            assert isinstance(method, ComposedMethod)  # refuse() has asked
            parts = (self.valid, self.judged)
            of_valid, of_judged = (
                mask_maps(method, sight.features(part.cases, session.searched_views), session.encoder, part.boxes)
                for part in parts
            )
        return of_valid, of_judged

    def _grad_cam(self, key: str, row: str, level: int, seed: int) -> None:
        session, settings = self.session, self.runner.config.training
        sight = session.sight(0, seed)
        train, valid = sight.labelled(self.trial.train), sight.labelled(self.trial.valid)
        with contained():
            model = train_classifier(train, valid, session.spec.criteria, level, settings, seed)
            of_valid, of_judged = (self._explained(model, part, level, sight) for part in (self.valid, self.judged))
        found = self._fits(of_valid, of_judged)
        weights = hashlib.sha256(save_tensors(model.state_dict())).hexdigest()
        self._put(key, found, {"row": row, "summary": GRADCAM, "seed": seed, "weights": weights})

    def _explained(self, model: Any, part: Part, level: int, sight: Sight) -> Maps:
        codes = torch.from_numpy(protocol.criterion_codes(self.session.dataset, part.cases))
        return gradcam_maps(model, sight.features(part.cases, self.session.searched_views), codes, level, part.boxes)

    def _key(self, *what: Any) -> str:
        session = self.session
        cases = [[case.id for case in part] for part in (self.trial.train, self.trial.valid, self.trial.gallery)]
        return digest([*what, session.dataset_info.fingerprint, cases, code_digest()])

    def _learnt_key(self, row: str, seed: int) -> str:
        config, encoder = self.runner.config, self.session.encoder_info.image_fingerprint
        return self._key(row, seed, encoder, config.training.model_dump(), config.threads)

    def _put(self, key: str, found: Mapping[str, Fit], values: Mapping[str, Any]) -> None:
        config = self.runner.config
        unlearnt: dict[str, Any] = {"method": False, "training_key": None, "weights": "", "sources": {}}
        usual = {"encoder": self.session.encoder_info, "training": config.training.model_dump()}
        record = MaskRecord(
            key=key,
            dataset=self.session.dataset_info,
            environment=environment(config),
            cases=tuple(case.id for case in self.judged.cases),
            criteria=stored_fits(found),
            **{**unlearnt, **usual, **values},
        )
        put_record(config.runs, record)
