"""What is asked of the API and what it answers. These models are its OpenAPI."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_TEXT = 2_000
MOST_K = 50
Share = Annotated[float, Field(ge=0, le=1, description="share of the criteria in the score; none = the method's own")]
Filters = Annotated[
    dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16, description="fact -> value, all must hold")
]


class Body(BaseModel):
    """Base of what is asked: an unknown key or a NaN is a mistake."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SearchBody(Body):
    """A search: a picture or a case of an index, a text, or both."""

    indexes: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1, max_length=2, description="one, or two")
    image: str | None = Field(None, description="picture in base64: JPEG, PNG, WebP, TIFF or BMP")
    case: str | None = Field(None, max_length=256, description="instead of a picture: id of a case")
    case_index: int = Field(0, ge=0, description="number of the index of that case")
    text: str | None = Field(None, max_length=MOST_TEXT, description="findings in words")
    k: int = Field(10, ge=1, le=MOST_K)
    local_weight: Share | None = None
    filters: Filters = Field(default_factory=dict)


class RankBody(Body):
    """The same query with other weights or filters. Nothing of a query is kept here, so its vector comes along."""

    index: int = Field(0, ge=0)
    query: str = Field(max_length=400_000, description="`query` of an answer")
    own_picture: str = Field("", max_length=64, description="`own_picture` of an answer")
    k: int = Field(10, ge=1, le=MOST_K)
    local_weight: Share | None = None
    filters: Filters = Field(default_factory=dict)


class Part(BaseModel):
    """One part of a score."""

    name: str
    local: bool
    share: float


class Result(BaseModel):
    """One case that was found. ``parts`` add up to ``score``."""

    rank: int
    id: str
    score: float
    parts: dict[str, float]
    group: str
    diagnosis: str
    facts: dict[str, str]
    same_picture: bool


class Reading(BaseModel):
    """What one clause of the text came closest to."""

    clause: str
    similarity: float
    criterion: str | None
    value: str | None
    wording: str | None


class Look(BaseModel):
    """Where a method looks on a picture: ``maps`` hold a byte a cell of ``grid`` (rows, columns) in hex, one a name;
    the grid covers the part ``seen`` (left, top, right, bottom) of the picture.
    """

    names: list[str]
    grid: tuple[int, int]
    maps: list[str]
    seen: tuple[float, float, float, float]


class Answer(BaseModel):
    """What one index answers."""

    index: int
    local_weight: float | None
    results: list[Result]
    query: str
    own_picture: str
    understood: list[Reading]
    look: Look | None


class SearchAnswer(BaseModel):
    """The answers of the indexes that were asked, in their order."""

    answers: list[Answer]
    milliseconds: float


class RankAnswer(BaseModel):
    """One index's answer to a query that it has seen before."""

    results: list[Result]
    local_weight: float | None
    milliseconds: float


class Wording(BaseModel):
    """A value of a criterion and how it is worded."""

    value: str
    phrase: str


class Descriptor(BaseModel):
    """A criterion and its values."""

    name: str
    values: list[Wording]


class IndexInfo(BaseModel):
    """One index that can be asked."""

    index: int
    method: str
    dataset: str
    synthetic: bool
    citation: str
    seed: int
    cases: int
    reads: str
    local_weight: float | None
    parts: list[Part]
    masks: list[str]
    criteria: list[Descriptor]
    facts: dict[str, list[str]]


class Health(BaseModel):
    """Whether the service can answer."""

    status: str
    indexes: int
    cases: int
    inside: int
    most: int


class Problem(BaseModel):
    """What went wrong, in a sentence."""

    error: str
