"""How much of what a caption states is true of its picture: the chat reads it back as it reads an operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.chat.conversation import Conversation, say, to_query
from app.chat.search_state import GalleryFacts
from app.model.known import known_value
from app.model.vocabulary import ALL_KINDS, Attribute, Kinds, is_absent


def stated_facts(caption: str, kinds: Kinds = ALL_KINDS) -> tuple[Attribute, ...]:
    """What a caption says is there and is not, as far as these kinds have a value for it."""
    query = to_query(say(Conversation(), caption, GalleryFacts()))
    refused = dict.fromkeys(one.kind for one in query.unwanted)
    said = [*query.wanted, *(Attribute(kind, "none") for kind in refused if is_absent(kind, query.unwanted))]
    return tuple(known for one in said if (known := known_value(one, kinds)) is not None)


def true_facts(
    stated: Iterable[Sequence[Attribute]], visible: Iterable[Mapping[str, str]]
) -> tuple[int, int]:
    """(true, all) of the facts stated of each picture whose truth shows in it; visible: kind -> value, of each."""
    held = [
        shows[one.kind] == one.value
        for facts, shows in zip(stated, visible, strict=True)
        for one in facts
        if one.kind in shows
    ]
    return sum(held), len(held)
