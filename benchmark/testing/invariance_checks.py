"""What must change nothing in a trained method's scores: company, order, padding, ids, and asking again.

Shapes: q queries, g gallery.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmark.interfaces import Gallery, Queries, TextFeatures
from benchmark.testing.steps import Failed, NotApplicable
from benchmark.testing.trained import MethodSubject, asked, some_candidates, some_queries

TOLERANCE = 1e-4
"""How far two scores that should be equal may differ, in units of the largest."""
CONTENT_FREE = "the class says trained = False, and its scores read neither image nor text: a random ranking"
BATCH = (
    "a score may depend on its query and its candidate alone: no statistics over the batch (batch normalisation in "
    "train mode, softmax or mean over dim 0), no rank in the gallery"
)


def expect_same(found: Tensor, expected: Tensor, reason: str, hint: str) -> None:
    """Raise ``Failed`` unless two tensors are equal up to ``TOLERANCE``; NaN equals nothing."""
    if found.shape != expected.shape:
        raise Failed(f"{reason} (shape {tuple(found.shape)}, not {tuple(expected.shape)})", hint)
    gap = largest_gap(found, expected)
    if not gap <= TOLERANCE * float(expected.abs().max()):
        raise Failed(f"{reason} (by up to {gap:.2g})", hint)


def largest_gap(one: Tensor, two: Tensor) -> float:
    """Return the largest absolute difference."""
    return float((one - two).abs().max())


def scores_are_repeatable(subject: MethodSubject) -> None:
    """The same question twice has the same answer."""
    queries, gallery = asked(subject.world)
    first, second = (subject.score(queries, gallery) for _ in range(2))
    hint = "switch dropout off with eval(), and draw random numbers from a generator with a stored seed"
    expect_same(first, second, "asked again, the same queries get other scores", hint)


def queries_do_not_meet(subject: MethodSubject) -> None:
    """A query's scores are the same alone, in threes and among all."""
    queries, gallery = _sighted(subject)
    whole = subject.score(queries, gallery)
    for size in (1, 3):
        for rows in torch.arange(len(queries.ids)).split(size)[:4]:
            part = subject.score(some_queries(queries, rows), gallery)
            reason = f"in a batch of {size}, query {int(rows[0])} gets other scores than among all"
            expect_same(part, whole[rows], reason, BATCH)


def candidates_do_not_meet(subject: MethodSubject) -> None:
    """A candidate's scores are the same in another order and in a smaller gallery."""
    queries, gallery = _sighted(subject)
    whole = subject.score(queries, gallery)
    turned = torch.arange(len(gallery.ids)).flip(0)
    expect_same(
        subject.score(queries, some_candidates(gallery, turned)),
        whole[:, turned],
        "in reverse order, candidates get other scores",
        BATCH,
    )
    for rows in (torch.arange(1), torch.arange(3, 8)):
        part = subject.score(queries, some_candidates(gallery, rows))
        expect_same(
            part, whole[:, rows], f"in a gallery of {len(rows)}, candidates get other scores than among all", BATCH
        )


def padding_says_nothing(subject: MethodSubject) -> None:
    """What stands behind a text's last real token changes nothing."""
    queries, gallery = _sighted(subject)
    texts = queries.texts
    more = torch.full((len(texts), 2, texts.tokens.shape[2]), 3.0, dtype=texts.tokens.dtype)
    tokens = torch.cat([torch.where(texts.mask[..., None], texts.tokens, more[:, :1]), more], dim=1)
    mask = torch.cat([texts.mask, torch.zeros(len(texts), 2, dtype=torch.bool)], dim=1)
    padded = replace(queries, texts=TextFeatures(tokens, mask, texts.pooled))
    expect_same(
        subject.score(padded, gallery),
        subject.score(queries, gallery),
        "with other padding behind the text, scores change",
        "read texts.tokens through texts.mask (b, n), which is True on real tokens",
    )


def ids_say_nothing(subject: MethodSubject) -> None:
    """Scores are the same when cases are called otherwise, those seen in training too."""
    _sighted(subject)
    for data in (subject.world.test, subject.world.train):
        queries, gallery = data.queries(), data.gallery()
        known = subject.score(queries, gallery)
        fresh = tuple(f"x{i}" for i in range(len(data.ids)))
        for names in (fresh, data.ids[::-1]):
            renamed = subject.score(Queries(names, queries.images, queries.texts), Gallery(names, gallery.images))
            expect_same(
                renamed,
                known,
                "when cases get other ids, their scores change",
                "recognise no case by its id: ids are for bookkeeping, and labels learnt by id leak",
            )


def modality_is_true(subject: MethodSubject) -> str:
    """Scores depend on the reference image and on the text as ``modality`` says, which stands in every table."""
    queries, gallery = _sighted(subject)
    known, modality = subject.score(queries, gallery), subject.trained_class.modality
    turned = torch.arange(len(queries.ids)).flip(0)
    others = {
        "image": replace(queries, images=queries.images[turned]),
        "text": replace(queries, texts=queries.texts[turned]),
    }
    for side, asked_otherwise in others.items():
        moved = not torch.equal(subject.score(asked_otherwise, gallery), known)
        if moved != (side in modality.split("+")):
            does = "changes" if moved else "does not change"
            raise Failed(
                f"modality is {modality!r}, but another {side} {does} the scores of a query",
                'set modality to what the query side reads: "image", "text" or "image+text"',
            )
    return modality


def _sighted(subject: MethodSubject) -> tuple[Queries, Gallery]:
    """Return what is asked, unless the method reads no feature at all and does not claim to learn."""
    queries, gallery = asked(subject.world)
    if not subject.plan.trained:
        other = subject.world.valid.queries(), subject.world.valid.gallery()
        count = torch.arange(len(other[0].ids))
        known, moved = some_queries(queries, count), some_candidates(gallery, count)
        blind = subject.score(replace(other[0], ids=known.ids), replace(other[1], ids=moved.ids))
        if torch.equal(blind, subject.score(known, moved)):
            raise NotApplicable(CONTENT_FREE)
    return queries, gallery
