"""Give a gallery the vectors of another encoder, while it can still be searched with the old ones.

New vectors are laid beside the old ones; the switch, once every crop has one, is a single transaction. A kill
loses at most one batch, and the next run goes on from there. CLIP and the re-ID encoder are changed one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from gallery_store import rows
from gallery_store.console import Progress
from gallery_store.decoding import PictureError, open_picture
from gallery_store.encoder import ImageEncoder, fitted
from gallery_store.errors import GalleryError
from gallery_store.importer import BATCH
from gallery_store.index import are_whole, is_whole, pack
from gallery_store.schema import Role, crops, encoders, vectors
from gallery_store.store import GalleryStore

_PAGE = 400


@dataclass(frozen=True)
class Reindexed:
    """encoded: crops encoded in this run. switched: False when stopped, or when it was there already."""

    encoded: int
    switched: bool


def reindex(
    store: GalleryStore,
    encoder: ImageEncoder,
    *,
    role: Role = "clip",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Reindexed:
    """Encode all pictures with `encoder`, then let it replace the gallery's own for this role, or be its first.

    With the gallery's own encoder, only vectors that are missing or damaged are made. progress(done, all): after each
    batch, which is then on disk. stop(): asked between batches. Raises GalleryError, without switching, when a picture
    cannot be read, or the encoder makes no usable vector of it.
    """
    _drop_damaged(store, encoder)
    same = store.encoder(role) == (encoder.name, encoder.version)
    encoded, total = 0, store.count()
    while True:
        batch = _missing(store, encoder)
        if not batch and (encoded == 0 and (same or total == 0)):
            return Reindexed(0, False)
        if not batch:
            if _switch(store, encoder, role):
                return Reindexed(encoded, not same)
            continue  # somebody imported meanwhile
        _encode(store, encoder, batch)
        encoded += len(batch)
        if progress is not None:
            progress(min(_present(store, encoder), total), total)
        if stop is not None and stop():
            return Reindexed(encoded, False)


def drop_reid(store: GalleryStore) -> int:
    """Remove the re-ID vectors, in one transaction; -> how many there were. Raises GalleryError."""
    with store.database.writing() as connection:
        rows.remove_encoder(connection, "reid")
        rows.note_rewrite(connection)
        removed = connection.execute(vectors.delete().where(~_in_use())).rowcount
    store.note_change()
    return removed


def _in_use() -> sa.ColumnElement[bool]:
    own = (encoders.c.name == vectors.c.encoder) & (encoders.c.version == vectors.c.version)
    return sa.select(encoders.c.role).where(own).exists()


def _of(encoder: ImageEncoder) -> sa.ColumnElement[bool]:
    return (vectors.c.encoder == encoder.name) & (vectors.c.version == encoder.version)


def _missing(store: GalleryStore, encoder: ImageEncoder) -> list[int]:
    has = sa.select(vectors.c.crop_id).where((vectors.c.crop_id == crops.c.id) & _of(encoder)).exists()
    with store.database.reading() as connection:
        chosen = sa.select(crops.c.id).where(~has).order_by(crops.c.id).limit(BATCH)
        return list(connection.execute(chosen).scalars())


def _present(store: GalleryStore, encoder: ImageEncoder) -> int:
    with store.database.reading() as connection:
        return connection.execute(
            sa.select(sa.func.count()).select_from(vectors).where(_of(encoder))
        ).scalar_one()


def _drop_damaged(store: GalleryStore, encoder: ImageEncoder) -> None:
    """Remove this encoder's vectors that are cut off, not finite or not of length 1: they are made anew."""
    last = 0
    while True:
        with store.database.reading() as connection:
            chosen = sa.select(vectors.c.crop_id, vectors.c.data).where(
                _of(encoder) & (vectors.c.crop_id > last)
            )
            page = connection.execute(chosen.order_by(vectors.c.crop_id).limit(_PAGE)).all()
        if not page:
            return
        last = page[-1].crop_id
        damaged = [row.crop_id for row in page if not is_whole(row.data)]
        if damaged:
            with store.database.writing() as connection:
                connection.execute(vectors.delete().where(_of(encoder) & vectors.c.crop_id.in_(damaged)))
                rows.note_rewrite(connection)
            store.note_change()


def _encode(store: GalleryStore, encoder: ImageEncoder, ids: list[int]) -> None:
    images = []
    some = store.crops(ids)
    store.absent(some)
    for crop in some:
        try:
            images.append(fitted(encoder, open_picture(crop.file, max_pixels=store.max_pixels)))
        except PictureError as problem:
            raise GalleryError(
                f"crop {crop.id} ({crop.path}) cannot be encoded anew: {problem.reason}; the gallery keeps "
                f"its encoder: bring {crop.file} back, or `python -m gallery_store delete --id {crop.id}`"
            ) from None
    encoded = encoder.encode_images(images)
    for crop_id, whole in zip(ids, are_whole(encoded), strict=True):
        if not whole:
            raise GalleryError(
                f"{encoder.name} makes no usable vector of crop {crop_id}, one that is finite and of length 1; the "
                f"gallery keeps its encoder: see whether its weights are whole, or "
                f"`python -m gallery_store delete --id {crop_id}`"
            )
    packed = [pack(vector) for vector in encoded]
    with store.database.writing() as connection:
        still = set(connection.execute(sa.select(crops.c.id).where(crops.c.id.in_(ids))).scalars())
        for crop_id, data in zip(ids, packed, strict=True):
            if crop_id in still:
                rows.add_vector(connection, crop_id, encoder.name, encoder.version, data)


def _switch(store: GalleryStore, encoder: ImageEncoder, role: Role) -> bool:
    """Make `encoder` the gallery's for this role, in one transaction; False if some crop has no vector of it yet."""
    with store.database.writing() as connection:
        has = sa.select(vectors.c.crop_id).where((vectors.c.crop_id == crops.c.id) & _of(encoder)).exists()
        if connection.execute(sa.select(crops.c.id).where(~has).limit(1)).first():
            return False
        rows.set_encoder(connection, encoder.name, encoder.version, role)
        rows.note_rewrite(connection)
        connection.execute(vectors.delete().where(~_in_use()))
    store.note_change()
    return True
