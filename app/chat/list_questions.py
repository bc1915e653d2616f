"""Questions about all the candidates, or about the search, that must not change it: "which one has a hat?", "is anyone
in red on camera 2?", "how many after 12?", "what do you know so far?".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_OF_THEM = r"(?: of (?:them|these|those|the (?:candidates|results|people|crops)))?"
_NOUN = r"(?:ones?|candidates?|results?|persons?|people|crops?|m[ae]n|wom[ae]n|guys?|lad(?:y|ies)|boys?|girls?|kids?)"
_DOES = (
    r"(?:is|are|was|were|has|have|had|wears?|wore|wearing|carr(?:y|ies|ied|ying)|holds?|held|holding|shows?|looks?|"
    r"looked|fits?|does|do|did|can|with|in|without|on|came|passed)"
)
_ANYONE = r"(?:(?:any|some)(?:one|body)|any|some|one)"
_WHICH = re.compile(rf"(?:which|who)(?: (?P<noun>{_NOUN}))?{_OF_THEM} (?P<rest>{_DOES}\b.*)")
_IDENTITY = re.compile(
    r"who (?:is|are|was|were|does|do|did|has|can) (?:the|this|that|these|those|he|she|it|they|you|i|we)\b.*"
)
_ANY = re.compile(
    rf"(?:is|are|was|were) (?:there (?:(?:also|still) )?)?{_ANYONE}(?: (?P<noun>{_NOUN}))?{_OF_THEM}(?P<rest> .+)|"
    rf"(?:is|are|was|were) there (?P<there>(?:an?|also an?|any|some|the|two|other|more)\b.+)|"
    rf"(?:do|does|did|has|have|had|can) {_ANYONE}(?: (?P<whose>{_NOUN}))?{_OF_THEM}(?P<did> .+)"
)
_COUNT = re.compile(
    rf"how many(?! (?:cameras?|days?|hours?|minutes?|times|pictures))(?: (?P<noun>{_NOUN}))?{_OF_THEM}(?P<rest>.*)"
)
_KNOWN = re.compile(
    r"what (?:do|did) you (?:know|have|understand|search|look for)(?: of (?:him|her|them))?(?: so far| now| yet)?|"
    r"what (?:is|do we) (?:known|know|understood|sought|searched)(?: so far| now| yet)?|"
    r"(?:who|whom|what) (?:are|am|is) (?:you|we|i) (?:looking|searching) for(?: now)?|"
    r"what have (?:you|i|we) (?:understood|said|got|told you)(?: so far)?|(?:summari[sz]e|sum up|recap)(?: the search)?"
)
_HELPS = re.compile(
    r"what (?:else )?(?:would|could|can|may|might) help(?: (?:you|me|us|the search))?(?: (?:the )?(?:most|more|best))?|"
    r"what (?:else )?(?:should|can|could) i (?:add|say|tell you|give you|describe)(?: (?:next|now|more|still))?|"
    r"what (?:else |more )?do you (?:still )?need(?: to know)?"
)
_PERSON = r"(?:he|she|they|the (?:man|woman|person|suspect|boy|girl|guy|lady|child|kid))"
_OF_WHOM = rf"(?:{_PERSON}|his|her|hers|him|them|their)"
_ABOUT = re.compile(
    rf"(?:is|are|was|were|does|do|did) {_OF_WHOM}\b[^?]*|(?:has|have|had) {_PERSON}\b[^?]*|is it an? [^?]+|"
    rf"(?:what|which|where|when|why|how)\b(?! if| about)(?: \w+){{0,3}}?"
    rf" (?:is|are|was|were|does|do|did|has|have|can|could)"
    rf"\b[^?]*\b{_OF_WHOM}\b[^?]*|"
    rf"(?:describe|(?:tell me|say)(?: more| something)? about) {_OF_WHOM}"
)
_COURTESY = re.compile(r"^(?:(?:please|so|and|ok|okay|then|now|well)\b[ ,]*)+|[ ,]*(?:please)?[?.! ]*$")
_NAMELESS = frozenset(
    {"one", "ones", "candidate", "candidates", "result", "results", "person", "persons", "people"}
)


@dataclass(frozen=True)
class ListQuestion:
    """kind: what is asked; about: what it asks of the candidates, as a description of a person."""

    kind: Literal["which", "any", "count", "known", "helps"]
    about: str = ""


def read_list_question(text: str) -> ListQuestion | None:
    """The question about the list or the search that a message is; None for any other."""
    said = _plain(text)
    if _KNOWN.fullmatch(said):
        return ListQuestion("known")
    if _HELPS.fullmatch(said):
        return ListQuestion("helps")
    if (match := _COUNT.fullmatch(said)) is not None:
        return ListQuestion("count", f"{_described(match['noun'])}{match['rest']}")
    if (match := _ANY.fullmatch(said)) is not None:
        about = f"{_described(match['noun'] or match['whose'])}{match['rest'] or match['did']}"
        return ListQuestion("any", match["there"] or about)
    if (match := _WHICH.fullmatch(said)) is not None and not _IDENTITY.fullmatch(said):
        return ListQuestion("which", f"{_described(match['noun'])} {match['rest']}")
    return None


def asks_about_person(text: str) -> bool:
    """Whether a message asks something of "him" or "her": "is she wearing glasses?", "what is on his back?"."""
    return bool(_ABOUT.fullmatch(_plain(text)))


def _described(noun: str | None) -> str:
    return noun if noun is not None and noun not in _NAMELESS else "person"


def _plain(text: str) -> str:
    said = (
        " ".join(text.casefold().replace("’", "'").split()).replace("who's", "who is").replace("n't", " not")
    )
    return _COURTESY.sub("", said)
