"""Messages about the candidates on the screen: "search with 2", "not the first one", "which camera is number 1 on?".

What they point at are places in the list as it is numbered on the screen. Whole sentences are matched, so that a
description ("the first jacket was red", "camera number 3") is never taken for one of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.question_forms import in_one_form, is_asked
from app.chat.words import listed

_NUMBERS = listed("one two three four five six seven eight nine ten eleven twelve")
_ORDINALS = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
_NOUN = r"(?:one|person|candidate|result|match|crop|picture|photo|image|guy|man|woman|lady|girl|boy)"
_CALLED = r"(?:(?:candidate )?number|numero|no\.?|nr\.?|candidate|result|match|picture|photo|image)"
_NUMBERED = rf"(?:the )?{_CALLED} ?#? ?(?P<{{0}}n>[1-9]\d{{{{0,2}}}})|#(?P<{{0}}h>[1-9]\d{{{{0,2}}}})"
_ORDINAL = (
    rf"(?:the )?(?:very )?(?P<{{0}}o>{'|'.join(_ORDINALS)}|(?:(?<=the )|(?<=very ))last|last(?= {_NOUN}\b)|"
    r"[1-9]\d?(?:st|nd|rd|th)|"
    rf"(?:top|bottom)(?= {_NOUN}\b))(?: {_NOUN})?"  # "the top" alone is what somebody wears
)
_SELECTED = rf"(?P<{{0}}s>(?:this|that|the selected|the marked|the chosen) {_NOUN})"
_BARE = r"(?P<{0}b>[1-9]\d{{0,2}})"
_LINK = r"(?: ?, ?(?:and |or |nor )?| and | or | nor )(?:not |n't )?"


def _ref(name: str, bare: bool = False) -> str:
    parts = [_NUMBERED, _ORDINAL, _SELECTED, *([_BARE] if bare else [])]
    return "(?:" + "|".join(part.format(name) for part in parts) + ")"


def _many(bare: bool) -> str:
    one = re.sub(r"\?P<\w+>", "?:", _ref("x", bare))
    return rf"(?P<many>{one}(?:{_LINK}{one})*)"


_HIM = r"(?:him|her|them|it|the one|the person|the man|the woman|who i mean|who i am looking for)"
_RIGHT = r"(?:right|correct|the right (?:one|person))"
_SEARCHES = (
    r"(?:search|look|continue|go on|try|find (?:him|her|them)|find the person)(?: again)? "
    rf"(?:with|by|using|for|from) {_many(True)}",
    rf"(?:use|take|pick) {_many(False)}(?: (?:as|for) (?:the )?(?:query|reference|picture|search))?",
    r"(?:(?:show|find|get|give)(?: me)? |search for |look for )?"
    r"(?:more|others|people|persons|someone|somebody|anyone|similar)"
    rf"(?: (?:people|persons|crops|ones|candidates))?(?: who look| that look| looking)? ?(?:like|to) {_many(True)}",
)
_LIKE = (
    rf"(?:(?:the )?same(?: person| man| woman| one)? as|(?:(?:someone|somebody|one|people) )?(?:like|similar to)|"
    rf"(?:(?:he|she|they) )?looks? like) {_many(True)}",
)
_BUT = re.compile(r"(?P<about>.+?),? (?:but|only|just|except)(?: that)?(?: now)? (?P<rest>.+)")
_LIKE_WITH = re.compile(
    r"(?P<about>.+?),? (?P<rest>(?:with|without|in|wearing|minus|on|from|after|before)\b.+)"
)
_CONFIRMS = (
    rf"(?:yes,? )?(?:i think |i am sure |probably |maybe )?(?:it|that) is(?: (?:him|her|them))?,? {_ref('one', True)}",
    rf"(?:yes,? )?{_ref('one', True)} (?:is|was|looks like|must be) (?:definitely |surely |probably |really )?"
    rf"(?:{_HIM}|{_RIGHT})",
    rf"(?:confirm|accept) {_ref('one', True)}",
    rf"yes,? {_ref('one')}",
)
_CONFIRMS_ALL = (rf"(?:yes,? )?(?:both )?{_many(True)} (?:are|were) (?:both |all )?(?:{_HIM}|{_RIGHT})",)
_REJECTS = (
    rf"(?:no,? )?(?:it is |that is |they are )?(?:not|neither) {_many(True)}",
    rf"{_many(True)} (?:is|are|was|were) (?:not (?:{_HIM}|{_RIGHT})|wrong|some(?:one|body) else)",
    rf"(?:reject|remove|hide|drop|dismiss|discard|exclude|skip) {_many(True)}",
)
_SELECTS = (
    rf"(?:(?:it|that|this) (?:could|might|may) be|maybe|perhaps) {_ref('one', True)}",
    rf"(?:(?:show|select|open|see|view|mark)(?: me)? )?(?:(?:only|just) )?{_ref('one')}",
    rf"(?:show|select|open|see|view)(?: me)? (?:only|just) {_ref('one', True)}",
)
_NOT_BUT = (
    rf"(?:no,? )?(?:it is |that is )?not {_ref('other', True)}[,;.]? (?:(?:but |and )?(?:it is|that is)|but) "
    rf"{_ref('one', True)}",
    rf"(?:yes,? )?(?:it is |that is ){_ref('one', True)},? (?:and )?not {_ref('other', True)}",
)
_NONE = re.compile(
    r"(?:no,? )?(?:it is |that is )?(?:none|neither|not any|not one) of (?:these|them|those|the above)"
    rf"(?: (?:people|persons|candidates|results|crops))?(?: (?:is|are|was|fits?|match(?:es)?)(?: {_HIM})?)?"
)
_ALL = re.compile(
    r"(?:reject|dismiss|discard|hide) (?:(?:them )?all(?: of (?:them|these|those))?|them|these|those)"
)
_THIS_IS = re.compile(r"(?:yes,? )?(?:that|this) is (?:definitely )?(?:him|her)")
_THIS_IS_NOT = re.compile(r"(?:no,? )?(?:(?:it|that|this) is )?not (?:him|her)")
_SPELT = re.compile(rf"\b(number|candidate) ({'|'.join(_NUMBERS)})\b")
_PLURAL = re.compile(
    r"\b(?:numbers|candidates) (\d{1,3}(?:(?: ?, ?(?:and |or )?| and | or | with )\d{1,3})*)\b"
)
_FIRST_FEW = re.compile(
    rf"(?:the )?first ({'|'.join(_NUMBERS[1:])}|[2-9]|1[0-2])\b(?: (?:ones|people|candidates|results))?"
)
_RANGE = re.compile(r"(reject|remove|discard|dismiss) ([1-9]\d?) ?(?:-|–|to|through) ?([1-9]\d?)$")
_NOT_THE_OTHER = re.compile(  # chosen, or right?
    rf"(?:i meant? {_ref('one', True)}|{_ref('other')}),? (?:and )?not {_many(True)}"
)
_MORE = re.compile(
    r"(?:(?:show|see|give|list|display|load)(?: me| us)? )?(?:some |the |any )?"
    r"(?:more|next(?: page| ones| twelve| 12)?)"
    r"(?: (?:results|candidates|crops|people|matches|of them|please))*|next|go on|continue"
)
_SORT = (
    r"(?:(?:show|sort|order|list|arrange|put|display)"
    r"(?: (?:them|these|those|it|the (?:results|candidates|crops)))? )?(?:(?:sorted|ordered) )?"
)
_BY_TIME = re.compile(
    rf"{_SORT}(?:by (?:the )?(?:time|date)|in (?:the )?(?:time|chronological) order|in order of time|"
    r"chronologically|(?:earliest|oldest) first)|(?:the )?(?:earliest|oldest)(?: ones)?"
)
_BY_TIME_BACK = re.compile(
    rf"{_SORT}(?:(?:by time,? )?(?:the )?(?:latest|newest|most recent|last seen)(?: ones)? first|"
    r"(?:show (?:me )?)?(?:the )?(?:newest|latest)(?: ones?)?|in reverse (?:time )?order|"
    r"(?:by time )?(?:descending|backwards))"
)
_REVERSED = re.compile(
    r"(?:reverse|turn round|invert|flip)(?: (?:the )?(?:order|list|results|sorting|them|it))?|"
    r"(?:in )?(?:the )?(?:reverse(?:d)?|other|opposite) order"
)
_BY_FIT = re.compile(
    rf"{_SORT}(?:by (?:the )?(?:fit|match|likeness|score|confidence|similarity)|best(?: matches)? first)"
)
_COMPARE = (
    rf"compare {_ref('one', True)} (?:and|with|to|against|vs\.?|versus) {_ref('other', True)}",
    rf"(?:is|are) {_ref('one', True)}(?: and | ?, ?){_ref('other', True)} (?:the )?same(?: person| man| woman| one)?",
    rf"(?:is|are) {_ref('one', True)} the same(?: person| man| woman| one)? as {_ref('other', True)}",
    rf"what is (?:the difference|different) between {_ref('one', True)} and {_ref('other', True)}",
    rf"how do {_ref('one', True)} and {_ref('other', True)} differ",
    rf"how (?:does|is) {_ref('one', True)} (?:differ|different) from {_ref('other', True)}",
)
_COUNT = re.compile(
    r"how many(?: of (?:them|these|those))?(?: (?:people|persons|candidates|crops|results|matches))?"
    r"(?: (?:are|were|do|did|have|fit|match|there|seen|shown|you|find|found|is))*(?: (?:here|now))?"
    r"(?: (?:on|from|at|by|in) (?:the )?camera (?:number )?(?P<camera>[\w.-]+(?: [\w.-]+)?))?"
)
_TAGGED = re.compile(
    rf"{_ref('one')} (?P<does>is|was|has|had|wears|wore|carries|holds|looks|seems)(?P<after> .+?)"
    r"(?:,? (?:right|correct|yes|no|or not|(?:is|was|does|has)(?:n't| not)? (?:he|she|it|they)))?"
)
_TWO_OF_THEM = re.compile(
    rf"(?:is|are|was|were|does|do|did|has|have) {_ref('one', True)} .*\b(?:than|as|like) {_ref('other', True)}(?: .*)?"
)
_EARLIER = re.compile(
    r"(?:(?:show|see|give|go to)(?: me)? )?(?:the )?(?:previous|earlier|first|last|prior)"
    r"(?: page| ones| results| candidates)|previous|(?:go )?back (?:a|one|to the (?:first|previous|last)) page"
)
_BUT_WRONG = re.compile(
    rf"(?:yes,? )?{_ref('one', True)} (?:is|looks|seems|could be|might be|fits)\b.* but (?:the|his|her|their|its) .+"
)
STILL_THERE = "All candidates that were listed still stand on the screen; “undo” takes the last step back."
SAY_OTHERWISE = (
    "The search stays as it was: say what is otherwise, such as “like number {0}, but without a hat”, or “it is "
    "number {0}”."
)
_EXPORT = re.compile(
    r"(?:export|download|print|save)(?: (?:me|us|this|these|those|them|it|all|everything|a|an|the|my|our|as|to|into|in|"
    r"of|results?|candidates?|crops?|list|search|page|report|pdf|csv|excel|spreadsheet|file))*|"
    r"(?:make|create|write|generate)(?: me)? (?:a |the )?(?:report|pdf|export)\b.*"
)
_COMMANDS = (
    ("more", _MORE),
    ("by-time", _BY_TIME),
    ("by-time-back", _BY_TIME_BACK),
    ("by-fit", _BY_FIT),
    ("reverse", _REVERSED),
    ("export", _EXPORT),
)
_ASKS = re.compile(
    r"(?P<before>(?:who|what|which|where|when|why|how|is|are|was|does|do|did|has|have|can|could|tell me|describe)\b.*?)"
    rf" ?{_ref('one')}(?:(?:,| and| or| with|, and) {_ref('other', True)})?(?:'s)?(?P<after>(?: .*)?)"
)
_ASKS_BOTH = re.compile(
    rf"(?P<before>(?:(?:what|which|where|when|how) )?(?:are|were|do|did)) {_ref('one', True)} and {_ref('other', True)}"
    r"(?P<after> .+)"
)
_UNCLEAR = re.compile(
    r"(?=.*\b(?:numbers?|candidates?)\b)"
    rf"(?:(?:show|open|see|view|select|take|numbers?|candidates?|and|or|to|the|all|me|{'|'.join(_ORDINALS)}|last|\d+)"
    r"[ ,]*)+"
)
_PREFIX = re.compile(
    r"(?:please|ok(?:ay)?|so|and|then|now|hm+|well|can you|could you|would you|i want to|i would like to|let us)"
    r"\b[ ,]*"
)


@dataclass(frozen=True)
class Pointing:
    """What a message does with candidates.

    action: "search-with", "confirm", "reject", "select", "more", "by-time", "by-time-back" for the latest first,
    "by-fit", "reverse" for the other order of time, "compare", "count", "export" or "ask"; "unclear" where candidates
    are named and nothing can be made of it. sentence: to say then, if there is one. against: rejected besides.
    places: from 1, as numbered on the screen; -1 is the last one, 0 the selected one. every: all that are shown.
    rest: what else the message says of the person. question: of "ask", the words before and after the candidate.
    camera: of "count"; "" for all.
    """

    action: str
    places: tuple[int, ...] = ()
    every: bool = False
    rest: str = ""
    question: str = ""
    camera: str = ""
    against: tuple[int, ...] = ()
    sentence: str = ""


def read_pointing(text: str) -> Pointing | None:
    """What a message does with the candidates on the screen; None where it is about something else."""
    said = plain_words(text)
    if not said:
        return None
    if _NONE.fullmatch(said) or _ALL.fullmatch(said):
        return Pointing("reject", every=True)
    if _THIS_IS.fullmatch(said) or _THIS_IS_NOT.fullmatch(said):
        return Pointing("confirm" if _THIS_IS.fullmatch(said) else "reject", (0,))
    for pattern in _NOT_BUT:
        if match := re.fullmatch(pattern, said):
            other = _place(match, "other")
            return Pointing("confirm", _one(match), against=() if other is None else (other,))
    if _NOT_THE_OTHER.fullmatch(said):
        return Pointing("unclear")
    if _EARLIER.fullmatch(said):
        return Pointing("unclear", sentence=STILL_THERE)
    for action, patterns in (
        ("search-with", (*_SEARCHES, *_LIKE)),
        ("reject", _REJECTS),
        ("confirm", _CONFIRMS_ALL),
    ):
        for pattern in patterns:
            if match := re.fullmatch(pattern, said):
                return Pointing(action, _places(match["many"]))
    for pattern in _CONFIRMS:
        if match := re.fullmatch(pattern, said):
            return Pointing("confirm", _one(match))
    for pattern in _SELECTS:
        if match := re.fullmatch(pattern, said):
            return Pointing("select", _one(match))
    for action, command in _COMMANDS:
        if command.fullmatch(said):
            return Pointing(action)
    for pattern in _COMPARE:
        if match := re.fullmatch(pattern, said):
            places = [_place(match, name) for name in ("one", "other")]
            return Pointing("compare", tuple(place for place in places if place is not None))
    if match := _COUNT.fullmatch(said):
        return Pointing("count", camera=match["camera"] or "")
    ways: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
        (_BUT, (*_SEARCHES, *_LIKE, _many(False))),
        (_LIKE_WITH, (*_SEARCHES, *_LIKE)),
    )
    for but, about_it in ways:
        if (match := but.fullmatch(said)) and (about := _about(match["about"], about_it)):
            return Pointing("search-with", about, rest=match["rest"])
    if match := _BUT_WRONG.fullmatch(said):
        (place,) = _one(match)
        return Pointing("unclear", sentence=SAY_OTHERWISE.format(place)) if place > 0 else Pointing("unclear")
    if match := _TWO_OF_THEM.fullmatch(said):
        places = [_place(match, name) for name in ("one", "other")]
        return Pointing("compare", tuple(place for place in places if place is not None))
    if is_asked(text) and (match := _TAGGED.fullmatch(said)):
        return Pointing("ask", _one(match), question=f"{match['does']}{match['after']}")
    if match := _ASKS_BOTH.fullmatch(said) or _ASKS.fullmatch(said):
        places = [_place(match, name) for name in ("one", "other")]
        asked = f"{match['before']}{match['after']}".strip()
        return Pointing("ask", tuple(place for place in places if place is not None), question=asked)
    return Pointing("unclear") if _UNCLEAR.fullmatch(said) else None


def _about(words: str, patterns: Sequence[str]) -> tuple[int, ...]:
    """The candidates that "this one, but ..." or "more like 3 but ..." begins with."""
    for pattern in patterns:
        if match := re.fullmatch(pattern, words):
            return _places(match["many"])
    return ()


def plain_words(text: str) -> str:
    """A message without what is polite, contractions and numbers in one form: how the patterns here read it."""
    said = " ".join(text.casefold().replace("’", "'").split())
    said = said.replace("it's", "it is").replace("that's", "that is").replace("what's", "what is")
    said = re.sub(r"[.!?]+$", "", said).strip()
    while (cut := _PREFIX.match(said)) and cut.end() < len(said):
        said = said[cut.end() :]
    said = (
        in_one_form(said).replace("isn't", "is not").replace("aren't", "are not").replace("let's", "let us")
    )
    said = _SPELT.sub(lambda found: f"{found[1]} {_NUMBERS.index(found[2]) + 1}", said)
    said = _PLURAL.sub(lambda found: re.sub(r"\d+", r"#\g<0>", found[1]), said)
    said = _FIRST_FEW.sub(lambda found: _spelt_out(1, found[1]), said)
    said = _RANGE.sub(lambda found: f"{found[1]} {_spelt_out(int(found[2]), found[3])}", said)
    return re.sub(r",? please$", "", said)


def _spelt_out(first: int, last: str) -> str:
    """ "the first three" and "1-3" as a list: "#1, #2, #3"."""
    end = _NUMBERS.index(last) + 1 if last in _NUMBERS else int(last)
    return ", ".join(f"#{place}" for place in range(first, end + 1)) or f"#{first}, #{end}"


def _places(words: str) -> tuple[int, ...]:
    found = [_place(match, "one") for match in re.finditer(_ref("one", True), words)]
    return tuple(dict.fromkeys(place for place in found if place is not None))


def _one(match: re.Match[str]) -> tuple[int, ...]:
    place = _place(match, "one")
    return () if place is None else (place,)


def _place(match: re.Match[str], name: str) -> int | None:
    for kind in "nhb":
        if f"{name}{kind}" in match.re.groupindex and (number := match[f"{name}{kind}"]) is not None:
            return int(number)
    if (ordinal := match[f"{name}o"]) is not None:
        if ordinal in _ORDINALS:
            return _ORDINALS.index(ordinal) + 1
        return (
            1
            if ordinal == "top"
            else -1
            if ordinal in ("last", "bottom")
            else int(re.sub(r"\D", "", ordinal))
        )
    return 0 if match[f"{name}s"] is not None else None
