"""Lengths of time in an operator's words: "20 minutes", "half an hour", "an hour and a half", "20mins"."""

from __future__ import annotations

import re

from app.chat.message_tokens import TokenCursor, whole_number

_UNITS = {
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 1),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), 60),
}
_GLUED = re.compile(r"(\d{1,4})(min|mins|minutes|hr|hrs|hours)")
_PORTIONS = {"half": 30, "quarter": 15}  # of an hour
_SOME = {"few": 3, "couple": 3, "a": 1, "an": 1}


def read_duration(cursor: TokenCursor, position: int, *, rolling: bool = False) -> tuple[int, int] | None:
    """(minutes, one past the last token) of the minutes or hours whose length stands at `position`, or None.

    rolling: "the last" stands before it, and "hour" needs no number.
    """
    if glued := _GLUED.fullmatch(cursor.text(position)):
        return int(glued[1]) * _UNITS[glued[2]], position + 1
    if cursor.text(position) in ("a", "an") and cursor.text(position + 1) in (*_PORTIONS, "few", "couple"):
        position += 1
    if portion := _PORTIONS.get(cursor.text(position)):
        end = position + 1
        while cursor.text(end) in ("a", "an", "of"):
            end += 1
        return (portion, end + 1) if cursor.text(end) == "hour" else None
    number = _SOME.get(cursor.text(position)) or whole_number(cursor.text(position))
    end = position + 1
    if rolling and cursor.text(position) == "hour":
        number, end = 1, position
    if cursor.text(position) == "couple" and cursor.text(end) == "of":
        end += 1
    before, end = _and_a_half(cursor, end)  # "one and a half hours"
    unit = _UNITS.get(cursor.text(end))
    if number is None or unit is None:
        return None
    behind, end = _and_a_half(cursor, end + 1)  # "an hour and a half"
    return number * unit + (before or behind) * unit // 2, end


def _and_a_half(cursor: TokenCursor, position: int) -> tuple[bool, int]:
    there = cursor.stands(position, "and a half")
    return there, position + 3 if there else position
