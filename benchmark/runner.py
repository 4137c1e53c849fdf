"""What a run does: which units are missing and why, in which order they run, and what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark import evaluation, protocol
from benchmark.config import RunConfig
from benchmark.environment import environment
from benchmark.errors import UserError
from benchmark.finetuning import FinetunedMethod
from benchmark.methods import MethodPlan, changes, plan_method, that_learn
from benchmark.pool import execute_all
from benchmark.protocol import Judgments
from benchmark.records import ORACLE, EvaluationRecord, ProtocolInfo, TrainingRecord, digest
from benchmark.registry import Registry
from benchmark.report.leaderboard import refuse_shared_columns
from benchmark.session import Session
from benchmark.sources import source_hashes
from benchmark.store import Store, judgments_bytes, save_ranking
from benchmark.units import Result, Work, choose_device


@dataclass(frozen=True)
class Unit:
    """One row, seed and trial, with its keys and what is stored of it. ``why`` says what would run and for what reason;
    it is empty where nothing is missing.
    """

    plan: MethodPlan
    seed: int
    trial: int
    sources: dict[str, str]
    training_key: str
    key: str
    trained: Path | None
    evaluated: Path | None
    why: str

    @property
    def title(self) -> str:
        """How the unit is called in messages."""
        return f"{self.plan.row}, seed {self.seed}"


@dataclass
class Outcome:
    """What became of a run. ``keys`` are those of its evaluations, new and stored."""

    keys: set[str] = field(default_factory=set)
    failures: list[Result] = field(default_factory=list)
    ran: int = 0


class Runner:
    """Plans the units of a run and runs those that are missing. The only writer of its runs folder."""

    def __init__(self, config: RunConfig, registry: Registry):
        self.config, self.registry = config, registry
        self.device = choose_device(config.device)
        self.session = Session(config, registry)
        self.store = Store(config.runs)
        names = list(dict.fromkeys(config.methods or registry.defaults["methods"]))
        rows = dict.fromkeys([*names, *(registry.controls(config.task) if config.controls else ())])
        self.plans = {name: plan_method(registry, name, config.options.get(name, {}), config.task) for name in rows}
        self.reference = config.reference or names[0]
        if self.reference not in self.plans:
            chosen = ", ".join(self.plans)
            raise UserError(f"--reference {self.reference} is no method of this run; choose one of {chosen}.")
        if config.finetune:
            self.plans = that_learn(self.plans, names)
        self._refuse_unused_options()
        for plan in self.plans.values():
            plan.refuse_misuse(self.session.spec)
        if self.session.own is None:
            refuse_shared_columns([f"AP[{group}]" for group in self.session.searched.groups])
        largest = max(len(trial.gallery) for trial in self.session.trials)
        if largest > evaluation.MOST_CANDIDATES:
            raise UserError(
                f"Dataset {self.session.searched_label}: a gallery has {largest:,} cases, and rankings hold at most "
                f"{evaluation.MOST_CANDIDATES:,}. Search fewer, e.g. with --exclude."
            )
        if any(plan.trained for plan in self.plans.values()):
            self.session.refuse_unjudged_validation()

    @cached_property
    def _taught(self) -> list[str]:
        return [self.session.taught(trial) for trial in self.session.trials]

    @cached_property
    def _asked(self) -> list[str]:
        pairs = zip(self.session.trials, self.judgments, strict=True)
        return [digest([self.session.asked(trial), judgments_bytes(judged).hex()]) for trial, judged in pairs]

    @cached_property
    def judgments(self) -> list[Judgments]:
        """The judgments of each trial."""
        return [self.session.judge(trial) for trial in self.session.trials]

    def units(self) -> list[Unit]:
        """Return every unit, in the order in which they run: seeds first, so that an early stop leaves whole rows of
        few seeds rather than few rows.
        """
        with_encoder = source_hashes([FinetunedMethod, type(self.session.encoder)]) if self.config.finetune else {}
        sources = {name: {**plan.sources(), **with_encoder} for name, plan in self.plans.items()}
        previous = [record for _, record in self.store.evaluations()]
        return [
            self._unit(plan, seed, trial, sources[name], previous)
            for seed in self.config.seeds
            for trial in range(len(self.session.trials))
            for name, plan in self.plans.items()
        ]

    def run(self, units: list[Unit], progress: Callable[[str], None] = lambda title: None) -> Outcome:
        """Run what is missing, store each result as it comes, and say what became of it."""
        outcome = Outcome()
        names = [self.store.put_judgments(judgments) for judgments in self.judgments]
        for name, trial in zip(names, self.session.trials, strict=True):
            self.store.put_facts(name, self.session.facts(trial))
        missing = [unit for unit in units if unit.evaluated is None]
        by_work = {(unit.plan.name, unit.seed, unit.trial): unit for unit in missing}
        for result in execute_all([self._work(unit) for unit in missing], self.config.jobs, self.config.threads):
            unit = by_work[result.work.method, result.work.seed, result.work.trial]
            progress(unit.title)
            if result.error:
                outcome.failures.append(result)
                self._log(result)
            else:
                self._save(unit, result, names[unit.trial])
                outcome.ran += 1
        failed = {(result.work.method, result.work.seed, result.work.trial) for result in outcome.failures}
        outcome.keys = {unit.key for unit in units if (unit.plan.name, unit.seed, unit.trial) not in failed}
        outcome.keys |= set(self._oracle(names))
        return outcome

    def _unit(
        self, plan: MethodPlan, seed: int, trial: int, sources: dict[str, str], previous: list[EvaluationRecord]
    ) -> Unit:
        training_key = digest(self._identity(plan, seed, trial, sources))
        key = digest([training_key, self._protocol(trial).identity(), self._asked[trial]])
        trained, evaluated = self.store.find("trainings", training_key), self.store.find("evaluations", key)
        why = "" if evaluated else self._why(plan, seed, trial, sources, trained, previous)
        return Unit(plan, seed, trial, sources, training_key, key, trained, evaluated, why)

    def _identity(self, plan: MethodPlan, seed: int, trial: int, sources: dict[str, str]) -> dict[str, Any]:
        session, config = self.session, self.config
        return {
            "method": plan.name,
            "options": plan.settings(),
            "training": config.training.model_dump() if plan.trained else {},
            "dataset": session.dataset_info.fingerprint,
            "taught": self._taught[trial],
            "encoder": [session.encoder_info.image_fingerprint, session.encoder_info.text_fingerprint],
            "sources": sources,
            "task": config.task,
            "view": self._view(session.views),
            "threads": config.threads,
            "device": self.device.type,
            "seed": seed,
        }

    def _protocol(self, trial: int) -> ProtocolInfo:
        c = self.config
        fold = self.session.trials[trial].fold
        return ProtocolInfo(
            task=c.task,
            evaluate=c.evaluate,
            fold=fold,
            gallery=c.gallery,
            view=self._view(self.session.searched_views),
            text_style=c.text_style,
            training=", ".join(f"{name}={value}" for name, value in changes(c.training).items()),
            excluded=self.session.excluded,
            queries=self.session.own.label if self.session.own else "",
            trained_on=self.session.dataset_label if c.test else "",
            without=c.without,
        )

    @staticmethod
    def _view(views: tuple[str, ...]) -> str:
        return views[0] if len(views) == 1 else protocol.BOTH

    def _why(
        self,
        plan: MethodPlan,
        seed: int,
        trial: int,
        sources: dict[str, str],
        trained: Path | None,
        previous: list[EvaluationRecord],
    ) -> str:
        if trained:
            return "rank (trained before)"
        fold = self.session.trials[trial].fold
        same = [r for r in previous if (r.method.row, r.seed, r.protocol.fold) == (plan.row, seed, fold)]
        about = (self.config.task, self.session.searched_label, self.session.encoder_info.name)
        same = [r for r in same if (r.protocol.task, r.dataset.name, r.encoder.name) == about]
        if not same:
            return "train (missing)"
        last = same[-1]
        if last.sources != sources:
            files = sorted(name for name in sources if last.sources.get(name) != sources[name])
            return f"train (source changed: {', '.join(files) or 'a file left out'})"
        if last.dataset.fingerprint != self.session.searched_info.fingerprint:
            return "train (data changed)"
        return "train (config, words, labels, device or threads changed)"

    def _work(self, unit: Unit) -> Work:
        weights = None
        if unit.trained:
            self.store.training(unit.trained)
            weights = (unit.trained / "weights.safetensors").read_bytes()
        return Work(self.config, unit.plan.name, unit.seed, unit.trial, weights)

    def _save(self, unit: Unit, result: Result, judgments: str) -> None:
        assert result.method is not None and result.scores is not None
        session, config = self.session, self.config
        shared: dict[str, Any] = {
            "method": result.method,
            "seed": unit.seed,
            "encoder": session.encoder_info,
            "training": config.training.model_dump(),
            "sources": unit.sources,
            "environment": environment(config),
            "files": {},
        }
        timings = json.dumps(dict(result.timings or {})).encode()
        if unit.trained is None:
            fold = session.trials[unit.trial].fold
            record = TrainingRecord(
                key=unit.training_key,
                evaluate=config.evaluate,
                fold=fold,
                view=self._view(session.views),
                dataset=session.dataset_info,
                excluded=session.excluded,
                **shared,
            )
            files = {"weights.safetensors": result.weights, "log.jsonl": result.log, "timings.json": timings}
            self.store.put("trainings", record, files)
        ranking = evaluation.rank(result.scores, self.judgments[unit.trial])
        protocol_info = self._protocol(unit.trial)
        evaluated = EvaluationRecord(
            key=unit.key,
            training_key=unit.training_key,
            dataset=session.searched_info,
            taught=session.dataset_info.fingerprint if config.test else "",
            protocol=protocol_info,
            judgments=judgments,
            **shared,
        )
        files = {"ranking.safetensors": save_ranking(ranking, result.scores), "timings.json": timings}
        self.store.put("evaluations", evaluated, files)

    def _oracle(self, names: list[str]) -> list[str]:
        """Rank by the labels themselves, where there are criteria: the row that is shown apart. Return its keys."""
        dataset, keys = self.session.searched, []
        if not dataset.criteria or not self.config.controls or self.session.own:
            return []
        for index, trial in enumerate(self.session.trials):
            protocol_info = self._protocol(index)
            asked = protocol.asked_codes(dataset, self.session.task, trial.queries, trial.gallery)
            shown = protocol.stated_codes(dataset, trial.gallery, -2)
            labels = [asked.tolist(), shown.tolist()]
            key = digest(["oracle", 1, protocol_info.identity(), self._asked[index], labels])
            keys.append(key)
            if self.store.find("evaluations", key) is None:
                scores = evaluation.oracle_scores(asked, shown)
                record = EvaluationRecord(
                    key=key,
                    training_key=None,
                    method=ORACLE,
                    seed=0,
                    dataset=self.session.searched_info,
                    encoder=self.session.encoder_info.model_copy(update={"name": "none"}),
                    protocol=protocol_info,
                    judgments=names[index],
                    training={},
                    sources={},
                    environment=environment(self.config),
                    files={},
                )
                ranking = evaluation.rank(scores, self.judgments[index])
                files = {"ranking.safetensors": save_ranking(ranking, scores.astype("float32"))}
                self.store.put("evaluations", record, files)
        return keys

    def _log(self, result: Result) -> None:
        with (self.config.runs / "run.log").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now().isoformat(timespec='seconds')} {result.error}\n{result.trace}\n")

    def _refuse_unused_options(self) -> None:
        session = self.session
        encoder = session.encoder_label.split(" [")[0]
        labels = (session.dataset_label, session.searched_label)
        datasets = {label.split(" [")[0].split(":")[0] for label in labels}
        used = {*self.plans, *datasets, encoder, encoder.split(":")[0]}
        unused = sorted(set(self.config.options) - used)
        if unused:
            names = ", ".join(sorted(used))
            raise UserError(f"Options were given for {', '.join(unused)}, which this run does not use ({names}).")
