"""What is asked of the engine, by the conversation or by an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from app.model.known import known_attributes
from app.model.vocabulary import Attribute, Kinds, thing_of, thing_words
from gallery_store.crops import Filters


class RetrievalError(ValueError):
    """A query that cannot be answered; the message names the thing and says what to do."""


@dataclass(frozen=True)
class Reference:
    """One picture of the person sought: a crop of the gallery, or a file that the operator brought.

    Exactly one of `image_id` and `file` is set. place: where and when the crop was seen, in words, for the operator;
    two that differ in it alone are the same.
    """

    image_id: int | None = None
    file: Path | None = None
    place: str = field(default="", compare=False)

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
    words: tuple[tuple[str, str], ...] = ()  # kind of a wanted thing -> how the operator called it
    company: str = ""  # who is with the person, in words; for models that read free words

    @property
    def has_text(self) -> bool:
        return bool(self.wanted or self.unwanted or self.text.strip() or self.company)

    @property
    def only_free_words(self) -> bool:
        """Words outside the vocabulary, and nothing else that a crop could be compared with."""
        return self.has_text and not (self.wanted or self.unwanted or self.references)

    @property
    def kind(self) -> str:
        """One of app.model.checkpoint.KINDS_OF_QUERY. Without text and picture, filters alone list crops: "text"."""
        if not self.references:
            return "text"
        if self.has_text:
            return "image-plus-text"
        return "image-other-clothes" if self.other_clothes else "image"

    @property
    def is_empty(self) -> bool:
        """Neither words nor pictures nor filters: there is nothing to search for."""
        return not (self.references or self.has_text or not self.filters.is_empty)


def as_known(query: Query, kinds: Kinds) -> Query:
    """A query as a checkpoint with these kinds of attributes knows it.

    What it knows by an older value alone is said in the operator's own words as well; what it does not know at all goes
    along as free words.
    """
    known = known_attributes(query.wanted, query.unwanted, kinds)
    if (known.wanted, known.unwanted) == (query.wanted, query.unwanted):
        return query
    words = {thing: said for thing, said in query.words if not known.forgets(thing)}
    has = {attribute.kind: attribute.value for attribute in query.wanted}
    for attribute in (*known.taken, *known.lost):
        thing = thing_of(attribute.kind)
        if not known.forgets(thing):
            words.setdefault(thing, thing_words(thing, has))
    lost = [phrase for phrase in known.lost_words(dict(query.words)) if phrase not in query.text]
    return replace(
        query,
        wanted=known.wanted,
        unwanted=known.unwanted,
        text=", ".join(part for part in (query.text, *lost) if part),
        words=tuple(words.items()),
    )
