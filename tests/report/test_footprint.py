"""Which part of a picture an encoder sees, on encoders that squash, crop and pad."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmark.errors import UserError
from benchmark.report.html.footprint import seen_part

SQUARE = (60, 60)


@pytest.mark.parametrize(
    ("preprocess", "seen"),
    [
        (lambda picture: picture.resize(SQUARE), (0, 0, 1, 1)),
        (lambda picture: ImageOps.fit(picture, SQUARE), (1 / 6, 0, 5 / 6, 1)),  # a sixth of the width off at each side
        (lambda picture: ImageOps.pad(picture, SQUARE), (0, -0.25, 1, 1.25)),  # 1.5 heights, the picture in the middle
    ],
    ids=["squashed", "cropped", "padded"],
)
def test_a_ramp_shows_which_part_of_a_picture_an_encoder_sees(preprocess, seen):
    def normalised(picture: Image.Image):
        return (np.asarray(preprocess(picture), dtype=np.float32).transpose(2, 0, 1) - 120) / 50

    assert seen_part(normalised, 180, 120) == pytest.approx(seen, abs=0.01)


def test_no_mask_is_laid_over_a_picture_that_its_encoder_mirrors():
    with pytest.raises(UserError, match="turns or warps"):
        seen_part(lambda picture: np.asarray(ImageOps.mirror(picture)).transpose(2, 0, 1), 180, 120)
