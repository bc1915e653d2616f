"""Messages about the candidates on the screen: "search with 2", "not the first one", "which camera is number 1 on?".

What they point at are places in the list as it is numbered on the screen. Whole sentences are matched, so that a
description ("the first jacket was red", "camera number 3") is never taken for one of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.list_orders import ORDERS_THERE_ARE, is_no_order, list_order
from app.chat.question_forms import in_one_form, is_asked, spelt_out
from app.chat.words import listed

_NUMBERS = listed("one two three four five six seven eight nine ten eleven twelve")
_ORDINALS = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
_NOUN = r"(?:one|person|candidate|result|match|crop|picture|photo|image|guy|man|woman|lady|girl|boy)"
_CALLED = r"(?:(?:candidate )?number|numero|no\.?|nr\.?|candidate|result|match|picture|photo|image)"
# One way to read each text: these are repeated, and a choice would double the work with every number.
_DIGITS = r"[1-9]\d{{0,2}}(?!\d)"
_NUMBERED = rf"(?:the )?{_CALLED}(?: ?# ?| )?(?P<{{0}}n>{_DIGITS})|#(?P<{{0}}h>{_DIGITS})"
_NTH = rf"(?:{'|'.join(_ORDINALS)}|[1-9]\d?(?:st|nd|rd|th))"
_FROM_AN_END = (  # "second last", "third from the bottom", "the second one from the left"
    rf"{_NTH}(?: {_NOUN})? from (?:the )?(?:top|left|start|beginning|bottom|end|back|last)|"
    rf"{_NTH}[ -](?:to[ -](?:the )?)?last|last but one|next to last|penultimate"
)
_ORDINAL = (
    rf"(?:the )?(?:very )?(?P<{{0}}o>{_FROM_AN_END}|{_NTH}|(?>(?<=the )|(?<=very )|(?=last {_NOUN}\b))last|"
    rf"(?:top|bottom)(?= {_NOUN}\b))(?: {_NOUN})?"  # "the top" alone is what somebody wears
)
_SELECTED = rf"(?P<{{0}}s>(?:this|that|the selected|the marked|the chosen) {_NOUN})"
_BARE = rf"(?P<{{0}}b>{_DIGITS})"
_LINK = r"(?: ?, ?(?:and |or |nor )?| and | or | nor | (?=[#\d]))(?:not |n't )?"


def _ref(name: str, bare: bool = False) -> str:
    parts = [_NUMBERED, _ORDINAL, _SELECTED, *([_BARE] if bare else [])]
    return "(?:" + "|".join(part.format(name) for part in parts) + ")"


def _many(bare: bool) -> str:
    one = re.sub(r"\?P<\w+>", "?:", _ref("x", bare))
    return rf"(?P<many>{one}(?:{_LINK}{one})*+)"


_HIM = (
    r"(?:him|her|them|it|the one|the person|the man|the woman|who i mean|who i am looking for|"
    r"(?:my|our) (?:man|woman|guy|girl|person|suspect))"
)
_RIGHT = r"(?:right|correct|a match|the right (?:one|person))"
_SURELY = r"(?:(?:definitely|certainly|surely|clearly|obviously|absolutely|probably|really|most likely) )?"
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
    rf"(?:yes,? )?(?:i (?:think|reckon|believe|guess|am sure) |probably |maybe )?(?:it|that) "
    rf"(?:is|was|must be) {_SURELY}(?:{_HIM},? )?{_ref('one', True)}",
    rf"(?:yes,? )?{_ref('one', True)} (?:is|was|looks like|must be|has to be) {_SURELY}(?:{_HIM}|{_RIGHT})",
    rf"(?:yes,? )?{_ref('one', True)} (?:looks|seems|fits|matches) {_SURELY}(?:{_RIGHT}|good|great|perfect|spot on)",
    rf"(?:confirm|accept) {_ref('one', True)}",
    rf"(?:he|she) is {_SURELY}{_ref('one')}",
    rf"(?:yes|definitely|certainly|absolutely),? {_ref('one')}",
)
_CONFIRMS_ALL = (rf"(?:yes,? )?(?:both )?{_many(True)} (?:are|were) (?:both |all )?(?:{_HIM}|{_RIGHT})",)
_AWAY = (
    r"(?:reject|remove|hide|drop|dismiss|discard|exclude|skip|get rid of|take out|take away|throw (?:out|away)|"
    r"rule out|leave out|cross (?:out|off)|weed out|filter out|eliminate|delete|ditch|bin|strike|ignore|forget)"
)
_NO_MORE = r"(?: (?:too|again|as well|any ?more|ever again|from the list|from the results))*"
_REJECTS = (
    rf"(?:no,? )?(?:(?:it|that) (?:is|was) |they are )?{_SURELY}(?:not|neither) {_SURELY}{_many(True)}",
    rf"(?:no,? )?{_many(True)} (?:is|are|was|were) {_SURELY}(?:not (?:{_HIM}|{_RIGHT})|"
    r"(?:all |both )?(?:wrong|no good|out)|some(?:one|body) else)",
    rf"{_AWAY} {_many(True)}{_NO_MORE}",
    rf"(?:do not (?:ever )?show|never show|stop showing)(?: me| us)? {_many(True)}{_NO_MORE}",
    rf"(?:take|throw|rule|cross|leave|kick|get) {_many(True)} (?:out|off|away)(?: (?:of )?(?:the list|here|this))?",
    rf"{_many(True)} can go(?: away)?",
)
_SHOW = (
    r"(?:(?:show|open|see|view|select|mark|enlarge|magnify|highlight|display|look at|bring up|pull up|focus on|"
    r"click(?: on)?|zoom(?: in)?(?: on| into| to)?|(?:have|take|get|give me) a (?:closer |better |good )?look at|"
    r"let me see)(?: me)?)"
)
_ALL_THE_OTHERS = (
    r"(?:everyone|everybody|everything|all|them all|all of (?:them|these)|the (?:others|rest))(?: else)?"
)
_SELECTS = (
    rf"(?:(?:(?:it|that|this) )?(?:could|might|may) be|maybe|perhaps|possibly) {_ref('one', True)}",
    rf"(?:{_SHOW} )?(?:(?:only|just) )?{_ref('one')}(?: again)?",
    rf"{_SHOW} (?:(?:only|just) )?{_ref('one', True)}(?: (?:again|up close|closer|bigger|larger))?",
    rf"{_AWAY} {_ALL_THE_OTHERS} (?:but|except|apart from|other than|bar)(?: for)? {_ref('one', True)}",
    rf"(?:only keep|keep only|keep just|just keep) {_ref('one', True)}",
)
_BECAUSE = re.compile(
    r"(?P<about>.+?)(?:[,;.:!]+ (?:because |as |since )?| because | as | since )"
    r"(?P<rest>(?:he|she|they|his|her|their|the (?:person|man|woman|boy|girl|guy|lady))\b.+)"
)
_FROM_THE_RIGHT = re.compile(rf"(?:{_SHOW} )?(?:the )?{_NTH}(?: {_NOUN})? from (?:the )?right(?: {_NOUN})?")
_NOT_BUT = (
    rf"(?:no,? )?(?:it is |that is )?not {_ref('other', True)}[,;.]? (?:(?:but |and )?(?:it is|that is)|but) "
    rf"{_ref('one', True)}",
    rf"(?:yes,? )?(?:it is |that is ){_ref('one', True)},? (?:and )?not {_ref('other', True)}",
)
_NONE = re.compile(
    r"(?:no,? )?(?:it is |that is )?(?:none|neither|not any|not one) of (?:these|them|those|the above)"
    rf"(?: (?:people|persons|candidates|results|crops))?(?: (?:is|are|was|fits?|match(?:es)?)(?: {_HIM})?)?|"
    rf"(?:no,? )?(?:these|those|they|all of (?:these|those|them)|all) (?:are|were) (?:all )?(?:wrong|not {_HIM})|"
    r"(?:all|everyone|everything)(?: (?:is|of (?:these|those|them)))? wrong"
)
_ALL = re.compile(
    r"(?:reject|dismiss|discard|hide) (?:(?:them )?all(?: of (?:them|these|those))?|them|these|those)"
)
_THIS_IS = re.compile(r"(?:yes,? )?(?:that|this) is (?:definitely )?(?:him|her)")
_THIS_IS_NOT = re.compile(r"(?:no,? )?(?:(?:it|that|this) is )?not (?:him|her)")
_SPELT = re.compile(rf"\b(number|candidate) ({'|'.join(_NUMBERS)})\b")
_PLURAL = re.compile(
    r"\b(?:numbers|candidates) (\d{1,3}(?:(?: ?, ?(?:and |or )?| and | or | with | )\d{1,3})*)\b"
)
_FIRST_FEW = re.compile(
    rf"(?:the )?first ({'|'.join(_NUMBERS[1:])}|[2-9]|1[0-2])\b(?: (?:ones|people|candidates|results))?"
)
_RANGE = re.compile(rf"({_AWAY}) ([1-9]\d?) ?(?:-|–|to|through) ?([1-9]\d?)$")
_NOT_THE_OTHER = re.compile(  # chosen, or right?
    rf"(?:i meant? {_ref('one', True)}|{_ref('other')}),? (?:and )?not {_many(True)}"
)
_COMPARE = (
    rf"compare {_ref('one', True)} (?:and|with|to|against|vs\.?|versus) {_ref('other', True)}",
    rf"(?:is|are) {_ref('one', True)}(?: and | ?, ?){_ref('other', True)} (?:the )?same(?: person| man| woman| one)?",
    rf"(?:is|are) {_ref('one', True)} the same(?: person| man| woman| one)? as {_ref('other', True)}",
    rf"(?:what is |tell me |show me )?(?:the )?(?:difference|different) (?:between|about) {_ref('one', True)} and "
    rf"{_ref('other', True)}",
    rf"how (?:do|are) {_ref('one', True)} and {_ref('other', True)} (?:differ|different)",
    rf"{_ref('one', True)} (?:vs\.?|versus) {_ref('other', True)}",
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
    rf"(?:yes,? )?{_ref('one', True)} (?:(?:is|looks|seems|could be|might be|fits)\b.* but "
    r"(?:the|his|her|their|its) .+|(?:is|looks|seems|comes) (?:(?:very|quite|pretty) )?"
    r"(?:close|nearly right|almost right)(?:,? but .+)?)"
)
STILL_THERE = "All candidates that were listed still stand on the screen; “undo” takes the last step back."
SAY_OTHERWISE = (
    "The search stays as it was: say what is otherwise, such as “like number {0}, but without a hat”, or “it is "
    "number {0}”."
)
_ASKS = re.compile(
    r"(?P<before>(?:who|what|which|where|when|why|how|is|are|was|does|do|did|has|have|can|could|tell me|describe)\b.*?)"
    rf" ?{_ref('one')}(?:(?:,| and| or| with|, and) {_ref('other', True)})?(?:'s)?(?P<after>(?: .*)?)"
)
_ASKS_NUMBER = re.compile(  # a bare number: what follows tells it from an hour and from a count of things
    rf"(?P<before>(?:(?:what|which|where|when|how|why)\b.*?)?(?:is|was|does|did|has|had|can)) {_ref('one', True)}"
    r"(?P<after> (?:on|seen|from|wear(?:ing)?|carry(?:ing)?|hold(?:ing)?|have|got|look(?:ing)?|doing|going|standing|"
    r"with|a|an|the|him|her|male|female|man|woman)\b.*)|"
    rf"(?P<where>(?:where|when|who|how (?:old|sure|tall)) (?:is|was)|describe|tell me about) {_ref('other', True)}"
)
_ASKS_BOTH = re.compile(
    rf"(?P<before>(?:(?:what|which|where|when|how) )?(?:are|were|do|did)) {_ref('one', True)} and {_ref('other', True)}"
    r"(?P<after> .+)"
)
_MAYBE_A_NUMBER = re.compile(
    r"(?:(?:yes,? )?(?:maybe |i \w+ |probably )?(?:it|that|this) (?:is|was|could be|might be|may be)|"
    r"(?:could|might|may) be|maybe|perhaps|possibly) ([1-9]\d{0,2})"
)
_UNCLEAR = re.compile(
    r"(?=.*\b(?:numbers?|candidates?)\b)"
    r"(?:(?:show|open|see|view|select|take|numbers?|candidates?|and|or|to|the|all|me|"
    rf"{'|'.join(_ORDINALS)}|last|\d+)(?:[ ,]+|$))+"
)
_PREFIX = re.compile(
    r"(?:please|pls|plz|ok(?:ay)?|so|and|then|now|hm+|well|oh|actually|sorry|wait|can you|could you|would you|"
    r"can we|could we|i want to|i would like to|let us)\b[ ,]*"
)
_ITS = re.compile(  # "its 4", not "its colour"
    r"\bits\b(?= (?:not|number|candidate|no\.?|nr\.?|the|this|that|definitely|certainly|probably|clearly|him|her|#|\d))"
)
_COURTESY_AFTER = re.compile(r"[, ]+(?:please|pls|plz|thanks|thank you)$")
_THOUGHT_AFTER = re.compile(
    r"[, ]+(?:i (?:think|believe|guess|reckon|suppose|would say)|i am (?:(?:pretty|quite|fairly|almost) )?sure|"
    r"for sure|no doubt|definitely|certainly)$"
)
_DOUBT_AFTER = re.compile(r"(.*\d|.*one)[, ]+(?:maybe|perhaps|possibly)$")


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


def read_pointing(text: str, shown: int = 12) -> Pointing | None:
    """What a message does with the candidates on the screen; None where it is about something else.

    shown: how many they are. "Maybe 30" of fewer is an age.
    """
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
    of_many: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("search-with", (*_SEARCHES, *_LIKE)),
        ("reject", _REJECTS),
        ("confirm", _CONFIRMS_ALL),
    )
    for action, patterns in of_many:
        for pattern in patterns:
            if match := re.fullmatch(pattern, said):
                return Pointing(action, _places(match["many"]))
    of_one: tuple[tuple[str, tuple[str, ...]], ...] = (("confirm", _CONFIRMS), ("select", _SELECTS))
    for action, patterns in of_one:
        for pattern in patterns:
            if match := re.fullmatch(pattern, said):
                hedged = _MAYBE_A_NUMBER.fullmatch(said)
                return None if hedged and int(hedged[1]) > shown else Pointing(action, _one(match))
    if (order := list_order(said)) is not None:
        return Pointing(order)
    if is_no_order(said):
        return Pointing("unclear", sentence=ORDERS_THERE_ARE)
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
    if match := _BECAUSE.fullmatch(said):
        judged = read_pointing(match["about"], shown)
        if judged is not None and judged.action in ("confirm", "reject"):
            return replace(judged, rest=match["rest"])
    if _FROM_THE_RIGHT.fullmatch(said):
        return Pointing("unclear")
    if match := _BUT_WRONG.fullmatch(said):
        (wrong,) = _one(match)
        return Pointing("unclear", sentence=SAY_OTHERWISE.format(wrong)) if wrong > 0 else Pointing("unclear")
    if match := _TWO_OF_THEM.fullmatch(said):
        places = [_place(match, name) for name in ("one", "other")]
        return Pointing("compare", tuple(place for place in places if place is not None))
    if is_asked(text) and (match := _TAGGED.fullmatch(said)):
        return Pointing("ask", _one(match), question=f"{match['does']}{match['after']}")
    if match := _ASKS_BOTH.fullmatch(said) or _ASKS.fullmatch(said):
        places = [_place(match, name) for name in ("one", "other")]
        asked = f"{match['before']}{match['after']}".strip()
        return Pointing("ask", tuple(place for place in places if place is not None), question=asked)
    if match := _ASKS_NUMBER.fullmatch(said):
        name = "one" if match["before"] else "other"
        place, asked = _place(match, name), match["where"] or f"{match['before']}{match['after']}"
        return None if place is None or place > shown else Pointing("ask", (place,), question=asked)
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
    said = re.sub(r"[.!?]+$", "", said).strip()
    while (cut := _PREFIX.match(said)) and cut.end() < len(said):
        said = said[cut.end() :]
    said = re.sub(r"^(?:nope|nah)\b", "no", re.sub(r"^(?:yeah|yep|yup)\b", "yes", said))
    said = _ITS.sub("it is", spelt_out(in_one_form(said)).replace(" & ", " and "))
    said = _THOUGHT_AFTER.sub("", _COURTESY_AFTER.sub("", said))
    said = _DOUBT_AFTER.sub(r"maybe \1", said)
    said = _SPELT.sub(lambda found: f"{found[1]} {_NUMBERS.index(found[2]) + 1}", said)
    said = _PLURAL.sub(lambda found: re.sub(r"\d+", r"#\g<0>", found[1]), said)
    said = _FIRST_FEW.sub(lambda found: _spelt_out(1, found[1]), said)
    said = _RANGE.sub(lambda found: f"{found[1]} {_spelt_out(int(found[2]), found[3])}", said)
    return said


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
        return _counted(ordinal)
    return 0 if match[f"{name}s"] is not None else None


def _counted(ordinal: str) -> int:
    """The place that is counted off: "third" is 3, "last" -1, "second from the bottom" -2."""
    if ordinal in ("last but one", "next to last", "penultimate"):
        return -2
    first = ordinal.replace("-", " ").split()[0]
    number = 1 if first in ("top", "last", "bottom") else _number(first)
    return -number if re.search(r"\b(?:last|bottom|end|back)$", ordinal) else number


def _number(ordinal: str) -> int:
    return _ORDINALS.index(ordinal) + 1 if ordinal in _ORDINALS else int(re.sub(r"\D", "", ordinal))
