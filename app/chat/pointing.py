"""Where an adjective points: the thing that a colour belongs to, and what "one" and "they" stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from app.chat.lexicon import THINGS, Span
from app.chat.search_state import SearchState
from app.chat.words import listed
from app.model.vocabulary import COLOUR_OF, QUALITIES_OF, thing_of

STYLES = {"long": "long", "short": "short", "curly": "curly", "shoulder": "long"}
# Tops from the innermost to the outermost.
OUTER = ("shirt", "t-shirt", "sweater", "hoodie", "vest", "suit", "jacket", "coat", "high-vis")
# Words that may stand between a thing and a colour said after it: "the jacket is more of an orange".
_LINKS = frozenset(
    listed(
        """
    is was are were in of a an the it its that which looks looked like more colour color coloured
    colored very now really mostly mainly all be being seems definitely probably maybe but to from some kind
    sort bit little dyed painted
    """
    )
)
CLOTHING = frozenset({"dressed", "wearing", "wears", "wore", "clad", "in", "all", "with", "and"})
_JOINTS = frozenset({"and", "or", "/"})
_ARTICLES = frozenset({"a", "an"})
_IT = frozenset({"it", "they", "that", "those", "these"})
_SENTENCE_ENDS = frozenset(".;!?\n")
_LAYERS = frozenset({"over", "under", "underneath", "beneath"})
_BLOCKING = frozenset(
    {"with", "wearing", "dressed", "wears", "wore", "has", "had", "carrying", "holding", "and"}
)


def target_of(spans: Sequence[Span], position: int) -> int | None:
    """The span that a colour belongs to: the noun after it, else the noun before it."""
    ahead = position + 1
    while ahead < len(spans):
        span = spans[ahead]
        if span.thing is not None or span.role in ("person", "one"):
            return ahead
        if span.role == "attribute":
            kind = span.entry.attribute.kind if span.entry.attribute else ""
            if kind == "upper_pattern":
                if _noun_follows(spans, ahead):
                    ahead += 1
                    continue
                return ahead
            if kind in ("gender", "upper_print"):
                return ahead
            if kind not in ("age", "build", *QUALITIES_OF["upper"]):
                break
        elif span.text in _JOINTS:
            ahead = _joined(spans, position, ahead)
            if not ahead:
                break
            continue
        elif not (
            span.role in ("colour", "shade", "word") or span.text in ("coloured", "colored", "big", "small")
        ):
            break
        ahead += 1
    return _before(spans, position)


def _joined(spans: Sequence[Span], position: int, joint: int) -> int:
    """Where the colour stands that "and", "or" or "/" joins to the one at `position`: "black and white trainers", "a
    blue and a red bag"; 0 where none does.
    """
    following = joint + 1
    parallel = spans[following : following + 1] and spans[following].text in _ARTICLES
    if parallel and spans[joint].text != "/" and _is_after_article(spans, position):
        following += 1
    joins = following < len(spans) and spans[following].role in ("colour", "shade")
    return following if joins else 0


def _is_after_article(spans: Sequence[Span], position: int) -> bool:
    before = position - 1
    while before > 0 and spans[before].role == "shade":
        before -= 1
    return before >= 0 and spans[before].text in _ARTICLES


def _noun_follows(spans: Sequence[Span], position: int) -> bool:
    """ "Striped blue shirt", "blue striped shirt": a thing stands at the end of the adjectives after
    `position`.
    """
    for span in spans[position + 1 :]:
        if span.thing is not None or span.role == "one":
            return True
        if span.role not in ("colour", "shade", "word") and not is_quality(span):
            return False
    return False


def is_quality(span: Span) -> bool:
    """Whether it says what a top is like: "striped", "short-sleeved", "partly red"."""
    attribute = span.entry.attribute
    return attribute is not None and attribute.kind in QUALITIES_OF["upper"]


def _before(spans: Sequence[Span], position: int) -> int | None:
    """The noun before a colour: "the jacket is red", "a cap, blue"; None where another word parts them."""
    crossed_stop = False
    for back in range(position - 1, -1, -1):
        span = spans[back]
        if span.thing is not None:
            if crossed_stop and back + 2 != position and spans[back + 1].text != ":":
                return None
            if spans[position].mode == "-" and _is_denied_of(spans, back, position):
                return back
            has_own = any(other.role == "colour" for other in spans[max(0, back - 2) : back])
            linked = any(other.text in ("is", "was", "are", "were") for other in spans[back + 1 : position])
            return None if has_own and not linked and owns(spans, back) else back
        if span.text in (",", ":"):
            crossed_stop = crossed_stop or span.text == ","
        elif span.role in ("colour", "shade", "not", "corrective") or span.text in STYLES:
            continue
        elif span.text in ("or", "and"):
            earlier = spans[back - 1 : back]
            if not any(other.role == "colour" or other.text in STYLES for other in earlier):
                return None
        elif span.text not in _LINKS or span.text in _BLOCKING:
            return None
    return None


def _is_denied_of(spans: Sequence[Span], noun: int, colour: int) -> bool:
    """ "Blue jeans not black", "a red coat, not green or blue": the colour is denied of the noun, whatever it has."""
    between = [span for span in spans[noun + 1 : colour] if span.text != ","]
    return (
        bool(between)
        and between[0].role == "not"
        and all(span.role == "colour" or span.text in ("or", "nor") for span in between[1:])
    )


def owns(spans: Sequence[Span], noun: int) -> bool:
    """True when the words right before a noun are a colour of its own."""
    for span in reversed(spans[:noun]):
        if span.role == "colour":
            return True
        if span.role not in ("shade", "word"):
            return False
    return False


def meant_by_one(
    spans: Sequence[Span], position: int, state: SearchState, asked: str | None = None
) -> str | None:
    """The thing that "one" stands for in "the blue one". asked: the kind that the assistant asked about last."""
    if spans[position].role != "one":
        return None
    for span in reversed(spans[:position]):
        if span.thing is not None:
            return span.thing
    asked_thing = thing_of(asked) if asked is not None else None
    return asked_thing if asked_thing in THINGS else last_coloured(state) or "upper"


def last_coloured(state: SearchState) -> str | None:
    """The kind of the thing whose colour was said last."""
    for attribute in reversed(state.wanted):
        for thing, kind in COLOUR_OF.items():
            if kind == attribute.kind:
                return thing
    return None


def meant_by_they(spans: Sequence[Span], position: int) -> str | None:
    """The thing of "sneakers, I think they were white" and of "a cap - maybe black": the last one before the
    colour, where nothing but function words stands between and none of them begins the clothes anew.
    """
    for back in range(position - 1, -1, -1):
        span = spans[back]
        if span.thing is not None:
            return span.thing if span.thing in COLOUR_OF and not owns(spans, back) else None
        if span.role not in ("function", "stop", "one", "back") or span.text in CLOTHING:
            return None
    return None


def carried_on(spans: Sequence[Span], position: int, things: Mapping[int, str]) -> str | None:
    """The thing of a colour that goes on from an earlier one: "the bag isn't black, it's brown", "his shoes were white,
    maybe grey"; or that is denied of what stands before it: "dark jeans, not black". things: position of a colour bound
    already -> its thing.
    """
    by_pronoun = stopped = False
    for back in range(position - 1, -1, -1):
        span = spans[back]
        if span.role == "colour":
            return things.get(back)
        by_pronoun |= span.text in _IT
        if span.role == "stop":
            stopped = True
            if span.text in _SENTENCE_ENDS and not by_pronoun:
                return None
        elif stopped and spans[position].mode == "-" and span.mode == "+" and span.thing in COLOUR_OF:
            return span.thing
        elif span.role == "one":  # "two bags, one blue and one black"
            continue
        elif span.role not in ("function", "not", "corrective", "shade") or span.text in CLOTHING - {"and"}:
            return None
    return None


def referred(spans: Sequence[Span], state: SearchState) -> str | None:
    """What "it" is: after "no" or "actually" the thing whose colour was said; else the last thing named."""
    corrects = any(span.role == "corrective" for span in spans)
    if not corrects:
        for attribute in reversed(state.wanted):
            if attribute.kind in COLOUR_OF and state.value(COLOUR_OF[attribute.kind]) is None:
                return attribute.kind
            if attribute.kind in COLOUR_OF.values():
                break
    return last_coloured(state)


def names_unknown(spans: Sequence[Span], position: int) -> bool:
    """True for the colour of something outside the vocabulary: "a red scarf", "red or blue gloves"."""
    linked = position > 0 and spans[position - 1].text in ("is", "was", "are", "were", "be")
    for at, span in enumerate(spans[position + 1 :], start=position + 1):
        if span.text in STYLES:  # "hair: brown, long"
            continue
        if span.role == "word":
            return not linked
        joins = (
            span.text in ("and", "or") and at + 1 < len(spans) and spans[at + 1].role in ("colour", "shade")
        )
        if not (span.role in ("colour", "shade") or joins):
            return False
    return False


def second_garments(spans: Sequence[Span]) -> set[int]:
    """Places of tops worn under another one: the shirt of "a white shirt under a black jacket"."""
    tops = [position for position, span in enumerate(spans) if span.mode == "+" and span.thing == "upper"]
    groups = [position for position in tops if spans[position].role == "group"]
    over = any(span.text in _LAYERS for span in spans[tops[0] : tops[-1]]) if tops else False
    tops = [position for position in tops if over or position not in groups]
    if len(tops) < 2:
        return set()
    for at in range(tops[0], tops[-1]):
        if spans[at].role == "corrective" or spans[at].text == "or" or denies(spans, at, "upper"):
            return set()
    first = _outermost(spans, tops)
    return {position for position in tops if position != first}


def denies(spans: Sequence[Span], position: int, kind: str) -> bool:
    """Whether "not" or "no" at `position` may be of a kind of thing: of no top in "a suit, no tie, a shirt"."""
    if spans[position].role != "not":
        return False
    for span in spans[position + 1 :]:
        if span.role == "stop" or span.thing is not None:
            return span.thing in (None, kind)
    return True


def _outermost(spans: Sequence[Span], tops: Sequence[int]) -> int:
    """The place of the top that is worn over the others: as it is said ("a vest over a coat"), else as it is usual."""
    for one, two in pairwise(tops):
        said = {span.text for span in spans[one:two]} & _LAYERS
        if len(tops) == 2 and len(said) == 1:
            return one if said == {"over"} else two
    return max(tops, key=lambda position: (outer(spans[position]), -position))


def outer(span: Span) -> int:
    """How far out a top is worn; -1 for a dress, which goes over and under nothing."""
    value = span.entry.attribute.value if span.entry.attribute else ""
    return OUTER.index(value) if value in OUTER else -1
