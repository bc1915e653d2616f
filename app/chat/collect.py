"""From items with their modes and bindings to what a message states, excludes and takes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.chat.apply import absence
from app.chat.binding import Bound
from app.chat.lexicon import Item
from app.chat.pointing import outer
from app.chat.values import Known, parts_of
from app.chat.words import GROUPS, PRONOUNS
from app.model import vocabulary
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute

_VERBS_TOO = frozenset({"spotted", "checked", "plain", "solid"})  # a pattern only beside a garment
_KIND_NAMES = {
    "gender": "gender",
    "sex": "gender",
    "age": "age",
    "build": "build",
    "pattern": "upper_pattern",
}
_COLOUR_NAMES = frozenset({"colour", "color", "colours", "colors"})


@dataclass
class Collected:
    """The lists of an Understood while they are being made."""

    wanted: dict[str, Attribute] = field(default_factory=dict)
    unwanted: list[Attribute] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    dropped_values: list[Attribute] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)  # second values of a kind, as free words
    by_pronoun: bool = False  # the gender comes from "she" alone
    question: str | None = None


def collect(items: Sequence[Item], bound: Bound, known: Known) -> Collected:
    """Gather the attributes of one message; marks the items that it used."""
    found = Collected()
    stated = list(bound.stated)
    for place, item in enumerate(items):
        if item.role == "attribute" and not item.used:
            _attribute(items, place, found, bound)
        elif item.role == "group" and not item.used:
            _group(items, place, found, stated)
    for attribute, mode in stated:
        _state(found, attribute, mode)
    _take_back_names(items, found, known)
    _gender(items, found)
    extra = list(dict.fromkeys([*bound.alternatives, *found.extra]))  # "white shirt" says "shirt" as well
    found.extra = [
        words for words in extra if not any(words in other.split() for other in extra if other != words)
    ]
    found.unwanted = [
        attribute for attribute in dict.fromkeys(found.unwanted) if attribute.kind not in found.wanted
    ]
    return found


def _state(found: Collected, attribute: Attribute, mode: str) -> None:
    if mode == "+":
        found.wanted[attribute.kind] = attribute
    elif mode == "-":
        found.unwanted.append(attribute)
    else:
        found.dropped_values.append(attribute)


def _attribute(items: Sequence[Item], place: int, found: Collected, bound: Bound) -> None:
    item = items[place]
    attribute = item.entry.attribute
    assert attribute is not None
    if attribute.kind in ("age", "build") and _garment_follows(items, place):
        item.entry = type(item.entry)("word")  # "a heavy coat", "old boots": not the person
        return
    if attribute.kind == "upper_pattern" and not _pattern_holds(items, place, bound):
        return
    if attribute.kind == "gender":
        return  # all of them together, in _gender
    item.used = True
    if attribute.value == "none":
        if item.mode == "+":
            found.unwanted.extend(absence(attribute.kind))
        else:
            found.dropped.append(attribute.kind)
        return
    if item.text in ("shoes", "shoe") and (item.mode == "+") and _coloured(attribute.kind, bound):
        return  # "white shoes" may well be sneakers: the colour is what was meant
    names_kind = _kind_named(item) == attribute.kind
    if item.mode == "-":
        found.unwanted.extend(absence(attribute.kind) if names_kind else (attribute,))
    elif item.mode == "x":
        if _colour_meant(items, place):
            found.dropped.append(COLOUR_OF.get(attribute.kind, attribute.kind))
        elif names_kind:
            found.dropped.append(attribute.kind)
        else:
            found.dropped_values.append(attribute)
    else:
        _want(items, place, attribute, found, bound)


def _coloured(thing: str, bound: Bound) -> bool:
    return any(attribute.kind == COLOUR_OF[thing] and mode == "+" for attribute, mode in bound.stated)


def _want(items: Sequence[Item], place: int, attribute: Attribute, found: Collected, bound: Bound) -> None:
    """One value of a kind per message: the first said, the later after a correction, the outer of two
    garments.
    """
    earlier = found.wanted.get(attribute.kind)
    item = items[place]
    if earlier is None or earlier == attribute:
        found.wanted[attribute.kind] = attribute
        return
    since = [other for other in items[:place] if other.used and other.entry.attribute == earlier]
    between = items[items.index(since[-1]) + 1 : place] if since else ()
    corrected = any(other.role in ("corrective", "not") or other.text == "no" for other in between)
    either = any(other.text == "or" for other in between)
    if corrected:
        found.wanted[attribute.kind] = attribute
        return
    first, second = earlier, attribute
    if not either and attribute.kind == "upper" and since and outer(item) > outer(since[-1]):
        first, second = attribute, earlier
    found.wanted[attribute.kind] = first
    word = item.text if second is attribute else second.value
    found.extra.append(word)
    bound.say(
        f"I can look for one of them at a time: I took {first.value}; “{word}” goes along as free words."
    )


def _group(
    items: Sequence[Item], place: int, found: Collected, stated: Sequence[tuple[Attribute, str]]
) -> None:
    item = items[place]
    kind = item.entry.kind or ""
    item.used = True
    can_be_absent = "none" in KINDS.get(kind, ())
    has_quality = any(attribute.kind in parts_of(kind) and mode == "+" for attribute, mode in stated)
    if item.mode == "-":
        if can_be_absent:
            found.unwanted.extend(absence(kind))
    elif item.mode == "x":
        found.dropped.append(COLOUR_OF.get(kind, kind) if _colour_meant(items, place) else kind)
    elif can_be_absent and not has_quality:
        found.freed.append(kind)
        found.extra.append(item.text)
        values = [value for value in KINDS[kind] if value != "none"]
        if len(values) > 1:
            found.question = f"Which kind of {item.text}: {', '.join(values[:-1])} or {values[-1]}?"


def _garment_follows(items: Sequence[Item], place: int) -> bool:
    """True when the next noun after an adjective is a thing: "a heavy red coat"."""
    for item in items[place + 1 :]:
        if item.thing is not None:
            return item.thing not in ("hair", "beard")
        if item.role not in ("colour", "shade", "word"):
            return False
    return False


def _pattern_holds(items: Sequence[Item], place: int, bound: Bound) -> bool:
    """Patterns are known of tops alone; "was spotted" and "I checked" are no patterns at all."""
    item = items[place]
    for other in items[place + 1 :]:
        if other.thing is not None:
            if other.thing == "upper":
                return True
            bound.say(f"I know patterns of tops alone; “{item.text} {other.text}” goes along as free words.")
            item.used = True
            bound.alternatives.append(f"{item.text} {other.text}")
            return False
        if other.role not in ("colour", "shade", "word") and other.text not in ("and", "one"):
            break
    if item.text not in _VERBS_TOO:
        return True
    before = [other for other in items[max(0, place - 3) : place] if other.role != "stop"]
    near = any(other.thing == "upper" for other in before)
    if not near:
        item.used = True
    return near


def _kind_named(item: Item) -> str | None:
    """The kind that a word names as a whole: "hat" is a hat, and any headwear."""
    for word in (item.text, item.text.removesuffix("s")):
        kind = vocabulary.GROUPS.get(word) or GROUPS.get(word)
        if kind is not None:
            return kind
    return None


def _colour_meant(items: Sequence[Item], place: int) -> bool:
    """True for "forget the colour of the jacket", "the jacket's colour doesn't matter"."""
    clause = []
    for step in (-1, 1):
        at = place + step
        while 0 <= at < len(items) and items[at].role != "stop" and items[at].thing is None:
            clause.append(items[at])
            at += step
    return any(item.text in _COLOUR_NAMES for item in clause)


def _take_back_names(items: Sequence[Item], found: Collected, known: Known) -> None:
    """ "Any age", "the colour doesn't matter": names of kinds, taken back."""
    for place, item in enumerate(items):
        if item.mode != "x":
            continue
        if item.text in _KIND_NAMES:
            found.dropped.append(_KIND_NAMES[item.text])
        elif item.text in _COLOUR_NAMES and not any(
            other.thing is not None and _colour_meant(items, at)
            for at, other in enumerate(items)
            if at != place
        ):
            colours = [attribute.kind for attribute in known.wanted if attribute.kind in COLOUR_OF.values()]
            colours += [
                attribute.kind for attribute in known.unwanted if attribute.kind in COLOUR_OF.values()
            ]
            found.dropped.extend(colours if item.text.endswith("s") else colours[-1:])


def _gender(items: Sequence[Item], found: Collected) -> None:
    """Nouns go before pronouns ("a man ... her bag"); "a man or a woman" says nothing."""
    nouns: list[Item] = []
    pronouns: list[Item] = []
    for item in items:
        attribute = item.entry.attribute
        if attribute is None or attribute.kind != "gender":
            continue
        item.used = True
        (pronouns if item.text in PRONOUNS else nouns).append(item)
    stated = [item for item in nouns if item.mode == "+"]
    for item in nouns:
        if item.mode != "+" and item.entry.attribute is not None:
            _state(found, item.entry.attribute, item.mode)
    values = list(dict.fromkeys(item.entry.attribute for item in stated if item.entry.attribute is not None))
    if len(values) > 1:
        between = items[items.index(stated[0]) : items.index(stated[-1])]
        if any(item.text == "or" for item in between):
            found.dropped.append("gender")
            return
        corrected = any(item.role in ("corrective", "not") for item in between)
        found.wanted["gender"] = values[-1] if corrected else values[0]
    elif values:
        found.wanted["gender"] = values[0]
    elif pronouns and not nouns:
        attribute = pronouns[0].entry.attribute
        if attribute is not None and pronouns[0].mode != "x":
            found.wanted["gender"] = attribute
            found.by_pronoun = True
