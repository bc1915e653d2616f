"""Which picture files are a gallery's own: those of a folder that its database names, and that is marked with its file.

A database file can be copied, renamed, or lie beside another of its stem. So the folder has a name that nobody else
chooses, "<stem>.<8 hex digits>.media", and a mark in it says whose it is. A copy finds the mark of another file, takes
a new folder and hard links of its pictures; so does a gallery of an older version, whose folder "<stem>.media" all
galleries of that stem share. A kill at any instant leaves a picture in one place at least, and the next opening goes
on. A file is removed only when no other gallery beside this one refers to it.

In an object storage the folder is a prefix of that name, with the same mark; a copy takes a prefix of its own and has
its pictures copied there, inside the storage. Which of the two a gallery has is said when it is made, and for good.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store import rows
from gallery_store.console import Progress, progress_bar
from gallery_store.database import Database
from gallery_store.errors import GalleryError
from gallery_store.files import flush_names
from gallery_store.location import is_url
from gallery_store.media import MediaFolder, media_name
from gallery_store.object_pictures import ObjectPictures
from gallery_store.object_storage import ObjectStorage
from gallery_store.owners import FOLDERS, MARK, Owner, link, mark_of_file
from gallery_store.picture_cache import PictureCache
from gallery_store.pictures import Pictures
from gallery_store.schema import crops
from gallery_store.sqlite_file import SqliteDatabase

_PAGE = 500
_LONG = 2000  # pictures whose move is shown


@dataclass(frozen=True)
class PictureFolders:
    """media: the gallery's own. older: folders in which a picture may lie that was not taken over yet. url: of the
    object storage in which these are prefixes, and not folders here; "" for none.
    """

    media: Path
    older: tuple[Path, ...] = ()
    url: str = ""

    @property
    def thumbs(self) -> Path:
        """Beside the pictures' folder, of the same name."""
        return thumbs_of(self.media)

    @property
    def cache(self) -> Path:
        """Of what was read from the storage."""
        return self.media.with_suffix(".cache")

    def opened(self, cache: Path) -> Pictures:
        """The gallery's own. cache: the folder for it."""
        return self.prefix(self.media, cache) if self.url else MediaFolder(self.media, self.older)

    def prefix(self, folder: Path, cache: Path) -> ObjectPictures:
        """The prefix in the storage that stands for the own folder, or an older one."""
        return ObjectPictures(ObjectStorage(f"{self.url}/{folder.name}"), PictureCache(cache))

    @property
    def shown(self) -> str:
        """Where they are, for a message."""
        return self.url or str(self.media)


def thumbs_of(media: Path) -> Path:
    """The folder of the thumbnails of the pictures in `media`."""
    return media.with_suffix(".thumbs")


def own_folders(database: Database, owner: Owner, wanted: str = "") -> PictureFolders:
    """The gallery's own folders, made if need be, with all its pictures moved there. wanted: the URL of the storage
    that is named for its pictures, checked; "" for none. Raises GalleryError, also where it keeps them elsewhere.
    """
    with database.reading() as connection:
        folders = _named(connection, owner)
        is_older = folders is None and connection.execute(sa.select(crops.c.id).limit(1)).first() is not None
    if wanted and (is_older or database.read_only or folders is not None):
        _refuse_another(database, folders, wanted)
    if database.read_only:
        return folders or PictureFolders(owner.shared_folders()[0])
    if isinstance(database, SqliteDatabase):
        database.give_identity()
    try:
        if folders is None or not _claim(owner, folders):
            folders = _new_folders(database, owner, folders, wanted)
            if wanted:
                _refuse_another(database, folders, wanted)
            _claim(owner, folders)
        if folders.url:
            return _move_over(database, owner, folders) if folders.older else folders
        if any(folder.is_dir() for folder in folders.older):
            folders = _move_over(database, owner, folders)
    except OSError as problem:
        raise GalleryError(
            f"the pictures of the gallery {database.name} cannot be put in a folder of its own: "
            f"{problem.strerror or problem} ({problem.filename})"
        ) from problem
    return folders


def _refuse_another(database: Database, folders: PictureFolders | None, wanted: str) -> None:
    if folders is None or folders.url != wanted:
        raise GalleryError(
            f"the gallery {database.name} keeps its pictures in {folders.shown if folders else 'a folder'}, not in "
            f"{wanted}: leave --pictures out, or copy it by "
            f"`python -m gallery_store copy {database.name} NEW --pictures {wanted}`"
        )


def _claim(owner: Owner, folders: PictureFolders) -> bool:
    if folders.url:
        return owner.claim_prefix(folders.prefix(folders.media, folders.cache))
    return owner.claim(folders.media)


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
    said = mark_of_file(folder / MARK)
    return said is not None and said[1] in {
        file.stat().st_ino for file in folder.parent.iterdir() if file.is_file()
    }


def folders_marked(file: Path) -> Iterator[Path]:
    """Picture folders beside `file` whose mark names it, ascending."""
    for mark in sorted(file.parent.glob(f"*.media/{MARK}")):
        if (said := mark_of_file(mark)) is not None and said[0] == file.name:
            yield mark.parent


def is_marked(folder: Path) -> bool:
    """Whether the folder is one gallery's, and not shared as in versions before this one."""
    return (folder / MARK).exists()


def _named(connection: Connection, owner: Owner) -> PictureFolders | None:
    """What the database says; None where it was never opened by this version."""
    text = rows.setting(connection, FOLDERS)
    if text is None:
        return None
    names = json.loads(text)
    url = names[0].rpartition("/")[0] if is_url(names[0]) else ""
    own, *older = (owner.folder / (name.rpartition("/")[2] if url else name) for name in names)
    return PictureFolders(own, tuple(older), url)


def _new_folders(
    database: Database, owner: Owner, seen: PictureFolders | None, wanted: str
) -> PictureFolders:
    with database.writing() as connection:
        now = _named(connection, owner)
        if now is not None and (seen is None or now.media != seen.media):
            return now  # another process was first
        own = owner.folder / f"{owner.stem}.{secrets.token_hex(4)}.media"
        if now is not None:
            older, url = (now.media, *now.older), now.url
        else:
            url = wanted
            has_crops = connection.execute(sa.select(crops.c.id).limit(1)).first() is not None
            older = tuple(owner.shared_folders()) if has_crops else ()
        folders = PictureFolders(own, older, url)
        _keep(connection, owner, folders)
    return folders


def _keep(connection: Connection, owner: Owner, folders: PictureFolders) -> None:
    every, url = (folders.media, *folders.older), folders.url
    names = [f"{url}/{folder.name}" if url else os.path.relpath(folder, owner.folder) for folder in every]
    rows.set_setting(connection, FOLDERS, json.dumps(names))


# Taking pictures over


def _move_over(database: Database, owner: Owner, folders: PictureFolders) -> PictureFolders:
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
            missing += _bring({row.file for row in page if not row.linked}, folders)
        if not page:
            break
        last, done = page[-1].id, done + len(page)
        show(done, max(done, total))
    if folders.url:
        shared: tuple[Path, ...] = ()
    else:
        shared = tuple(folder for folder in folders.older if not is_marked(folder))
    with database.writing() as connection:
        for folder in shared:
            _leave(connection, folders.media, folder, owner)
        # A marked folder is another gallery's: once all is here it is not needed. Into one without a mark a program of
        # an older version, that is still running, may yet import.
        kept = folders if missing else replace(folders, older=shared)
        if kept != folders:
            _keep(connection, owner, kept)
    return kept


def _bring(names: Collection[str], folders: PictureFolders) -> int:
    """Link these pictures into the own folder, as far as they are not there; -> how many are nowhere."""
    if folders.url:
        older = [folders.prefix(folder, folders.cache) for folder in folders.older]
        return folders.prefix(folders.media, folders.cache).bring(older, names)
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
            link(source, staged)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
        brought.append(target)
    if brought:
        flush_names(brought)
    return missing


def _leave(connection: Connection, own: Path, shared: Path, owner: Owner) -> None:
    """Remove from a shared folder what was taken over, unless another gallery refers to it."""
    if not shared.is_dir() and not thumbs_of(shared).is_dir():
        return
    needed = owner.names_needed_elsewhere(shared)
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
