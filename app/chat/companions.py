"""Who is with the person sought: a message's clauses, each with the person that it speaks of.

A companion ("a man walking with a woman in a green dress", "his mother has a red coat") never says anything of the
person sought: their clauses are taken out of the message before it is read, and kept apart in the operator's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.chat.clauses import Clause, Walk
from app.chat.lexicon import Entry, Span, gender_of_noun
from app.chat.own_words import as_typed
from app.chat.persons import HANDS, NAMED, POSSESSIVES, Person, tied_to
from app.chat.search_state import Companion, SearchState
from app.chat.words import PRONOUNS, listed
from app.model.vocabulary import and_list, describe

MOST_COMPANIONS = 4
MOST_SAID = 120  # characters kept of one companion
_FINITE = frozenset(
    listed(
        "has had have is was are were wears wore wearing carries carried who which she he her his also too"
    )
)
_TRAILING = frozenset(
    listed("and but or who which while is was are were she he her his the a an with in by there")
)
_GONE = frozenset(listed("there anymore longer around beside present"))
_LOOK_FOR = re.compile(
    r"(?:(?:no|actually|sorry|ok|okay|so|wait|now|please|pls|can you|could you) )*"
    r"(?:(?:look|search|looking|searching) for|find(?: me)?|show(?: me)?|i (?:want|need|meant?|am looking for))"
    r" (?:(?:the|his|her|their) (?:other )?)?(?P<noun>\w+)(?: (?P<more>(?:in|with|wearing) .+?))?"
    r"(?P<instead> (?:instead|now|rather))?(?: (?:please|pls|now))?"
)
_ALONE = ("alone", "by himself", "by herself", "on his own", "on her own", "by themselves")


@dataclass
class Division:
    """A message by person. own: the spans that speak of the person sought. companions: those known after the message.
    notes: whole sentences on what was kept apart. excluded: free words for those who must not be there.
    """

    own: list[Span]
    companions: tuple[Companion, ...]
    notes: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)


def divide(spans: list[Span], state: SearchState, message: str) -> Division:
    """Take out of a message what it says of others than the person sought.

    spans: with their modes. message: as typed, for its hyphens.
    """
    walk = Walk(spans, state)
    clauses = walk.clauses()
    division = Division(spans, state.companions)
    if not clauses and walk.others is None:
        if state.companions and any(phrase in _text(spans, 0, len(spans)) for phrase in _ALONE):
            division.companions = ()
            for span in spans:
                span.used |= span.text in ("alone", "own")
        return division
    division.own = _rest(spans, clauses)
    found = list(state.companions)
    places: dict[int, int] = {}  # of companions new in this message, by the number of their first clause
    told: list[str] = []
    gone: list[Companion] = []
    for number, clause in enumerate(clauses):
        place = clause.known
        if place is not None and place < 0:  # somebody named by an earlier clause of this message
            place = places.get(-place - 1)
        if clause.who is not None:
            if clause.denied and not any(one.noun == clause.who.noun for one in found):
                named = _words(spans[clause.who.start : clause.end], message)
                division.notes.append(f"I do not look for “{named}”.")
                continue
            if (mode := _mode(spans, clause)) != "+":
                _exclude(spans, clause.who, mode, found, division, message)
                continue
            place = _place(clause.who, found) if place is None else place
        if place is None or place >= len(found):
            if clause.who is None:
                continue
            found.append(_met(spans, clause, message))
            place = len(found) - 1
            told.append(found[place].who)
        elif _is_gone(spans, clause):
            gone.append(found[place])
        elif all(span.mode == "x" for span in _content(spans, clause)) and _content(spans, clause):
            found[place] = _told_less(found[place], _content(spans, clause))
        else:
            found[place] = _told_more(
                found[place], (*_described(spans, clause, message), *_said(spans, clause, message))
            )
        places[number] = place
    if walk.others is not None:
        found.append(walk.others)
        told.append(walk.others.who)
    found = [one for one in found if one not in gone]
    division.notes += _notes(state.companions, found, told)
    division.companions = tuple(_bounded(companion, division) for companion in found[-MOST_COMPANIONS:])
    return division


@dataclass(frozen=True)
class Exchange:
    """The person sought and one who was with them trade places. described: whom to look for now. companions: who is
    with them. note: one sentence that says so.
    """

    described: str
    companions: tuple[Companion, ...]
    note: str


def exchange(plain_text: str, state: SearchState) -> Exchange | None:
    """ "Look for the man instead", of a woman who is with a man; None for any other message.

    plain_text: the message as `intents.plain` gives it.
    """
    match = _LOOK_FOR.fullmatch(plain_text)
    if match is None:
        return None
    sought, noun = state.value("gender"), match["noun"]
    gender = NAMED.get(noun) or gender_of_noun(noun)
    if not match["instead"] and (not gender or gender == sought):
        return None
    meant = [one for one in state.companions if noun == one.noun or (noun in NAMED and one.gender == gender)]
    if len(meant) != 1 or (noun in NAMED and gender == sought):
        return None
    others = tuple(one for one in state.companions if one is not meant[0])
    noted = f"I look for {meant[0].who} now"
    if state.wanted:
        who = describe(state.wanted)
        before = Companion(who, more=state.text, noun=sought or "person", gender=sought or "")
        others, noted = (*others, before), f"{noted}, and {who} is kept apart"
    described = re.sub(r"^(?:his|her|their|the) ", "a ", meant[0].in_words)
    if not set((match["more"] or "").split()) <= {*described.replace(",", "").split(), "the"}:
        described = f"{described}, {match['more']}"
    return Exchange(described, others[-MOST_COMPANIONS:], f"{noted}; “undo” brings the earlier search back.")


def _bounded(companion: Companion, division: Division) -> Companion:
    """A companion in at most MOST_SAID characters, the newest words first; what is left out is said."""
    more = companion.more
    while more and len(replace(companion, more=more).in_words) > MOST_SAID:
        division.notes.append(f"“{more[0]}” is left out: I keep {MOST_SAID} characters of one companion.")
        more = more[1:]
    who = companion.who
    if len(who) > MOST_SAID:
        who = who[:MOST_SAID].rsplit(" ", 1)[0]
        division.notes.append(
            f"“{companion.who[len(who) :].strip()}” is left out: I keep {MOST_SAID} characters."
        )
    return replace(companion, who=who, more=more)


def _rest(spans: list[Span], clauses: Sequence[Clause]) -> list[Span]:
    """What is left of a message, a stop in place of each clause; "his" of "his mother" still says who is sought."""
    own, at = [], 0
    for clause in clauses:
        own += spans[at : max(at, clause.start)]
        if clause.who is not None and spans[clause.who.start].text in POSSESSIVES:
            own.append(spans[clause.who.start])
        own.append(Span(Entry("stop"), clause.start, clause.start, ".", "."))
        at = max(at, clause.end)
    return [*own, *spans[at:]]


def _place(person: Person, found: Sequence[Companion]) -> int | None:
    if person.determiner in ("a", "an", "another"):
        return None
    return next((at for at, one in enumerate(found) if one.noun == person.noun), None)


def _met(spans: Sequence[Span], clause: Clause, message: str) -> Companion:
    """A companion new in the conversation, with what is said of them right there."""
    who = clause.who
    assert who is not None
    rest = _without_tie(spans[who.end : clause.end])
    named = list(spans[who.start : who.end - 1 if spans[who.end - 1].text in HANDS else who.end])
    more: tuple[str, ...] = ()
    if rest and (rest[0].text in _FINITE or rest[0].role == "stop"):
        more = _said(spans, clause, message)
    else:
        named += rest
    words, noun = _words(named, message).replace("whose ", "their "), who.noun
    if spans[who.end - 1].text == "hand" and words.endswith("s"):  # "holding his mums hand"
        words, noun = words[:-1], spans[who.end - 2].text.removesuffix("s")
    if spans[who.start].text == "one":
        words, noun = f"another {who.gender or 'person'}{words.removeprefix('one')}", who.gender or "person"
    return Companion(words or noun, who.relation, more, noun, who.gender)


def _said(spans: Sequence[Span], clause: Clause, message: str) -> tuple[str, ...]:
    """What a clause says of a companion known already, without "she has"."""
    start = clause.who.end if clause.who is not None else clause.start + clause.named
    rest = _without_tie(spans[start : clause.end])
    while rest and (rest[0].text in _FINITE or rest[0].role == "stop" or rest[0].text in ("with", "in")):
        rest = rest[1:]
    words = _words(rest, message)
    content = [span for span in rest if span.role not in ("function", "stop")]
    if content and all(span.mode == "-" for span in content):  # "I don't think the man had a beard"
        words = f"no {words.removeprefix('a ').removeprefix('an ')}"
    return (words,) if words else ()


def _content(spans: Sequence[Span], clause: Clause) -> list[Span]:
    """What a clause says of a companion, without function words and pronouns."""
    start = clause.who.end if clause.who is not None else clause.start + clause.named
    return [
        span
        for span in spans[start : clause.end]
        if span.role not in ("function", "stop") and span.text not in (*PRONOUNS, *_GONE)
    ]


def _is_gone(spans: Sequence[Span], clause: Clause) -> bool:
    """ "The woman is not there", "she is no longer with him"."""
    content = _content(spans, clause)
    return clause.who is not None and bool(content) and all(span.role in ("not", "drop") for span in content)


def _told_less(companion: Companion, things: Sequence[Span]) -> Companion:
    """ "Forget the woman's hat": without what was said of it."""
    words = {span.text for span in things}
    return replace(companion, more=tuple(said for said in companion.more if not words & set(said.split())))


def _described(spans: Sequence[Span], clause: Clause, message: str) -> tuple[str, ...]:
    """ "Elderly man" of somebody who was "the man" before."""
    if clause.who is None:
        return ()
    named = spans[clause.who.start + bool(clause.who.determiner) : clause.who.end]
    return (_words(named, message),) if len(named) > 1 else ()


def _without_tie(spans: Sequence[Span]) -> list[Span]:
    """Without the "behind her" that the chip names."""
    for at in range(len(spans)):
        if (tie := tied_to(spans, at)) is not None:
            return [*spans[:at], *spans[tie[1] :]]
    return list(spans)


def _words(spans: Sequence[Span], message: str) -> str:
    while spans and (spans[-1].text in _TRAILING or spans[-1].role == "stop"):
        spans = spans[:-1]
    if not spans:
        return ""
    return as_typed(spans, message).replace(" ,", ",")


def _told_more(companion: Companion, more: tuple[str, ...]) -> Companion:
    """A companion of whom more is known; what was said of the same thing before no longer holds."""
    kept = [words for words in companion.more if words not in more]
    return replace(companion, more=(*kept, *more))


def _mode(spans: Sequence[Span], clause: Clause) -> str:
    """ "-" of "without his mother", "x" of "forget the woman": of the words right before, and of no others."""
    who = clause.who
    assert who is not None
    if who.determiner == "no":
        return "-"
    if spans[who.end : who.end + 1] and spans[who.end].text in _FINITE:
        return "+"  # "I don't think the man had a beard"
    at = min(clause.start, who.link) - 1
    while at >= 0 and spans[at].role == "function" and spans[at].text not in ("and", "but"):
        at -= 1
    governed = at >= 0 and spans[at].role in ("not", "drop")
    return ("-" if spans[at].role == "not" else "x") if governed else "+"


def _exclude(
    spans: Sequence[Span], person: Person, mode: str, found: list[Companion], division: Division, message: str
) -> None:
    """Takes back who was known, or asks that nobody such be there."""
    known = [one for one in found if one.noun == person.noun]
    for one in known:
        found.remove(one)
    named = _words(spans[person.start + bool(person.determiner) : person.end], message)
    if not known and mode == "-":
        division.excluded.append(f"no {named}")
    elif not known:
        division.notes.append(f"I knew of no {named} beside them anyway.")


def _notes(before: Sequence[Companion], found: Sequence[Companion], told: Sequence[str]) -> list[str]:
    notes = []
    if told:
        are = "is" if len(told) == 1 else "are"
        quoted = and_list([f"“{who}”" for who in told])
        notes.append(f"I look for one person at a time: {quoted} {are} kept apart, in your own words.")
    for one in found:
        earlier = next((other for other in before if other.who == one.who), None)
        new = one.more if earlier is None else [words for words in one.more if words not in earlier.more]
        if new and one.who not in told:
            notes.append(f"I took {and_list([f'“{words}”' for words in new])} as said of {one.who}.")
    if len(found) > MOST_COMPANIONS:
        lost = and_list([f"“{one.who}”" for one in found[:-MOST_COMPANIONS]])
        notes.append(f"I keep {MOST_COMPANIONS} companions at most, and left out {lost}.")
    return notes


def _text(spans: Sequence[Span], start: int, end: int) -> str:
    return " ".join(span.text for span in spans[start:end])
