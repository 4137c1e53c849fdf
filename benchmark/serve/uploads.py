"""A picture from bytes that a stranger sent: bounded, decoded in memory, written nowhere."""

from __future__ import annotations

import base64
import binascii
import io
import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from benchmark.errors import UserError
from benchmark.features import eight_bits

MOST_BYTES = 12_000_000
MOST_PIXELS = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""Formats of photographs. Pillow knows many more, and each is code that a stranger could reach."""


def decode_base64(text: str) -> bytes:
    """Return the bytes of a picture.

    Raises:
        UserError: they are too many, or the text is no base64.
    """
    if len(text) > MOST_BYTES * 4 // 3 + 4:
        raise UserError(f"The picture has more than {MOST_BYTES // 1_000_000} MB; make it smaller.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError("The picture did not arrive whole: it is no base64.") from error


def decode_picture(content: bytes) -> Image.Image:
    """Return the picture upright, as RGB, 8 bits a channel.

    Raises:
        UserError: it is no picture of a known format, has too many pixels, or is cut off.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            size = f"{image.width} x {image.height}"
            raise UserError(f"The picture has {size} pixels; {MOST_PIXELS // 1_000_000} million are the most.")
        image.load()
        return eight_bits(ImageOps.exif_transpose(image), Path("The picture")).convert("RGB")
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError, struct.error) as error:
        raise UserError(f"This can't be read as a picture. Known are {', '.join(FORMATS)}.") from error


def thumbnail(picture: Image.Image, side: int) -> bytes:
    """Return a JPEG whose longer side is at most ``side``, without metadata."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return stream.getvalue()
