"""Orders about the list on the screen: more of it, the order in which it stands, to export it."""

from __future__ import annotations

import re

_MORE = re.compile(
    r"(?:(?:show|see|give|list|display|load)(?: me| us)? )?(?:some |the |any )?"
    r"(?:more|next(?: page| ones| twelve| 12)?)"
    r"(?: (?:results|candidates|crops|people|matches|of them|please))*|next|go on|continue"
)
_THEM = r"(?:them|these|those|it|the (?:results|candidates|crops|list)|everything)"
_ONES = r"(?: (?:ones?|matche?s?|fits?|candidates?|results?|crops?|pictures?|people))?"
_SORT = (
    rf"(?:(?:show|sort|order|list|arrange|put|display|rank)(?: me)?(?: {_THEM})? )?"
    r"(?:(?:sorted|ordered) )?(?:from )?"
)
_ON_TOP = r"(?:first|(?:at|to|on) (?:the )?top|to the front)"
_EARLY, _LATE = r"(?:earliest|oldest)", r"(?:latest|newest|most recent|last seen)"
_LIKELY = r"(?:best|closest|likeliest|strongest|top|most (?:likely|similar|probable|certain|confident|alike|relevant))"
_BY_TIME = re.compile(
    rf"{_SORT}(?:by (?:the )?(?:time|date)|in (?:the )?(?:time|chronological) order|in order of time|"
    rf"chronologically|(?:the )?(?:{_EARLY}|earlier){_ONES} {_ON_TOP}|(?:the )?{_EARLY} to {_LATE})|"
    rf"(?:the )?{_EARLY}(?: ones)?"
)
_BY_TIME_BACK = re.compile(
    rf"{_SORT}(?:(?:by time,? )?(?:the )?(?:{_LATE}|newer|later|more recent){_ONES} {_ON_TOP}|"
    rf"(?:the )?{_LATE} to {_EARLY}|(?:show (?:me )?)?(?:the )?(?:newest|latest)(?: ones?)?|"
    r"in reverse (?:time )?order|(?:by time )?(?:descending|backwards))"
)
_REVERSED = re.compile(
    r"(?:reverse|turn round|invert|flip)(?: (?:the )?(?:order|list|results|sorting|them|it))?|"
    r"(?:in )?(?:the )?(?:reverse(?:d)?|other|opposite) order"
)
_BY_FIT = re.compile(
    rf"{_SORT}(?:by (?:the |how )?(?:(?:best )?(?:fit|match)|likeness|likelihood|score|confidence|similarity|"
    rf"probability|relevance|well they (?:fit|match))|(?:the )?{_LIKELY}{_ONES} {_ON_TOP})"
)
_BY_LOOKS = re.compile(
    rf"{_SORT}(?:by (?:the )?(?:age|height|size|gender|sex|colou?r|build|weight|name|camera|place|location|distance)|"
    r"(?:the )?(?:old|young|tall|short|small|big|slim|thin|fat|heavi|dark|light)(?:er|est)"
    rf"(?: (?:ones?|people|persons?|men|women))? {_ON_TOP}|"
    rf"(?:the )?(?:m[ae]n|wom[ae]n|boys|girls|kids|children) {_ON_TOP})"
)
_EXPORT = re.compile(
    r"(?:export|download|print|save)(?: (?:me|us|this|these|those|them|it|all|everything|a|an|the|my|our|as|to|into|in|"
    r"of|results?|candidates?|crops?|list|search|page|report|pdf|csv|excel|spreadsheet|file))*|"
    r"(?:make|create|write|generate)(?: me)? (?:a |the )?(?:report|pdf|export)\b.*"
)
_ORDERS = (
    ("more", _MORE),
    ("by-time", _BY_TIME),
    ("by-time-back", _BY_TIME_BACK),
    ("by-fit", _BY_FIT),
    ("reverse", _REVERSED),
    ("export", _EXPORT),
)
ORDERS_THERE_ARE = (
    "The candidates can stand by how well they fit or by time, and in no other order: say “best first”, “earliest "
    "first” or “latest first”. Whom to look for, such as “an elderly woman”, is said of the person."
)


def list_order(said: str) -> str | None:
    """The action of an order about the list, by the name that a Pointing has for it; None for anything else.

    said: as `results.plain_words` gives it.
    """
    return next((action for action, order in _ORDERS if order.fullmatch(said)), None)


def is_no_order(said: str) -> bool:
    """True for "older ones first", "sort by height": an order in which candidates cannot stand."""
    return _BY_LOOKS.fullmatch(said) is not None
