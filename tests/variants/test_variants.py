"""Variants of methods that experiments load: plugins/variants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from baselines.late_fusion import LateFusion
from baselines.options import LateFusionOptions, PosteriorOptions
from benchmark.evidence import Given
from benchmark.interfaces import Batch, Composer
from benchmark.objective import CriterionHeads
from benchmark.registry import load_registry
from benchmark.testing import suites
from plugins.proposed.composer import HierarchicalComposer
from plugins.proposed.options import HierarchicalOptions
from plugins.variants import evidence, losses
from tests.features import EVIDENT, SPEC, evident, images, texts

LOADED = load_registry(("plugins.variants.evidence", "plugins.variants.losses"))
SHIPPED = load_registry()
VARIANTS = [name for name in LOADED.components["composers"] if name not in SHIPPED.components["composers"]]
SMALL = {"proposed": {"width": 16, "heads": 2}, "artemis": {}, "clip4cir": {"width": 16}}
NONE = torch.zeros(2, 3, dtype=torch.bool)


def made(name: str, spec=EVIDENT) -> Composer:
    entry = LOADED.components["composers"][name]
    family = name.rsplit("-", 2 if name.endswith("smooth-ap") else 1)[0]
    torch.manual_seed(0)
    return entry.load()(spec, entry.options_model()(**SMALL.get(family, {"width": 16})))


def batch(size: int = 6) -> Batch:
    groups, criteria = torch.arange(size) % 3, torch.arange(2 * size).reshape(size, 2) % 2
    same = groups[:, None] == groups[None]
    return Batch(same, torch.eye(size, dtype=torch.bool), groups, criteria, groups, criteria)


@pytest.mark.parametrize("name", ["late-fusion-started", "artemis-probabilities", "late-fusion-proxies"])
def test_conformance(name: str) -> None:
    (suite,) = suites(LOADED, name)
    assert not [str(result) for result in suite.run() if not result.passed]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_a_gradient_in_all_that_it_learns(name: str) -> None:
    variant, pictures, told = made(name), evident(6), batch()
    query, candidates = variant.compose(pictures, texts(6, spec=EVIDENT)), variant.embed(pictures)
    scorer = LOADED.components["scorers"][variant.scorer]
    score = scorer.load()(EVIDENT, scorer.options_model()()).score(query, candidates)
    width = candidates[variant.criterion_key].shape[-1]
    values = tuple(len(criterion.values) for criterion in EVIDENT.criteria)
    own = variant.auxiliary_loss(told, query, candidates)
    heads = CriterionHeads(width, values, variant.criterion_key)
    (score.softmax(1).diagonal().sum() + heads(candidates, told.criteria) + sum(own.values())).backward()
    idle = [name for name, value in variant.named_parameters() if value.requires_grad and value.grad is None]
    assert not [name for name in idle if "teacher" not in name]
    assert all(torch.isfinite(loss) for loss in own.values())


def test_variants_are_loaded_by_name_alone() -> None:
    assert len(VARIANTS) == 22
    assert not [name for name in SHIPPED.components["composers"] if name in VARIANTS]


# ---------------------------------------------------------------------------------------------------------- evidence


def test_unstarted_methods_believe_nothing_at_first() -> None:
    started = HierarchicalComposer(EVIDENT, HierarchicalOptions(width=16, heads=2))
    variant = evidence.ProposedUnstarted(EVIDENT, HierarchicalOptions(width=16, heads=2))
    believed = [
        [m for m in one.modules() if isinstance(m, Given) and m.factor is not None] for one in (started, variant)
    ]
    assert len(believed[0]) == 3 and not believed[1]
    control = evidence.PosteriorUnstarted(EVIDENT, PosteriorOptions(width=16))
    assert control.model["image_given"].factor is None


@torch.no_grad()
def test_a_rival_is_shown_probabilities() -> None:
    pictures, variant = evident(4), made("late-fusion-probabilities")
    assert isinstance(variant.inner, LateFusion)
    seen = F.normalize(variant.inner.image_projection(pictures.pooled.exp()), dim=-1)
    assert variant.embed(pictures)["global"] == pytest.approx(seen)
    free = made("late-fusion-probabilities", SPEC)
    assert free.embed(images(4))["global"] == pytest.approx(free.inner.embed(images(4))["global"])


@torch.no_grad()
def test_the_second_block_is_the_probability_of_one_group() -> None:
    pictures, words, variant = evident(4), texts(4, spec=EVIDENT), made("late-fusion-started")
    query, candidates = variant.compose(pictures, words)["global"], variant.embed(pictures)["global"]
    own = variant.inner.compose(pictures, words)["global"] @ variant.inner.embed(pictures)["global"].T
    groups = pictures.pooled[:, :3].exp()
    assert query @ candidates.T == pytest.approx(own + groups @ groups.T, abs=1e-6)
    assert candidates.norm(dim=1) == pytest.approx(torch.full((4,), 2**0.5), abs=1e-5)


@torch.no_grad()
def test_features_that_are_no_evidence_start_nothing() -> None:
    variant = evidence.LateFusionStarted(SPEC, LateFusionOptions(width=16))
    block = variant.embed(images(5))["global"][:, 16:]
    assert block == pytest.approx(block[:1].expand(5, -1))


# ------------------------------------------------------------------------------------------------------------ losses


def exact(scores: list[float], relevant: list[bool]) -> float:
    order = np.argsort(-np.array(scores))
    hits = np.array(relevant)[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def test_smoothed_average_precision_is_the_average_precision_where_scores_lie_apart() -> None:
    draw = np.random.default_rng(0)
    scores = np.stack([draw.permutation(12) / 12 for _ in range(5)])
    relevant = draw.random((5, 12)) < 0.4
    relevant[:, 0] = True  # at least one of each query
    none = torch.zeros(5, 12, dtype=torch.bool)
    found = losses.smooth_average_precision(torch.tensor(scores), torch.tensor(relevant), none, 1e-3).item()
    assert found == pytest.approx(np.mean([exact(*pair) for pair in zip(scores, relevant, strict=True)]), abs=1e-6)


def test_what_is_excluded_has_no_rank() -> None:
    scores = torch.tensor([[0.9, 0.5, 0.1]])
    positives = torch.tensor([[False, False, True]])
    excluded = torch.tensor([[True, False, False]])
    assert losses.smooth_average_precision(scores, positives, excluded, 1e-3).item() == pytest.approx(1 / 2)
    excluded = torch.tensor([[True, True, False]])
    assert losses.smooth_average_precision(scores, positives, excluded, 1e-3).item() == pytest.approx(1)


def test_a_batch_in_which_nobody_has_a_positive_costs_nothing() -> None:
    scores = torch.rand(2, 3, requires_grad=True)
    reached = losses.smooth_average_precision(scores, NONE, NONE, 0.01)
    reached.backward()
    assert reached.item() == 1 and scores.grad is not None


def test_smoothed_average_precision_pulls_a_positive_up() -> None:
    scores = torch.tensor([[0.50, 0.51, 0.52]], requires_grad=True)
    losses.smooth_average_precision(scores, torch.tensor([[True, False, False]]), NONE[:1], 0.01).backward()
    assert scores.grad is not None and scores.grad[0, 0] > 0 > scores.grad[0, 2]


def test_proxies_classify_both_sides_where_the_text_speaks_of_the_group() -> None:
    pictures, words = evident(6), texts(6, spec=EVIDENT)
    for spec, names in ((EVIDENT, {"proxies", "query_proxies"}), (replace(EVIDENT, complete_texts=False), {"proxies"})):
        variant = made("late-fusion-proxies", spec)
        query, candidates = variant.compose(pictures, words), variant.embed(pictures)
        found = variant.auxiliary_loss(batch(), query, candidates)
        assert set(found) == names
        variant.proxies.data = torch.stack(
            [candidates["global"][batch().groups == group].mean(0) for group in range(3)]
        )
        nearer = variant.auxiliary_loss(batch(), query, candidates)
        assert nearer["proxies"] < found["proxies"]


def test_adjusted_experts_need_not_say_what_is_frequent() -> None:
    told = batch()
    told.criteria[:] = torch.tensor([[0, 0]] * 5 + [[1, 1]])
    adjusted, plain = made("proposed-adjusted"), HierarchicalComposer(EVIDENT, HierarchicalOptions(width=16, heads=2))
    silent = {"image_values": torch.zeros(6, 4)}
    found = [one._values_loss(silent["image_values"], one.region_experts, told.criteria) for one in (adjusted, plain)]
    shares = losses.frequencies(told.criteria[:, 0], 2)
    assert shares.tolist() == [6 / 8, 2 / 8]
    assert found[0].item() == pytest.approx(-(5 * shares[0].log() + shares[1].log()).item() / 6)
    assert found[1].item() == pytest.approx(np.log(2))
