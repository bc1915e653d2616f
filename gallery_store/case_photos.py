"""The photos of a case, whole, by name; and what a case is called."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store.schema import conversation_photos

MOST_TITLE = 80  # characters


def add_photos(connection: Connection, case: str, photos: Mapping[str, bytes]) -> None:
    """Add those that the case has not."""
    for name, data in photos.items():
        there = of_photo(case, name).with_only_columns(conversation_photos.c.name)
        if connection.execute(there).first() is None:
            connection.execute(conversation_photos.insert().values(case=case, name=name, data=data))


def of_photo(case: str, name: str) -> sa.Select:
    """Its bytes."""
    at = conversation_photos.c
    return sa.select(at.data).where(at.case == case, at.name == name)


def short_title(title: str) -> str:
    """As it is kept: printable, in one line."""
    printable = "".join(sign if sign.isprintable() else " " for sign in title)
    return " ".join(printable.split())[:MOST_TITLE].strip()
