"""What an encoder must keep, on a few drawn pictures and texts of unlike sizes.

Shapes: b batch, n_l positions of level l, t tokens, d width.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from benchmark.adapting import AdaptiveEncoder, Labels, Lesson
from benchmark.config import parse_model
from benchmark.interfaces import Encoder, ImageFeatures, TextFeatures
from benchmark.rendering import UNSTATED
from benchmark.testing.invariance_checks import expect_same
from benchmark.testing.method_checks import BUILDS
from benchmark.testing.steps import Failed, NotApplicable, Step
from benchmark.testing.subjects import ABOUT, LOADS, Subject

SIZES = ((56, 40), (37, 53), (64, 20), (21, 67))
"""Width and height of the pictures: landscape, portrait, narrow ones, odd numbers."""
TEXTS = (
    "irregular streaks",
    "atypical pigment network, blue-whitish veil, irregular dots and globules, no regression structures",
    UNSTATED,
    "x",
)
SIDES = ("image", "text")
MEMORY = 65504.0
"""The largest number in half precision, in which features are kept."""
ALONE = "run the model in eval mode, and let padding count for nothing"


class EncoderSubject(Subject):
    """An encoder and what it makes of the pictures and texts."""

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, constructed as a run does it."""
        return self.build()

    def build(self) -> Encoder:
        """Construct another one; an adaptive one is taught by the pictures first."""
        cls = self.component.load()
        if not (isinstance(cls, type) and issubclass(cls, AdaptiveEncoder)):
            encoder: Encoder = self.component.construct(name=self.name, options=self.options)
            return encoder
        options = parse_model(self.component.options_model(), {**cls.quick, **self.given}, f"options of {self.label}")
        return taught(self.component.construct(name=self.name, options=options))

    @cached_property
    def pixels(self) -> Tensor:
        """The preprocessed pictures (b, 3, h, w)."""
        return torch.stack([self.encoder.preprocess(picture) for picture in pictures()])

    def images(self, rows: slice = slice(None)) -> ImageFeatures:
        """Encode the pictures of ``rows``."""
        with torch.inference_mode():
            return self.encoder.encode_images(self.pixels[rows])

    def texts(self, rows: slice = slice(None)) -> TextFeatures:
        """Encode the texts of ``rows``."""
        with torch.inference_mode():
            return self.encoder.encode_texts(list(TEXTS[rows]))


def pictures() -> list[Image.Image]:
    """Draw noise over a ramp in the sizes of ``SIZES``; the last picture was grey before it became RGB."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for width, height in SIZES:
        ramp = torch.linspace(0, 190, width).repeat(height, 1)[..., None]
        pixels = ramp + torch.randint(0, 64, (height, width, 3), generator=draw)
        made.append(Image.fromarray(pixels.to(torch.uint8).numpy()))
    return [*made[:-1], made[-1].convert("L").convert("RGB")]


def taught(encoder: AdaptiveEncoder) -> Encoder:
    """Return what one expert of ``encoder`` shows, taught by the pictures: two groups, one criterion of two values."""
    encoder.expect(Labels(2, (2,)))
    views = encoder.views()
    with torch.no_grad():
        images = views.encode_images(torch.stack([views.preprocess(picture) for picture in pictures()]))
    lesson = Lesson(images, torch.tensor([0, 1, 0, 1]), torch.tensor([[0], [0], [1], [1]]))
    return encoder.experts([encoder.teach(lesson, seed=0)])


def constructed(subject: EncoderSubject) -> str:
    """``Class(name, options)`` works."""
    if subject.name.endswith(":"):
        whole = f"python -m benchmark check {subject.name}NAME"
        raise NotApplicable(f"{subject.name} is a prefix; check a whole name: {whole}")
    return type(subject.encoder).__name__


def widths_are_stated(subject: EncoderSubject) -> str:
    """Widths and grids are positive numbers, one of each a level; an aligned encoder has one width."""
    e = subject.encoder
    for name in ("level_widths", "grids", "image_width", "text_width"):
        if not hasattr(e, name):
            raise Failed(f"{type(e).__name__} has no attribute {name!r}", "set it in the class or in __init__")
    numbers = [*e.level_widths, e.image_width, e.text_width, *(side for grid in e.grids for side in grid)]
    if len(e.level_widths) != len(e.grids) or not e.grids or min(numbers) < 1:
        raise Failed(f"level_widths {e.level_widths} and grids {e.grids} do not fit", "one width and (h, w) a level")
    if e.aligned and e.image_width != e.text_width:
        raise Failed(f"aligned, but image {e.image_width} and text {e.text_width} wide", "one space has one width")
    return f"levels {e.level_widths} on {e.grids}, image {e.image_width}, text {e.text_width}"


def fingerprints_are_stable(subject: EncoderSubject) -> str:
    """Two encoders of one name have the same two fingerprints."""
    other = subject.build()
    for side in SIDES:
        one, two = (getattr(encoder, f"{side}_fingerprint") for encoder in (subject.encoder, other))
        if not isinstance(one, str) or not one.strip():
            raise Failed(f"{side}_fingerprint is {one!r}", "return a digest of model, weights and preprocessing")
        if one != two:
            raise Failed(
                f"{side}_fingerprint differs between two constructions", "hash what was loaded, no time, path or id()"
            )
    digests = [re.fullmatch("[0-9a-f]{16,}", getattr(subject.encoder, f"{side}_fingerprint")) for side in SIDES]
    return "" if all(digests) else "but no hex digest: does it change whenever weights or preprocessing do?"


def preprocessing_is_uniform(subject: EncoderSubject) -> str:
    """Every picture becomes (3, h, w) float32 of one size, from several threads too."""
    with ThreadPoolExecutor(4) as pool:
        inputs = list(pool.map(subject.encoder.preprocess, pictures()))
    for picture, values in zip(pictures(), inputs, strict=True):
        where = f"preprocess of a picture {picture.width} x {picture.height}"
        if not isinstance(values, Tensor) or values.ndim != 3 or values.shape[0] != 3:
            found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise Failed(f"{where} returned {found}", "return a tensor (3, h, w)")
        if values.dtype != torch.float32 or values.shape != inputs[0].shape:
            raise Failed(
                f"{where} returned {values.dtype} {tuple(values.shape)}, the first one {tuple(inputs[0].shape)}",
                "resize every picture to one size, as float32",
            )
    if not torch.equal(torch.stack(inputs), subject.pixels):
        raise Failed(
            "preprocess differs when it is called from several threads or twice", "keep no state, draw nothing"
        )
    return f"{tuple(inputs[0].shape)}"


def images_have_shapes(subject: EncoderSubject) -> None:
    """Levels and pooled have the stated shapes, finite, also in the half precision of the cache."""
    e, images, count = subject.encoder, subject.images(), len(SIZES)
    if tuple(images.grids) != tuple(e.grids):
        raise Failed(f"encode_images returned grids {images.grids}, the encoder says {e.grids}", "return self.grids")
    expected = [(count, h * w, d) for (h, w), d in zip(e.grids, e.level_widths, strict=True)]
    found = [tuple(level.shape) for level in images.levels]
    if found != expected:
        raise Failed(f"levels are {found}, expected {expected}", "(b, h * w, d), positions in row-major order")
    _check_values("pooled image", images.pooled, (count, e.image_width))
    for i, level in enumerate(images.levels):
        _check_values(f"level {i}", level, expected[i])


def evidence_is_probable(subject: EncoderSubject) -> str:
    """What an encoder calls evidence are log-probabilities of the groups, then of each criterion's values."""
    cls = subject.component.load()
    if not getattr(cls, "evidence", False):
        return "it shows free features"
    if not issubclass(cls, AdaptiveEncoder):
        raise Failed("evidence is True, but it never hears the labels", "derive it from AdaptiveEncoder")
    classes, images = (2, 2), subject.images()  # of ``taught``
    for what, values in (("pooled", images.pooled), *((f"level {i}", one) for i, one in enumerate(images.levels))):
        if values.shape[-1] != sum(classes):
            raise Failed(
                f"{what} is {values.shape[-1]} wide, expected {sum(classes)}", "one column a group and a value"
            )
        sums = torch.stack([one.exp().sum(-1) for one in values.float().split(classes, dim=-1)])
        if not torch.allclose(sums, torch.ones_like(sums), atol=1e-2):
            raise Failed(
                f"{what}: probabilities sum to {float(sums.min()):.3g} to {float(sums.max()):.3g}", "log_softmax"
            )
    return f"of pooled and {len(images.levels)} levels"


def images_do_not_meet(subject: EncoderSubject) -> None:
    """A picture's features do not depend on its batch."""
    whole, alone = subject.images(), subject.images(slice(1, 2))
    reason = "alone, a picture gets other features than in a batch"
    expect_same(alone.pooled, whole.pooled[1:2], f"{reason}: pooled", ALONE)
    for i, level in enumerate(alone.levels):
        expect_same(level, whole.levels[i][1:2], f"{reason}: level {i}", ALONE)


def pictures_differ(subject: EncoderSubject) -> None:
    """Other pictures and other texts have other features."""
    for side, pooled in (("picture", subject.images().pooled), ("text", subject.texts().pooled)):
        if torch.allclose(pooled[0], pooled[1], rtol=1e-3, atol=0):
            raise Failed(f"two unlike {side}s have the same pooled features", f"does pooled read the {side} at all?")


def texts_have_shapes(subject: EncoderSubject) -> str:
    """Tokens, mask and pooled have the stated shapes; the longest text needs no padding."""
    e, texts, count = subject.encoder, subject.texts(), len(TEXTS)
    if texts.mask.dtype != torch.bool or texts.mask.ndim != 2 or len(texts.mask) != count:
        raise Failed(
            f"mask is {texts.mask.dtype} {tuple(texts.mask.shape)}", f"boolean ({count}, t), True on real tokens"
        )
    lengths = texts.mask.sum(1)
    places = texts.mask.shape[1]
    if lengths.min() < 1 or lengths.max() != places:
        raise Failed(f"texts of {lengths.tolist()} tokens in {places} places", "pad to the longest; no text is empty")
    _check_values("tokens", texts.tokens, (*texts.mask.shape, e.text_width))
    _check_values("pooled text", texts.pooled, (count, e.text_width))
    return f"{lengths.tolist()} tokens"


def texts_do_not_meet(subject: EncoderSubject) -> None:
    """A text's features do not depend on its batch, nor on its padding."""
    whole, alone = subject.texts(), subject.texts(slice(0, 1))
    reason = "alone, a text gets other features than beside a longer one"
    expect_same(alone.pooled, whole.pooled[:1], f"{reason}: pooled", ALONE)
    expect_same(alone.tokens[0][alone.mask[0]], whole.tokens[0][whole.mask[0]], f"{reason}: tokens", ALONE)


def encoding_is_repeatable(subject: EncoderSubject) -> None:
    """The same twice gives the same."""
    reason, hint = "encoded again, features differ", "switch dropout off with eval(), and draw nothing"
    expect_same(subject.images().pooled, subject.images().pooled, f"{reason}: pooled image", hint)
    expect_same(subject.texts().pooled, subject.texts().pooled, f"{reason}: pooled text", hint)


def _check_values(what: str, values: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(values.shape) != shape:
        raise Failed(f"{what} is {tuple(values.shape)}, expected {shape}", "widths are those that the encoder states")
    if not values.is_floating_point() or not torch.isfinite(values).all():
        raise Failed(f"{what} is {values.dtype}, or holds NaN or infinite values", "return finite floats")
    if values.abs().max() > MEMORY:
        raise Failed(f"{what} reaches {float(values.abs().max()):.3g}", "scale it: features are kept in half precision")


PREPARES = "pictures become inputs of one size"
IMAGES = "images have the stated shapes"
READS = "texts have the stated shapes"
STATES = "widths and grids are stated"
ENCODER_CHECKS = (
    *ABOUT,
    Step(
        BUILDS, constructed, (LOADS,), "mend that line; where an option can't be used, raise benchmark.errors.UserError"
    ),
    Step(STATES, widths_are_stated, (BUILDS,)),
    Step("fingerprints are stable", fingerprints_are_stable, (BUILDS,)),
    Step(PREPARES, preprocessing_is_uniform, (BUILDS,), "preprocess(image) gets an RGB picture of any size"),
    Step(IMAGES, images_have_shapes, (STATES, PREPARES), "encode_images(pixels) gets (b, 3, h, w), float32"),
    Step(READS, texts_have_shapes, (STATES,), "encode_texts(texts) gets a list of b strings"),
    Step("evidence is log-probabilities", evidence_is_probable, (IMAGES,), "or leave `evidence` False"),
    Step("encoding twice gives the same", encoding_is_repeatable, (IMAGES, READS)),
    Step("a picture does not depend on its batch", images_do_not_meet, (IMAGES,)),
    Step("a text does not depend on its batch", texts_do_not_meet, (READS,)),
    Step("unlike inputs have unlike features", pictures_differ, (IMAGES, READS)),
)
"""Checks of an encoder, in order."""
