"""Questions about all the candidates, or about the search, that must not change it: "which one has a hat?", "is anyone
in red on camera 2?", "how many after 12?", "what do you know so far?".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.chat.question_forms import in_one_form, is_asked

_NOUN = r"(?:ones?|candidates?|results?|persons?|people|crops?|m[ae]n|wom[ae]n|guys?|lad(?:y|ies)|boys?|girls?|kids?)"


def _of_them(name: str) -> str:
    return rf"(?: of (?:them|(?:these|those|the)(?: (?P<{name}>{_NOUN}))?))?"


_DOES = (
    r"(?:is|are|was|were|has|have|had|wears?|wore|wearing|carr(?:y|ies|ied|ying)|holds?|held|holding|shows?|looks?|"
    r"looked|fits?|does|do|did|can|with|in|without|on|came|passed)"
)
_ANYONE = r"(?:(?:any|some)(?:one|body)|any|some|one)"
_WHICH = re.compile(rf"(?:which|who)(?: (?P<noun>{_NOUN}))?{_of_them('of')} (?P<rest>{_DOES}\b.*)")
_IDENTITY = re.compile(
    r"who (?:is|are|was|were|does|do|did|can) (?:the|this|that|these|those|he|she|it|they|you|i|we)\b.*|"
    r"who has (?:he|she|it|they|you|i|we)\b.*"
)
_ANY = re.compile(
    rf"(?:is|are|was|were) (?:there (?:(?:also|still) )?)?{_ANYONE}(?: (?P<noun>{_NOUN}))?{_of_them('of')}"
    rf"(?P<rest> .+)|"
    rf"(?:is|are|was|were) there (?P<there>(?:an?|also an?|any|some|the|two|other|more)\b.+)|"
    rf"(?:do|does|did|has|have|had|can) {_ANYONE}(?: (?P<whose>{_NOUN}))?{_of_them('of_whose')}(?P<did> .+)"
)
_ANY_WITHOUT_VERB = re.compile(
    rf"any(?:one|body)?\b(?! (?:chance|ideas?|luck|news|other|others|more|way|else|but|thing|of)\b)"
    rf"(?: (?P<noun>{_NOUN}))?(?P<rest> .+)|any of (?:them|(?:these|those|the)(?: (?P<of>{_NOUN}))?)(?P<of_them> .+)"
)
_COUNT = re.compile(
    rf"(?:how many(?! (?:cameras?|days?|hours?|minutes?|times|pictures))|(?:what|which) (?:percentage|percent|share|"
    rf"proportion|fraction))(?: (?P<noun>{_NOUN}))?{_of_them('of')}(?P<rest>.*)"
)
_SEARCHED = re.compile(
    r"(?:(?:did|have|had) you (?:also |already )?(?:check(?:ed)?|search(?:ed)?|look(?:ed)?(?: (?:at|on|in|through))?)|"
    r"are you (?:also )?(?:checking|searching|looking (?:at|on|in|through))) (?!for\b)(?=.*\b(?:cameras?|day|time|"
    r"everywhere|all|yesterday|today|morning|afternoon|evening|night|hours?|gallery|crops?|pictures?)\b).+"
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
    rf"(?:is|are|was|were|does|do|did) {_OF_WHOM}\b[^?]*|(?:has|have|had) {_PERSON}\b[^?]*|(?:is|was) it an? [^?]+|"
    rf"(?:could|can|might|may|would|must) {_PERSON} (?!.*\bchanged?\b)[^?]+|"
    rf"(?:what|which|where|when|why|how)\b(?! if| about)(?: \w+){{0,3}}?"
    rf" (?:is|are|was|were|does|do|did|has|have|can|could)"
    rf"\b[^?]*\b{_OF_WHOM}\b[^?]*|"
    rf"(?:describe|(?:tell me|say)(?: more| something)? about) {_OF_WHOM}"
)
_OF_THING = re.compile(
    r"(?:(?:what|which) (?:colou?r|kind|sort|type)\b.* (?:is|are|was|were)|"
    r"is|are|was|were|does|did|could|can|might|may|would) "
    r"(?:the|this|that|these|those|it(?! (?:him|her|possible)\b)) .+"
)
_AND_THE = re.compile(
    r"(?:and|(?:and )?(?:what|how) about) (?:the|his|her|their) (?P<thing>\w+(?: \w+)?)[?. ]*"
)
_COURTESY = re.compile(r"^(?:(?:please|so|and|ok|okay|then|now|well)\b[ ,]*)+|[ ,]*(?:please)?[?.! ]*$")
_NAMELESS = frozenset(
    {"one", "ones", "candidate", "candidates", "result", "results", "person", "persons", "people"}
)


@dataclass(frozen=True)
class ListQuestion:
    """kind: what is asked; about: what it asks of the candidates, as a description of a person. also: asked besides."""

    kind: Literal["which", "any", "count", "known", "searched", "helps"]
    about: str = ""
    also: tuple[ListQuestion, ...] = ()


def read_list_question(text: str) -> ListQuestion | None:
    """The question about the list or the search that a message is; None for any other."""
    said = _plain(text)
    if _KNOWN.fullmatch(said):
        return ListQuestion("known")
    if _HELPS.fullmatch(said):
        return ListQuestion("helps")
    if _SEARCHED.fullmatch(said):
        return ListQuestion("searched")
    first, *others = re.split(r",? (?:and|or) (?=how many\b)", said)
    if (match := _COUNT.fullmatch(first)) is not None:
        also = [read_list_question(other) for other in others]
        about = f"{_described(match['noun'] or match['of'])}{match['rest']}"
        return ListQuestion("count", about, tuple(one for one in also if one is not None))
    if (match := _ANY.fullmatch(said)) is not None:
        noun = match["noun"] or match["whose"] or match["of"] or match["of_whose"]
        return ListQuestion("any", match["there"] or f"{_described(noun)}{match['rest'] or match['did']}")
    if is_asked(text) and (match := _ANY_WITHOUT_VERB.fullmatch(said)) is not None:
        rest = match["rest"] or match["of_them"]
        return ListQuestion("any", f"{_described(match['noun'] or match['of'])}{rest}")
    if (match := _WHICH.fullmatch(said)) is not None and not _IDENTITY.fullmatch(said):
        return ListQuestion("which", f"{_described(match['noun'] or match['of'])} {match['rest']}")
    return None


def asks_about_person(text: str) -> bool:
    """Whether a message asks something of "him" or "her": "is she wearing glasses?", "what is on his back?"."""
    said = _plain(text)
    if _ABOUT.fullmatch(said) or not is_asked(text):
        return bool(_ABOUT.fullmatch(said))
    if (match := _AND_THE.fullmatch(" ".join(text.casefold().split()))) is not None:
        return all(span.thing is not None for span in spans_of(tokenise(match["thing"])))
    return bool(_OF_THING.fullmatch(said))


def _described(noun: str | None) -> str:
    return noun if noun is not None and noun not in _NAMELESS else "person"


def _plain(text: str) -> str:
    said = " ".join(text.casefold().replace("’", "'").split()).replace("who's", "who is")
    return in_one_form(_COURTESY.sub("", said)).replace("n't", " not")
