"""Orders about the conversation itself: to start over, alone or with the next description, to undo and to redo."""

from __future__ import annotations

import re
from dataclasses import fields

from app.chat.message_tokens import MAX_CHARACTERS, tokenise
from gallery_store.crops import Filters

_SOFTENED = (  # before an order; the words of `intents.plain`, and with "'" as typed
    r"(?:(?:(?:that'?s?|it'?s?)(?: is)? wrong|my mistake|please|pls|plz|ok|okay|so|right|well|now|no|oh|oops|sorry|"
    r"wait|actually|hm+|and|then|let'?s?|let us|can (?:you|we|i)|could (?:you|we|i)|would you|i want to|"
    r"i(?:'d| would)? like to|i need to|just)\b[ ,]*)*"
)
_SOFTENED_AFTER = r"(?: (?:please|pls|plz|now|again|then|thanks|thank you))*"
_BEGIN = (
    r"(?:start|begin) (?:(?:all )?over|again|anew|afresh|fresh|from (?:scratch|the (?:start|beginning)))|"
    r"(?:(?:start|begin|do|make) )?(?:an? )?(?:new|fresh) (?:search|query|person)|"
    r"restart(?: (?:the search|everything))?|reset(?: (?:everything|it all|all|(?:the )?search))?"
)
_CLEAR = (
    r"(?:clear|forget(?: about)?|remove|delete|drop|wipe|scrap) (?:it all|everything|all)"
    r"(?: (?:of )?(?:that|this|it))?(?: (?:that )?i (?:just )?(?:said|told you|wrote))?"
    r"(?: about (?:him|her|them|that|this))?"
)
_CLEAR_SEARCH = r"clear(?: (?:the )?search)?"
_NEXT_PERSON = (
    r"(?:the )?(?:new|next|different) (?:person|suspect|search|query|subject)|a different (?:person|suspect)"
)
_SOMEBODY_ELSE = r"another (?:person|suspect)|some(?:one|body) (?:else|different|new)"
_HIM = r"(?:forget|never mind|nevermind|scrap|drop|cancel)(?: about)? (?:her|him|them|th(?:is|at) (?:person|one))"
_THAT = r"(?:forget|never mind|nevermind|scrap|cancel)(?: about)? (?:that|it)"
_LAST = r"(?:(?:(?:the|my|that) )?last(?: (?:one|step|turn|thing|message|change|bit))?)"
_UNDO = (
    rf"undo(?: (?:that|it|this|(?:a|one) step|{_LAST}|what i (?:just )?(?:said|did)))?|"
    rf"take (?:(?:that|it|this) back|back (?:that|it|this|{_LAST}))|"
    rf"(?:(?:go|step) )?back(?: (?:a|one) step)?|(?:a|one) step back|revert(?: (?:that|it|{_LAST}))?|"
    rf"(?:scratch|cancel|scrap|ignore|disregard|strike|forget|delete|erase) "
    rf"(?:that|{_LAST}|(?:that )?what i (?:just |last )?(?:said|wrote|typed))"
)
_TAKES_BACK = (
    r"(?:undo|scratch|cancel|scrap|disregard|strike|ignore|forget) (?:that|that last (?:one|bit|thing))"
)
_REDO = rf"redo(?: (?:that|it|this|{_LAST}))?|do (?:that|it) again|undo (?:the |that |my )?undo"
_COMMANDS = tuple(
    (name, re.compile(f"{_SOFTENED}(?:{order}){_SOFTENED_AFTER}"))
    for name, order in (("reset", f"{_BEGIN}|{_CLEAR}|{_CLEAR_SEARCH}"), ("undo", _UNDO), ("redo", _REDO))
)

_STOP = r" ?[,.;:!?\u2013\u2014-][,.;:!?\u2013\u2014 -]*+"  # read in one way, however many
_JOINED = r" (?:and|then|now|instead|this time)\b[ ,:]*"
_SOMEBODY = r"(?:an?|man|woman|boy|girl|guy|lady|male|female|person|child|kid|someone|somebody)\b"
_LOOKS_FOR = r"(?:look(?:ing)?|search(?:ing)?|find|show|get|i|we|i'?m|i'?d)\b"
# An order to start over, and what parts it from the description that follows it.
_AFRESH = tuple(
    re.compile(rf"{_SOFTENED}(?:{order}){_SOFTENED_AFTER}(?:{joint})(?P<rest>.*\w.*)", re.IGNORECASE)
    for order, joint in (
        (_BEGIN, rf"{_STOP}|{_JOINED}| (?:with|for) (?={_SOMEBODY})| (?={_SOMEBODY}|{_LOOKS_FOR})"),
        (_CLEAR, rf"{_STOP}|{_JOINED}"),
        (r"(?:a )?new person", r" (?=with\b|in\b|wearing\b)"),
        (rf"(?:(?:look|search) for |find )?(?:{_NEXT_PERSON})", rf"{_STOP}| (?:is|was) "),
        (rf"(?:(?:look|search) for |find )?(?:{_SOMEBODY_ELSE})", r" ?: ?|(?<=now)" + _STOP),
        (f"{_HIM}|{_THAT}", rf"(?:{_STOP}|{_JOINED})(?=(?:(?:and|now|then|please|pls)[ ,]+)*{_LOOKS_FOR})"),
        (_HIM, rf"{_STOP}(?={_SOMEBODY})"),
    )
)
# What of the filters may outlast an order to start over: the words for each field.
_KEPT_FIELDS = {
    "cameras?": ("cameras", "not_cameras"),
    "days?|dates?": ("days", "since", "until"),
    "times?|hours?": ("after", "before", "since", "until"),
    "filters?": tuple(field.name for field in fields(Filters)),
}
_FIELD = (
    r"(?:(?:the|my|that|those|these|all|both|same|last|current|only|just) )*"
    rf"(?:{'|'.join(_KEPT_FIELDS)})(?: filters?)?"
)
_KEEP = r"(?:keep|keeping)\b"
# An order to start over that holds on to something.
_PARTLY = re.compile(
    rf"{_SOFTENED}(?:"
    rf"(?:{_BEGIN}){_SOFTENED_AFTER}[ ,;.]+(?:(?:but|and|only)[ ,]+)*(?=(?:please )?{_KEEP})|"
    rf"(?:{_CLEAR}|{_CLEAR_SEARCH}){_SOFTENED_AFTER}[ ,;.]+"
    rf"(?:(?:but|except(?: for)?)\b[ ,]*|(?:and |then )?(?={_KEEP}))"
    rf")(?:please )?(?:{_KEEP} )?(?P<rest>.*\w.*)",
    re.IGNORECASE,
)
_KEPT = re.compile(
    rf"(?P<kept>(?:{_FIELD})(?:(?:,? and |, ?| ?& ?)(?:{_FIELD}))*)(?: (?:as (?:it is|they are)|only|on))?"
    rf"{_SOFTENED_AFTER}[.!]*(?:(?:{_STOP}|{_JOINED}| (?:with|for) (?={_SOMEBODY}))(?P<rest>.*\w.*))?",
    re.IGNORECASE,
)
_CORRECTED = re.compile(rf"{_SOFTENED}{_TAKES_BACK}{_STOP}(?P<rest>.*\w.*)", re.IGNORECASE)


def command(text: str) -> str | None:
    """ "reset", "undo" or "redo" for a message (as `intents.plain` gives it) that is nothing but that.

    >>> command("pls undo"), command("ok start over"), command("a red coat")
    ('undo', 'reset', None)
    """
    return next((name for name, order in _COMMANDS if order.fullmatch(text)), None)


def command_in(message: str) -> str | None:
    """The same of a message as it was typed."""
    return command(" ".join(token.text for token in tokenise(message) if not token.is_stop))


def after_start_over(message: str) -> str | None:
    """The description that follows an order to start over; None where there is no such order, or nothing follows.

    >>> after_start_over("Start again: man in a blue suit"), after_start_over("forget her bag, it was a cap")
    ('man in a blue suit', None)
    """
    said = _in_one_line(message)
    found = next((match for order in _AFRESH if (match := order.fullmatch(said))), None)
    return found["rest"] if found else None


def holds_on(message: str) -> str | None:
    """What an order to start over wants to keep, and all that follows; None where there is no such order.

    >>> holds_on("start over but keep the camera"), holds_on("forget everything but the coat"), holds_on("start over")
    ('the camera', 'the coat', None)
    """
    found = _PARTLY.fullmatch(_in_one_line(message))
    return found["rest"] if found else None


def kept_filters(held: str, filters: Filters) -> tuple[Filters, str] | None:
    """The filters that are kept, of those there are, and what is described after them; None where `held`, as `holds_on`
    gives it, does not name filters alone.

    >>> kept_filters("the camera, a man in red", Filters(cameras=("3",), tags=("night",)))[1]
    'a man in red'
    """
    found = _KEPT.fullmatch(held)
    if found is None:
        return None
    said = re.sub(r"\b(cameras?|days?|dates?|times?|hours?) filters?\b", r"\1", found["kept"].lower())
    named = [of for words, of in _KEPT_FIELDS.items() if re.search(rf"\b(?:{words})\b", said)]
    names = {name for of in named for name in of}
    return Filters(**{name: getattr(filters, name) for name in names}), found["rest"] or ""


def after_undo(message: str) -> str | None:
    """What is said in place of what was said last: "scratch that, it was a blue coat"; None where nothing is."""
    found = _CORRECTED.fullmatch(_in_one_line(message))
    return found["rest"] if found else None


def _in_one_line(message: str) -> str:
    start = message.strip()[:MAX_CHARACTERS]
    return " ".join(re.sub(r"\s*\n\s*", ". ", start).replace("’", "'").split())
