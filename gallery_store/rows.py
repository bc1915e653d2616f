"""SQL on the crops' tables: small functions that take a connection and say what they read or write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store.crops import Crop
from gallery_store.database import Database, time_of
from gallery_store.dialects import insert
from gallery_store.errors import EncoderMismatch, GalleryError
from gallery_store.pictures import Pictures
from gallery_store.schema import Role, crops, encoders, gallery, tags, vectors

_CHUNK = 500  # SQLite bounds the number of parameters
COPY_OF = (
    "copy_of"  # a setting while another gallery is copied into this one: the name of its folder of pictures
)
# Without what a later migration added: a gallery that cannot be written is read as it is.
_OF_A_CROP = [column for column in crops.c if column.name not in ("source", "import_id", "met_by")]


@dataclass(frozen=True)
class State:
    """What the index must follow: the largest id ever given, and a count of deletions and re-indexings."""

    last_id: int
    rewrites: int


def state(connection: Connection) -> State:
    """The state of now; two that are equal stand for the same crops and vectors."""
    last_id = connection.execute(sa.select(sa.func.max(crops.c.id))).scalar() or 0
    return State(last_id, int(setting(connection, "rewrites") or 0))


def note_rewrite(connection: Connection) -> None:
    """To be called when rows that others have in memory have changed: they must read all again."""
    set_setting(connection, "rewrites", str(int(setting(connection, "rewrites") or 0) + 1))


EncoderId = tuple[str, str]  # name, version


def encoder(connection: Connection, role: Role = "clip") -> EncoderId | None:
    """The encoder of the gallery's vectors for this; None while nothing is indexed, or by no re-ID encoder."""
    found = connection.execute(
        sa.select(encoders.c.name, encoders.c.version).where(encoders.c.role == role)
    ).first()
    return (found.name, found.version) if found else None


def set_encoder(connection: Connection, name: str, version: str, role: Role = "clip") -> None:
    """Let this encoder's vectors be the gallery's."""
    statement = insert(connection, encoders).values(role=role, name=name, version=version)
    renamed = {"name": name, "version": version}
    connection.execute(statement.on_conflict_do_update(index_elements=["role"], set_=renamed))


def remove_encoder(connection: Connection, role: Role) -> None:
    """The gallery has no vectors for this any more."""
    connection.execute(encoders.delete().where(encoders.c.role == role))


def check_encoder(has: EncoderId | None, wants: EncoderId, location: str) -> None:
    """Raise EncoderMismatch unless the gallery at `location` has no CLIP yet or this one."""
    if has is not None and has != wants:
        raise EncoderMismatch(
            f"the gallery {location} is indexed by {has[0]} ({has[1]}), not by {wants[0]} ({wants[1]}): "
            f"run `python -m gallery_store reindex --gallery {location}` with --clip naming the new encoder"
        )


def check_reid(has: EncoderId | None, wants: EncoderId | None, location: str) -> None:
    """Raise EncoderMismatch unless the gallery at `location`, in which there are crops, has this re-ID encoder."""
    if has == wants:
        return
    mend = f"run `python -m gallery_store reindex --gallery {location}` with --reid naming the"
    if has is None:
        raise EncoderMismatch(f"the gallery {location} has no re-ID vectors: {mend} encoder")
    if wants is None:
        raise EncoderMismatch(
            f"the gallery {location} has re-ID vectors by {has[0]} ({has[1]}), and new crops need them too: name that "
            "encoder with --reid, or drop them by "
            f"`python -m gallery_store reindex --gallery {location} --reid none`"
        )
    raise EncoderMismatch(
        f"the gallery {location} has re-ID vectors by {has[0]} ({has[1]}), not by {wants[0]} ({wants[1]}): {mend} "
        "new encoder"
    )


def check_encoders(connection: Connection, clip: EncoderId, reid: EncoderId | None, location: str) -> None:
    """Raise EncoderMismatch where crops by these encoders cannot join those of the gallery at `location`."""
    if (has := encoder(connection)) is not None:
        check_encoder(has, clip, location)
        check_reid(encoder(connection, "reid"), reid, location)


def refuse_unfinished_copy(database: Database) -> None:
    """Raise GalleryError where another gallery is still to be copied into this one."""
    with database.reading() as connection:
        if setting(connection, COPY_OF) is not None:
            raise GalleryError(
                f"the gallery {database.name} is an unfinished copy: run the same `python -m gallery_store copy` again"
            )


def agree_on_zone(database: Database, wanted: str | None) -> ZoneInfo:
    """The gallery's zone; a new gallery takes the wanted one, or UTC. Raises GalleryError where they differ."""
    if wanted is not None:
        _zone(wanted)
    with database.reading() as connection:
        has = setting(connection, "zone")
    if has is None:
        with database.writing() as connection:
            has = setting(connection, "zone")  # again: another process may have been first
            if has is None:
                has = wanted or "UTC"
                set_setting(connection, "zone", has)
    if wanted is not None and wanted != has:
        raise GalleryError(
            f"the gallery {database.name} keeps its times in zone {has}, not {wanted}: leave the zone out, "
            "or start a new gallery"
        )
    return _zone(has)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise GalleryError(f"{name!r} is not a time zone such as Europe/Paris") from None


def setting(connection: Connection, key: str) -> str | None:
    """What the gallery keeps under this key; None for nothing."""
    return connection.execute(sa.select(gallery.c.value).where(gallery.c.key == key)).scalar()


def set_setting(connection: Connection, key: str, value: str) -> None:
    """Keep a value under a key, in place of any before."""
    statement = insert(connection, gallery).values(key=key, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def remove_setting(connection: Connection, key: str) -> None:
    """Keep nothing under this key any more."""
    connection.execute(gallery.delete().where(gallery.c.key == key))


def crops_by_id(connection: Connection, ids: Iterable[int], pictures: Pictures) -> dict[int, Crop]:
    """Id -> crop; ids that are not in the gallery are left out. pictures: those that are not linked."""
    by_id: dict[int, Crop] = {}
    for chunk in _chunks([int(crop_id) for crop_id in ids]):
        tagged: dict[int, list[str]] = {}
        chosen = sa.select(tags.c.crop_id, tags.c.tag).where(tags.c.crop_id.in_(chunk))
        for crop_id, tag in connection.execute(chosen.order_by(tags.c.position)):
            tagged.setdefault(crop_id, []).append(tag)
        for row in connection.execute(sa.select(*_OF_A_CROP).where(crops.c.id.in_(chunk))):
            by_id[row.id] = Crop(
                id=row.id,
                sha256=row.sha256,
                path=row.path,
                file=Path(row.file) if row.linked else pictures.file(row.file),
                camera=row.camera or None,
                time=time_of(row.time),
                person=row.person,
                clothes=row.clothes,
                tags=tuple(tagged.get(row.id, ())),
                width=row.width,
                height=row.height,
                frame=row.frame,
                linked=row.linked,
            )
    return by_id


def crop_count(connection: Connection) -> int:
    """How many crops there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(crops)).scalar_one()


def ids_of_pictures(connection: Connection, shas: Collection[str]) -> list[int]:
    """Ids, ascending, of the crops that are the very files with these SHA-256."""
    found: list[int] = []
    for chunk in _chunks(sorted(shas)):
        found += connection.execute(sa.select(crops.c.id).where(crops.c.sha256.in_(chunk))).scalars()
    return sorted(found)


def ids_by_path(connection: Connection, paths: Sequence[str]) -> dict[str, list[int]]:
    """Imported path -> ids, ascending. Paths that are not in the gallery are left out."""
    by_path: dict[str, list[int]] = {}
    for chunk in _chunks(paths):
        chosen = sa.select(crops.c.path, crops.c.id).where(crops.c.path.in_(chunk)).order_by(crops.c.id)
        for path, crop_id in connection.execute(chosen):
            by_path.setdefault(path, []).append(crop_id)
    return by_path


def add_crop(connection: Connection, values: dict[str, Any], tagged: Sequence[str]) -> int | None:
    """-> the new id, or None when the same picture from the same camera and time is there.

    values: column -> value. tagged: its tags, in order.
    """
    inserted = connection.execute(
        insert(connection, crops).values(**values).on_conflict_do_nothing().returning(crops.c.id)
    )
    crop_id = inserted.scalar()
    if crop_id is None:
        return None
    named = list(dict.fromkeys(tagged))
    if named:
        values_of_tags = [{"crop_id": crop_id, "tag": tag, "position": n} for n, tag in enumerate(named)]
        connection.execute(tags.insert(), values_of_tags)
    return crop_id


def add_vector(connection: Connection, crop_id: int, name: str, version: str, data: bytes) -> None:
    """Add a crop's vector by this encoder, packed, unless it has one."""
    statement = insert(connection, vectors).values(crop_id=crop_id, encoder=name, version=version, data=data)
    connection.execute(statement.on_conflict_do_nothing())


def delete_crops(connection: Connection, ids: Sequence[int]) -> list[tuple[str, str | None]]:
    """-> (sha256, media name or None if linked) of each crop that was there; vectors and tags go too."""
    removed: list[tuple[str, str | None]] = []
    for chunk in _chunks(list(dict.fromkeys(ids))):
        statement = crops.delete().where(crops.c.id.in_(chunk))
        for row in connection.execute(statement.returning(crops.c.sha256, crops.c.file, crops.c.linked)):
            removed.append((row.sha256, None if row.linked else row.file))
    if removed:
        note_rewrite(connection)
        if connection.execute(sa.select(crops.c.id).limit(1)).first() is None:  # any encoder may come now
            connection.execute(encoders.delete())
    return removed


def in_use(connection: Connection, shas: Collection[str]) -> tuple[set[str], set[str]]:
    """Of the pictures `shas`: those that some crop shows, and the media names in use."""
    used: set[str] = set()
    names: set[str] = set()
    for chunk in _chunks(sorted(shas)):
        chosen = sa.select(crops.c.sha256, crops.c.file, crops.c.linked).where(crops.c.sha256.in_(chunk))
        for row in connection.execute(chosen):
            used.add(row.sha256)
            if not row.linked:
                names.add(row.file)
    return used, names


def _chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
