"""What is understood, as chips that can be taken away by hand: "red jacket", "no hat", "camera 3",
"photo".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.labels import (
    camera_label,
    day_label,
    excluded_label,
    span_label,
    thing_label,
    things_in,
    time_label,
)
from app.chat.search_state import SearchState
from app.model.known import known_attributes
from app.model.vocabulary import ALL_KINDS, Attribute, Kinds, absence_words, is_absent, kinds_of
from app.retrieval.query import Reference
from gallery_store.crops import Filters

OTHER_CLOTHES = "clothes:other"
ALL_FILTERS = "filter:all"
NOT_READ = "not read by this model"


@dataclass(frozen=True)
class Chip:
    """key: stable while its content stays; kind: "wanted", "unwanted", "filter", "reference" or "text". words: what
    it was read from, where the operator called it otherwise. unread: what the model makes of it, where it does not know
    all of it."""

    key: str
    label: str
    kind: str
    words: str = ""
    unread: str = ""


def chips_of(state: SearchState, kinds: Kinds = ALL_KINDS) -> tuple[Chip, ...]:
    """Pictures, what is wanted, what is not, who is with the person, free words, filters. Keys are unique.

    kinds: of attributes that the model knows, with their values.
    """
    chips = [
        Chip(_reference_key(reference), _reference_label(reference), "reference")
        for reference in state.references
    ]
    if state.other_clothes:
        chips.append(Chip(OTHER_CLOTHES, "perhaps other clothes", "wanted"))
    chips += [
        Chip(
            f"wanted:{thing}",
            thing_label(thing, parts),
            "wanted",
            dict(state.words).get(thing, ""),
            _unread(thing, parts, kinds),
        )
        for thing, parts in things_in(state.wanted)
    ]
    chips += [
        Chip(
            key,
            label,
            "unwanted",
            unread=NOT_READ if known_attributes((), values, kinds).lost_unwanted else "",
        )
        for key, label, values in _unwanted(state)
    ]
    chips += [
        Chip(f"with:{companion.who}", f"{companion.relation}: {companion.in_words}", "text")
        for companion in state.companions
    ]
    chips += [Chip(f"text:{words}", f"“{words}”", "text") for words in state.text]
    chips += [Chip(key, label, "filter") for key, label, _ in _filters(state)]
    return tuple(chips)


def _unread(thing: str, attributes: Sequence[Attribute], kinds: Kinds) -> str:
    """ "read as shoes", "read as red jacket", "not read by this model"; "" where the model knows all of it."""
    known = known_attributes(attributes, (), kinds)
    if not (known.taken or known.lost):
        return ""
    return f"read as {thing_label(thing, known.wanted)}" if known.wanted else NOT_READ


def without_chip(state: SearchState, key: str) -> SearchState | None:
    """What is known without one chip, or without ALL_FILTERS; None where there is no such chip."""
    if key == ALL_FILTERS:
        return None if state.filters.is_empty else replace(state, filters=Filters())
    role, _, name = key.partition(":")
    if key not in {chip.key for chip in chips_of(state)}:
        return None
    if role == "reference":
        gone = next(reference for reference in state.references if _reference_key(reference) == key)
        return replace(
            state,
            references=tuple(reference for reference in state.references if reference != gone),
            confirmed=tuple(image for image in state.confirmed if image != gone.image_id),
        )
    if key == OTHER_CLOTHES:
        return replace(state, other_clothes=False)
    if role == "wanted":
        return replace(
            state,
            wanted=tuple(a for a in state.wanted if a.kind not in kinds_of(name)),
            words=tuple((thing, words) for thing, words in state.words if thing != name),
        )
    if role == "unwanted":
        gone_values = next(values for other, _, values in _unwanted(state) if other == key)
        return replace(state, unwanted=tuple(a for a in state.unwanted if a not in gone_values))
    if role == "with":
        return replace(state, companions=tuple(one for one in state.companions if one.who != name))
    if role == "text":
        return replace(state, text=tuple(words for words in state.text if words != name))
    return next(after for other, _, after in _filters(state) if other == key)


def hidden_by(state: SearchState) -> tuple[tuple[str, SearchState], ...]:
    """Each filter's label, and what is known without it: for counting how many crops it hides."""
    return tuple((label, after) for _, label, after in _filters(state))


def _unwanted(state: SearchState) -> list[tuple[str, str, tuple[Attribute, ...]]]:
    """(key, label, attributes) of each exclusion; all hats together are "no hat"."""
    rows: list[tuple[str, str, tuple[Attribute, ...]]] = []
    for kind in dict.fromkeys(attribute.kind for attribute in state.unwanted):
        values = tuple(attribute for attribute in state.unwanted if attribute.kind == kind)
        if is_absent(kind, values):
            rows.append((f"unwanted:{kind}", absence_words(kind), values))
        else:
            rows += [(f"unwanted:{kind}={a.value}", f"not {excluded_label(a)}", (a,)) for a in values]
    return rows


def _filters(state: SearchState) -> list[tuple[str, str, SearchState]]:
    """(key, label, what is known without it) of each filter."""
    filters = state.filters
    rows = []
    for camera in filters.cameras:
        rest = tuple(other for other in filters.cameras if other != camera)
        rows.append((f"filter:camera={camera}", camera_label(camera), replace(filters, cameras=rest)))
    for camera in filters.not_cameras:
        rest = tuple(other for other in filters.not_cameras if other != camera)
        rows.append(
            (f"filter:not-camera={camera}", f"not {camera_label(camera)}", replace(filters, not_cameras=rest))
        )
    for day in filters.days:
        rest_days = tuple(other for other in filters.days if other != day)
        rows.append((f"filter:day={day.isoformat()}", day_label(day), replace(filters, days=rest_days)))
    if span_label(filters):
        rows.append(("filter:span", span_label(filters), replace(filters, since=None, until=None)))
    if time_label(filters):
        rows.append(("filter:time", time_label(filters), replace(filters, after=None, before=None)))
    for tag in filters.tags:
        rest = tuple(other for other in filters.tags if other != tag)
        rows.append((f"filter:tag={tag}", f"tag {tag}", replace(filters, tags=rest)))
    return [(key, label, replace(state, filters=after)) for key, label, after in rows]


def _reference_key(reference: Reference) -> str:
    return f"reference:{reference.image_id if reference.image_id is not None else reference.file}"


def _reference_label(reference: Reference) -> str:
    if reference.image_id is None:
        return "photo"
    return f"person: {reference.place or 'a chosen picture'}"
