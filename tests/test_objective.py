from __future__ import annotations

import math

import pytest
import torch

from benchmark.objective import CriterionHeads, balanced_batches, multi_positive_contrastive


def test_the_loss_of_one_positive_is_the_cross_entropy_worked_out_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    positives = torch.tensor([[False, True], [True, False]])
    none = torch.zeros(2, 2, dtype=torch.bool)
    # rows: -log 3/4, -log 1/2; columns: -log 1/2, -log 3/4
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert multi_positive_contrastive(logits, positives, none).item() == pytest.approx(expected)


def test_several_positives_share_the_loss() -> None:
    logits = torch.zeros(1, 4)
    positives = torch.tensor([[True, True, False, False]])
    none = torch.zeros(1, 4, dtype=torch.bool)
    # query -> candidate: log 4 for each positive; candidate -> query: a softmax over one query is 1, the loss 0
    assert multi_positive_contrastive(logits, positives, none).item() == pytest.approx(math.log(4) / 2)


def test_a_case_is_never_its_own_candidate() -> None:
    own = torch.eye(3, dtype=torch.bool)
    positives = torch.ones(3, 3, dtype=torch.bool)
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    moved = logits + 50 * own
    torch.testing.assert_close(
        multi_positive_contrastive(logits, positives, own), multi_positive_contrastive(moved, positives, own)
    )


def test_an_anchor_without_a_positive_is_skipped() -> None:
    none = torch.zeros(2, 2, dtype=torch.bool)
    positives = torch.tensor([[True, False], [False, False]])
    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    row = -torch.log_softmax(logits[0], 0)[0]
    column = -torch.log_softmax(logits[:, 0], 0)[0]
    assert multi_positive_contrastive(logits, positives, none).item() == pytest.approx(((row + column) / 2).item())


def test_a_batch_without_any_positive_costs_nothing_and_has_a_gradient() -> None:
    logits = torch.randn(2, 2, requires_grad=True)
    none = torch.zeros(2, 2, dtype=torch.bool)
    loss = multi_positive_contrastive(logits, none, none)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None


def test_batches_hold_equally_many_of_each_group_and_at_least_four() -> None:
    strata = torch.tensor([0] * 50 + [1] * 9 + [2] * 3)
    batches = list(balanced_batches(strata, 12, torch.Generator().manual_seed(0)))
    assert len(batches) == round(62 / 12)
    for rows in batches:
        assert strata[rows].bincount().tolist() == [4, 4, 4]
    seen = torch.cat(batches)
    first = seen[strata[seen] == 0]
    assert len(first.unique()) == len(first), "the large group repeats before it is used up"


def test_batches_are_the_same_for_the_same_seed_only() -> None:
    strata = torch.arange(30) % 3
    one, two, other = (
        torch.stack(list(balanced_batches(strata, 12, torch.Generator().manual_seed(seed)))) for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_criterion_heads_read_region_i_for_criterion_i() -> None:
    heads = CriterionHeads(4, (2, 3), "local")
    regions = torch.randn(5, 2, 4)
    codes = torch.tensor([[0, 1]] * 5)
    before = heads({"local": regions}, codes)
    regions[:, 1] = 0
    assert heads({"local": regions}, codes) != before
    heads({"local": regions.requires_grad_()}, codes).backward()
    assert heads.heads[0].weight.grad is not None
