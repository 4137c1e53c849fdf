"""What a request does: pictures and words in, cases out. Knows nothing of HTTP and keeps nothing of a query."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.errors import UserError
from benchmark.features import open_image
from benchmark.files import sha256
from benchmark.index.commands import hit_as_dict
from benchmark.index.model import Asked
from benchmark.index.model import Look as Found
from benchmark.index.searcher import Searcher
from benchmark.interfaces import ImageFeatures
from benchmark.serve import bodies
from benchmark.serve.uploads import decode_base64, decode_picture, thumbnail

SIDE = 512
"""Longer side of a case's picture in an answer, in pixels."""
KEPT = 256
"""Pictures and masks of the index's own cases that stay in memory."""
LONGEST_VECTOR = 1e3
log = logging.getLogger(__name__)


class Missing(UserError):
    """There is no such index, case or picture."""


class Desk:
    """The opened indexes, and everything that can be asked of them."""

    def __init__(self, searchers: Sequence[Searcher]):
        self.searchers = tuple(searchers)
        self.picture = lru_cache(KEPT)(self._picture)
        self.look = lru_cache(KEPT)(self._look)

    def warm(self) -> None:
        """Run everything once, so that the first reader does not wait for it."""
        for number, searcher in enumerate(self.searchers):
            blank = Image.new("RGB", (64, 64))
            asked = searcher.ask(searcher.model.features([blank]), "lesion" if "text" in searcher.reads else None)
            self._hits(number, asked, 1, None, {}, "")
            searcher.understand("lesion")

    def info(self) -> list[bodies.IndexInfo]:
        """Describe every index."""
        return [self._info(number) for number in range(len(self.searchers))]

    def _info(self, number: int) -> bodies.IndexInfo:
        searcher = self.searchers[number]
        manifest, layout = searcher.manifest, searcher.layout
        assert searcher.model.neutral is not None
        look = searcher.model.look(searcher.model.neutral, (64, 64))
        return bodies.IndexInfo(
            index=number,
            method=manifest.method,
            dataset=manifest.training.dataset.name,
            synthetic=manifest.synthetic,
            citation=manifest.citation,
            seed=manifest.training.seed,
            cases=manifest.count,
            reads=searcher.reads,
            local_weight=searcher.local_weight,
            parts=[bodies.Part(name=b.name, local=b.local, share=b.share) for b in layout.blocks],
            masks=list(look.names) if look else [],
            criteria=[
                bodies.Descriptor(
                    name=one.name,
                    values=[
                        bodies.Wording(value=value, phrase=one.phrases[value].canonical)
                        for value in one.values
                        if one.phrases[value].canonical
                    ],
                )
                for one in manifest.spec.criteria
            ],
            facts={name: list(values) for name, values in manifest.facts.items() if len(values) > 1},
        )

    def search(self, body: bodies.SearchBody) -> bodies.SearchAnswer:
        """Answer a query from one index or from two.

        Raises:
            UserError: there is nothing to search with, or the picture can't be read.
        """
        start = time.perf_counter()
        picture, own = self._asked_picture(body)
        features: dict[str, ImageFeatures] = {}
        answers = []
        for number in body.indexes:
            searcher = self._searcher(number)
            # Methods of one encoder share the features of the picture.
            key = searcher.model.encoder.image_fingerprint
            if picture is not None and key not in features:
                features[key] = searcher.model.features([picture], [own])
            answers.append(self._answer(number, body, features.get(key), picture, own))
        return bodies.SearchAnswer(answers=answers, milliseconds=_since(start))

    def _asked_picture(self, body: bodies.SearchBody) -> tuple[Image.Image | None, str]:
        if body.image and body.case:
            raise UserError("Ask with a picture or with a case, not with both.")
        if body.case:
            return self._opened(body.case_index, body.case)
        if not body.image:
            return None, ""
        content = decode_base64(body.image)
        return decode_picture(content), hashlib.sha256(content).hexdigest()

    def _answer(
        self, number: int, body: bodies.SearchBody, images: ImageFeatures | None, picture: Image.Image | None, own: str
    ) -> bodies.Answer:
        searcher = self.searchers[number]
        asked = searcher.ask(images, (body.text or "").strip() or None)
        has_local = searcher.local_weight is not None
        weight = body.local_weight if has_local else None
        look = searcher.model.look(images, picture.size) if images is not None and picture is not None else None
        return bodies.Answer(
            index=number,
            local_weight=searcher.local_weight if weight is None else weight,
            results=self._hits(number, asked, body.k, weight, body.filters, own),
            query=base64.b64encode(asked.vector.astype("<f4").tobytes()).decode(),
            own_picture=own,
            understood=[bodies.Reading(**asdict(one)) for one in searcher.understand(body.text)],
            look=_packed(look) if look else None,
        )

    def rank(self, body: bodies.RankBody) -> bodies.RankAnswer:
        """Answer a query that was encoded before, with other weights or filters.

        Raises:
            UserError: the query is none of this index.
        """
        start = time.perf_counter()
        searcher = self._searcher(body.index)
        try:
            vector = np.frombuffer(base64.b64decode(body.query, validate=True), dtype="<f4")
        except (binascii.Error, ValueError) as error:
            raise UserError("`query` is none that this service gave.") from error
        if vector.shape != (searcher.manifest.width,) or not np.abs(vector).max() < LONGEST_VECTOR:
            raise UserError("`query` is none that this index gave; search again.")
        asked = Asked(vector.astype(np.float32), searcher.layout)
        results = self._hits(body.index, asked, body.k, body.local_weight, body.filters, body.own_picture)
        weight = searcher.local_weight if body.local_weight is None else body.local_weight
        return bodies.RankAnswer(results=results, local_weight=weight, milliseconds=_since(start))

    def _hits(
        self, number: int, asked: Asked, k: int, weight: float | None, filters: dict[str, str], own: str
    ) -> list[bodies.Result]:
        hits = self.searchers[number].rank(asked, k, weight, filters, own)
        return [bodies.Result(**hit_as_dict(rank, hit)) for rank, hit in enumerate(hits, start=1)]

    def _picture(self, number: int, case: str) -> bytes:
        """Return a case's picture as a JPEG.

        Raises:
            Missing: there is none, or it is not the one that was indexed.
        """
        return thumbnail(self._opened(number, case)[0], SIDE)

    def _look(self, number: int, case: str) -> bodies.Look:
        """Return where a method looks on a case.

        Raises:
            Missing: there is no picture, or the method has no masks.
        """
        searcher = self._searcher(number)
        picture, content = self._opened(number, case)
        look = searcher.model.look(searcher.model.features([picture], [content]), picture.size)
        if look is None:
            raise Missing(f"{searcher.manifest.method} has no masks.")
        return _packed(look)

    def _opened(self, number: int, name: str) -> tuple[Image.Image, str]:
        """Return a case's picture and its SHA-256. Paths come from the index alone and go into no answer.

        Raises:
            Missing: there is no such case, or its picture has changed since it was indexed.
        """
        found = self._searcher(number).store.get([name])
        if not found:
            raise Missing(f"The index holds no case {name!r}.")
        case = found[0].case
        path = Path(case.picture)
        try:
            if path.is_file() and sha256(path) == case.sha256:
                return open_image(path), case.sha256
        except UserError:
            log.warning("the picture of case %s can't be read", name)
        raise Missing(f"The picture of case {name} is not where it was, or has changed since it was indexed.")

    def _searcher(self, number: int) -> Searcher:
        if number >= len(self.searchers):
            raise Missing(f"There is no index {number}; there are {len(self.searchers)}.")
        return self.searchers[number]


def _packed(look: Found) -> bodies.Look:
    height, width = look.masks.shape[1:]
    maps = [np.rint(mask * 255).astype(np.uint8).tobytes().hex() for mask in look.masks]
    return bodies.Look(names=list(look.names), grid=(height, width), maps=maps, seen=look.seen)


def _since(start: float) -> float:
    return round(1000 * (time.perf_counter() - start), 2)
