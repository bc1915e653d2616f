"""A gallery as the version before left it: schema 2, pictures in a folder that all galleries of the stem share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from gallery_store.migrations import m0002_encoders
from gallery_store.schema import metadata
from gallery_store.store import GalleryStore


def drop_what_came_since(database: sqlite3.Connection, old: sa.MetaData) -> None:
    """Tables and columns that an older version did not have."""
    database.execute("PRAGMA foreign_keys = OFF")
    database.execute("DROP INDEX IF EXISTS crops_by_import")
    for name, table in metadata.tables.items():
        if name not in old.tables:
            database.execute(f"DROP TABLE {name}")
            continue
        for column in set(table.c.keys()) - set(old.tables[name].c.keys()):
            database.execute(f"ALTER TABLE {name} DROP COLUMN {column}")


def turn_old(file: Path) -> Path:
    """Turn the closed gallery in `file` into one of schema 2; -> its folder of pictures."""
    with GalleryStore.open(file) as store:
        own, own_thumbs = store.media, store.thumbs
    with closing(sqlite3.connect(file)) as database:
        drop_what_came_since(database, m0002_encoders.metadata)
        database.execute("DELETE FROM schema_migrations WHERE number > 2")
        database.execute("DELETE FROM gallery WHERE key = 'media'")
        database.execute("PRAGMA application_id = 0")
        database.commit()
    (own / "gallery.json").unlink()
    for folder, name in ((own, "media"), (own_thumbs, "thumbs")):
        shared = file.with_name(f"{file.stem}.{name}")
        for picture in folder.glob("??/*"):
            (shared / picture.parent.name).mkdir(parents=True, exist_ok=True)
            picture.replace(shared / picture.parent.name / picture.name)
            if not any(picture.parent.iterdir()):
                picture.parent.rmdir()
        for rest in (own / ".writing", own_thumbs / ".writing", folder):
            if rest.is_dir() and not any(rest.iterdir()):
                rest.rmdir()
    return file.with_name(f"{file.stem}.media")
