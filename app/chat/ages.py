"""Ages in numbers: "about 40 years old", "in her 30s", "a 25-year-old", "in his late fifties"."""

from __future__ import annotations

import re

from app.chat.tables import listed
from app.chat.taking import Taking, whole_number
from app.model.vocabulary import Attribute

_DECADES = {"teens": 15, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60}
_DECADES |= {"seventies": 70, "eighties": 80, "nineties": 90}
_TIED = re.compile(r"(\d{1,2})(?:yo|yrs|y|yr|ish)")
_TENS = {
    word: 10 * tens for tens, word in enumerate(listed("thirty forty fifty sixty seventy eighty"), start=3)
}
_TENS["twenty"] = 20
_LEADING = frozenset(
    listed(
        """
    in his her their the about around aged age early mid late roughly approximately of maybe between is was
    """
    )
)


def read_ages(taking: Taking) -> list[Attribute]:
    """The ages that the message gives in numbers; takes those tokens."""
    found: list[Attribute] = []
    place = 0
    while place < len(taking.tokens):
        years, end = _at(taking, place)
        if years is None:
            place += 1
            continue
        start = place
        while taking.text(start - 1) in _LEADING:
            start -= 1
        taking.take(start, end)
        found.append(Attribute("age", age_of(years)))
        place = end
    return found


def age_of(years: int) -> str:
    """The vocabulary's age: young until 35, middle-aged until 60, then elderly."""
    return "young" if years < 36 else "middle-aged" if years < 60 else "elderly"


def _at(taking: Taking, place: int) -> tuple[int | None, int]:
    text = taking.text(place)
    if text in _DECADES and taking.text(place - 1) in (
        "his",
        "her",
        "their",
        "the",
        "early",
        "mid",
        "late",
        "in",
    ):
        return _DECADES[text] + 5, place + 1
    if (decade := re.fullmatch(r"(\d)0s", text)) and int(decade[1]):
        return int(decade[1]) * 10 + 5, place + 1
    if tied := _TIED.fullmatch(text):
        return int(tied[1]), place + (2 if taking.text(place + 1) == "old" else 1)
    number = _TENS.get(text) or whole_number(text)
    if number is None or not 0 < number < 110:
        return None, place
    after = place + 1
    if taking.text(after) in ("to", "-", "or", "and"):
        upper = whole_number(taking.text(after + 1))
        if upper is not None and number < upper < 110:
            middle = (number + upper) // 2
            if taking.text(after + 2) in ("years", "year", "yrs"):
                return middle, after + (4 if taking.text(after + 3) in ("old", "of") else 3)
    if taking.text(after) in ("years", "year", "yrs", "yr"):
        if taking.text(after + 1) == "old":
            return number, after + 2
        if taking.words(after + 1, "of age"):
            return number, after + 3
    if taking.text(place - 1) in ("aged", "age") or taking.text(place - 2) in ("aged", "age"):
        return number, after
    if taking.text(place - 1) in ("about", "around", "roughly") and number > 24 and taking.may_follow(after):
        return number, after
    return None, place
