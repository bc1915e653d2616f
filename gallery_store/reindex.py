"""Give a gallery the vectors of another encoder, while it can still be searched with the old ones.

New vectors are laid beside the old ones; the switch, once every crop has one, is a single transaction. A vector that
is damaged stays until the transaction that writes the new one. A kill loses at most one batch, and the next run goes
on from there. CLIP and the re-ID encoder are changed one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from PIL import Image

from gallery_store import rows
from gallery_store.console import Progress
from gallery_store.crops import Crop
from gallery_store.decoding import PictureError, open_picture
from gallery_store.dialects import rows_by_driver
from gallery_store.encoder import ImageEncoder, fitted
from gallery_store.errors import GalleryError
from gallery_store.importer import BATCH
from gallery_store.index import are_whole, is_whole, pack
from gallery_store.schema import Role, crops, encoders, vectors
from gallery_store.shown import picture_bytes
from gallery_store.store import GalleryStore

_PAGE = 400
_VECTORS = """
SELECT c.id, v.data FROM crops c
LEFT JOIN vectors v ON v.crop_id = c.id AND v.encoder = ? AND v.version = ?
WHERE c.id > ? ORDER BY c.id LIMIT ?
"""


@dataclass(frozen=True)
class Reindexed:
    """encoded: crops that got a vector in this run. switched: False when stopped, or when it was there already."""

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
    cannot be read or was changed since the import, or the encoder makes no usable vector of it.
    """
    same = store.encoder(role) == (encoder.name, encoder.version)
    encoded = 0
    while True:
        lacking, total = _lacking(store, encoder)
        if not lacking and encoded == 0 and (same or total == 0):
            return Reindexed(0, False)
        for start in range(0, len(lacking), BATCH):
            encoded += _encode(store, encoder, lacking[start : start + BATCH])
            if progress is not None:
                progress(total - max(0, len(lacking) - start - BATCH), total)
            if stop is not None and stop():
                return Reindexed(encoded, False)
        if _switch(store, encoder, role):  # else somebody imported meanwhile
            return Reindexed(encoded, not same)


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


def _lacking(store: GalleryStore, encoder: ImageEncoder) -> tuple[list[int], int]:
    """-> (ids, ascending, of the crops without a whole vector by this encoder; how many crops there are)."""
    lacking: list[int] = []
    last = total = 0
    while True:
        with store.database.reading() as connection:
            page = rows_by_driver(connection, _VECTORS, (encoder.name, encoder.version, last, _PAGE))
        if not page:
            return lacking, total
        lacking += [crop_id for crop_id, data in page if not is_whole(data)]
        last, total = page[-1][0], total + len(page)


def _encode(store: GalleryStore, encoder: ImageEncoder, ids: list[int]) -> int:
    """Write these crops' vectors, in place of damaged ones; -> how many. Crops that are deleted meanwhile are left out.

    Raises GalleryError.
    """
    with store.database.reading() as connection:
        some = list(rows.crops_by_id(connection, ids, store.pictures).values())
    store.absent(some)
    images = {crop.id: image for crop in some if (image := _opened(store, encoder, crop)) is not None}
    if not images:
        return 0
    encoded = encoder.encode_images(list(images.values()))
    for crop_id, whole in zip(images, are_whole(encoded), strict=True):
        if not whole:
            raise GalleryError(
                f"{encoder.name} makes no usable vector of crop {crop_id}, one that is finite and of length 1; the "
                f"gallery keeps its encoder: see whether its weights are whole, or "
                f"`python -m gallery_store delete --id {crop_id}`"
            )
    packed = {crop_id: pack(vector) for crop_id, vector in zip(images, encoded, strict=True)}
    with store.database.writing() as connection:
        chosen = sa.select(crops.c.id).where(crops.c.id.in_(list(packed))).order_by(crops.c.id)
        still = list(connection.execute(chosen).scalars())
        connection.execute(vectors.delete().where(_of(encoder) & vectors.c.crop_id.in_(still)))
        for crop_id in still:
            rows.add_vector(connection, crop_id, encoder.name, encoder.version, packed[crop_id])
        if is_own := _is_own(connection, encoder):
            rows.note_rewrite(connection)
    if is_own:
        store.note_change()
    return len(still)


def _opened(store: GalleryStore, encoder: ImageEncoder, crop: Crop) -> Image.Image | None:
    """Its picture as the encoder takes it; None where the crop was deleted meanwhile. Raises GalleryError."""
    try:
        return fitted(encoder, open_picture(picture_bytes(crop), max_pixels=store.max_pixels))
    except PictureError as problem:
        with store.database.reading() as connection:
            if not rows.crops_by_id(connection, [crop.id], store.pictures):
                return None
        raise GalleryError(
            f"crop {crop.id} ({crop.path}) cannot be encoded anew: {problem.reason}; the gallery keeps "
            f"its encoder: bring {crop.file} back, or `python -m gallery_store delete --id {crop.id}`"
        ) from None


def _is_own(connection: sa.Connection, encoder: ImageEncoder) -> bool:
    """Whether the gallery is searched by this encoder's vectors already."""
    named = (encoders.c.name == encoder.name) & (encoders.c.version == encoder.version)
    return connection.execute(sa.select(encoders.c.role).where(named)).first() is not None


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
