"""What is read of the person before the attribute words: ages in numbers ("about 40 years old", "in her 30s"),
and whether clothes may have changed ("he may have changed his clothes").
"""

from __future__ import annotations

import re

from app.chat.message_tokens import Token, TokenCursor, whole_number
from app.chat.persons import KIN
from app.chat.words import listed

_DECADES = {"teens": 15, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60}
_DECADES |= {"seventies": 70, "eighties": 80, "nineties": 90}
_TIED = re.compile(r"(\d{1,2})(?:yo|yrs|y|yr|ish)")
_TENS = {
    word: 10 * tens for tens, word in enumerate(listed("thirty forty fifty sixty seventy eighty"), start=3)
}
_TENS["twenty"] = 20
_YEARS = ("years", "year", "yrs", "yr")
_PEOPLE = frozenset(
    listed(
        "child kid boy girl toddler man woman male female lady guy person teenager teen lad lass youth youngster"
    )
)
_LAST_HOUR = 24
_NAMED = _PEOPLE | KIN.keys()
_LEADING = frozenset(
    listed(
        """
    in his her their the about around aged age early mid late roughly approximately of maybe between is was than
    older younger
    """
    )
)


def read_ages(cursor: TokenCursor) -> None:
    """Takes the ages that the message gives in numbers; each leaves a token of its own, for whose it is."""
    position = 0
    while position < len(cursor.tokens):
        years, end = _years(cursor, position)
        if years is None:
            position += 1
            continue
        start = position
        while cursor.text(start - 1) in _LEADING:
            start -= 1
        raw = " ".join(token.raw for token in cursor.tokens[start:end]).replace(" - ", "-")
        cursor.take(start, end)
        cursor.ages[start] = Token(age_of(years), raw, "age")
        position = end


def age_of(years: int) -> str:
    """The vocabulary's age: a child until 12, young until 35, middle-aged until 60, then elderly."""
    return "child" if years < 13 else "young" if years < 36 else "middle-aged" if years < 60 else "elderly"


def _years(cursor: TokenCursor, position: int) -> tuple[int | None, int]:
    """The age in years that stands at `position`, or None, and one past its last token."""
    text = cursor.text(position)
    if text in _DECADES and cursor.text(position - 1) in (
        "his",
        "her",
        "their",
        "the",
        "early",
        "mid",
        "late",
        "in",
    ):
        return _DECADES[text] + 5, position + 1
    if (decade := re.fullmatch(r"(\d)0s", text)) and int(decade[1]):
        return int(decade[1]) * 10 + 5, position + 1
    tied = _TIED.fullmatch(text)
    by_clock = text.endswith("ish") and tied is not None and int(tied[1]) <= 24
    if tied and (not by_clock or _said_of_person(cursor, position)):
        return int(tied[1]), position + (2 if cursor.text(position + 1) == "old" else 1)
    number = _TENS.get(text) or whole_number(text)
    if number is None or not 0 < number < 110:
        return None, position
    after = position + 1
    if text in _TENS and 0 < (unit := whole_number(cursor.text(after)) or 0) < 10:  # "twenty-five"
        number, after = number + unit, after + 1
    if cursor.text(after) == "-" and cursor.text(after + 1) in (*_YEARS, "something"):  # "6-year-old"
        after += 1
    if cursor.text(after) == "something":
        return number + 5, after + 1
    if cursor.text(after) in ("month", "months") and cursor.text(after + 1) == "old":
        return 1, after + 2
    if cursor.text(after) == "yo" or cursor.stands(after, "y / o"):
        return number, after + (1 if cursor.text(after) == "yo" else 3)
    if cursor.text(after) in ("to", "-", "or", "and"):
        upper = whole_number(cursor.text(after + 1))
        if upper is not None and number < upper < 110:
            middle = (number + upper) // 2
            if cursor.text(after + 2) in _YEARS:
                return middle, after + (4 if cursor.text(after + 3) in ("old", "of") else 3)
    if cursor.text(after) in _YEARS:
        if cursor.text(after + 1) in ("old", "olds"):
            return number, after + 2
        if cursor.stands(after + 1, "of age"):
            return number, after + 3
        # "a man of 71 years", "male, 17 yrs"
        if cursor.text(position - 1) in _NAMED | {"of", ","} and cursor.text(after + 1) != "ago":
            return number, after + 1
    if cursor.may_follow(after) and _is_corrected(cursor, position, number, after):
        return number, after
    if cursor.may_follow(after) and _said_of_person(cursor, position):
        return number, after
    if cursor.text(position - 1) in ("aged", "age") or cursor.text(position - 2) in ("aged", "age"):
        return number, after
    if cursor.text(position - 1) == "than" and cursor.text(position - 2) in ("older", "younger"):
        return number, after
    if (
        cursor.text(position - 1) in ("about", "around", "roughly", "maybe", "perhaps")
        and number > _LAST_HOUR
        and cursor.may_follow(after)
    ):
        return number, after
    return None, position


def _is_corrected(cursor: TokenCursor, position: int, number: int, after: int) -> bool:
    """ "Not 20, more like 40": no hour is so late, so that both are ages."""
    if cursor.stands(position - 2, "more like"):
        return number > _LAST_HOUR
    better = whole_number(cursor.text(after + 3)) if cursor.stands(after, ", more like") else None
    return cursor.text(position - 1) == "not" and max(number, better or 0) > _LAST_HOUR and better is not None


def _said_of_person(cursor: TokenCursor, position: int) -> bool:
    """Whether a bare number is an age: "a child of about eight", "she is 25"."""
    before = position - 1
    while cursor.text(before) in (
        "about",
        "around",
        "roughly",
        "maybe",
        "perhaps",
        "approximately",
        "probably",
        "not",
    ):
        before -= 1
    if cursor.text(before) == ",":  # "a girl, 9, in a dress", "my nan, 81"
        late = (whole_number(cursor.text(position)) or 0) > _LAST_HOUR
        ended = all(token.text in ".!?" for token in cursor.tokens[position + 1 :])
        ends = ended and (late or cursor.text(before - 1) in KIN)
        return (ends or cursor.text(position + 1) == ",") and cursor.text(before - 1) in _NAMED
    if cursor.text(before) == "of":
        return cursor.text(before - 1) in _NAMED
    if cursor.text(before) in ("he", "she"):  # "she's 5"
        return True
    linked = cursor.text(before) in ("is", "was", "looks", "looked")
    return linked and cursor.text(before - 1) in KIN.keys() | {"he", "she"}


_CLOTHES = r"(?:clothes|clothing|outfits?|garments)"
_BEFORE = (
    r"(?:\b(?:but|and|now|he|she|they|it|who|the|this|that|do|does|did|may|might|could|can|must|will|would|"
    r"should|probably|perhaps|maybe|possibly|likely|well|has|have|had|is|are|was|be|been|also|since|not|never|"
    r"wearing|wears|wear|dressed|in|with|a|an|some|quite|completely|totally)\s+)*"
)
_OTHER = re.compile(
    rf"{_BEFORE}\b(?:change|changed|changes|changing|swapped)\s+(?:(?:his|her|their|the|its|into|to|other|different|"
    rf"new|all)\s+)*{_CLOTHES}\b"
    rf"|{_BEFORE}\b(?:other|different|another|new|any)\s+(?:set\s+of\s+|kind\s+of\s+)?{_CLOTHES}\b"
    rf"|\b(?:ignore|forget|never\s+mind|regardless\s+of|whatever)\s+(?:(?:the|his|her|their)\s+)?{_CLOTHES}\b"
    rf"|\b(?:the|his|her|their)\s+{_CLOTHES}\s+(?:do|does|may|might|can|could|will)\s+(?:not\s+matter|differ|change|"
    r"be\s+(?:different|others?)|have\s+(?:changed|differed))\b"
)
_SAME = re.compile(
    rf"{_BEFORE}\b(?:the\s+)?same\s+{_CLOTHES}\b"
    rf"|\b(?:the|his|her|their)\s+{_CLOTHES}\s+(?:are|is|stay|have\s+stayed)\s+the\s+same\b"
)
_MATTERS_NOT = re.compile(r"\bnot\s+matter\b")
_NEGATED = re.compile(r"\b(?:not|never)\b")


def read_outfits(cursor: TokenCursor) -> bool | None:
    """True where the message says that clothes may have changed, False where it says that they have not, and None
    where it says neither; takes those tokens. What is said last holds.
    """
    text = " ".join(cursor.text(position) or "." for position in range(len(cursor.tokens)))
    matches = [(match.start(), match, True) for match in _OTHER.finditer(text)]
    matches += [(match.start(), match, False) for match in _SAME.finditer(text)]
    other: bool | None = None
    for _, match, says_other in sorted(matches, key=lambda each: each[0]):
        first = text.count(" ", 0, match.start())
        cursor.take(first, first + match.group().count(" ") + 1)
        negated = _NEGATED.search(match.group()) and not _MATTERS_NOT.search(match.group())
        other = says_other != bool(negated)
    return other
