"""Numbered steps that bring a gallery's tables up to date. A step once released is never edited."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from gallery_store.migrations import m0001_first, m0002_encoders

MIGRATIONS: tuple[tuple[int, str, Callable[[Connection], None]], ...] = (
    (1, "first", m0001_first.upgrade),
    (2, "encoders", m0002_encoders.upgrade),
)
LATEST = MIGRATIONS[-1][0]
