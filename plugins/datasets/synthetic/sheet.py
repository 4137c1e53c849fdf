"""A contact sheet of the drawn pictures: ``python -m plugins.datasets.synthetic.sheet --out FOLDER``.

One row a group, then one row a value of a criterion: the first pictures show that value on a lesion without any other
finding, the others are cases of the set. What it shows is drawn; no photograph is involved.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from plugins.datasets.seven_point import CRITERIA, GROUPS
from plugins.datasets.synthetic.cases import sample_profiles
from plugins.datasets.synthetic.options import SyntheticOptions
from plugins.datasets.synthetic.painter import paint
from plugins.datasets.synthetic.profile import ABSENT, CaseProfile

Row = tuple[str, Sequence[CaseProfile]]

COLUMNS = 6
ALONE = (9, 90)
"""Numbers of the cases whose lesions, large and little covered, show one value and nothing else."""
CELL = (198, 132)
LABEL = 18
TITLE = 26
QUALITY = 70
NAME = "contact_sheet.jpg"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the sheet of the default set into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m plugins.datasets.synthetic.sheet", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help=f"folder that gets {NAME}")
    folder = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    options = SyntheticOptions()
    draw_sheet(sample_rows(options), options).save(folder / NAME, quality=QUALITY, optimize=True)
    print(f"{folder / NAME}: drawn (synthetic) pictures only")


def sample_rows(options: SyntheticOptions) -> list[Row]:
    """Return a label and up to ``COLUMNS`` profiles for each group and for each value but absent."""
    profiles = sample_profiles(options.seed, options.cases)
    rows: list[Row] = [(group, _varied([p for p in profiles if p.group == group])[:COLUMNS]) for group in GROUPS]
    plain = {criterion.name: ABSENT for criterion in CRITERIA}
    for criterion in CRITERIA:
        for value in criterion.values:
            if value == ABSENT:
                continue
            label = f"{criterion.name.replace('_', ' ')}: {value}"
            found = [p for p in profiles if p.descriptors[criterion.name] == value][: COLUMNS - len(ALONE)]
            alone = [replace(p, descriptors=plain | {criterion.name: value}) for p in profiles if p.index in ALONE]
            rows.append((label, [*alone, *found]))
    return rows


def _varied(profiles: Sequence[CaseProfile]) -> list[CaseProfile]:
    """Return ``profiles`` with the first of each diagnosis in front, then the second of each, and so on."""
    seen = Counter[str]()
    turns = []
    for profile in profiles:
        turns.append((seen[profile.diagnosis], profile.index, profile))
        seen[profile.diagnosis] += 1
    return [profile for _, _, profile in sorted(turns, key=lambda turn: turn[:2])]


def draw_sheet(rows: Sequence[Row], options: SyntheticOptions) -> Image.Image:
    """Return the sheet: a title that says what it is, and each row under its label."""
    height = TITLE + len(rows) * (CELL[1] + LABEL)
    sheet = Image.new("RGB", (COLUMNS * CELL[0], height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    title = f"Synthetic (drawn) dermoscopy-like pictures, seed {options.seed}. No photograph, no clinical data."
    pen.text((6, 5), title, "black", ImageFont.load_default(14))
    for r, (label, profiles) in enumerate(rows):
        top = TITLE + r * (CELL[1] + LABEL)
        pen.text((6, top + 1), label, "black", font)
        for c, profile in enumerate(profiles):
            picture = paint(profile, options.seed, options.size)[0].resize(CELL, Image.Resampling.LANCZOS)
            sheet.paste(picture, (c * CELL[0], top + LABEL))
            place = (c * CELL[0] + 4, top + LABEL + CELL[1] - 14)
            said = f"{profile.group} {profile.diagnosis}" if c >= len(ALONE) or label in GROUPS else "nothing else"
            pen.text(place, said, "white", ImageFont.load_default(10), stroke_width=1, stroke_fill="black")
    return sheet


if __name__ == "__main__":
    main()
