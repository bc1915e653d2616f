"""The persons that a message speaks of: noun phrases whose head is a person, and what ties one person to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.lexicon import Span
from app.chat.message_tokens import whole_number
from app.chat.words import PRONOUNS, listed, phrases

# Nouns of persons that name their place beside another, or are in no vocabulary -> the gender they say, if any.
KIN: dict[str, str] = {
    **dict.fromkeys(
        listed(
            "mother mum mom wife granny grandma grandmother sister daughter aunt auntie girlfriend nan nana"
        ),
        "woman",
    ),
    **dict.fromkeys(listed("nanny waitress policewoman niece"), "woman"),
    **dict.fromkeys(
        listed("father dad husband grandpa granddad grandfather brother son uncle boyfriend"), "man"
    ),
    **dict.fromkeys(listed("policeman nephew"), "man"),
    **dict.fromkeys(
        listed(
            """
            child children kid kids baby babies toddler toddlers infant friend friends partner companion companions
            colleague colleagues parent parents family relative teenager teenagers couple accomplice mate mates sibling
            grandparents grandchild grandson granddaughter guard officer victim carer teacher guide driver nurse doctor
            paramedic cop steward worker offender offenders attacker thief robber accomplices victims
            youth youths teen teens
            """
        ),
        "",
    ),
    "grandson": "man",
    "granddaughter": "woman",
}
_APART = frozenset(
    listed("victim victims accomplice accomplices friend friends companion companions partner mate")
)
_GROUPS = frozenset(listed("group pair couple crowd bunch gang number"))
_SIDES = frozenset({"left", "right", "side"})
_OTHERS = frozenset({"other", "second"})
DETERMINERS = frozenset(listed("a an the his her their another some this that one my our no any whose"))
POSSESSIVES = frozenset({"his", "her", "their", "whose"})
SUBJECTS = {"he": "man", "she": "woman"}
OWNERS = {"his": "man", "her": "woman"}
NAMED = {"him": "man", "her": "woman"}  # as subjects: "him in a black suit, her in a white dress"
_OBJECTS = frozenset({"him", "her", "them"})
_ADJECTIVES = frozenset(listed("unknown other little small big large whole same old new second certain"))
_ADJECTIVE_ROLES = frozenset({"colour", "shade", "number", "age", "origin", "unjudged", "word"})
_OF_PERSONS = frozenset({"age", "build", "hair", "hair_colour"})
_MOST_ADJECTIVES = 5
# Words right before a person that set them beside another one -> how the chip names that; "" as they are said.
_WITH = phrases(
    "with|together with|along with|accompanied by|alongside|in company of|in the company of|in company with|"
    "joined by|walking with|travelling with|traveling with|seen with|and with"
)
_HAND_IN_HAND = phrases(
    "hand in hand with|holding hands with|hand in hand|arm in arm with|holding the hand of|holds the hand of|"
    "held the hand of|by the hand"
)
_AS_SAID = phrases(
    "next to|close to|near|near to|beside|behind|in front of|ahead of|following|follows|followed|chasing|chased|chases|"
    "carrying|carries|carried|holding|holds|held|pushing|pushes|pushed|pulling|leading|leads|led|hugging|hugged|"
    "kissing|helping|helped|meeting|met|meets|accompanying|accompanies|accompanied|talking to|talking with|talks to|"
    "talked to|speaking to|speaking with|spoke to|arguing with|argued with|fighting with|shouting at|staring at|"
    "pointing at|waiting for|looking after|from|past|against|towards|toward|robbed|robbing|attacked|attacking|"
    "pushed over|supporting|leaning on|between|escorting|escorted|dragging|dragged|around"
)
_LINKS: dict[tuple[str, ...], str] = {
    tuple(phrase.split()): name or phrase
    for table, name in ((_WITH, "with"), (_HAND_IN_HAND, "hand in hand with"), (_AS_SAID, ""))
    for phrase in table
}
_LONGEST_LINK = max(map(len, _LINKS))
_MOST_LINKING = 3  # words of a relation
_NO_RELATION = frozenset(listed("and or but who whom which that while where when"))
_HAVING = frozenset(listed("has had have having"))
# What links nobody to anybody: "was a man", "looks like a woman", "show me a man", "wearing the mother's hat".
LINKS_NOBODY = frozenset(
    listed(
        """
    is was are were be been being am like as seems seem seemed looks looked look looking appears appeared appear also
    now then actually maybe perhaps possibly probably definitely certainly apparently really still just only i it me
    we us you there here so well if whether because yes no not kind sort type want wants wanted need needs find show
    search searching give get try let help would could may might must should this say said says think thought believe
    guess
    """
    )
)
HANDS = frozenset({"hand", "hands"})
_PICTURES = frozenset(
    listed("picture pictures photo photos image images crop crops footage video search match matches")
)
_PASSIVES = frozenset(listed("seen led held met driven"))  # beside words in -ed, before "by"
_STOOD = frozenset(
    listed("was were is are there stood standing walked walks walking came comes sat sitting ran")
)


@dataclass(frozen=True)
class Person:
    """Spans `start`..`end` of a noun phrase, `end` one past the head; `link`: where the words that tie it to another
    person begin, `start` where none do. noun: the head, lower case. gender: "man", "woman" or "". relation: "with",
    "behind", ...; "" without a link. count: how many persons it speaks of.
    """

    link: int
    start: int
    end: int
    noun: str
    gender: str
    determiner: str = ""
    relation: str = ""
    count: int = 1

    @property
    def is_kin(self) -> bool:
        """Whether the noun places the person beside another: "mother", "friend"."""
        return self.noun in KIN

    @property
    def is_apart(self) -> bool:
        """Whether the noun names somebody beside the one sought by itself: "victim", "accomplice"."""
        return self.noun in _APART

    @property
    def is_other(self) -> bool:
        """ "The other man", "the second one"."""
        return self.determiner in ("other", "second", "another")


def person_at(spans: Sequence[Span], position: int, *, after_several: bool = False) -> Person | None:
    """The person whose noun phrase begins at `position`, or None.

    after_several: several persons were spoken of, so that "one" and "the other" name one of them.
    """
    at, count = position, 1
    determiner = ""
    if spans[at].text in DETERMINERS:
        determiner = spans[at].text
        at += 1
    if [span.text for span in spans[at : at + 2]][1:] == ["of"] and spans[at].text in _GROUPS:
        at += 2
    adjectives = 0
    while at < len(spans) and not _head(spans[at]) and adjectives < _MOST_ADJECTIVES:
        span = spans[at]
        if span.text in _OTHERS:
            determiner = span.text
        if span.role == "one" and after_several and determiner in ("other", "second", "another"):
            return Person(position, position, at + 1, "one", "", determiner)
        following = spans[at + 1] if at + 1 < len(spans) else None
        listed_comma = span.text == "," and adjectives and following is not None and _is_adjective(following)
        if not (_is_adjective(span) or listed_comma):
            break
        if span.role == "number":
            count = whole_number(span.text) or 1
        adjectives += 1
        at += 1
    if after_several and determiner in _OTHERS and (at >= len(spans) or not _head(spans[at])):
        return Person(
            position, position, position + 2, determiner, "", determiner
        )  # "the other in a red coat"
    if at >= len(spans) or not _head(spans[at]):
        return None
    gender = ""
    while at < len(spans) and _head(spans[at]):
        gender = gender or gender_of(spans[at])
        at += 1
    if at < len(spans) and spans[at].thing is not None:
        return None  # "a woman's handbag", whose it is and no person
    if at < len(spans) and spans[at].role == "number" and (whole_number(spans[at].text) or 0) > 1:
        determiner, at = "second", at + 1  # "suspect 2: female"
    link, relation = _link(spans, position)
    if at < len(spans) and spans[at].text in HANDS and relation in ("holding", "holds", "held"):
        at, relation = at + 1, "hand in hand with"
    return Person(link, position, at, spans[at - 1].text, gender, determiner, relation, count)


def gender_of(span: Span) -> str:
    """ "man" or "woman" where a noun says so, else ""."""
    if span.text in KIN:
        return KIN[span.text]
    attribute = span.entry.attribute
    return attribute.value if attribute is not None and attribute.kind == "gender" else ""


def tied_to(spans: Sequence[Span], position: int) -> tuple[str, int] | None:
    """ "Behind her", "with him", at `position`: what ties a person to the one sought, and one past it."""
    for length in range(_LONGEST_LINK, 0, -1):
        words = tuple(span.text for span in spans[position : position + length])
        after = position + length
        if words in _LINKS and after < len(spans) and spans[after].text in _OBJECTS:
            ends = after + 1 == len(spans) or spans[after + 1].role in ("stop", "function")
            relation = _LINKS[words] if _LINKS[words] == "with" else f"{_LINKS[words]} {spans[after].text}"
            return (relation, after + 1) if ends else None
    return None


def _link(spans: Sequence[Span], start: int) -> tuple[int, str]:
    """Where the words before a person's noun phrase that tie it to another person begin, and what they say."""
    for length in range(min(_LONGEST_LINK, start), 0, -1):
        words = tuple(span.text for span in spans[start - length : start])
        if words in _LINKS:
            if words == ("with",) and start > 1 and spans[start - 2].text in _PICTURES:
                return start, ""
            return start - length, _LINKS[words]
    if start > 1 and spans[start - 1].text == "by":
        verb = start - 2
        if verb > 0 and spans[verb].text.endswith("ly"):  # "followed closely by"
            verb -= 1
        if spans[verb].text.endswith("ed") or spans[verb].text in _PASSIVES:
            return verb, " ".join(span.text for span in spans[verb:start])
    at = start  # "behind her a man", "with him was a woman"
    while at > 0 and (spans[at - 1].text in _STOOD or (spans[at - 1].text == "," and at == start)):
        at -= 1
    sides = [span.text for span in spans[max(0, at - 3) : at]]  # "to his left a woman"
    if (
        len(sides) == 3
        and sides[0] in ("to", "on", "at", "by")
        and sides[1] in POSSESSIVES
        and sides[2] in _SIDES
    ):
        return at - 3, " ".join(sides)
    for begin in range(max(0, at - _LONGEST_LINK - 1), at):
        tie = tied_to([*spans[begin:at]], 0)
        if tie is not None and tie[1] == at - begin:
            return begin, tie[0]
    return start, ""


def object_of(spans: Sequence[Span], person: Person) -> Person | None:
    """The person as one whom another meets: any verb or preposition stands right before ("bumped into a woman", "gave
    it to a man"), and is the relation; None after "is", "like", "and" or a stop.
    """
    begin = person.start
    while begin > 0 and person.start - begin < _MOST_LINKING and _links(spans[begin - 1]):
        begin -= 1
    words = [span.text for span in spans[begin : person.start]]
    while words and words[0] in LINKS_NOBODY:
        begin, words = begin + 1, words[1:]
    if not words or words[-1] in LINKS_NOBODY:
        return None
    if begin > 0 and spans[begin - 1].text in DETERMINERS:  # "on the shoulders of a man"
        begin, words = person.start - 1, words[-1:]
    if words[-1] in _HAVING:
        begin, words = person.start - 1, ["with"]
    return replace(person, link=begin, relation=" ".join(words))


def _links(span: Span) -> bool:
    return span.role in ("function", "word", "unjudged") and span.text not in DETERMINERS | _NO_RELATION


def _head(span: Span) -> bool:
    if span.text in PRONOUNS:
        return False
    attribute = span.entry.attribute
    return span.text in KIN or span.role == "person" or (attribute is not None and attribute.kind == "gender")


def _is_adjective(span: Span) -> bool:
    attribute = span.entry.attribute
    return not _head(span) and (
        span.role in _ADJECTIVE_ROLES
        or span.text in _ADJECTIVES
        or (attribute is not None and attribute.kind in _OF_PERSONS)
    )
