"""Messages that are not searches: greetings, thanks, questions about the system or about who somebody is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.chat.lexicon import Item
from app.chat.tables import listed

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
_NO = frozenset(listed("no nope nah none neither nothing not"))
_RESET = re.compile(
    r"(?:please |let us |let )?(?:start (?:over|again|anew|afresh|fresh|from scratch)|new (?:search|"
    r"person|query)|"
    r"reset(?: everything| all| the search| search)?|(?:clear|forget|remove|delete|drop) (?:everything|all)|"
    r"clear(?: the search)?|begin again|restart)(?: please)?"
)
_UNDO = re.compile(
    r"(?:please )?(?:undo(?: that| it| the last (?:one|step|turn))?|take (?:that|it) back|go back|"
    r"revert(?: that)?|"
    r"back)(?: please)?"
)
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


def plain(items: Sequence[Item]) -> str:
    """The message's words alone, lower case, single spaces."""
    return " ".join(item.text for item in items if item.role != "stop")


def command(text: str) -> str | None:
    """ "reset" or "undo" for a message (as `plain` gives it) that is nothing but that."""
    if _RESET.fullmatch(text):
        return "reset"
    if _UNDO.fullmatch(text):
        return "undo"
    return None


def asks_identity(text: str) -> bool:
    """True for "who is she?", "what's his name", "do you recognise her"."""
    return bool(_IDENTITY.search(text))


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
    if set(words) <= _THANKS | _PLEASED and (_THANKS & set(words) or not set(words) <= _YES):
        return "thanks"
    if set(words) <= _YES:
        return "yes"
    if set(words) <= _NO:
        return "no"
    return None


def speaks_of_change(text: str) -> bool:
    """True for "but now in a green coat": the person is the same, the clothes are not."""
    return bool(_CHANGE.search(text))


def asks_help(text: str) -> bool:
    """True for "help", "what can you do?", "how does this work"."""
    return bool(_HELP.search(text))


def is_question(text: str) -> bool:
    """True for a message that begins as a question or a request for something other than a person."""
    return bool(_QUESTION.match(text))
