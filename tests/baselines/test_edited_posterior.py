"""The edited posterior: what a text names, how it overwrites the reference, scores by hand, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import torch

from baselines.edited_options import EditedPosteriorOptions
from baselines.edited_posterior import EditedPosterior, edited, named_values
from benchmark.config import Training
from benchmark.evaluation import validation_score
from benchmark.interfaces import FitContext, LabelledSet
from benchmark.modification import draw_edits, edit_gains
from tests.features import SPEC, images, labelled, texts

MARK = 4.0
SETTINGS = Training(epochs=12, patience=12, batch_size=24, learning_rate=1e-2)


def test_a_text_names_what_the_target_has_otherwise() -> None:
    findings = torch.tensor([[0, 0, 2], [0, 1, 1]])
    assert named_values(findings, torch.tensor([0]), torch.tensor([1])).tolist() == [[-1, 1, 1]]
    assert named_values(findings, torch.tensor([1, 0]), None).tolist() == [[0, 1, 1], [0, 0, 2]]


def test_what_is_named_overwrites_the_reference_as_far_as_it_is_named() -> None:
    reference = torch.tensor([[0.9, 0.1]])
    assert edited(torch.tensor([[0.0, 1.0, 0.0]]), reference).tolist() == [[0.0, 1.0]]
    assert torch.equal(edited(torch.tensor([[0.0, 0.0, 1.0]]), reference), reference)
    torch.testing.assert_close(edited(torch.tensor([[0.0, 0.5, 0.5]]), reference), torch.tensor([[0.45, 0.55]]))


def test_a_score_worked_out_by_hand() -> None:
    """Every image: a thin border with 3/4, a spot with 1/2. Every text: the border is kept, the spot is dark."""
    method = EditedPosterior(SPEC, EditedPosteriorOptions(width=8))
    heads = [*method.model["image"].heads, *method.model["text"].heads]  # of border and spot, each
    with torch.no_grad():
        for head in heads:
            head.weight.zero_()
            head.bias.zero_()
        heads[0].bias[0] = math.log(3)
        heads[2].bias[2], heads[3].bias[1] = 50.0, 50.0
    data = labelled(3)
    # border: 3/4 * 3/4 + 1/4 * 1/4 = 5/8; spot: 1/2
    expected = torch.full((3, 3), math.log(5 / 8 * 1 / 2))
    torch.testing.assert_close(method.score(data.queries(), data.gallery()), expected)


def changing(count: int, seed: int) -> LabelledSet:
    """Cases of two criteria that the image shows, asked by texts that show only what changes."""
    codes = np.random.default_rng(seed).integers(2, size=(count, 2))
    names = [f"c{seed}-{i}" for i in range(count)]
    edits = draw_edits(codes, codes, names, names)
    criteria, references, targets = (torch.from_numpy(a) for a in (codes, edits.references, edits.targets))
    shown = torch.nn.functional.one_hot(criteria, 2).float()  # (n, 2, 2)
    named = shown[targets] * torch.from_numpy(edits.changed)[..., None]
    pictures, words = images(count, seed), texts(len(edits), seed)
    pictures.pooled[:, :4] += MARK * shown.flatten(1)
    words.pooled[:, :4] += MARK * named.flatten(1)
    return LabelledSet(
        ids=tuple(names),
        images=pictures,
        groups=torch.zeros(count, dtype=torch.int64),
        criteria=criteria,
        reference=references,
        texts=words,
        grades=torch.from_numpy(edit_gains(edits, codes)),
        strata=torch.from_numpy(edits.strata.astype(np.int64)),
        targets=targets,
    )


def test_it_learns_to_edit() -> None:
    torch.manual_seed(0)
    method, unseen = EditedPosterior(SPEC, EditedPosteriorOptions(width=16)), changing(40, 2)
    log: list[object] = []
    method.fit(changing(60, 0), changing(30, 1), FitContext(0, torch.device("cpu"), SETTINGS, log.append))
    scores = method.score(unseen.queries(), unseen.gallery()).numpy()
    exact = (unseen.grades == 2).numpy()
    reached = validation_score(scores, exact, unseen.reference.numpy(), unseen.strata.numpy())
    assert reached > 0.8, "the exact matches are about a quarter of the candidates"
