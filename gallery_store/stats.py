"""What a gallery holds, in numbers, without loading its vectors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from gallery_store import rows
from gallery_store.store import GalleryStore
from gallery_store.tables import crops, searches, tags


def gallery_stats(store: GalleryStore) -> dict[str, Any]:
    """JSON-ready: gallery (its file), crops, persons, cameras and tags (name -> crops), first and last time
    (ISO 8601 in the gallery's zone), linked, searches, zone, encoder ([name, version] or None).
    """
    count = sa.func.count()
    with store.database.reading() as connection:

        def number(column: Any, *where: Any) -> int:
            return connection.execute(sa.select(column).where(*where)).scalar_one()

        by_camera = sa.select(sa.func.min(crops.c.camera), count).where(crops.c.camera_key != "")
        cameras = connection.execute(
            by_camera.group_by(crops.c.camera_key).order_by(crops.c.camera_key)
        ).all()
        by_tag = connection.execute(
            sa.select(tags.c.tag, count).group_by(tags.c.tag).order_by(tags.c.tag)
        ).all()
        dated = sa.select(sa.func.min(crops.c.time), sa.func.max(crops.c.time)).where(crops.c.time != "")
        first, last = connection.execute(dated).one()
        encoder = rows.encoder(connection)
        return {
            "gallery": store.location,
            "crops": number(count, crops.c.id.is_not(None)),
            "persons": number(sa.func.count(sa.distinct(crops.c.person))),
            "cameras": {row[0]: row[1] for row in cameras},
            "tags": {row[0]: row[1] for row in by_tag},
            "first": _local(store, first),
            "last": _local(store, last),
            "linked": number(count, crops.c.linked),
            "searches": number(count, searches.c.id.is_not(None)),
            "zone": store.zone.key,
            "encoder": list(encoder) if encoder else None,
        }


def _local(store: GalleryStore, text: str | None) -> str | None:
    moment = rows.time_of(text or "")
    return moment.astimezone(store.zone).isoformat() if moment else None
