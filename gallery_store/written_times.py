"""Times as people, spreadsheets and cameras write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gallery_store.clock import parse_time

_CLOCK = r"(?:[ T,]+(\d{1,2})[:.h](\d{2})(?:[:.](\d{2})(?:[.,]\d+)?)?\s*([AaPp]\.?\s?[Mm]\.?)?)?"
_YEAR_FIRST = re.compile(r"(\d{4})([-/:.])(\d{1,2})\2(\d{1,2})" + _CLOCK, re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _CLOCK, re.ASCII)
_EPOCH = re.compile(r"(\d{10})(\d{3})?(?:\.\d+)?", re.ASCII)  # seconds, or milliseconds
_SERIAL = re.compile(r"(\d{5}[.,]\d+)", re.ASCII)  # days, as a spreadsheet counts them
_SERIAL_START = datetime(1899, 12, 30)


def day_first(texts: Iterable[str]) -> bool | None:
    """Whether 05/06/2026 among these is 5 June. None where they do not tell, or contradict themselves."""
    told = set()
    for text in texts:
        if (found := _YEAR_LAST.fullmatch(text.strip())) and found[2] != ".":
            first, second = int(found[1]), int(found[3])
            if max(first, second) > 12:
                told.add(first > 12)
    return told.pop() if len(told) == 1 else None


def read_time(text: str, zone: ZoneInfo, days_first: bool | None = None) -> datetime:
    """-> aware, UTC; a time without a zone is taken in `zone`. Raises ValueError with the reason.

    Besides ISO 8601: 12.05.2026 10:00, 2026:05:12 14:00:00, 5/12/2026 2:05 PM, seconds since 1970, days of a
    spreadsheet (46154.5). days_first: what 05/12/2026 means; None: it is refused, unless both are one.
    """
    text = text.strip()
    if found := _EPOCH.fullmatch(text):
        whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(found[1]))
        return parse_time((whole + timedelta(milliseconds=int(found[2] or 0))).isoformat(), zone)
    if found := _SERIAL.fullmatch(text):
        days = float(found[1].replace(",", "."))
        return parse_time((_SERIAL_START + timedelta(seconds=round(days * 86400))).isoformat(), zone)
    if found := _YEAR_FIRST.fullmatch(text):
        year, _, month, day, *clock = found.groups()
    elif found := _YEAR_LAST.fullmatch(text):
        day, mark, month, year, *clock = found.groups()
        if mark != ".":
            if days_first is None and day != month and max(int(day), int(month)) <= 12:
                raise ValueError(f"time {text!r} may be two days: write it as 2026-05-12")
            if days_first is False or (days_first is None and int(month) > 12):
                day, month = month, day
    else:
        return parse_time(text, zone)
    hour, minute, second, half = clock
    try:
        moment = datetime(
            int(year), int(month), int(day), _hour(hour, half), int(minute or 0), int(second or 0)
        )
    except ValueError:
        raise ValueError(f"time {text!r} is no day or time that there is") from None
    return parse_time(moment.isoformat(), zone)


def _hour(hour: str | None, half: str | None) -> int:
    if not half:
        return int(hour or 0)
    number = int(hour or 0)
    if not 1 <= number <= 12:
        raise ValueError
    return number % 12 + 12 * (half[0] in "Pp")
