"""What every encoder must keep, and the files that stand in for weights nobody can fetch here."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save

from benchmark.interfaces import Encoder

TEXTS = ["thin border", "thick border , dark spot", "none"]


class Harmful:
    """A class of the test's own: a pickle that holds one would import this module when it is read."""


def pictures(count: int = 3) -> list[Image.Image]:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 40, 56, 3), dtype=torch.uint8, generator=draw)
    return [Image.fromarray(picture.numpy()) for picture in pixels]


def check_shapes(encoder: Encoder) -> None:
    """Levels, grids, widths and masks are what the encoder promises, and finite."""
    with torch.inference_mode():
        images = encoder.encode_images(torch.stack([encoder.preprocess(picture) for picture in pictures()]))
        texts = encoder.encode_texts(TEXTS)
    assert images.grids == encoder.grids
    expected = [(3, h * w, d) for (h, w), d in zip(encoder.grids, encoder.level_widths, strict=True)]
    assert [tuple(level.shape) for level in images.levels] == expected
    assert images.pooled.shape == (3, encoder.image_width)
    assert texts.tokens.shape == (*texts.mask.shape, encoder.text_width)
    assert texts.pooled.shape == (3, encoder.text_width)
    assert texts.mask.dtype == torch.bool
    assert texts.mask.shape[1] == texts.mask.sum(1).max()
    assert texts.mask.any(dim=1).all()
    for values in (*images.levels, images.pooled, texts.tokens, texts.pooled):
        assert torch.isfinite(values).all()


def check_batches(encoder: Encoder) -> None:
    """What an image or a text becomes does not depend on its company."""
    pixels = torch.stack([encoder.preprocess(picture) for picture in pictures()])
    with torch.inference_mode():
        together, alone = encoder.encode_images(pixels), encoder.encode_images(pixels[1:2])
        all_texts, one_text = encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS[:1])
    torch.testing.assert_close(together.pooled[1:2], alone.pooled, atol=1e-4, rtol=1e-4)
    for several, single in zip(together.levels, alone.levels, strict=True):
        torch.testing.assert_close(several[1:2], single, atol=1e-4, rtol=1e-4)
    length = int(one_text.mask.sum())
    torch.testing.assert_close(all_texts.tokens[:1, :length], one_text.tokens, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(all_texts.pooled[:1], one_text.pooled, atol=1e-4, rtol=1e-4)


def damaged_checkpoints(folder: Path) -> dict[str, Path]:
    """Write a truncated safetensors file, a truncated torch file, a foreign one and a pickle that needs more."""
    files = {name: folder / name for name in ("cut.safetensors", "cut.pt", "words.pt", "pickle.pt")}
    files["cut.safetensors"].write_bytes(save({"a": torch.zeros(9)})[:-7])
    torch.save({"a": torch.zeros(99)}, files["cut.pt"])
    files["cut.pt"].write_bytes(files["cut.pt"].read_bytes()[:300])
    files["words.pt"].write_text("not a checkpoint at all")
    torch.save({"model": Harmful()}, files["pickle.pt"])
    return files


DAMAGE = {
    "cut.safetensors": "can't be read as a checkpoint, it is truncated",
    "cut.pt": "can't be read as a checkpoint, it is truncated",
    "words.pt": "can't be read as a checkpoint, it is truncated",
    "pickle.pt": "it holds more than tensors, and reading it would run code",
}
