"""Strong augmentation of dermoscopic pictures: orientation and scale mean nothing there, exact colours little."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

MARGIN = 1.5
"""Pictures are reduced to this multiple of the wanted size first, so that sampling skips few pixels."""


def augmented(image: Image.Image, size: tuple[int, int], draw: np.random.Generator) -> Image.Image:
    """Return a view of ``image``, ``size`` = (width, height) in pixels: turned by up to 25 degrees, sheared by up to 8,
    mirrored along either axis, cut to 45 to 100 % of its area at a side ratio of 1.2 to 1.8, and with brightness,
    contrast (within 25 %) and saturation (within 20 %) changed. What lies outside the picture is black.
    """
    width, height = size
    source = ImageOps.fit(image, (round(MARGIN * width), round(MARGIN * height)), Image.Resampling.BICUBIC)
    view = source.transform(size, Image.Transform.AFFINE, _map(source.size, size, draw), Image.Resampling.BICUBIC)
    for change, most in ((ImageEnhance.Brightness, 0.25), (ImageEnhance.Contrast, 0.25), (ImageEnhance.Color, 0.2)):
        view = change(view).enhance(draw.uniform(1 - most, 1 + most))
    return view


def _map(source: tuple[int, int], size: tuple[int, int], draw: np.random.Generator) -> tuple[float, ...]:
    """Return the six coefficients (a, b, c, d, e, f) that take a pixel (x, y) of the view to (a x + b y + c, d x + e y
    + f) of the source.
    """
    area = source[0] * source[1] * draw.uniform(0.45, 1.0)
    ratio = math.exp(draw.uniform(math.log(1.2), math.log(1.8)))
    cut = (min(math.sqrt(area * ratio), source[0]), min(math.sqrt(area / ratio), source[1]))
    centre = [draw.uniform(part / 2, whole - part / 2) for part, whole in zip(cut, source, strict=True)]
    turn, shear = (math.radians(draw.uniform(-most, most)) for most in (25, 8))
    scale = [part / whole * draw.choice((-1, 1)) for part, whole in zip(cut, size, strict=True)]
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    linear = turned @ np.array([[1, math.tan(shear)], [0, 1]]) @ np.diag(scale)
    shift = np.array(centre) - linear @ (np.array(size) / 2)
    return tuple(float(value) for value in (*linear[0], shift[0], *linear[1], shift[1]))
