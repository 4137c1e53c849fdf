"""Rankings and judgments as TREC files, which trec_eval, ir_measures and their kin read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UserError
from benchmark.evaluation import candidate_mask
from benchmark.files import write_atomic
from benchmark.store import distinct_slug, slug

if TYPE_CHECKING:  # the protocol imports torch through the interfaces; reading rankings needs none
    from benchmark.protocol import Judgments
    from benchmark.report.table import Evaluated


def write_all(evaluations: Iterable[Evaluated], folder: Path) -> None:
    """Write ``folder``/trec/TABLE/*.run and the qrels beside them, of all evaluations that can have them.

    Raises:
        UserError: some can't, which are named by data set; the others are written.
    """
    problems: dict[str, str] = {}
    for one in evaluations:
        record, ranking, judgments = one.record, one.ranking, one.judgments
        fold = "" if record.protocol.fold is None else f"-fold{record.protocol.fold}"
        target = folder / "trec" / distinct_slug("-".join(record.table))
        name = f"{slug(record.method.row)}-{slug(record.encoder.name)}-s{record.seed}{fold}-{record.key[:8]}"
        try:
            write_qrels(target / f"qrels{fold}-{record.judgments}.txt", judgments())
            write_run(target / f"{name}.run", ranking(), judgments(), slug(record.method.row))
        except UserError as error:
            problems.setdefault(record.dataset.name, str(error))
    if problems:
        raise UserError("\n".join(f"{name}: {problem}" for name, problem in problems.items()))


def write_run(path: Path, ranking: NDArray[np.uint16], judgments: Judgments, tag: str) -> None:
    """Write ``ranking`` (q, k) as lines ``query Q0 candidate rank score tag``, ranks from 1.

    The score is the number of gallery rows minus the rank: trec_eval sorts by score and breaks ties by document id, so
    the scores of a method would not give back its ranking. Raises ``UserError`` for an id or tag that the format can't
    hold, and for a folder that can't be written to.
    """
    _check_words("tag", [tag])
    _check_ids(judgments)
    write_atomic(path, "".join(_run_lines(ranking, judgments, tag)).encode())


def write_qrels(path: Path, judgments: Judgments) -> None:
    """Write the relevant pairs as lines ``query 0 candidate gain``, without a query's own case.

    Pairs of gain 0 are not listed: an unlisted pair counts as not relevant, and a query that has no relevant candidate
    must be absent for trec_eval to leave it out of its means, as ``benchmark.evaluation`` does. Raises ``UserError``
    like ``write_run``.
    """
    _check_ids(judgments)
    rows, columns = np.nonzero(candidate_mask(judgments) & (judgments.gains > 0))
    lines = (
        f"{judgments.query_ids[row]} 0 {judgments.gallery_ids[column]} {judgments.gains[row, column]}\n"
        for row, column in zip(rows, columns, strict=True)
    )
    write_atomic(path, "".join(lines).encode())


def _run_lines(ranking: NDArray[np.uint16], judgments: Judgments, tag: str) -> Iterator[str]:
    gallery = len(judgments.gallery_ids)
    for query, order in zip(judgments.query_ids, ranking.tolist(), strict=True):
        for place, row in enumerate(order, start=1):
            yield f"{query} Q0 {judgments.gallery_ids[row]} {place} {gallery - place} {tag}\n"


def _check_ids(judgments: Judgments) -> None:
    _check_words("query id", judgments.query_ids)
    _check_words("gallery id", judgments.gallery_ids)


def _check_words(kind: str, words: Sequence[str]) -> None:
    for word in words:
        if word.split() != [word]:
            raise UserError(
                f"The {kind} {word!r} can't be written to a TREC file, whose columns are separated by whitespace. "
                "Rename it so that it is not empty and holds no space, tab or line break."
            )
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise UserError(f"The {kind} {twice!r} occurs more than once. TREC files need unique ids: rename one.")
