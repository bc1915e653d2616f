"""Whose a folder of pictures is: a SQLite file's, or a PostgreSQL database's. A mark in the folder says it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gallery_store.console import remark
from gallery_store.database import Database
from gallery_store.files import write_file
from gallery_store.held_files import DATABASE_PARTS
from gallery_store.location import is_url
from gallery_store.media import MediaFolder
from gallery_store.object_pictures import ObjectPictures
from gallery_store.postgres import PICTURES, PostgresDatabase
from gallery_store.sqlite_file import SqliteDatabase, read_only_uri

MARK = "gallery.json"  # in the folder, of whose gallery it is: see mark_of a file and of a database
# A setting: JSON list of folder names, or of URLs of prefixes in a storage: the gallery's own, then those that pictures
# may still lie in.
FOLDERS = "media"
OF_THIS_PLACE = frozenset({FOLDERS, PICTURES})  # settings that a copy of the gallery has otherwise


class Owner(Protocol):
    """folder: in which its folders lie. stem: what their names begin with."""

    @property
    def folder(self) -> Path: ...

    @property
    def stem(self) -> str: ...

    def claim(self, media: Path) -> bool:
        """Whether the folder of pictures is this gallery's: by its mark, or nobody's until now. In doubt it is not."""

    def claim_prefix(self, prefix: ObjectPictures) -> bool:
        """As `claim`, of a prefix in a storage, which galleries of other machines may have too."""

    def shared_folders(self) -> list[Path]:
        """Where versions before this one kept pictures."""

    def names_needed_elsewhere(self, media: Path | str) -> set[str] | None:
        """Names of the pictures in `media`, a folder or the URL of a prefix, that other galleries beside this one refer
        to.

        None where one cannot be read, so that nothing can be told; this is said.
        """


def owner_of(database: Database) -> Owner:
    """Whose the pictures of this gallery are."""
    if isinstance(database, SqliteDatabase):
        return FileOwner(database.file)
    assert isinstance(database, PostgresDatabase)
    return DatabaseOwner(database.folder, database.database, database.identity)


@dataclass(frozen=True)
class FileOwner:
    """A gallery in a SQLite file, as it was named. Its folders lie beside the file that the name stands for."""

    named: Path

    @property
    def file(self) -> Path:
        return self.named.resolve()

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def stem(self) -> str:
        return self.file.stem

    def claim(self, media: Path) -> bool:
        file = self.file
        inode = file.stat().st_ino
        own = {"file": file.name, "inode": inode}
        _mark_unless_marked(media, own)
        said = mark_of_file(media / MARK)
        if said is None:
            return False
        if said[0] != file.name and (said[1] != inode or file.with_name(said[0]).exists()):
            return False
        if said != (file.name, inode):  # it was renamed, or brought back from a copy
            write_file(media / MARK, json.dumps(own))
        return True

    def claim_prefix(self, prefix: ObjectPictures) -> bool:
        """A file that was brought back from a copy is another one here: its name alone proves nothing."""
        file = self.file
        inode = file.stat().st_ino
        own = {"file": file.name, "inode": inode}
        said = prefix.mark_unless_marked(own)
        if said == own:
            return True
        name, known = _of_file(said) or ("", 0)
        if known != inode or file.with_name(name).exists():
            return False
        prefix.mark(own)  # it was renamed
        return True

    def shared_folders(self) -> list[Path]:
        places = dict.fromkeys([self.named, self.file])
        return [place.with_name(f"{place.stem}.media") for place in places]

    def names_needed_elsewhere(self, media: Path | str) -> set[str] | None:
        needed: set[str] = set()
        for other in sorted((media.parent if isinstance(media, Path) else self.folder).iterdir()):
            try:
                if not other.is_file() or other.samefile(self.file) or other.name.endswith(DATABASE_PARTS):
                    continue
                needed |= _names_in(other, media)
            except (OSError, sqlite3.Error, ValueError) as problem:
                if getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                    continue
                remark(
                    f"No picture of {media} is removed: {other} cannot be read ({problem}) and may need them."
                )
                return None
        return needed


@dataclass(frozen=True)
class DatabaseOwner:
    """A gallery in a database of a server. A copy of the database has another identity, and takes another folder."""

    folder: Path
    stem: str
    identity: str

    def claim(self, media: Path) -> bool:
        own = {"database": self.identity}
        _mark_unless_marked(media, own)
        return _read_mark(media / MARK) == own

    def claim_prefix(self, prefix: ObjectPictures) -> bool:
        own = {"database": self.identity}
        return prefix.mark_unless_marked(own) == own

    def shared_folders(self) -> list[Path]:
        return [self.folder / f"{self.stem}.media"]

    def names_needed_elsewhere(self, media: Path | str) -> set[str] | None:
        return set()  # what another database refers to cannot be seen from here


def mark_of_file(mark: Path) -> tuple[str, int] | None:
    """(name, inode) of the file whose folder it is; None where that is no file's."""
    return _of_file(_read_mark(mark))


def _of_file(said: Any) -> tuple[str, int] | None:
    try:
        return str(said["file"]), int(said["inode"])
    except (ValueError, KeyError, TypeError):
        return None


def _read_mark(mark: Path) -> Any:
    try:
        return json.loads(mark.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _mark_unless_marked(media: Path, own: dict[str, Any]) -> None:
    mark = media / MARK
    if mark.exists():
        return
    media.mkdir(parents=True, exist_ok=True)
    staged = write_file(media / f".{MARK}.{secrets.token_hex(4)}", json.dumps(own))
    try:
        link(staged, mark)  # fails where another one was first
    except FileExistsError:
        pass
    finally:
        staged.unlink()


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none. FileExistsError where the target is there."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        with target.open("xb") as copy, source.open("rb") as original:
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())


def _names_in(other: Path, place: Path | str) -> set[str]:
    """Names of the pictures in `place` that the gallery in `other` refers to; none where it is no gallery."""
    with closing(sqlite3.connect(read_only_uri(other), uri=True, timeout=2)) as connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if not {"gallery", "crops"} <= tables:
            return set()
        said = connection.execute("SELECT value FROM gallery WHERE key = ?", (FOLDERS,)).fetchone()
        folders = json.loads(said[0]) if said else [f"{other.stem}.media"]
        if is_url(folders[0]) or not isinstance(place, Path):  # what was not taken over yet is not looked for
            return _named_by(connection) if str(place) in folders else set()
        own, *older = ((other.resolve().parent / name).resolve() for name in folders)
        if place.resolve() not in (own, *older):
            return set()
        names = _named_by(connection)
        return names if place.resolve() == own else {name for name in names if not MediaFolder(own).has(name)}


def _named_by(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT file FROM crops WHERE NOT linked")}
