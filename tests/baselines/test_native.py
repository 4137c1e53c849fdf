"""The native setting: which pairs a batch holds, each paper's loss worked out by hand, and that all of it trains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from baselines import artemis, clip4cir, tg_cir, tirg, val
from baselines.artemis_native import ARTEMISNative
from baselines.clip4cir_native import CLIP4CirNative
from baselines.native import NativeMethod, batch_classification, drawn_pairs, native_batch
from baselines.native_options import (
    ARTEMISNativeOptions,
    CLIP4CirNativeOptions,
    TGCIRNativeOptions,
    TIRGNativeOptions,
    VALNativeOptions,
)
from baselines.tg_cir_native import TGCIRNative
from baselines.tirg_native import TIRGNative
from baselines.val_native import VALNative, triplets
from benchmark.config import Training
from benchmark.evaluation import validation_score
from benchmark.interfaces import Batch, FitContext, LabelledSet
from tests.features import SPEC, labelled

OPTIONS = {
    TIRGNative: TIRGNativeOptions,
    CLIP4CirNative: CLIP4CirNativeOptions,
    VALNative: VALNativeOptions,
    ARTEMISNative: ARTEMISNativeOptions,
    TGCIRNative: TGCIRNativeOptions,
}
CPU = torch.device("cpu")
NONE = torch.zeros(2, 2, dtype=torch.bool)
X, Y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
PAIRS = {"global": torch.cat([X, Y])}
"""Two orthogonal unit vectors: as queries and as targets, cosine 1 with their own and 0 with the other's."""


def made(cls: type[NativeMethod], **options: float) -> NativeMethod:
    torch.manual_seed(0)
    return cls(SPEC, OPTIONS[cls](width=16, **options))  # type: ignore[index]


def batch(excluded: Tensor = NONE) -> Batch:
    codes = torch.zeros(len(excluded), dtype=torch.long)
    criteria = torch.zeros(len(excluded), 2, dtype=torch.long)
    return Batch(torch.eye(len(excluded)).bool(), excluded, codes, criteria, codes, criteria)


# ------------------------------------------------------------------------------------------------ pairs


def test_every_query_gets_one_of_its_positives_and_never_itself() -> None:
    data, rows = labelled(12), torch.arange(12)
    kept, targets = drawn_pairs(data, rows, torch.Generator().manual_seed(0))
    assert torch.equal(kept, rows)
    assert torch.equal(data.groups[targets], data.groups[rows]) and (targets != rows).all()
    assert not torch.equal(targets, drawn_pairs(data, rows, torch.Generator().manual_seed(1))[1])


def test_a_query_without_a_positive_is_left_out() -> None:
    data = labelled(4)  # groups 0, 1, 2, 0
    kept, targets = drawn_pairs(data, torch.arange(4), torch.Generator())
    assert (kept.tolist(), targets.tolist()) == ([0, 3], [3, 0])


def test_in_modification_the_target_is_the_case_that_the_query_was_made_from() -> None:
    data = replace(labelled(4), targets=torch.tensor([1, 2, 3, 0]))
    kept, targets = drawn_pairs(data, torch.tensor([3, 1]), torch.Generator())
    assert (kept.tolist(), targets.tolist()) == ([3, 1], [0, 2])


def test_other_positives_and_the_own_reference_are_neither_targets_nor_negatives() -> None:
    # groups 0 1 2 0 1 2 0; queries 0, 3 and 4 with targets 3, 6 and 1
    made = native_batch(labelled(7), torch.tensor([0, 3, 4]), torch.tensor([3, 6, 1]), CPU)
    assert made.positives.tolist() == torch.eye(3).bool().tolist()
    assert made.excluded.tolist() == [
        [False, True, False],  # case 6 is of query 0's group
        [True, False, False],  # case 3 is query 3's own reference
        [False, False, False],
    ]
    assert (made.groups.tolist(), made.query_groups.tolist()) == ([0, 0, 1], [0, 0, 1])


# ------------------------------------------------------------------------------------------------ losses


def test_batch_classification_leaves_excluded_pairs_out() -> None:
    logits = torch.zeros(3, 3)
    excluded = torch.tensor([[False, True, False], [False, False, False], [True, False, False]])
    # a choice of two, of three, of two
    expected = (2 * math.log(2) + math.log(3)) / 3
    assert batch_classification(logits, excluded).item() == pytest.approx(expected)


def loss(method: NativeMethod, query: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> float:
    return sum(term.item() for term in method.losses(batch(), query, target).values())


def test_tirg_scales_both_sides_by_four() -> None:
    swapped = {"global": torch.cat([Y, X])}  # cosine 0 with their own, 1 with the other: log(1 + exp(4 x 4))
    assert loss(made(TIRGNative), PAIRS, swapped) == pytest.approx(math.log1p(math.exp(16)))


def test_clip4cir_has_logits_of_a_hundred_cosines() -> None:
    swapped = {"global": torch.cat([Y, X])}
    assert loss(made(CLIP4CirNative), PAIRS, swapped) == pytest.approx(100.0)  # log(1 + exp(100))


def test_artemis_starts_at_its_temperature() -> None:
    # Query 0 asks for X in both terms, query 1 for Y, with even attention: EM + IS is 2 of their own, 0 of the other.
    wanted, even = PAIRS["global"][:, None].expand(2, 2, 2) / 2, torch.full((2, 2, 2), 0.5)
    query = {"matching": torch.stack([wanted, even], dim=2)}
    swapped = {"matching": torch.cat([Y, X])}
    # |A * t| = 1/2 and <A * u, t> = 1/2, so each cosine is 1
    assert loss(made(ARTEMISNative), query, swapped) == pytest.approx(2 * 14.286, rel=1e-3)


def test_tg_cir_starts_at_ten_and_its_teacher_sees_the_same_target() -> None:
    method, data = made(TGCIRNative), labelled(6)
    rows, targets = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
    query, target = method._represent(data, rows, targets)
    torch.manual_seed(0)
    terms = method.losses(native_batch(data, rows, targets, CPU), query, target)
    logits = 10 * query["global"] @ target["global"].T
    assert_close(terms["classification"], -logits.log_softmax(1).diagonal().mean())
    teacher = method.composer.teacher  # type: ignore[union-attr]
    composed = teacher(query["image"], query["text"], target["tokens"])[0]  # type: ignore[operator]
    vectors = teacher.vectors(target["tokens"])  # type: ignore[union-attr, operator]
    taught = 10 * teacher.vectors(composed) @ vectors.T  # type: ignore[union-attr, operator]
    assert_close(terms["teacher_ranking"], -taught.log_softmax(1).diagonal().mean())
    assert {"orthogonality", "mask_distillation", "ranking_distillation", "teacher_balance"} <= set(terms)


def on_a_circle(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_val_sums_semi_hard_triplets_over_levels_and_directions() -> None:
    queries = targets = on_a_circle(0.0, 5.0)
    near = 2 - 2 * math.cos(math.radians(5))  # 0.0076, within the margin of its own target, at 0
    assert triplets(queries, targets, NONE, 0.2).item() == pytest.approx(2 * (0.2 - near), abs=1e-6)
    assert triplets(queries, targets, ~torch.eye(2).bool(), 0.2).item() == 0.0
    method = made(VALNative)  # three levels of 16: the other channels are empty
    levels = torch.cat([torch.nn.functional.pad(queries, (0, 14))] * 3, dim=1)
    assert loss(method, {"global": levels}, {"global": levels}) == pytest.approx(6 * (0.2 - near), abs=1e-5)


def test_without_excluded_pairs_the_losses_are_those_that_parity_fixtures_hold() -> None:
    torch.manual_seed(0)
    query, target = torch.nn.functional.normalize(torch.randn(2, 6, 8), dim=-1)
    none, cosines = torch.zeros(6, 6).bool(), query @ target.T
    assert_close(batch_classification(16 * cosines, none), tirg.native_loss(query, target))
    assert_close(batch_classification(100 * cosines, none), clip4cir.native_loss(query, target))
    assert_close(batch_classification(artemis.NATIVE_SCALE * cosines, none), artemis.native_loss(cosines))
    assert_close(batch_classification(10 * cosines, none), tg_cir.native_loss(query, target))
    assert_close(triplets(query, target, none, 0.2), val.native_loss([query], [target]))


# ------------------------------------------------------------------------------------------------ training

RATES = {TIRGNative: 1e-2, CLIP4CirNative: 1e-3, VALNative: 2e-3, ARTEMISNative: 2e-3, TGCIRNative: 2e-3}


def macro_map(method: NativeMethod, data: LabelledSet) -> float:
    scores = method.score(data.queries(), data.gallery())
    return validation_score(scores.numpy(), data.grades.numpy(), data.reference.numpy(), data.strata.numpy())


def trained(cls: type[NativeMethod]) -> tuple[NativeMethod, list[Mapping[str, float]]]:
    log: list[Mapping[str, float]] = []
    method = made(cls, epochs=12, patience=12, batch_size=24, learning_rate=RATES[cls])  # type: ignore[index]
    context = FitContext(0, CPU, Training(epochs=1), log.append)
    method.fit(labelled(60, signal=3.0), labelled(30, seed=1, signal=3.0), context)
    return method, log


@pytest.mark.parametrize("cls", OPTIONS, ids=lambda cls: cls.label)
def test_it_learns_is_deterministic_and_keeps_its_best_epoch(cls: type[NativeMethod]) -> None:
    unseen = labelled(30, seed=2, signal=3.0)
    before = macro_map(made(cls), unseen)
    method, log = trained(cls)
    assert macro_map(method, unseen) > before + 0.1
    valid = labelled(30, seed=1, signal=3.0)
    assert macro_map(method, valid) == pytest.approx(max(entry["valid macro mAP"] for entry in log))
    assert len(log) == 12, "its own budget counts, not that of the shared training"
    again, _ = trained(cls)
    scores = method.score(unseen.queries(), unseen.gallery())
    assert torch.equal(scores, again.score(unseen.queries(), unseen.gallery()))
    restored = made(cls)
    restored.load(method.state())
    assert torch.equal(scores, restored.score(unseen.queries(), unseen.gallery()))


def test_the_optimisers_are_the_papers() -> None:
    made_with = {
        cls: made(cls).optimiser([torch.nn.Parameter(torch.zeros(1))])  # type: ignore[type-abstract]
        for cls in OPTIONS
    }
    kinds = {
        cls: (type(one).__name__, one.defaults["lr"], one.defaults["weight_decay"]) for cls, one in made_with.items()
    }
    assert kinds == {
        TIRGNative: ("SGD", 1e-2, 1e-6),
        CLIP4CirNative: ("Adam", 4e-5, 0.0),
        VALNative: ("Adam", 2e-4, 4e-5),
        ARTEMISNative: ("AdamW", 5e-4, 0.01),
        TGCIRNative: ("AdamW", 1e-4, 0.01),
    }
    assert made_with[TIRGNative].defaults["momentum"] == 0.9
