"""One time of day in words: "14:00", "2.30 pm", "half past ten", "noon", "8 in the evening"."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from app.chat.message_tokens import TokenCursor, whole_number
from app.chat.words import listed

DAY = 24 * 60
_CLOCK = re.compile(r"(\d{1,2})[:.h](\d{2})(?:h|hrs)?(am|pm)?")
_HOUR = re.compile(r"(\d{1,2})(am|pm|h|hrs|ish)")
_WORDED = {"noon": 12 * 60, "midday": 12 * 60, "midnight": DAY}
_MINUTES = {"quarter": 15, "half": 30, "five": 5, "ten": 10, "twenty five": 25, "twenty": 20}
_TENS = {"fifteen": 15, "thirty": 30, "forty five": 45}
PARTS: dict[str, tuple[int, int]] = {  # hours
    "early morning": (5, 9),
    "late morning": (10, 12),
    "morning": (6, 12),
    "early afternoon": (12, 15),
    "late afternoon": (15, 18),
    "afternoon": (12, 18),
    "lunchtime": (11, 14),
    "lunch time": (11, 14),
    "early evening": (17, 20),
    "late evening": (20, 23),
    "evening": (18, 22),
    "tonight": (18, 24),
    "night": (22, 6),
}
_HALVES = {"morning": "am", "afternoon": "pm", "evening": "pm", "tonight": "pm", "night": "night"}
_TO_PART = frozenset(
    listed("in at on the this that last early late")
)  # between an hour and a part of the day
_WORN = frozenset(
    listed(
        """
    gown gowns dress dresses shirt shirts coat coats suit suits wear clothes attire jacket bag robe cap
    """
    )
)


@dataclass(frozen=True)
class Moment:
    """Minutes since midnight, 0..1440; `end` is one past its last token. `certain`: it can only be a time
    (a colon, am or pm), not a mere number. `half`: "am" or "pm" where said. `moved`: read in the afternoon, since the
    gallery has crops then and none in the hour of the morning. `said`: its words.
    """

    minutes: int
    end: int
    certain: bool
    half: str | None = None
    moved: bool = False
    said: str = ""

    @property
    def halved(self) -> bool:
        """Whether a half of the day was said, or none is missing: "2 pm", "14:20", "noon"."""
        return self.half is not None or not (self.moved or 60 <= self.minutes < 13 * 60)

    @property
    def sure(self) -> Moment:
        """The same time, whose half of the day something else says."""
        return replace(self, certain=True, moved=False)

    def at(self, minutes: int) -> Moment:
        """The same words read as another time."""
        return replace(self, minutes=minutes, moved=self.moved and minutes == self.minutes)

    def at_half(self, half: str) -> Moment:
        """The same hour read as am or pm."""
        return Moment(_on_half(self.minutes, half), self.end, True, half, said=self.said)


def read_moment(cursor: TokenCursor, position: int) -> Moment | None:
    """The time that stands at `position`, or None."""
    if cursor.stands(position, "the one") or cursor.stands(position, "the ones"):
        return None  # "the one after that" is no hour
    while cursor.text(position) in ("about", "around", "roughly", "the", "approximately", "exactly", "maybe"):
        position += 1
    text = cursor.text(position)
    if text in _WORDED:
        return Moment(_WORDED[text], position + 1, True, "pm")
    moment = _past_or_to(cursor, position) or _digits(cursor, position, text)
    if moment is None:
        return None
    moment = _with_half(cursor, moment)
    said = " ".join(token.raw for token in cursor.tokens[position : moment.end])
    return _in_gallery(cursor, position, replace(moment, said=said))


def _in_gallery(cursor: TokenCursor, position: int, moment: Moment) -> Moment:
    """ "Half two" is in the half of the day in which there are crops; hours in digits with minutes are as they say."""
    hour = moment.minutes // 60
    said = [cursor.text(at) for at in range(position, moment.end)]
    if moment.half is not None or not 0 <= hour < 12 or any(re.search(r"^0|[:.h]\d", text) for text in said):
        return moment
    if not cursor.hours or hour in cursor.hours or hour + 12 not in cursor.hours:
        return moment
    return replace(moment, minutes=moment.minutes + 12 * 60, moved=True)


def _digits(cursor: TokenCursor, position: int, text: str) -> Moment | None:
    if match := _CLOCK.fullmatch(text):
        return _moment(int(match[1]), int(match[2]), position + 1, True, match[3])
    if match := _HOUR.fullmatch(text):
        half = match[2] if match[2] in ("am", "pm") else None
        return _moment(int(match[1]), 0, position + 1, True, half)
    hour = whole_number(text)
    if hour is None:
        return None
    if len(text) == 4 and text.isdigit():
        if cursor.text(position + 1) in ("hours", "hrs", "h"):
            return _moment(hour // 100, hour % 100, position + 2, True, None)
        return _moment(hour // 100, hour % 100, position + 1, False, None) if hour < 1900 else None
    if cursor.text(position + 1) == "oclock":
        return _moment(hour, 0, position + 2, True, None)
    if cursor.text(position + 1) in ("hours", "hrs", "h"):
        return _moment(hour, 0, position + 2, True, None)
    for words, minutes in _TENS.items():
        if not text.isdigit() and cursor.stands(position + 1, words):
            return _moment(hour, minutes, position + 1 + len(words.split()), True, None)
    return _moment(hour, 0, position + 1, False, None)


def _past_or_to(cursor: TokenCursor, position: int) -> Moment | None:
    """ "Half past ten", "half ten", "quarter to nine", "a quarter past 9", "twenty past two"."""
    if cursor.text(position) == "a":
        position += 1
    for words, minutes in _MINUTES.items():
        if not cursor.stands(position, words):
            continue
        after = position + len(words.split())
        if cursor.text(after) in ("minutes", "mins"):
            after += 1
        if cursor.text(after) in ("past", "to", "after", "before"):
            sign = 1 if cursor.text(after) in ("past", "after") else -1
            if words not in ("quarter", "half") and cursor.text(after) not in ("past", "to"):
                return None
            hour, after = whole_number(cursor.text(after + 1)), after + 2
        elif words == "half":
            sign, hour, after = 1, whole_number(cursor.text(after)), after + 1
        else:
            return None
        if hour is None or not 0 <= hour <= 24:
            return None
        return Moment((hour * 60 + sign * minutes) % DAY, after, True)
    return None


def _moment(hour: int, minute: int, end: int, certain: bool, half: str | None) -> Moment | None:
    if minute > 59 or hour > 24 or (hour == 24 and minute):
        return None
    if half and not 1 <= hour <= 12:
        half = None  # "14:00 pm" is said, and clear
    minutes = hour * 60 + minute
    return Moment(_on_half(minutes, half) if half else minutes, end, certain, half)


def _on_half(minutes: int, half: str) -> int:
    hour, minute = divmod(minutes, 60)
    if not 1 <= hour <= 12:
        return minutes
    return (hour % 12 + (12 if half == "pm" else 0)) * 60 + minute


def _with_half(cursor: TokenCursor, moment: Moment) -> Moment:
    if moment.half is None and cursor.text(moment.end) in ("am", "pm"):
        half = cursor.text(moment.end)
        return Moment(_on_half(moment.minutes, half), moment.end + 1, True, half)
    named = _half_named(cursor, moment.end)
    if named is None:
        return moment
    half, end = named
    hour = moment.minutes // 60
    if half == "night":
        half = "pm" if 6 <= hour < 12 else "am"
    if half == "pm" and moment.half is None and hour == 0:  # "quarter to one in the afternoon"
        return Moment(moment.minutes + 12 * 60, end, True, half)
    if moment.half is not None or not 1 <= hour <= 12:
        return Moment(moment.minutes, end, True, moment.half)
    return Moment(_on_half(moment.minutes, half), end, True, half)


def _half_named(cursor: TokenCursor, position: int) -> tuple[str, int] | None:
    """ "am", "pm" or "night" of the part of the day at `position`, and one past it: "in the morning", "this evening",
    "yesterday afternoon", whose day was taken before; None where there is none.
    """
    end = position
    while end < len(cursor.tokens) and (cursor.taken[end] or cursor.text(end) in _TO_PART):
        end += 1
    half = _HALVES.get(cursor.text(end))
    return (half, end + 1) if half and not is_worn(cursor, end + 1) else None


def is_worn(cursor: TokenCursor, position: int) -> bool:
    """Whether the part of the day before `position` tells of clothes: "an evening gown"."""
    return cursor.text(position) in _WORN
