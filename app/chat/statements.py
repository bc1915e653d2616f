"""What a message states, excludes and takes back, from its spans with their modes and bindings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.chat.binding import Bound
from app.chat.labels import kind_label
from app.chat.lexicon import Span
from app.chat.pointing import denies, is_quality, second_garments
from app.chat.qualities import after_adult, kind_of, part_of_top
from app.chat.search_state import SearchState
from app.chat.words import FIGURES, GROUPS, PRONOUNS, listed
from app.model import vocabulary
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, Attribute, absence, and_list, is_absent, kinds_of

_DEFINITE = frozenset({"the", "his", "her", "their", "that", "this"})
_DONE_UP = frozenset({"bun", "ponytail"})  # of hair that may be called long as well
_VERBS_TOO = frozenset({"spotted", "checked", "plain", "solid"})  # a pattern only beside a garment
_LINKS = frozenset(listed("with has had have having is was are were"))  # between a thing and its pattern
_OF_PATTERNS = _LINKS | frozenset(
    listed("a an the some of it its that which quite very all also in thin thick wide broad small big large")
)
_NAMED_KINDS = {
    "gender": "gender",
    "sex": "gender",
    "age": "age",
    "build": "build",
    "pattern": "upper_pattern",
}
_COLOUR_NAMES = frozenset({"colour", "color", "colours", "colors"})


@dataclass
class Collected:
    """The lists of a ParsedMessage while they are being made."""

    wanted: dict[str, Attribute] = field(default_factory=dict)
    unwanted: list[Attribute] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    dropped_values: list[Attribute] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)  # second values of a kind, as free words
    by_pronoun: bool = False  # the gender comes from "she" alone
    question: str | None = None


def collect(spans: Sequence[Span], bound: Bound, state: SearchState) -> Collected:
    """Gather the attributes of one message; marks the spans that it used."""
    collected = Collected()
    stated = list(bound.stated)
    for position, span in enumerate(spans):
        if span.role == "attribute" and not span.used:
            _attribute(spans, position, collected, bound)
        elif span.role == "group" and not span.used:
            _group(spans, position, collected, stated, bound, state)
    for attribute, mode in stated:
        earlier = collected.wanted.get(attribute.kind)
        if mode == "+" and earlier is not None and earlier != attribute:
            both = f"{earlier.value} and {attribute.value}"
            bound.note(f"You say {both} of {kind_label(attribute.kind)}: I took {attribute.value}.")
        _state(collected, attribute, mode)
    _ages(spans, collected, bound)
    _take_back_names(spans, collected, state)
    _gender(spans, collected, bound)
    _also(spans, collected)
    extra = list(dict.fromkeys([*bound.alternatives, *collected.extra]))  # "white shirt" says "shirt" as well
    collected.extra = [
        words for words in extra if not any(words in other.split() for other in extra if other != words)
    ]
    for kind in dict.fromkeys(attribute.kind for attribute in collected.unwanted):
        if kind in collected.wanted and is_absent(kind, collected.unwanted):
            bound.note(
                f"You say both no {kind} and {collected.wanted[kind].value}: I took {collected.wanted[kind].value}."
            )
    collected.unwanted = [
        attribute for attribute in dict.fromkeys(collected.unwanted) if attribute.kind not in collected.wanted
    ]
    return collected


def _ages(spans: Sequence[Span], collected: Collected, bound: Bound) -> None:
    """Ages in numbers: they say more than words do, "an old man, about 40"."""
    ages = [(span, span.entry.attribute) for span in spans if span.role == "age"]
    stated = [
        age for span, age in ages if span.mode == "+" or span.raw.casefold().startswith(("older", "younger"))
    ]
    collected.unwanted += [age for _, age in ages if age is not None and age not in stated]
    if stated and stated[0] is not None:
        said = collected.wanted.get("age", stated[0])
        if said != stated[0]:
            bound.note(f"You say {said.value} and give a number: I took {stated[0].value}.")
        collected.wanted["age"] = stated[0]


def _also(spans: Sequence[Span], collected: Collected) -> None:
    """What a phrase says besides: "a tank top" is sleeveless, "a little boy" is a child."""
    for position, span in enumerate(spans):
        stands = (
            span.used and span.mode == "+" and collected.wanted.get(kind_of(span)) == span.entry.attribute
        )
        if stands and not after_adult(spans, position):
            for attribute in span.entry.also:
                collected.wanted.setdefault(attribute.kind, attribute)


def _state(collected: Collected, attribute: Attribute, mode: str) -> None:
    done_up = collected.wanted.get("hair")
    if (
        mode == "+"
        and attribute.kind == "hair"
        and done_up is not None
        and done_up.value in ("bun", "ponytail")
    ):
        collected.extra.append(f"{attribute.value} hair")  # "long hair pulled up in a bun"
    elif mode == "+":
        collected.wanted[attribute.kind] = attribute
    elif mode == "-":
        collected.unwanted.append(attribute)
    else:
        collected.dropped_values.append(attribute)


def _attribute(spans: Sequence[Span], position: int, collected: Collected, bound: Bound) -> None:
    span = spans[position]
    attribute = span.entry.attribute
    assert attribute is not None
    with_noun = span.text.endswith(" build")
    if attribute.kind in ("age", "build") and not with_noun and _garment_follows(spans, position):
        span.entry = type(span.entry)("word")  # "a heavy coat", "old boots": not the person
        return
    if attribute.kind == "pushing" and _stands_in(spans, position):
        span.entry = type(span.entry)("word")  # "the kid in the stroller" pushes none
        return
    if span.text in ("hood", "hoods") and part_of_top(spans, position):
        span.entry = type(span.entry)("word")
        return
    if attribute.value == "child" and after_adult(spans, position):
        span.entry = type(span.entry)("word")
        return
    if attribute.kind == "build" and _before_hair(spans, position):
        span.used = True
        collected.extra.append(f"{span.text} {_before_hair(spans, position)}")
        return
    if attribute.kind == "upper_pattern" and not _pattern_holds(spans, position, bound):
        return
    if attribute.kind == "gender":
        return  # all of them together, in _gender
    span.used = True
    if attribute.value == "none":
        if span.mode == "+":
            collected.unwanted.extend(absence(attribute.kind))
        else:
            collected.dropped.append(attribute.kind)
        return
    if span.text in ("shoes", "shoe") and span.mode != "x" and _coloured(attribute.kind, span.mode, bound):
        return  # "white shoes" may well be sneakers: the colour is what was meant
    names_kind = _kind_named(span) == attribute.kind
    if span.mode == "-":
        collected.unwanted.extend(absence(attribute.kind) if names_kind else (attribute,))
    elif span.mode == "x":
        if _colour_meant(spans, position):
            collected.dropped.append(COLOUR_OF.get(attribute.kind, attribute.kind))
        elif names_kind:
            collected.dropped.append(attribute.kind)
        else:
            collected.dropped_values.append(attribute)
    else:
        _want(spans, position, attribute, collected, bound)


def _stands_in(spans: Sequence[Span], position: int) -> bool:
    before = [span.text for span in spans[max(0, position - 2) : position]]
    inside = len(before) == 2 and before[0] in ("in", "inside") and spans[position - 1].thing is None
    return before[-1:] == ["in"] or inside  # but "in trousers pushing a trolley"


def _coloured(thing: str, mode: str, bound: Bound) -> bool:
    return any(attribute.kind == COLOUR_OF[thing] and how == mode for attribute, how in bound.stated)


def _want(
    spans: Sequence[Span], position: int, attribute: Attribute, collected: Collected, bound: Bound
) -> None:
    """One value of a kind per message: the first said, the later after a correction, the outer of two
    garments.
    """
    earlier = collected.wanted.get(attribute.kind)
    span = spans[position]
    if earlier is None or earlier == attribute:
        collected.wanted[attribute.kind] = attribute
        return
    since = [other for other in spans[:position] if other.used and other.entry.attribute == earlier]
    between = spans[spans.index(since[-1]) + 1 : position] if since else ()
    corrected = any(other.role == "corrective" for other in between)
    corrected |= any(denies(spans, at, attribute.kind) for at in range(position - len(between), position))
    corrected |= any(other.text in ("to", "into") for other in between) and any(
        other.text in ("change", "turn", "make") for other in spans[:position]
    )  # "change the jacket to a coat"
    either = any(other.text == "or" for other in between)
    if corrected:
        collected.wanted[attribute.kind] = attribute
        return
    first, second = earlier, attribute
    if not either and attribute.kind == "hair" and attribute.value in _DONE_UP:
        first, second = attribute, earlier
    if not either and earlier.value == "shopping bag":
        first, second = attribute, earlier  # "a plastic bag and a backpack"
    under = second_garments(spans) if not either and attribute.kind == "upper" and since else ()
    if position not in under and under and spans.index(since[-1]) in under:
        first, second = attribute, earlier
    collected.wanted[attribute.kind] = first
    word = span.text if second is attribute or not since else since[-1].text
    collected.extra.append(word)
    bound.note(
        f"I can look for one of them at a time: I took {first.value}; “{word}” goes along in your own words."
    )


def _group(
    spans: Sequence[Span],
    position: int,
    collected: Collected,
    stated: Sequence[tuple[Attribute, str]],
    bound: Bound,
    state: SearchState,
) -> None:
    span = spans[position]
    kind = span.entry.kind or ""
    span.used = True
    if span.mode == "+" and _is_known(spans, position, state.value(kind)):
        bound.note(f"I look for a {state.value(kind)} already; if it is another {span.text}, say which.")
        return
    can_be_absent = "none" in ALL_KINDS.get(kind, ())
    has_quality = any(attribute.kind in kinds_of(kind) and mode == "+" for attribute, mode in stated)
    has_quality |= any(said in collected.wanted for said in kinds_of(kind))
    has_quality |= any(other.mode == "+" and kind_of(other) in kinds_of(kind) for other in spans)
    if span.mode == "-":
        if can_be_absent:
            collected.unwanted.extend(absence(kind))
        elif not any(attribute.kind in kinds_of(kind) for attribute, _ in stated):
            bound.note(f"I cannot leave out “{span.text}” as a whole.")
    elif span.mode == "x":
        collected.dropped.append(COLOUR_OF.get(kind, kind) if _colour_meant(spans, position) else kind)
    elif can_be_absent and not has_quality:
        collected.freed.append(kind)
        collected.extra.append(span.text)
        values = [value for value in ALL_KINDS[kind] if value != "none"]
        if len(values) > 1:
            collected.question = f"Which kind of {span.text}: {and_list(values, 'or')}?"
    elif not has_quality:
        bound.note(f"“{span.text}” alone tells nobody apart: say what it is like.")


def _is_known(spans: Sequence[Span], position: int, value: str | None) -> bool:
    """ "The bag was bigger", of a backpack that is looked for: which bag is known."""
    return value not in (None, "none") and position > 0 and spans[position - 1].text in _DEFINITE


def _garment_follows(spans: Sequence[Span], position: int) -> bool:
    """True when the next noun after an adjective is a garment or the like: "a heavy red coat"."""
    noun = _noun_ahead(spans, position)
    return noun is not None and noun.thing not in ("hair", "beard")


def _before_hair(spans: Sequence[Span], position: int) -> str:
    """The hair or beard of "thin black hair"; "" for "a slim black-haired man"."""
    noun = _noun_ahead(spans, position)
    return noun.text if noun is not None and noun.text in ("hair", "beard") else ""


def _noun_ahead(spans: Sequence[Span], position: int) -> Span | None:
    """The thing that an adjective stands before, with colours and other adjectives between at most."""
    for span in spans[position + 1 :]:
        if span.thing is not None:
            return span
        if span.role not in ("colour", "shade", "word"):
            return None
    return None


def _pattern_holds(spans: Sequence[Span], position: int, bound: Bound) -> bool:
    """Patterns are known of tops alone; "was spotted" and "I checked" are no patterns at all."""
    span = spans[position]
    owner = None if span.text in FIGURES else _patterned_after(spans, position)
    if owner is None and _of_unknown(spans, position):
        span.entry = type(span.entry)("word")  # "a tartan scarf"
        return False
    if owner is None:
        owner = _patterned_before(spans, position)
    if owner is not None and spans[owner].thing != "upper":
        span.used = True
        if span.text == "spotted" and owner < position:
            return False  # "a man in jeans was spotted"
        words = _of_another(spans, owner, position, bound)
        if span.mode == "x":
            bound.unused.append(words)
            return False
        if spans[owner].thing is not None:
            bound.note(f"I know patterns of tops alone; “{words}” goes along in your own words.")
        bound.alternatives.append(words)
        return False
    if span.text not in _VERBS_TOO or owner is not None:
        return True
    near = any(
        kind_of(other) == "upper_pattern" for other in spans[:position]
    )  # "not striped, it was checked"
    before = [other for other in spans[max(0, position - 3) : position] if other.role != "stop"]
    near |= any(other.thing == "upper" for other in before)
    if not near:
        span.used = True
    return near


def _patterned_after(spans: Sequence[Span], position: int) -> int | None:
    """The thing of "striped blue shirt", with other adjectives between at most."""
    for at, other in enumerate(spans[position + 1 :], start=position + 1):
        if other.thing is not None:
            return at
        if (
            other.role not in ("colour", "shade", "word")
            and other.text not in ("and", "one")
            and not is_quality(other)
        ):
            return None
    return None


def _patterned_before(spans: Sequence[Span], position: int) -> int | None:
    """The thing, known or not, of "a scarf with stripes", "the top isn't striped, it's checked"; None where another
    noun, or nobody but the person, stands before the pattern.
    """
    at = position - 1
    while at >= 0 and (_is_adjective(spans[at]) or (spans[at].text == "," and at == position - 1)):
        at -= 1
    linked = False
    while at >= 0:
        span = spans[at]
        if span.thing is not None or (span.role == "word" and linked):
            return at if linked or span.thing is not None else None
        told_on = (linked and span.role in ("colour", "shade")) or (
            span.text == "," and spans[at + 1].text in ("it", "they", "but", "not")
        )
        if not (
            told_on or span.text in _OF_PATTERNS or span.role in ("not", "corrective") or is_quality(span)
        ):
            return None
        linked |= span.text in _LINKS
        at -= 1
    return None


def _is_adjective(span: Span) -> bool:
    return span.role in ("colour", "shade", "word")


def _of_another(spans: Sequence[Span], owner: int, position: int, bound: Bound) -> str:
    """The words of a pattern that is no top's: "striped scarf", "trousers with white stripes". The colour of the
    stripes, which went along by itself, goes with them.
    """
    pattern, noun = spans[position].text, spans[owner].text
    denied = spans[position].mode == "-"
    if pattern not in FIGURES:
        return f"no {pattern} {noun}" if denied else f"{pattern} {noun}"
    if position > 0 and spans[position - 1].role == "colour":
        own = f"{spans[position - 1].text} {pattern}"
        bound.alternatives[:] = [words for words in bound.alternatives if words != own]
        pattern = own
    return f"{noun} {'without' if denied else 'with'} {pattern}"


def _of_unknown(spans: Sequence[Span], position: int) -> bool:
    """Whether an unknown noun follows, with colours between at most."""
    if spans[position].text in FIGURES:
        return False
    for other in spans[position + 1 :]:
        if other.role not in ("colour", "shade"):
            return other.role == "word"
    return False


def _kind_named(span: Span) -> str | None:
    """The kind that a word names as a whole: "hat" is a hat, and any headwear."""
    for word in (span.text, span.text.removesuffix("s")):
        kind = vocabulary.ALL_GROUPS.get(word) or GROUPS.get(word)
        if kind is not None:
            return kind
    return None


def _colour_meant(spans: Sequence[Span], position: int) -> bool:
    """True for "forget the colour of the jacket", "the jacket's colour doesn't matter"."""
    clause = []
    for step in (-1, 1):
        at = position + step
        while 0 <= at < len(spans) and spans[at].role != "stop" and spans[at].thing is None:
            clause.append(spans[at])
            at += step
    return any(span.text in _COLOUR_NAMES for span in clause)


def _take_back_names(spans: Sequence[Span], collected: Collected, state: SearchState) -> None:
    """ "Any age", "the colour doesn't matter": names of kinds, taken back."""
    for position, span in enumerate(spans):
        if span.mode != "x":
            continue
        if span.text in _NAMED_KINDS:
            collected.dropped.append(_NAMED_KINDS[span.text])
        elif span.text in _COLOUR_NAMES and not any(
            other.thing is not None and _colour_meant(spans, at)
            for at, other in enumerate(spans)
            if at != position
        ):
            here = [other.thing for other in spans if other.thing in COLOUR_OF and other.mode == "+"]
            if here:  # "no idea what colour, but she had a hat"
                collected.dropped.append(COLOUR_OF[here[0] or ""])
                continue
            known = (*state.wanted, *state.unwanted)
            colours = [attribute.kind for attribute in known if attribute.kind in COLOUR_OF.values()]
            collected.dropped.extend(colours if span.text.endswith("s") else colours[-1:])


def _gender(spans: Sequence[Span], collected: Collected, bound: Bound) -> None:
    """Nouns go before pronouns ("a man ... her bag"); "a man or a woman" says nothing."""
    nouns: list[Span] = []
    pronouns: list[Span] = []
    for span in spans:
        attribute = span.entry.attribute
        if attribute is None or attribute.kind != "gender":
            continue
        span.used = True
        (pronouns if span.text in PRONOUNS else nouns).append(span)
    stated = [span for span in nouns if span.mode == "+"]
    for span in nouns:
        if span.mode != "+" and span.entry.attribute is not None:
            _state(collected, span.entry.attribute, span.mode)
    values = list(dict.fromkeys(span.entry.attribute for span in stated if span.entry.attribute is not None))
    if len(values) > 1:
        between = spans[spans.index(stated[0]) : spans.index(stated[-1])]
        if any(span.text == "or" for span in between):
            collected.dropped.append("gender")
            return
        corrected = any(span.role in ("corrective", "not") for span in between)
        collected.wanted["gender"] = values[-1] if corrected else values[0]
        others = [span for span in stated if not corrected and span.entry.attribute != values[0]]
        for span in others:
            bound.note(f"I look for one person at a time, a {values[0].value}: I left out “{span.raw}”.")
    elif values:
        collected.wanted["gender"] = values[0]
    elif pronouns and not nouns:
        attribute = pronouns[0].entry.attribute
        if attribute is not None and pronouns[0].mode != "x":
            collected.wanted["gender"] = attribute
            collected.by_pronoun = True
