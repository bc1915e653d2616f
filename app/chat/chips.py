"""What is understood, as chips that can be taken away by hand: "red jacket", "no hat", "camera 3",
"photo".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.apply import is_absent
from app.chat.cameras import camera_label
from app.chat.days import day_label
from app.chat.times import time_label
from app.chat.values import Known, parts_of, thing_of
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute, article, phrase
from app.retrieval.query import Reference

OTHER_CLOTHES = "clothes:other"
_NOUNS = {"upper": "top", "lower": "bottoms", "hair": "hair"}


@dataclass(frozen=True)
class Chip:
    """key: stable while its content stays; kind: "wanted", "unwanted", "filter", "reference" or "text"."""

    key: str
    label: str
    kind: str


def chips_of(known: Known) -> tuple[Chip, ...]:
    """Pictures first, then what is wanted, what is not, free words, filters. Keys are unique."""
    chips = [
        Chip(_reference_key(reference), _reference_label(reference), "reference")
        for reference in known.references
    ]
    if known.other_clothes:
        chips.append(Chip(OTHER_CLOTHES, "perhaps other clothes", "wanted"))
    chips += [
        Chip(f"wanted:{thing}", thing_label(thing, parts), "wanted")
        for thing, parts in things_in(known.wanted)
    ]
    chips += [Chip(key, label, "unwanted") for key, label, _ in _unwanted(known)]
    chips += [Chip(f"text:{words}", f"“{words}”", "text") for words in known.text]
    chips += [Chip(key, label, "filter") for key, label, _ in _filters(known)]
    return tuple(chips)


def without_chip(known: Known, key: str) -> Known | None:
    """What is known without one chip, or None where there is no such chip."""
    role, _, name = key.partition(":")
    if key not in {chip.key for chip in chips_of(known)}:
        return None
    if role == "reference":
        gone = next(reference for reference in known.references if _reference_key(reference) == key)
        return replace(
            known,
            references=tuple(reference for reference in known.references if reference != gone),
            confirmed=tuple(image for image in known.confirmed if image != gone.image_id),
        )
    if key == OTHER_CLOTHES:
        return replace(known, other_clothes=False)
    if role == "wanted":
        return replace(known, wanted=tuple(a for a in known.wanted if a.kind not in parts_of(name)))
    if role == "unwanted":
        gone_values = next(values for other, _, values in _unwanted(known) if other == key)
        return replace(known, unwanted=tuple(a for a in known.unwanted if a not in gone_values))
    if role == "text":
        return replace(known, text=tuple(words for words in known.text if words != name))
    return next(after for other, _, after in _filters(known) if other == key)


def hidden_by(known: Known) -> tuple[tuple[str, Known], ...]:
    """Each filter's label, and what is known without it: for counting how many crops it hides."""
    return tuple((label, after) for _, label, after in _filters(known))


def things_in(attributes: Sequence[Attribute]) -> list[tuple[str, list[Attribute]]]:
    """(kind of thing, its attributes) of each thing, in the vocabulary's order."""
    order = list(KINDS)
    things = sorted({thing_of(attribute.kind) for attribute in attributes}, key=order.index)
    return [(thing, [a for a in attributes if a.kind in parts_of(thing)]) for thing in things]


def with_article(label: str) -> str:
    """ "red jacket" -> "a red jacket"; "jeans", "long hair", "no hat" and "young" stand as they are."""
    last = label.split()[-1]
    if last in ("hair", "young", "middle-aged", "elderly", "bald", "curly") or label.startswith("no "):
        return label
    return article(label) + label


def thing_label(thing: str, parts: Sequence[Attribute]) -> str:
    """A thing with its colour and pattern in one: "red striped shirt", "long black hair", "red bag"."""
    has = {attribute.kind: attribute for attribute in parts}
    if thing not in COLOUR_OF:
        return phrase(parts[0])
    colour, pattern = has.get(COLOUR_OF[thing]), has.get("upper_pattern") if thing == "upper" else None
    worn = has.get(thing)
    if thing == "hair":
        style = worn.value if worn else ""
        if style in ("ponytail", "bun", "bald"):
            return f"{colour.value} {style}" if colour else style
        return " ".join(word for word in (style, colour.value if colour else "", "hair") if word)
    noun = worn.value if worn else _NOUNS.get(thing, thing)
    return " ".join([*(a.value for a in (colour, pattern) if a is not None), noun])


def _unwanted(known: Known) -> list[tuple[str, str, tuple[Attribute, ...]]]:
    """(key, label, attributes) of each exclusion; all hats together are "no hat"."""
    rows: list[tuple[str, str, tuple[Attribute, ...]]] = []
    for kind in dict.fromkeys(attribute.kind for attribute in known.unwanted):
        values = tuple(attribute for attribute in known.unwanted if attribute.kind == kind)
        if is_absent(kind, values):
            rows.append((f"unwanted:{kind}", f"no {kind}", values))
        else:
            rows += [(f"unwanted:{kind}={a.value}", f"not {excluded_label(a)}", (a,)) for a in values]
    return rows


def excluded_label(attribute: Attribute) -> str:
    """ "a backpack", "red top", "young"; after "not"."""
    if attribute.kind in ("bag", "hat", "upper", "umbrella", "gender"):
        return with_article(attribute.value)
    return phrase(attribute)


def _filters(known: Known) -> list[tuple[str, str, Known]]:
    """(key, label, what is known without it) of each filter."""
    filters = known.filters
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
    if time_label(filters):
        rows.append(("filter:time", time_label(filters), replace(filters, after=None, before=None)))
    for tag in filters.tags:
        rest = tuple(other for other in filters.tags if other != tag)
        rows.append((f"filter:tag={tag}", f"tag {tag}", replace(filters, tags=rest)))
    return [(key, label, replace(known, filters=after)) for key, label, after in rows]


def _reference_key(reference: Reference) -> str:
    return f"reference:{reference.image_id if reference.image_id is not None else reference.file}"


def _reference_label(reference: Reference) -> str:
    return f"crop {reference.image_id}" if reference.image_id is not None else "photo"
