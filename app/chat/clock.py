"""One time of day in words: "14:00", "2.30 pm", "half past ten", "noon", "8 in the evening"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.chat.taking import Taking, whole_number

DAY = 24 * 60
_CLOCK = re.compile(r"(\d{1,2})[:.h](\d{2})(?:h|hrs)?(am|pm)?")
_HOUR = re.compile(r"(\d{1,2})(am|pm|h|hrs)")
_WORDED = {"noon": 12 * 60, "midday": 12 * 60, "midnight": DAY}
_MINUTES = {"quarter": 15, "half": 30, "five": 5, "ten": 10, "twenty five": 25, "twenty": 20}
_TENS = {"fifteen": 15, "thirty": 30, "forty five": 45}
_HALVES = (
    ("in the morning", "am"),
    ("in the afternoon", "pm"),
    ("in the evening", "pm"),
    ("at night", "night"),
)


@dataclass(frozen=True)
class Moment:
    """Minutes since midnight, 0..1440; `end` is one past its last token. `certain`: it can only be a time
    (a colon, am or pm), not a mere number. `half`: "am" or "pm" where said.
    """

    minutes: int
    end: int
    certain: bool
    half: str | None = None

    def at_half(self, half: str) -> Moment:
        """The same hour read as am or pm."""
        return Moment(_on_half(self.minutes, half), self.end, True, half)


def read_moment(taking: Taking, place: int) -> Moment | None:
    """The time that stands at `place`, or None."""
    while taking.text(place) in ("about", "around", "roughly", "the", "approximately", "exactly", "maybe"):
        place += 1
    text = taking.text(place)
    if text in _WORDED:
        return Moment(_WORDED[text], place + 1, True, "pm")
    moment = _past_or_to(taking, place) or _digits(taking, place, text)
    if moment is None:
        return None
    return _with_half(taking, moment)


def _digits(taking: Taking, place: int, text: str) -> Moment | None:
    if match := _CLOCK.fullmatch(text):
        return _moment(int(match[1]), int(match[2]), place + 1, True, match[3])
    if match := _HOUR.fullmatch(text):
        half = match[2] if match[2] in ("am", "pm") else None
        return _moment(int(match[1]), 0, place + 1, True, half)
    hour = whole_number(text)
    if hour is None:
        return None
    if len(text) == 4 and text.isdigit():
        if taking.text(place + 1) in ("hours", "hrs", "h"):
            return _moment(hour // 100, hour % 100, place + 2, True, None)
        return _moment(hour // 100, hour % 100, place + 1, False, None) if hour < 1900 else None
    if taking.text(place + 1) == "oclock":
        return _moment(hour, 0, place + 2, True, None)
    if taking.text(place + 1) in ("hours", "hrs", "h"):
        return _moment(hour, 0, place + 2, True, None)
    for words, minutes in _TENS.items():
        if not text.isdigit() and taking.words(place + 1, words):
            return _moment(hour, minutes, place + 1 + len(words.split()), True, None)
    return _moment(hour, 0, place + 1, False, None)


def _past_or_to(taking: Taking, place: int) -> Moment | None:
    """ "Half past ten", "half ten", "quarter to nine", "a quarter past 9", "twenty past two"."""
    if taking.text(place) == "a":
        place += 1
    for words, minutes in _MINUTES.items():
        if not taking.words(place, words):
            continue
        after = place + len(words.split())
        if taking.text(after) in ("minutes", "mins"):
            after += 1
        if taking.text(after) in ("past", "to", "after", "before"):
            sign = 1 if taking.text(after) in ("past", "after") else -1
            if words not in ("quarter", "half") and taking.text(after) not in ("past", "to"):
                return None
            hour, after = whole_number(taking.text(after + 1)), after + 2
        elif words == "half":
            sign, hour, after = 1, whole_number(taking.text(after)), after + 1
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


def _with_half(taking: Taking, moment: Moment) -> Moment:
    if moment.half is None and taking.text(moment.end) in ("am", "pm"):
        half = taking.text(moment.end)
        return Moment(_on_half(moment.minutes, half), moment.end + 1, True, half)
    for words, half in _HALVES:
        if taking.words(moment.end, words):
            end = moment.end + len(words.split())
            if half == "night":
                half = "pm" if moment.minutes >= 6 * 60 else "am"
            if moment.half is not None or not 60 <= moment.minutes < 13 * 60:
                return Moment(moment.minutes, end, True, moment.half)
            return Moment(_on_half(moment.minutes, half), end, True, half)
    return moment
