"""Words about the candidates that are no description of the person: "these are all men", "too old", "fewer hats".

What the person is like is said beside them, if at all: "too old, she was about 20".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.chat.question_forms import spelt_out
from app.chat.search_state import SearchState

_PERSONS = (
    r"(?:m[ae]n|wom[ae]n|males?|females?|boys?|girls?|guys?|lad(?:y|ie)s?|blokes?|kids?|child(?:ren)?|adults?|people|"
    r"old|young|elderly|teenagers?|pensioners?)"
)
_HERE = r"(?:these|those|(?:the|these|those) (?:results|candidates|pictures|crops|people|ones))"
_ONE = (
    r"(?:(?:that|this) (?:one|man|woman|person)|the \w+ one|(?:number|candidate|no\.?) ?\d{1,3}|#?\d{1,3}|"
    r"these|those|they)"
)
_ALL_OF_THEM = r"(?:all of (?:them|these|those)|they all|these all|everyone)"
_MORE = r"(?:(?:much|way|far|a bit|a little|all|just|only|mostly|still) )*"
_NOW, _EVER = r"(?:are|have|wear|look|seem)", r"(?:are|were|have|had|wear|wore|look|seem)"
_ALL_ARE = re.compile(
    rf"they (?:{_NOW} (?:all|mostly)|all {_NOW}) .+|"
    rf"{_HERE} (?:{_EVER} (?:all|mostly|only|just)|all {_EVER}) .+|"
    rf"{_HERE} (?:are|were|look) {_MORE}(?:old |young |the wrong )?{_PERSONS}|"
    rf"all(?: of (?:them|these|those))? {_EVER} .+|(?:most|half|many|some) of (?:them|these|those) {_EVER} .+|"
    r"(?:(?:why (?:do|are) )?you (?:are )?(?:keep|only|just)|why (?:do|are|did) you) (?:show(?:ing)?|giv(?:e|ing)) "
    r"(?:me |us )?.+|"
    rf"i (?:only|still|keep) (?:see(?:ing)?|get(?:ting)?) (?:old |young |the wrong )?{_PERSONS}"
)
_TOO = re.compile(
    rf"(?:(?:{_HERE}|{_ONE}|he|she|it|that|this) (?:are|is|was|were|looks?|seems?) )?"
    rf"{_MORE}too (?:old|young|tall|short|fat|thin|slim|big|small|heavy|dark|light|skinny|large)"
)
_FEWER = re.compile(
    r"(?:(?:there are|i see|i get|you show(?: me)?|i want|show(?: me)?|give me) )?"
    r"(?:(?:way |far |much )?too many|fewer|less|not so many|stop showing(?: me| us)?) (?P<what>\w+(?: \w+){0,2})"
)
_WRONG = re.compile(
    r"(?:(?:that|this|it) is |(?:these|those|they) are )?(?:all )?(?:the )?wrong "
    r"(?:gender|sex|age|person|people|colou?rs?|clothes|coat|jacket)"
)
_UNLIKE = re.compile(
    rf"(?:{_ONE}|{_ALL_OF_THEM}) (?P<does>is|are|was|were|has|have|had|wears?|wore|carries|carried)(?P<what> .+?)"
    r"(?:,? but|,|;|\.) (?:he|she|they|mine|the one i want) "
    r"(?:(?:is|was|were|are|has|have|had|did|does|do) not(?: (?:have|wear) (?:one|it|any))?|"
    r"(?:has|have|had|wore|wears|carried) (?:none|nothing)(?: of (?:that|it|them))?)"
)
_PARTS = re.compile(r"\s*(?:[,;!?]+|\.+(?=\s|$)|\s-+\s|[\u2013\u2014]|\bbut\b)\s*", re.IGNORECASE)
_COMPARES = re.compile(
    r"(?:he|she|they|the (?:man|woman|person|guy|girl|boy|lady)) (?:is|was|were|are|looked|seemed) "
    r"(?:(?:much|a lot|a bit|far) )?(?:older|younger|taller|shorter|slimmer|thinner|heavier|bigger|smaller|darker|"
    r"lighter|fatter)(?: than .+)?"
)
SAID_OF_CANDIDATES = (
    "I take {0} as said of the candidates, not of the person: the search stays as it was. Say what the person is like, "
    "such as “a woman of about 30” or “no hat”, or which candidates are wrong, such as “not 1 and 2”."
)
COMPARED = (
    "“{0}” compares with a candidate, so I left it out: say it of the person alone, such as “about 50”."
)


@dataclass(frozen=True)
class Complaint:
    """words: as typed. rest: what the message says of the person besides; "" where it says nothing of them. of_age: it
    is the candidates' age that is wrong.
    """

    words: str
    rest: str = ""
    of_age: bool = False


def read_complaint(message: str, state: SearchState) -> Complaint | None:
    """The complaint about the candidates that a message makes; None for any other message.

    >>> read_complaint("too old, she was about 20", SearchState()).rest
    'she was about 20'
    """
    text = " ".join(message.replace("’", "'").split())
    if match := _UNLIKE.fullmatch(_plain(text)):
        return Complaint(text, _without(match["does"], match["what"].strip()))
    parts = [part for part in _PARTS.split(text) if part]
    of_candidates = [part for part in parts if _is_complaint(part)]
    if not of_candidates or (not _is_complaint(parts[0]) and not _ALL_ARE.fullmatch(_plain(parts[-1]))):
        return None
    rest = [part for part in parts if part not in of_candidates]
    wishes = [_wish(part, state) for part in of_candidates]
    of_age = any(re.search(r"\b(?:old|young|age)$", _plain(part)) for part in of_candidates)
    return Complaint(" ".join(of_candidates), ", ".join(filter(None, (*wishes, *rest))), of_age)


def compares(said: str) -> bool:
    """True for "she was older", where it is said beside a candidate."""
    return _COMPARES.fullmatch(_plain(said)) is not None


def _is_complaint(part: str) -> bool:
    said = _plain(part)
    return any(pattern.fullmatch(said) for pattern in (_ALL_ARE, _TOO, _FEWER, _WRONG))


def _wish(part: str, state: SearchState) -> str:
    """What "fewer hats" asks for, unless the person sought is known to be otherwise anyway, or just so."""
    match = _FEWER.fullmatch(_plain(part))
    if match is None:
        return ""
    entries = [span.entry for span in spans_of(tokenise(match["what"]))]
    kinds = {entry.attribute.kind if entry.attribute else entry.kind for entry in entries} - {None}
    known = {attribute.kind for attribute in (*state.wanted, *state.unwanted)}
    return f"no {match['what']}" if kinds and not kinds & known else ""


def _without(does: str, what: str) -> str:
    """ "Had a hat" of a candidate, as what the person has not."""
    worn = re.sub(r"^(?:wearing|carrying|in|with|on) ", "", what)
    if does in ("is", "are", "was", "were") and worn == what:
        return f"not {what}"
    return f"without {worn}"


def _plain(text: str) -> str:
    said = spelt_out(" ".join(text.casefold().replace("’", "'").split()).strip(" .,;!?"))
    said = re.sub(r"[, ]+(?:please|pls|plz)$", "", said)
    return re.sub(r"^(?:(?:no|but|hm+|well|ok|okay|so|sorry|oh|and|again|still|ugh)\b[ ,]*)+(?=\w)", "", said)
