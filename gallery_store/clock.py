"""Local days and times of day for columns of UTC times."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

NO_DAY = np.iinfo(np.int32).min
NO_TIME = -1
_HOUR = 3600
_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = 1900, 2199  # years that a crop's time may have


def parse_time(text: str, zone: ZoneInfo) -> datetime:
    """An ISO 8601 time, aware, in UTC; a naive one is taken in `zone`. Raises ValueError with the reason."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"time {text!r} is not ISO 8601, such as 2025-03-04T14:05:06") from None
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(f"time {text!r} is outside the years {EARLIEST} to {LATEST}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def epoch_us(texts: list[str]) -> np.ndarray:
    """Stored UTC texts ('' for none) -> (n,) datetime64[us], NaT for none."""
    return np.array([text[:-1] or "NaT" for text in texts], dtype="datetime64[us]")


def local_columns(times: np.ndarray, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """(n,) datetime64[us] in UTC -> (local day as days since 1970, int32; microseconds of the day, int64).

    NaT gives NO_DAY and NO_TIME.
    """
    days = np.full(len(times), NO_DAY, np.int32)
    clock = np.full(len(times), NO_TIME, np.int64)
    known = ~np.isnat(times)
    us = times[known].astype(np.int64)
    local = us + _offsets(us, zone) * _US
    days[known] = local // (86400 * _US)
    clock[known] = local % (86400 * _US)
    return days, clock


def _offsets(us: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Seconds to add to UTC. One look-up an hour; hours in which the clocks change are done one by one."""
    seconds = us // _US
    hours, hour_of = np.unique(seconds // _HOUR, return_inverse=True)
    starts = np.array([_offset(int(hour) * _HOUR, zone) for hour in hours], np.int64)
    ends = np.array([_offset(int(hour) * _HOUR + _HOUR - 1, zone) for hour in hours], np.int64)
    offsets = starts[hour_of]
    for row in np.flatnonzero((starts != ends)[hour_of]):
        offsets[row] = _offset(int(seconds[row]), zone)
    return offsets


def _offset(second: int, zone: ZoneInfo) -> int:
    offset = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


def day_of(number: int) -> date:
    """The day that is `number` days after 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=number)


def us_of_day(moment: time) -> int:
    """Microseconds since midnight."""
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * _US + moment.microsecond


def aware(moment: np.datetime64) -> datetime:
    """datetime64[us] in UTC -> aware datetime."""
    return _EPOCH + timedelta(microseconds=int(moment.astype(np.int64)))
