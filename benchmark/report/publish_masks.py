"""Mask checks under results/: rows brought in from a runs folder, and their tables rebuilt from what is there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark.config import Training
from benchmark.masks.records import FOLDER, MaskRecord, read_records, write_record
from benchmark.report.masks import MaskBoard, boards, comparable, identity, write_masks
from benchmark.report.wording import spans
from benchmark.store import slug


def import_masks(records: Iterable[MaskRecord], results: Path) -> list[str]:
    """Bring the rows of ``records`` (a runs folder's, oldest first) into ``results``; return what changed.

    A row whose seeds are all published under the same keys stays as it is; any other is replaced as a whole. Published
    rows of other data or of another encoder or training are dropped. Only default training is published.

    Raises:
        UserError: a stored file is damaged, or something can't be written.
    """
    usual: tuple[dict[str, Any], ...] = (Training().model_dump(), {})
    return [
        message
        for board in boards(record for record in records if record.training in usual)
        for message in _import_board(board, results / board.folder / FOLDER)
    ]


def rebuild_masks(results: Path) -> None:
    """Write the tables of every published check.

    Raises:
        UserError: a stored file is damaged, or something can't be written.
    """
    for board in boards(read_records(sorted(results.glob(f"*/*/{FOLDER}/*.json")))):
        write_masks(board, results)


def _import_board(board: MaskBoard, folder: Path) -> list[str]:
    new = {identity(row.records[0]): row.records for row in board.rows}
    newest = {encoder: records[0] for (_, encoder), records in new.items()}
    paths = sorted(folder.glob("*.json"))
    published = dict(zip(paths, read_records(paths), strict=True))
    keys = {record.key for record in published.values()}
    replaced = {name for name, records in new.items() if not {record.key for record in records} <= keys}
    for path, record in published.items():
        fits = comparable(record, board.rows[0].records[0], newest.get(record.encoder.name, record))
        if identity(record) in replaced or not fits:
            path.unlink()
    for name in sorted(replaced):
        for record in new[name]:
            write_record(folder / f"{slug(f'{record.row}-{record.encoder.name}')}-s{record.seed}.json", record)
    where = f"{board.dataset.name}, masks"
    return [
        f"{where}: published {name} with {encoder}, seeds {spans([one.seed for one in new[name, encoder]])}."
        for name, encoder in sorted(replaced)
    ]
