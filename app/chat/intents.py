"""Messages that need no search, and their answers: greetings, thanks, help, questions about who somebody is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.chat.complaints import SAID_OF_CANDIDATES
from app.chat.labels import listed_cameras, listed_days
from app.chat.lexicon import Span
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState
from app.chat.words import listed

_EXAMPLE = "*“a woman in a red jacket with a backpack”*"
_GREETING = frozenset(
    listed(
        """
    hello hi hey hiya howdy greetings morning afternoon evening good day there everyone all you how are
    """
    )
)
_HELLO = frozenset(listed("hello hi hey hiya howdy greetings"))
_THANKS = frozenset(listed("thanks thank cheers thx ty"))
_PLEASED = frozenset(
    listed(
        """
    great perfect good nice cool fine excellent awesome super lovely wonderful you very much so a lot
    again well done ok okay many that is was it helpful all for now bye goodbye help your the brilliant
    works
    """
    )
)
_YES = frozenset(
    listed(
        """
    yes yeah yep yup right correct exactly ok okay sure true indeed fine please go ahead alright
    """
    )
)
_NO = frozenset(listed("no nope nah none neither nothing not stop cancel"))
_NOT_THIS = re.compile(
    r"(?:no )?(?:it is |that is |is )?not (?:this|that|the right) (?:one|person)|wrong (?:person|one)"
)
_IDENTITY = re.compile(
    r"\bwho (?:is |are |was )?(?:this|that|she|he|they|it|the|these|those|him|her)\b|\bwho am i\b|"
    r"\bname of\b|\b(?:his|her|their|the person|persons|this person|that person) names?\b|"
    r"\bidentif(?:y|ies|ied|ication)\b|\b(?:know|recogni[sz]e) (?:him|her|them|this|that|who)\b|"
    r"\bwhere (?:do|does|is|did) (?:he|she|they|this|that)\b.*\b(?:live|lives|work|works)\b|"
    r"^whose (?!hair|jacket|coat|bag)|"
    r"\bfa(?:ce|cial) recognition\b|\b(?:his|her|their) (?:address|identity|phone number)\b"
)
_WHO_IS_THAT = re.compile(r"who (?:is |are |was )?(?:this|that|these|those|he|she|they|it)\b.*")
_CHANGE = re.compile(r"\bnow (?:in|wears|wearing|with|has|dressed)\b|\bchanged (?:in)?to\b|\bthis time\b")
_HELP = re.compile(
    r"\bhelp\b(?! me (?:find|to find|look|search|locate))|\bwhat (?:else )?can (?:you|i|one) (?:do|ask|"
    r"say|type|use)\b|"
    r"\bwhat (?:do|does|is) (?:you|this|it) (?:do|work|for|app|tool|system|thing)?$|\bhow (?:do|can|"
    r"does|should) "
    r"(?:i|you|one|we|it|this)\b|\binstructions?\b|\bmanual\b|\bwhat are you\b|\bwho are you\b|\bexamples?\b|"
    r"\bhow (?:to|are) (?:use|search|you)\b|\bwhat (?:words|attributes|filters|cameras)\b|"
    r"\bwhich (?:words|attributes|"
    r"filters|cameras)\b"
)
_QUESTION = re.compile(
    r"(?:what|why|how|who|when|where|which|do you|are you|"
    r"(?:is|was) (?:it|that|this|she|he)|(?:are|were) they|"
    r"will|tell me|write|explain|calculate|translate|(?:can|could) you "
    r"(?!find|show|search|look|see|give|get|try|only|also|filter|remove|add|limit|drop))\b"
)


def plain(spans: Sequence[Span]) -> str:
    """The message's words alone, lower case, single spaces."""
    return " ".join(span.text for span in spans if span.role != "stop")


def asks_identity(text: str) -> bool:
    """True for "who is she?", "what's his name", "do you recognise her"."""
    return bool(_IDENTITY.search(text))


def asks_who_that_is(text: str) -> bool:
    """True for "who is that in the red coat"."""
    return _WHO_IS_THAT.fullmatch(text) is not None


def small_talk(text: str) -> str | None:
    """The intent of a message that says nothing of a person, or None where it may still be a description."""
    words = text.split()
    if not words:
        return "empty"
    if _NOT_THIS.fullmatch(text):
        return "not-this-one"
    if _HELLO & set(words) and set(words) <= _GREETING:
        return "greeting"
    if words[0] == "good" and len(words) == 2 and words[1] in ("morning", "afternoon", "evening", "day"):
        return "greeting"
    thanked = bool(_THANKS & set(words))
    if set(words) <= _THANKS | _PLEASED and (thanked or not ("help" in words or set(words) <= _YES)):
        return "thanks"
    if set(words) <= _YES:
        return "yes"
    if set(words) <= _NO:
        return "no"
    return None


def begins_with_thanks(text: str) -> bool:
    """True for "cheers, that was quick"."""
    return text.split(" ", 1)[0] in _THANKS


def speaks_of_change(text: str) -> bool:
    """True for "but now in a green coat": the person is the same, the clothes are not."""
    return bool(_CHANGE.search(text))


def asks_help(text: str) -> bool:
    """True for "help", "what can you do?", "how does this work"."""
    return bool(_HELP.search(text))


def is_question(text: str) -> bool:
    """True for a message that begins as a question or a request for something other than a person."""
    return bool(_QUESTION.match(text))


def direct_answer_to(understood: ParsedMessage, after: SearchState, gallery: GalleryFacts) -> str | None:
    """Markdown for a message that is answered without a search; None for one that is to be searched."""
    intent = understood.intent
    mended = "".join(f" I read “{typed}” as “{read}”." for typed, read in understood.corrections)
    if intent == "search":
        return None
    if intent == "reset":
        notes = "".join(f" {note}" for note in understood.notes)
        return f"Started over.{notes} Describe the next person, such as {_EXAMPLE}, or drop a photo."
    if intent == "empty":
        return f"Your message is empty. Describe the person, such as {_EXAMPLE}, or drop a photo."
    if intent == "greeting":
        return (
            f"Hello. Tell me whom you are looking for, such as {_EXAMPLE}, or drop a photo. "
            "I show candidates from the gallery; who they are I never tell."
        )
    if intent == "thanks":
        return "You are welcome. Add words, click a candidate, or say “start over” for somebody else."
    if intent in ("yes", "no"):
        return understood.question or (
            "Tell me what to change, such as *“no, the jacket is orange”* or *“only camera 3”*."
        )
    if intent == "not-this-one":
        return "Select the candidate and press **Not this one**: it goes, and the next takes its place."
    if intent == "complaint":
        return SAID_OF_CANDIDATES.format("".join(f"“{words}”" for words in understood.unused))
    if intent == "question":
        return "That asks of candidates, and none are on the screen now. The search stays as it was."
    if intent == "unanswered":
        return "That I cannot answer; the search stays as it was."
    if intent == "identity":
        return (
            "I never tell who somebody is: I show candidates that look alike, and the judgement is yours. "
            "Describe what the person wears or carries, or drop a photo."
        )
    if intent == "help":
        return _help(gallery)
    if intent == "off-topic":
        return f"I can only look for people among the crops of the gallery. Describe one, such as {_EXAMPLE}."
    if intent == "other-language":
        return " ".join(understood.notes)
    return _nothing(understood, after) + mended


def _nothing(understood: ParsedMessage, after: SearchState) -> str:
    notes = " ".join(understood.notes)
    if not notes:
        notes = "I found nothing in that to search by."
    if after.is_empty:
        return f"{notes} Describe what the person wears or carries, such as {_EXAMPLE}, or drop a photo."
    return f"{notes} The search stays as it was."


def _help(gallery: GalleryFacts) -> str:
    where = []
    if gallery.cameras:
        where.append(listed_cameras(gallery.cameras))
    if gallery.days:
        where.append(listed_days(gallery.days))
    has = f" This gallery has {', '.join(where)}." if where else ""
    return (
        "I look for a person among camera crops. Describe them by gender, age, build, hair, clothes and "
        "their "
        f"colours, shoes, hat, bag, glasses, beard or umbrella: {_EXAMPLE}. Then go on: *“she has long "
        f"hair”*, "
        "*“no, the jacket is orange”*, *“without a hat”*, *“forget the backpack”*, *“only camera 3 after "
        "14:00”*. Drop a photo, or select a candidate and search with it: *“the same person, but now in a "
        "green coat”*, or *“they may have changed clothes”*."
        f"{has} Every result is a candidate with a confidence, never an identity."
    )
