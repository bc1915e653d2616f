"""What a later import knows again, and what it completes or corrects of it.

A crop is a picture at a source. It is known again by its bytes and its source, whatever a manifest now says of its
camera and time; or by its bytes and path, where nothing speaks against it. Two sources with the same bytes are two
sightings as soon as two cameras are told; or two times, while both sources are there. A camera that the caller names
for a whole import never corrects another: that makes a second sighting.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from gallery_store.crops import camera_key
from gallery_store.database import time_text
from gallery_store.items import IN_ZIP, ImportItem
from gallery_store.schema import crops, tags

INDEXED = frozenset({"camera", "time", "tags"})  # what other processes have in memory


@dataclass(frozen=True)
class Known:
    """A crop that an item is. surely: by its source or path, so that what it says may be corrected as well; else it
    has the same bytes, camera and time alone.
    """

    crop_id: int
    surely: bool


@dataclass
class Changes:
    """What an item says of a crop that the gallery does not. values, tags: to be written. completed, corrected: names
    of what was not known before, and of what was known otherwise.
    """

    values: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None
    completed: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)

    def note(self, name: str, had: Any, may_correct: bool) -> bool:
        """Whether a value that differs from what the gallery `had` is to be written."""
        if had and not may_correct:
            return False
        (self.corrected if had else self.completed).append(name)
        return True


def rows_of_picture(connection: Connection, sha256: str) -> Sequence[Row]:
    """All crops with these bytes, ids ascending."""
    return connection.execute(sa.select(crops).where(crops.c.sha256 == sha256).order_by(crops.c.id)).all()


def find_known(
    rows: Sequence[Row], item: ImportItem, *, is_listed_once: bool, taken: Collection[int]
) -> Known | None:
    """Which of the crops with the item's bytes it is.

    is_listed_once: whether this import has its source only once; else each of its lines is a sighting of its own.
    taken: crops that another source of this import is, so that they must stay what they are.
    """
    key, time = camera_key(item.camera or ""), time_text(item.time)
    for row in rows:
        if (row.camera_key, row.time) == (key, time):
            return Known(row.id, item.source == row.source or item.path == row.path)
    if not is_listed_once:
        return None
    rows = [row for row in rows if row.id not in taken and not (item.by_caller and _other_camera(row, item))]
    own = [row for row in rows if row.source and row.source == item.source]
    if own:
        return Known(own[0].id, True) if len(own) == 1 else None
    same_path = [row for row in rows if row.path == item.path and _may_be(row, item)]
    return Known(same_path[0].id, True) if len(same_path) == 1 else None


def _other_camera(row: Row, item: ImportItem) -> bool:
    return bool(row.camera_key and item.camera) and row.camera_key != camera_key(item.camera or "")


def _may_be(row: Row, item: ImportItem) -> bool:
    """Whether an item of the same bytes and path is the crop, although its source is another."""
    time = time_text(item.time)
    if "camera" in item.given and _other_camera(row, item):
        return False
    if not (row.time and time and row.time != time):
        return True
    if IN_ZIP in row.source:  # an uploaded zip lies elsewhere each time
        return _zip_name(row.source) == _zip_name(item.source)
    return not row.source or not Path(row.source).exists()


def _is_gone(source: str) -> bool:
    """Whether nothing lies where a crop came from: another copy of a picture that is there does not take its place."""
    return not source or not Path(source.partition(IN_ZIP)[0]).exists()


def _zip_name(source: str) -> str:
    archive, _, member = source.partition(IN_ZIP)
    return f"{Path(archive).name}{IN_ZIP}{member}" if member else ""


def changes_of(connection: Connection, row: Row, item: ImportItem, surely: bool) -> Changes:
    """What is to be written of the item. A file's name completes and never corrects."""
    changes = Changes()
    key, time = camera_key(item.camera or ""), time_text(item.time)
    if (
        key
        and key != row.camera_key
        and changes.note("camera", row.camera_key, surely and "camera" in item.given)
    ):
        changes.values |= {"camera": item.camera, "camera_key": key}
    if time and time != row.time and changes.note("time", row.time, surely):
        changes.values["time"] = time
    for name in ("person", "clothes", "frame"):
        said, had = getattr(item, name), getattr(row, name)
        if said is not None and said != had and changes.note(name, had, surely and name in item.given):
            changes.values[name] = said
    if item.tags:
        chosen = sa.select(tags.c.tag).where(tags.c.crop_id == row.id).order_by(tags.c.position)
        had = tuple(connection.execute(chosen).scalars())
        said = tuple(dict.fromkeys(item.tags))
        if said != had and changes.note("tags", had, surely and "tags" in item.given):
            changes.tags = said
    if surely and item.source and item.source != row.source and _is_gone(row.source):
        changes.values["source"] = item.source  # moved, or not kept before: nothing to tell of
    return changes


def write_changes(connection: Connection, row: Row, changes: Changes) -> None:
    """Write them, as far as they do not make it a second crop of the same picture, camera and time."""
    identity = {
        name: changes.values.get(name, getattr(row, name)) for name in ("sha256", "camera_key", "time")
    }
    same = sa.and_(*(crops.c[name] == value for name, value in identity.items()))
    if connection.execute(sa.select(crops.c.id).where(same & (crops.c.id != row.id))).first():
        for name in ("camera", "camera_key", "time"):
            changes.values.pop(name, None)
        changes.completed = [name for name in changes.completed if name not in ("camera", "time")]
        changes.corrected = [name for name in changes.corrected if name not in ("camera", "time")]
    if changes.values:
        connection.execute(crops.update().where(crops.c.id == row.id).values(**changes.values))
    if changes.tags is not None:
        connection.execute(tags.delete().where(tags.c.crop_id == row.id))
        values = [{"crop_id": row.id, "tag": tag, "position": n} for n, tag in enumerate(changes.tags)]
        connection.execute(tags.insert(), values)
