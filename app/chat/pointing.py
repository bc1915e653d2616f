"""Where an adjective points: the thing that a colour belongs to, and what "one" and "they" stand for."""

from __future__ import annotations

from app.chat.lexicon import Item
from app.chat.tables import listed
from app.chat.values import Known
from app.model.vocabulary import COLOUR_OF

STYLES = {"long": "long", "short": "short", "curly": "curly", "shoulder": "long"}
# Tops from the innermost to the outermost.
OUTER = ("shirt", "t-shirt", "sweater", "hoodie", "jacket", "coat")
# Words that may stand between a thing and a colour said after it: "the jacket is more of an orange".
_LINKS = frozenset(
    listed(
        """
    is was are were in of a an the it its that which looks looked like more colour color coloured
    colored very now really mostly mainly all be being seems definitely probably maybe but to from some kind
    sort bit little
    """
    )
)
CLOTHING = frozenset({"dressed", "wearing", "wears", "wore", "clad", "in", "all", "with", "and"})
_BLOCKING = frozenset(
    {"with", "wearing", "dressed", "wears", "wore", "has", "had", "carrying", "holding", "and"}
)


def target_of(items: list[Item], place: int) -> int | None:
    """The item that a colour belongs to: the noun after it, else the noun before it."""
    ahead = place + 1
    while ahead < len(items):
        item = items[ahead]
        if item.thing is not None or item.role in ("person", "one"):
            return ahead
        if item.role == "attribute":
            kind = item.entry.attribute.kind if item.entry.attribute else ""
            if kind == "upper_pattern":
                if _noun_follows(items, ahead):
                    ahead += 1
                    continue
                return ahead
            if kind == "gender":
                return ahead
            if kind not in ("age", "build"):
                break
        elif item.role in ("and", "function") and item.text in ("and", "or"):
            following = items[ahead + 1] if ahead + 1 < len(items) else None
            if following is None or following.role not in ("colour", "shade"):
                break
        elif not (
            item.role in ("colour", "shade", "word") or item.text in ("coloured", "colored", "big", "small")
        ):
            break
        ahead += 1
    return _before(items, place)


def _noun_follows(items: list[Item], place: int) -> bool:
    """ "Striped blue shirt", "blue striped shirt": a thing stands at the end of the adjectives after
    `place`.
    """
    for item in items[place + 1 :]:
        if item.thing is not None or item.role == "one":
            return True
        if item.role not in ("colour", "shade", "word"):
            return False
    return False


def _before(items: list[Item], place: int) -> int | None:
    crossed_stop = False
    for back in range(place - 1, -1, -1):
        item = items[back]
        if item.thing is not None:
            if crossed_stop and back + 2 != place:
                return None
            has_own = any(other.role == "colour" for other in items[max(0, back - 2) : back])
            linked = any(other.text in ("is", "was", "are", "were") for other in items[back + 1 : place])
            return None if has_own and not linked and owns(items, back) else back
        if item.text in (",", ":"):
            crossed_stop = crossed_stop or item.text == ","
        elif item.role in ("colour", "shade", "not", "corrective") or item.text in STYLES:
            continue
        elif item.text in ("or", "and"):
            earlier = items[back - 1 : back]
            if not any(other.role == "colour" or other.text in STYLES for other in earlier):
                return None
        elif item.text not in _LINKS or item.text in _BLOCKING:
            return None
    return None


def owns(items: list[Item], noun: int) -> bool:
    """True when the words right before a noun are a colour of its own."""
    for item in reversed(items[:noun]):
        if item.role == "colour":
            return True
        if item.role not in ("shade", "word"):
            return False
    return False


def meant_by_one(items: list[Item], place: int, known: Known) -> str | None:
    """The thing that "one" stands for in "the blue one"."""
    if items[place].role != "one":
        return None
    for item in reversed(items[:place]):
        if item.thing is not None:
            return item.thing
    return last_coloured(known) or "upper"


def last_coloured(known: Known) -> str | None:
    """The kind of the thing whose colour was said last."""
    for attribute in reversed(known.wanted):
        for thing, kind in COLOUR_OF.items():
            if kind == attribute.kind:
                return thing
    return None


def meant_by_they(items: list[Item], place: int) -> str | None:
    """The thing of "sneakers, I think they were white" and of "a cap - maybe black": the last one before the
    colour, where nothing but function words stands between and none of them begins the clothes anew.
    """
    for back in range(place - 1, -1, -1):
        item = items[back]
        if item.thing is not None:
            return item.thing if item.thing in COLOUR_OF and not owns(items, back) else None
        if item.role not in ("function", "stop", "one", "back") or item.text in CLOTHING:
            return None
    return None


def referred(items: list[Item], known: Known) -> str | None:
    """What "it" is: after "no" or "actually" the thing whose colour was said; else the last thing named."""
    corrects = any(item.role == "corrective" for item in items)
    if not corrects:
        for attribute in reversed(known.wanted):
            if attribute.kind in COLOUR_OF and known.value(COLOUR_OF[attribute.kind]) is None:
                return attribute.kind
            if attribute.kind in COLOUR_OF.values():
                break
    return last_coloured(known)


def names_unknown(items: list[Item], place: int) -> bool:
    """True for the colour of something outside the vocabulary: "a red scarf"."""
    linked = place > 0 and items[place - 1].text in ("is", "was", "are", "were", "be")
    for item in items[place + 1 :]:
        if item.role == "word":
            return not linked
        if item.role not in ("colour", "shade"):
            return False
    return False


def second_garments(items: list[Item]) -> set[int]:
    """Places of tops worn under another one: the shirt of "a white shirt under a black jacket"."""
    tops = [place for place, item in enumerate(items) if item.mode == "+" and item.role == "attribute"]
    tops = [place for place in tops if items[place].thing == "upper"]
    if len(tops) < 2:
        return set()
    between = items[tops[0] : tops[-1]]
    if any(item.role in ("corrective", "not") or item.text == "or" for item in between):
        return set()
    first = max(tops, key=lambda place: (outer(items[place]), -place))
    return {place for place in tops if place != first}


def outer(item: Item) -> int:
    """How far out a top is worn; -1 for a dress, which goes over and under nothing."""
    value = item.entry.attribute.value if item.entry.attribute else ""
    return OUTER.index(value) if value in OUTER else -1
