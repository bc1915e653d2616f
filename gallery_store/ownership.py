"""Which picture files are a gallery's own: those of a folder that its database names, and that is marked with its file.

A database file can be copied, renamed, or lie beside another of its stem. So the folder has a name that nobody else
chooses, "<stem>.<8 hex digits>.media", and a mark in it says whose it is. A copy finds the mark of another file, takes
a new folder and hard links of its pictures; so does a gallery of an older version, whose folder "<stem>.media" all
galleries of that stem share. A kill at any instant leaves a picture in one place at least, and the next opening goes
on. A file is removed only when no other gallery beside this one refers to it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store import rows
from gallery_store.console import Progress, progress_bar, remark
from gallery_store.database import Database, read_only_uri
from gallery_store.errors import GalleryError
from gallery_store.files import flush_names, write_file
from gallery_store.held_files import DATABASE_PARTS
from gallery_store.media import MediaFolder, media_name
from gallery_store.schema import crops

MARK = "gallery.json"  # in the folder: {"file": name, "inode": number} of the gallery whose folder it is
_SETTING = "media"  # JSON list of folder names: the gallery's own, then those that pictures may still lie in
_PAGE = 500
_LONG = 2000  # pictures whose move is shown


@dataclass(frozen=True)
class PictureFolders:
    """media: the gallery's own. older: folders in which a picture may lie that was not taken over yet."""

    media: Path
    older: tuple[Path, ...] = ()

    @property
    def thumbs(self) -> Path:
        """Beside the pictures' folder, of the same name."""
        return thumbs_of(self.media)


def thumbs_of(media: Path) -> Path:
    """The folder of the thumbnails of the pictures in `media`."""
    return media.with_suffix(".thumbs")


def own_folders(database: Database) -> PictureFolders:
    """The gallery's own folders, made if need be, with all its pictures moved there. Raises GalleryError."""
    file = database.file.resolve()
    with database.reading() as connection:
        folders = _named(connection, file)
    if database.read_only:
        return folders or PictureFolders(_shared_folders(database)[0])
    database.give_identity()
    try:
        if folders is None or not _claim(folders.media, file):
            folders = _new_folders(database, file, folders)
            _claim(folders.media, file)
        if any(folder.is_dir() for folder in folders.older):
            folders = _move_over(database, file, folders)
    except OSError as problem:
        raise GalleryError(
            f"the pictures of the gallery {database.file} cannot be put in a folder of its own: "
            f"{problem.strerror or problem} ({problem.filename})"
        ) from problem
    return folders


def refuse_if_lost(file: Path) -> None:
    """Raise GalleryError where the gallery's file is empty or gone, and its pictures tell that it was not."""
    where = file.resolve()
    if (file.is_file() and file.stat().st_size) or not where.parent.is_dir():
        return
    if file.is_file():  # a killed creation leaves an empty file too, but no folder yet
        what, folders = "is empty", list(folders_marked(where))
        shared = where.with_name(f"{where.stem}.media")
        folders += [shared] if _has_pictures(shared) else []
    else:
        what, folders = "is gone", [f for f in folders_marked(where) if _has_pictures(f) and not _renamed(f)]
    if folders:
        raise GalleryError(
            f"the gallery {file} {what}, but its pictures are still in {folders[0]}: bring the file back from a copy, "
            "or move that folder away to begin a new gallery"
        )


def left_behind(file: Path, own: Path) -> Path | None:
    """A folder of pictures that was this file's before another file took its name; None for none. own: its own."""
    where = file.resolve()
    folders = [*folders_marked(where), where.with_name(f"{where.stem}.media")]
    return next((folder for folder in folders if folder != own and _has_pictures(folder)), None)


def _has_pictures(folder: Path) -> bool:
    return next(MediaFolder(folder).names(), None) is not None


def _renamed(folder: Path) -> bool:
    """Whether the file of the folder's mark is still beside it, under another name."""
    said = _read_mark(folder / MARK)
    return said is not None and said[1] in {
        file.stat().st_ino for file in folder.parent.iterdir() if file.is_file()
    }


def folders_marked(file: Path) -> Iterator[Path]:
    """Picture folders beside `file` whose mark names it, ascending."""
    for mark in sorted(file.parent.glob(f"*.media/{MARK}")):
        if (said := _read_mark(mark)) is not None and said[0] == file.name:
            yield mark.parent


def is_marked(folder: Path) -> bool:
    """Whether the folder is one gallery's, and not shared as in versions before this one."""
    return (folder / MARK).exists()


def _shared_folders(database: Database) -> list[Path]:
    """Where versions before this one kept pictures."""
    places = dict.fromkeys([database.file, database.file.resolve()])
    return [place.with_name(f"{place.stem}.media") for place in places]


def _named(connection: Connection, file: Path) -> PictureFolders | None:
    """What the database says; None where it was never opened by this version."""
    text = rows.setting(connection, _SETTING)
    if text is None:
        return None
    own, *older = (file.parent / name for name in json.loads(text))
    return PictureFolders(own, tuple(older))


def _new_folders(database: Database, file: Path, seen: PictureFolders | None) -> PictureFolders:
    with database.writing() as connection:
        now = _named(connection, file)
        if now is not None and (seen is None or now.media != seen.media):
            return now  # another process was first
        own = file.with_name(f"{file.stem}.{secrets.token_hex(4)}.media")
        if now is not None:
            older = (now.media, *now.older)
        else:
            has_crops = connection.execute(sa.select(crops.c.id).limit(1)).first() is not None
            older = tuple(_shared_folders(database)) if has_crops else ()
        _keep(connection, file, PictureFolders(own, older))
    return PictureFolders(own, older)


def _keep(connection: Connection, file: Path, folders: PictureFolders) -> None:
    names = [os.path.relpath(folder, file.parent) for folder in (folders.media, *folders.older)]
    rows.set_setting(connection, _SETTING, json.dumps(names))


def _claim(folder: Path, file: Path) -> bool:
    """Whether the folder is this file's: by its mark, or nobody's until now. In doubt it is not."""
    mark = folder / MARK
    inode = file.stat().st_ino
    if not mark.exists():
        folder.mkdir(parents=True, exist_ok=True)
        said = json.dumps({"file": file.name, "inode": inode})
        staged = write_file(folder / f".{MARK}.{secrets.token_hex(4)}", said)
        try:
            _link(staged, mark)  # fails where another one was first
        except FileExistsError:
            pass
        finally:
            staged.unlink()
    named = _read_mark(mark)
    if named is None:
        return False
    if named[0] != file.name and (named[1] != inode or file.with_name(named[0]).exists()):
        return False
    if named != (file.name, inode):  # it was renamed, or brought back from a copy
        write_file(mark, json.dumps({"file": file.name, "inode": inode}))
    return True


def _read_mark(mark: Path) -> tuple[str, int] | None:
    try:
        said = json.loads(mark.read_text("utf-8"))
        return str(said["file"]), int(said["inode"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _link(source: Path, target: Path) -> None:
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


# Taking pictures over


def _move_over(database: Database, file: Path, folders: PictureFolders) -> PictureFolders:
    """Bring each crop's picture into the gallery's own folder; -> the folders from then on."""
    with database.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(crops)).scalar_one()
    show: Progress = progress_bar("taking over", "pictures") if total > _LONG else lambda done, total: None
    last, done, missing = 0, 0, 0
    while True:
        with database.writing() as connection:  # a deletion must not come between a row and its link
            page = connection.execute(
                sa.select(crops.c.id, crops.c.file, crops.c.linked)
                .where(crops.c.id > last)
                .order_by(crops.c.id)
                .limit(_PAGE)
            ).all()
            missing += _bring([row.file for row in page if not row.linked], folders)
        if not page:
            break
        last, done = page[-1].id, done + len(page)
        show(done, max(done, total))
    shared = tuple(folder for folder in folders.older if not is_marked(folder))
    with database.writing() as connection:
        for folder in shared:
            _leave(connection, folders.media, folder, file)
        # A marked folder is another gallery's: once all is here it is not needed. Into one without a mark a program of
        # an older version, that is still running, may yet import.
        kept = folders if missing else PictureFolders(folders.media, shared)
        if kept != folders:
            _keep(connection, file, kept)
    return kept


def _bring(names: Collection[str], folders: PictureFolders) -> int:
    """Link these pictures into the own folder, as far as they are not there; -> how many are nowhere."""
    own, missing, brought = MediaFolder(folders.media), 0, []
    for name in names:
        if own.has(name):
            continue
        source = next((folder / name for folder in folders.older if MediaFolder(folder).has(name)), None)
        if source is None:
            missing += 1
            continue
        target = own.path(name)
        target.parent.mkdir(exist_ok=True)
        staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            _link(source, staged)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
        brought.append(target)
    if brought:
        flush_names(brought)
    return missing


def _leave(connection: Connection, own: Path, shared: Path, file: Path) -> None:
    """Remove from a shared folder what was taken over, unless another gallery refers to it."""
    if not shared.is_dir() and not thumbs_of(shared).is_dir():
        return
    needed = names_needed_elsewhere(file, shared)
    if needed is None:
        return
    here, there = MediaFolder(own), MediaFolder(shared)
    thumbnails = MediaFolder(thumbs_of(shared))
    for row in connection.execute(sa.select(crops.c.sha256, crops.c.file, crops.c.linked)):
        if not row.linked and row.file not in needed and here.has(row.file):
            there.remove(row.file)
        thumbnails.remove(media_name(row.sha256, ".jpg"))  # are made again where they are needed
    for folder in (shared, thumbs_of(shared)):
        for part in [*folder.glob("*"), folder]:
            try:
                part.rmdir()
            except OSError:  # not empty, or gone
                continue


# What others refer to


def names_needed_elsewhere(file: Path, folder: Path) -> set[str] | None:
    """Names of the pictures in `folder` that galleries beside `file` refer to.

    None where one cannot be read, so that nothing can be told; this is said.
    """
    needed: set[str] = set()
    for other in sorted(folder.parent.iterdir()):
        try:
            if not other.is_file() or other.samefile(file) or other.name.endswith(DATABASE_PARTS):
                continue
            needed |= _names_in(other, folder)
        except (OSError, sqlite3.Error, ValueError) as problem:
            if getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                continue
            remark(
                f"No picture of {folder} is removed: {other} cannot be read ({problem}) and may need them."
            )
            return None
    return needed


def _names_in(other: Path, folder: Path) -> set[str]:
    with closing(sqlite3.connect(read_only_uri(other), uri=True, timeout=2)) as connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if not {"gallery", "crops"} <= tables:
            return set()
        said = connection.execute("SELECT value FROM gallery WHERE key = ?", (_SETTING,)).fetchone()
        folders = json.loads(said[0]) if said else [f"{other.stem}.media"]
        own, *older = ((other.resolve().parent / name).resolve() for name in folders)
        if folder.resolve() not in (own, *older):
            return set()
        names = {name for (name,) in connection.execute("SELECT file FROM crops WHERE NOT linked")}
        return (
            names if folder.resolve() == own else {name for name in names if not MediaFolder(own).has(name)}
        )
