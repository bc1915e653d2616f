"""The one place that knows which database a gallery's name stands for."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gallery_store.database import Database
from gallery_store.errors import GalleryError, NoGallery
from gallery_store.location import is_url, location_shown
from gallery_store.ownership import refuse_if_lost
from gallery_store.postgres import PostgresDatabase
from gallery_store.sqlite_file import SqliteDatabase


def open_database(location: str | Path, busy_seconds: float = 10.0, *, must_exist: bool = False) -> Database:
    """The database of the gallery at a file path, or a URL like "sqlite:///data/gallery.db" or
    "postgresql+psycopg://user@host/name"; made, or brought up to date, as needed.

    busy_seconds: how long to wait for another program that writes. Raises GalleryError, also for another kind of
    database, a folder, or no name; NoGallery where there is none and it must exist; GalleryTooNew; GalleryLocked.
    """
    url = _url_of(location) if is_url(location) else None
    if url is not None and url.get_backend_name() == "postgresql":
        return PostgresDatabase(url, busy_seconds, must_exist=must_exist)
    file = _file_of(location, url)
    if must_exist and not file.is_file():
        raise NoGallery(str(file))
    refuse_if_lost(file)
    return SqliteDatabase(file, busy_seconds)


def _url_of(location: str | Path) -> URL:
    try:
        return make_url(str(location))
    except (ArgumentError, ValueError):
        raise GalleryError(
            f"{location_shown(location)!r} is not a database URL such as postgresql+psycopg://user@host/name"
        ) from None


def _file_of(location: str | Path, url: URL | None) -> Path:
    """The gallery's file, absolute."""
    text = str(location)
    if url is not None:
        if url.get_backend_name() != "sqlite":
            raise GalleryError(
                f"galleries on {url.get_backend_name()} are not supported: name a SQLite file, or a URL like "
                "postgresql+psycopg://user@host/name"
            )
        text = url.database or ""
        if text in ("", ":memory:"):
            raise GalleryError("a gallery in memory would be lost: name a file")
    if not text.strip():
        raise GalleryError("the gallery's file name is empty")
    file = Path(text).expanduser().absolute()
    if file.is_dir():
        raise GalleryError(f"{file} is a folder: name the gallery's file, such as {file / 'gallery.db'}")
    return file
