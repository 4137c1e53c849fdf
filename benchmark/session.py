"""Datasets through one encoder: cases become queries, galleries and labelled sets of features.

``dataset`` teaches. ``searched`` is asked and searched: the same one, unless the user names two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np

from benchmark import protocol
from benchmark.adapting import AdaptiveEncoder
from benchmark.config import RunConfig, cache_folder
from benchmark.errors import UserError
from benchmark.evaluation import candidate_mask
from benchmark.exclusion import exclusion_label, read_exclusion, without_cases
from benchmark.facts import Facts, gather_facts, no_facts
from benchmark.features import VERSION, FeatureStore, Progress, release_memory
from benchmark.interfaces import Case, Dataset, FeatureSpec, ImageFeatures, Split
from benchmark.own_queries import judge_own, read_queries
from benchmark.records import DatasetInfo, EncoderInfo, digest, finetuned_name
from benchmark.registry import Registry
from benchmark.resolve import dataset_name, make_dataset, make_encoder
from benchmark.sight import Sight
from benchmark.soundness import refuse_unsound
from benchmark.tasks import CASE_SEARCH, find_task
from benchmark.vision import FixedVision, LiveVision, TaughtVision, Vision

Pictured = tuple[str, tuple[Path, ...]]
"""A case's id and its picture in each view that is used."""


class Session:
    """Everything that the methods of a run share."""

    def __init__(self, config: RunConfig, registry: Registry):
        self.config, self.registry, self.task = config, registry, find_task(config.task).name
        self.cache = cache_folder(config.cache)
        self.dataset, self.dataset_label = make_dataset(registry, dataset_name(config, registry), config)
        self.searched, self.searched_label = self.dataset, self.dataset_label
        if config.test:
            self.searched, self.searched_label = make_dataset(registry, config.test, config)
        for dataset, label in {self.dataset: self.dataset_label, self.searched: self.searched_label}.items():
            refuse_unsound(dataset, label, self.task)
        self.own = read_queries(config.queries) if config.queries else None
        _refuse_conflicts(config)
        self.encoder, self.encoder_label = make_encoder(registry, config)
        self.store = FeatureStore(self.cache, self.encoder)
        self.vision: Vision = FixedVision(self)
        if config.finetune:
            self.vision = LiveVision(self, self.encoder)
        elif isinstance(self.encoder, AdaptiveEncoder):
            self.vision = TaughtVision(self, self.encoder)
        self._last: tuple[tuple[int, ...], ImageFeatures] | None = None

    @cached_property
    def trials(self) -> tuple[protocol.Trial, ...]:
        """The trials of the evaluation, without the cases that the user excludes."""
        # Folds are made before cases are left out, so that every other case stays in its fold.
        return tuple(self._without(trial) for trial in self._whole_trials)

    def _without(self, trial: protocol.Trial) -> protocol.Trial:
        left = without_cases(trial, self.left_out)
        # A query of the user's is no case, whatever it is called.
        return replace(left, queries=trial.queries) if self.own else left

    @cached_property
    def _whole_trials(self) -> tuple[protocol.Trial, ...]:
        c = self.config
        made = protocol.trials(self.dataset, c.evaluate, c.gallery, c.view, self.searched)
        if self.own is None:
            return made
        if len(self.searched_views) > 1:
            raise UserError(f"--view {c.view}: a query of --queries has one image; name one view.")
        asked = self.own.cases(self.searched_views[0])
        return tuple(replace(trial, queries=asked) for trial in made)

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The ids of the cases that the user excludes."""
        if self.config.exclude is None:
            return frozenset()
        return read_exclusion(self.config.exclude, self.splits)

    @cached_property
    def excluded(self) -> str:
        """How a record names the excluded cases; empty where there are none."""
        return exclusion_label(self.left_out)

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Case id -> split, in the order train, valid, test; of both datasets where there are two."""
        both = dict.fromkeys((self.dataset, self.searched))
        return {case.id: split for dataset in both for split in get_args(Split) for case in dataset.cases(split)}

    @cached_property
    def views(self) -> tuple[str, ...]:
        """The views of a case in training; with several, it has the levels of each and one long pooled vector."""
        return protocol.chosen_views(self.dataset, self.config.view)

    @cached_property
    def searched_views(self) -> tuple[str, ...]:
        """The views of query and gallery."""
        return protocol.chosen_views(self.searched, self.config.view)

    @cached_property
    def spec(self) -> FeatureSpec:
        """The shapes that methods can count on."""
        e, views = self.encoder, len(self.views)
        return FeatureSpec(
            level_widths=e.level_widths * views,
            grids=e.grids * views,
            image_width=e.image_width * views,
            text_width=e.text_width,
            groups=len(self.dataset.groups),
            criteria=tuple(self.dataset.criteria),
            aligned=e.aligned,
            evidence=e.evidence,
            complete_texts=self.task == CASE_SEARCH.name,
            criterion_labels=self.config.training.criterion_weight > 0,
        )

    @cached_property
    def dataset_info(self) -> DatasetInfo:
        """The dataset that teaches, for a record."""
        return _info(self.dataset, self.dataset_label)

    @cached_property
    def searched_info(self) -> DatasetInfo:
        """The dataset that is asked and searched, for a record."""
        return _info(self.searched, self.searched_label)

    @cached_property
    def encoder_info(self) -> EncoderInfo:
        """The encoder, for a record."""
        name, seen = self.encoder_label, self.encoder.image_fingerprint
        if isinstance(self.vision, LiveVision):
            name, seen = finetuned_name(name), self.vision.fingerprint
        return EncoderInfo(name=name, image_fingerprint=seen, text_fingerprint=self.encoder.text_fingerprint)

    def taught(self, trial: protocol.Trial) -> str:
        """Return a digest of all that training is told of a trial besides features: words, labels, weights."""
        dataset, cases = self.dataset, (*trial.train, *trial.valid)
        taught = [self.lesson(part) for part in (trial.train, trial.valid)]
        told = [
            VERSION,
            [[case.id for case in part] for part in (trial.train, trial.valid)],
            [text for one in taught for text in one.texts],
            protocol.group_codes(dataset, cases).tolist(),
            protocol.criterion_codes(dataset, cases).tolist(),
            protocol.judge(dataset, self.task, trial.train, trial.train).gains.tolist(),
            [[criterion.name, len(criterion.values), criterion.weight] for criterion in dataset.criteria],
        ]
        # In case-search each case asks once, so the ids above say it all.
        pairs = [] if self.task == CASE_SEARCH.name else [[one.ids for one in taught]]
        return digest([*told, *pairs])

    def asked(self, trial: protocol.Trial) -> str:
        """Return a digest of the queries' words and pictures and of what is searched."""
        questions = self.questions(trial)
        told = [questions.texts, questions.ids, [case.id for case in trial.gallery]]
        # Of one data set the key of the training tells; of two it tells of the one that teaches.
        searched = [self.searched_info.fingerprint] if self.config.test else []
        return digest([VERSION, *told, *searched, *([self.own.hashes] if self.own else [])])

    def lesson(self, cases: Sequence[Case]) -> protocol.Questions:
        """Return the queries that ``cases`` ask each other in training, in canonical words."""
        return protocol.ask(self.dataset, self.task, cases, cases, "canonical")

    def questions(self, trial: protocol.Trial) -> protocol.Questions:
        """Return the queries of a trial: the user's own, or in the text style of the run."""
        if self.own:
            ids = tuple(case.id for case in trial.queries)
            return protocol.Questions(ids, np.arange(len(ids)), [self.own.texts[name] for name in ids])
        return protocol.ask(self.searched, self.task, trial.queries, trial.gallery, self.config.text_style)

    def judge(self, trial: protocol.Trial) -> protocol.Judgments:
        """Return the truth of a trial."""
        if self.own:
            return judge_own(self.own, self.searched, trial.gallery)
        return protocol.judge(self.searched, self.task, trial.queries, trial.gallery)

    def refuse_unjudged_validation(self) -> None:
        """Raise ``UserError`` where no validation query has a relevant case: nothing would choose an epoch."""
        for trial in self.trials:
            judged = protocol.judge(self.dataset, self.task, trial.valid, trial.valid)
            if not (candidate_mask(judged) & (judged.gains > 0)).any():
                raise UserError(
                    f"Dataset {self.dataset_label}: none of its {len(trial.valid)} validation cases has a relevant one "
                    f"among the others in task {self.task}, so that no epoch could be chosen. Put two cases or more of "
                    "a group into the valid split, or exclude fewer."
                )

    def facts(self, trial: protocol.Trial) -> Facts:
        """Return what robustness reports need of a trial beside its judgments; nothing of a user's own queries."""
        if self.own:
            return no_facts(len(trial.queries), len(trial.gallery))
        return gather_facts(self.searched, self.task, trial.queries, trial.gallery)

    @cached_property
    def _shown(self) -> dict[Pictured, Case]:
        """Every case that some trial needs, each once; excluded ones too, since the cache knows them in this order."""
        shown: dict[Pictured, Case] = {}
        for trial in self._whole_trials:
            for part in (trial.train, trial.valid):
                shown.update((self._pictured(case, self.views), case) for case in part)
            for part in (trial.queries, trial.gallery):
                shown.update((self._pictured(case, self.searched_views), case) for case in part)
        return shown

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every case that some trial needs, each once."""
        return tuple(self._shown.values())

    def _pictured(self, case: Case, views: Sequence[str]) -> Pictured:
        missing = sorted(set(views) - set(case.images))
        if missing:
            raise UserError(f"Case {case.id} of {self.dataset_label} has no {missing[0]} image; choose another --view.")
        return case.id, tuple(case.images[view] for view in views)

    def warm(self, progress: Progress = lambda done: None) -> None:
        """Compute the features that are missing and keep none in memory: workers read them from the cache."""
        self.vision.prepare(progress)
        for trial in self.trials:
            for cases in (trial.train, trial.valid):
                self.store.texts(self.lesson(cases).texts)
            self.store.texts(self.questions(trial).texts)
        release_memory()

    def sight(self, index: int, seed: int) -> Sight:
        """Return what methods see in trial ``index``. ``seed`` matters where the encoder is taught anew for each."""
        key = self.vision.same(index, seed)
        if self._last is None or self._last[0] != key:
            self._last = key, self.vision.show(index, seed, self.paths())
        return Sight(self, self.trials[index], self._last[1])

    def glance(self, cases: Sequence[Case], index: int, seed: int) -> ImageFeatures:
        """Return the features of ``cases`` alone, so that nobody waits for a whole data set to be encoded."""
        paths = [[case.images[view] for case in cases] for view in self.searched_views]
        return self.vision.show(index, seed, paths)

    @cached_property
    def _rows(self) -> dict[Pictured, int]:
        return {pictured: row for row, pictured in enumerate(self._shown)}

    def row(self, case: Case, views: Sequence[str]) -> int:
        """Return the row of ``case``, seen in ``views``, among the features of a sight."""
        return self._rows[self._pictured(case, views)]

    def paths(self) -> list[list[Path]]:
        """Return the pictures of all cases, one list a view."""
        return [[paths[position] for _, paths in self._shown] for position in range(len(self.views))]


def _refuse_conflicts(config: RunConfig) -> None:
    """Raise ``UserError`` for settings that contradict each other."""
    if bool(config.train) != bool(config.test):
        raise UserError("--train and --test go together: the dataset that teaches, and the one that is searched.")
    if config.test and (config.dataset or config.root):
        raise UserError("--train and --test name the datasets (NAME or NAME:FOLDER); leave --dataset and --root out.")
    for flag, given in (("--train and --test", config.test), ("--queries", config.queries)):
        if given and config.evaluate == "cv":
            raise UserError(f"--evaluate cv asks a dataset's own cases; {flag} go with --evaluate test.")
    if config.queries and config.text_style != "canonical":
        raise UserError("--text-style renders the text of a dataset's cases; your --queries bring their own.")
    if config.without == "text" and config.text_style != "canonical":
        raise UserError(f"--without text leaves nothing to say in --text-style {config.text_style}; give one of them.")
    if config.finetune and config.without == "image":
        raise UserError("--without image shows the mean features of train; with --finetune every method has its own.")
    if config.queries and config.without:
        raise UserError("--without takes pictures or texts from a dataset's queries; your --queries bring their own.")


def _info(dataset: Dataset, label: str) -> DatasetInfo:
    return DatasetInfo(
        name=label,
        fingerprint=dataset.fingerprint(),
        synthetic=dataset.synthetic,
        citation=dataset.citation,
        view=dataset.views[0],
    )
