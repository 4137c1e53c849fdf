"""A contact sheet: small pictures of chosen cases with id, group and diagnosis under each. Knows no dataset."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmark.errors import UserError, near_misses
from benchmark.features import open_image

if TYPE_CHECKING:
    from benchmark.interfaces import Case, Dataset

COLUMNS = 8
TILE = (216, 144)
CAPTION = 34
GAP = 6
TEXT_SIZE = 12
LETTERS = 32
"""As many letters of ``TEXT_SIZE`` fit under a picture."""


def choose(dataset: Dataset, group: str | None, criteria: Sequence[str], number: int, view: str) -> list[Case]:
    """Return at most ``number`` cases of ``group`` with all ``criteria`` (``name=value``), spread over all that fit and
    have a usable picture of ``view``.

    Raises:
        UserError: a group, criterion or value is unknown, or no case fits.
    """
    if group is not None and group not in dataset.groups:
        raise UserError(f"{dataset.name} has no group {group!r}. {near_misses(group, dataset.groups)}")
    wanted = [_condition(dataset, text) for text in criteria]
    every = [case for split in ("train", "valid", "test") for case in dataset.cases(split)]
    fitting = [
        case
        for case in every
        if view in case.images
        and dataset.unusable(case, view) is None
        and (group is None or dataset.taxonomy[case.diagnosis] == group)
        and all(case.descriptors[name] == value for name, value in wanted)
    ]
    if not fitting:
        asked = " and ".join([*([group] if group else []), *criteria, f"a usable {view} picture"])
        raise UserError(f"No case of {dataset.name} has {asked}; ask for another group, criterion or view.")
    count = min(number, len(fitting))
    return [fitting[place * len(fitting) // count] for place in range(count)]


def _condition(dataset: Dataset, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    values = {criterion.name: criterion.values for criterion in dataset.criteria}
    if not equals:
        raise UserError(f"--criterion {text}: write NAME=VALUE. {near_misses(name, values)}")
    if name not in values:
        raise UserError(f"{dataset.name} has no criterion {name!r}. {near_misses(name, values)}")
    if value not in values[name]:
        raise UserError(f"{name} has no value {value!r}. {near_misses(value, values[name])}")
    return name, value


def contact_sheet(dataset: Dataset, cases: Sequence[Case], view: str) -> bytes:
    """Return a JPEG of the pictures of ``cases`` in ``view``, eight a row.

    Raises:
        UserError: a case has no such picture, or it can't be read.
    """
    width, height = TILE[0] + GAP, TILE[1] + CAPTION
    rows = -(-len(cases) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(cases)) * width + GAP, rows * height + GAP), "white")
    draw, captions = ImageDraw.Draw(sheet), [_caption(dataset, case) for case in cases]
    font = _font("".join(captions))
    for place, (case, text) in enumerate(zip(cases, captions, strict=True)):
        left, top = GAP + place % COLUMNS * width, GAP + place // COLUMNS * height
        sheet.paste(_picture(dataset, case, view), (left, top))
        draw.multiline_text((left, top + TILE[1]), text, fill="black", font=font, spacing=1)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _caption(dataset: Dataset, case: Case) -> str:
    lines = (f"{case.id}  {dataset.taxonomy[case.diagnosis]}", case.diagnosis)
    return "\n".join(line[:LETTERS] for line in lines)


def _font(text: str) -> Any:
    """Return Pillow's own font, or for letters that it lacks the one that comes with matplotlib."""
    if text.isascii():
        return ImageFont.load_default(TEXT_SIZE)
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", TEXT_SIZE)


def _picture(dataset: Dataset, case: Case, view: str) -> Image.Image:
    if view not in case.images:
        raise UserError(f"Case {case.id} of {dataset.name} has no {view} image; choose another --view.")
    return ImageOps.pad(open_image(case.images[view]), TILE, color="white")
