"""The values that travel between the conversation, the engine and the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.model.vocabulary import Attribute
from gallery_store.crops import Filters

KINDS_OF_QUERY = ("text", "image", "image-plus-text", "image-other-clothes")


@dataclass(frozen=True)
class Reference:
    """One picture of the person sought: a crop of the gallery, or a file that the operator brought.

    Exactly one of `image_id` and `file` is set.
    """

    image_id: int | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        if (self.image_id is None) == (self.file is None):
            raise ValueError("a reference is either a crop of the gallery or a file")


@dataclass(frozen=True)
class Query:
    """All that a search needs; the engine keeps nothing between two of them.

    With references and attributes, `wanted` are the things that changed or were added since the
    pictures ("the same person, but now in a green coat").
    """

    wanted: tuple[Attribute, ...] = ()
    unwanted: tuple[Attribute, ...] = ()
    text: str = ""  # the operator's own words about the person; always reaches CLIP and the model
    references: tuple[Reference, ...] = ()
    filters: Filters = field(default_factory=Filters)
    rejected: frozenset[int] = frozenset()  # image ids
    confirmed: frozenset[int] = frozenset()  # image ids; also among the references
    other_clothes: bool = False  # the person may wear others than in the pictures

    @property
    def has_text(self) -> bool:
        return bool(self.wanted or self.unwanted or self.text.strip())

    @property
    def kind(self) -> str:
        """One of KINDS_OF_QUERY. Without text and picture, filters alone list crops: "text"."""
        if not self.references:
            return "text"
        if self.has_text:
            return "image-plus-text"
        return "image-other-clothes" if self.other_clothes else "image"

    @property
    def is_empty(self) -> bool:
        """Neither words nor pictures nor filters: there is nothing to search for."""
        return not (self.references or self.has_text or not self.filters.is_empty)


@dataclass(frozen=True)
class Candidate:
    """A crop that may show the person sought. Never an identity."""

    image_id: int
    similarity: float  # CLIP's, cosine and attributes, to the query, -1..1
    word: float | None  # the model's own, as a raw probability; None where the model was not asked
    probability: float  # calibrated P(same person), 0..1; never rises down a ranking
    weak: bool = False  # below what usually fits: listed, but not as an answer
    kin: tuple[
        int, ...
    ] = ()  # candidates that likely show one person in the same clothes; they were judged together


@dataclass(frozen=True)
class Timings:
    """Seconds."""

    encode: float = 0.0
    prefilter: float = 0.0
    rerank: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    searched: crops in the gallery that passed the filters; scored: those that the model read;
    total: crops in the gallery; nobody_fits: the model believes that nobody in the gallery matches;
    calibrated: False for a checkpoint without a manifest; stopped: the operator stopped the search and
    the rest follows in CLIP order; put_back: candidates that look like somebody rejected were put back.
    """

    candidates: tuple[Candidate, ...]
    total: int
    searched: int
    scored: int
    nobody_fits: bool
    timings: Timings = Timings()
    calibrated: bool = True
    stopped: bool = False
    put_back: bool = False
