"""What is stored of a mask check, a JSON file a row and seed. Imports no torch.

RUNS/masks/ROW-sSEED-KEY.json
RESULTS/DATASET/TASK/masks/ROW-ENCODER-sSEED.json    published
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.config import Strict
from benchmark.errors import UserError
from benchmark.files import sha256, write_atomic
from benchmark.masks.fit import Fit
from benchmark.records import DatasetInfo, EncoderInfo, digest
from benchmark.store import slug

FOLDER = "masks"
DECIMALS = 4
NOT_MEASURING = frozenset({"__init__.py", "command.py", "records.py", "run.py"})


class StoredFit(Strict):
    """A fit (fit.py): of each case with the finding its place among ``cases``, hit and overlap."""

    mask: int
    threshold: float
    places: tuple[int, ...]
    hits: tuple[float, ...]
    overlaps: tuple[float, ...]


class MaskRecord(Strict):
    """One row and seed. ``weights`` is the SHA-256 of the weights that looked, empty for a row that learns nothing, and
    ``training_key`` names the training that they are of. ``sources`` are the files that define a method.
    """

    schema_version: int = 1
    key: str
    row: str
    summary: str
    method: bool
    seed: int
    dataset: DatasetInfo
    encoder: EncoderInfo
    training_key: str | None
    weights: str
    training: dict[str, Any]
    sources: dict[str, str]
    environment: dict[str, str]
    cases: tuple[str, ...]
    criteria: dict[str, StoredFit]


def stored_fits(fits: Mapping[str, Fit]) -> dict[str, StoredFit]:
    """Return ``fits`` as they are stored, rounded to ``DECIMALS``."""
    return {
        name: StoredFit(
            mask=fit.mask,
            threshold=fit.threshold,
            places=fit.places,
            hits=tuple(round(value, DECIMALS) for value in fit.hits),
            overlaps=tuple(round(value, DECIMALS) for value in fit.overlaps),
        )
        for name, fit in fits.items()
    }


def code_digest() -> str:
    """Return a digest of the code that measures, so that changed code measures anew."""
    here = Path(__file__).parent
    spreading = [here.parent / "report" / "html" / name for name in ("attention.py", "footprint.py")]
    files = [*sorted(path for path in here.glob("*.py") if path.name not in NOT_MEASURING), *spreading]
    return digest([[path.name, sha256(path)] for path in files])


def find_record(runs: Path, key: str) -> bool:
    """Whether the runs folder holds the record ``key``."""
    return any((runs / FOLDER).glob(f"*-{key[:16]}.json"))


def put_record(runs: Path, record: MaskRecord) -> None:
    """Store a record in the runs folder."""
    write_record(runs / FOLDER / f"{slug(record.row)}-s{record.seed}-{record.key[:16]}.json", record)


def write_record(path: Path, record: MaskRecord) -> None:
    """Write a record, numbers close together."""
    text = json.dumps(record.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)
    write_atomic(path, f"{text}\n".encode())


def read_records(paths: Iterable[Path]) -> list[MaskRecord]:
    """Read records, in the order of ``paths``.

    Raises:
        UserError: a file is damaged.
    """
    return [_read(path) for path in paths]


def records_of_runs(runs: Path) -> list[MaskRecord]:
    """Return every record of a runs folder, oldest first; none where there is no folder.

    Raises:
        UserError: a file is damaged.
    """
    paths = (runs / FOLDER).glob("*.json")
    return read_records(sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name)))


def _read(path: Path) -> MaskRecord:
    try:
        return MaskRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged ({first}). Remove it and start `masks` again.") from error
