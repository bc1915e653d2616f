"""Numbered steps that bring a gallery's tables up to date. A step once released is never edited."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from gallery_store.migrations import (
    m0001_first,
    m0002_encoders,
    m0003_sources,
    m0004_conversations,
    m0005_messages,
    m0006_shares,
    m0007_imports,
)

MIGRATIONS: tuple[tuple[int, str, Callable[[Connection], None]], ...] = (
    (1, "first", m0001_first.upgrade),
    (2, "encoders", m0002_encoders.upgrade),
    (3, "sources", m0003_sources.upgrade),
    (4, "conversations", m0004_conversations.upgrade),
    (5, "messages", m0005_messages.upgrade),
    (6, "shares", m0006_shares.upgrade),
    (7, "imports", m0007_imports.upgrade),
)
LATEST = MIGRATIONS[-1][0]
READABLE = 2  # from here on a gallery can be looked at without a step, where it cannot be written
