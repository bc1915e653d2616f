"""Bring pictures into a gallery: threads read, decode and store while the encoder works on the batch before.

A picture's file is on disk before its row is committed, and row, tags and vector are one transaction. A kill
at any instant leaves at most files without rows, which `verify` collects; running the import again completes
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from gallery_store import rows
from gallery_store.audit import ensure_case
from gallery_store.crops import camera_key
from gallery_store.database import now_text, time_text
from gallery_store.decoding import PictureError, decode
from gallery_store.encoder import ImageEncoder
from gallery_store.index import pack
from gallery_store.media import media_name
from gallery_store.sources import Item, Rejected, Source, SourceError, read_source
from gallery_store.store import GalleryStore

BATCH = 64
_THREADS = 2


@dataclass(frozen=True)
class ImportReport:
    """added, unchanged: crops. ignored: files that are not pictures by their name. stopped: by the caller."""

    added: int
    unchanged: int
    ignored: int
    rejected: tuple[Rejected, ...]
    stopped: bool = False


@dataclass(frozen=True)
class _Prepared:
    """A new picture, stored already, shrunk to what the encoder looks at."""

    item: Item
    sha256: str
    file: str
    width: int
    height: int
    image: Image.Image


def import_crops(
    store: GalleryStore,
    encoder: ImageEncoder,
    source: Path,
    *,
    camera: str | None = None,
    link: bool = False,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    user: str = "",
    case: str | None = None,
) -> ImportReport:
    """Import a folder, zip, CSV manifest or picture; what is there already is counted as unchanged.

    camera: for pictures whose manifest names none; it goes before what a file's name tells. link: refer to
    the pictures where they are. progress(done, total): at the start and after each batch, which is then
    on disk; done counts pictures looked at. stop(): asked between batches.

    Raises SourceError, EncoderMismatch, GalleryError.
    """
    found = read_source(source, store.zone)
    try:
        return _import(
            store, encoder, _completed(found, camera, link, source), link, progress, stop, user, case
        )
    finally:
        found.close()


def _completed(found: Source, camera: str | None, link: bool, source: Path) -> Source:
    if link and any(item.origin is None for item in found.items):
        raise SourceError(
            f"pictures inside the zip {source} cannot be linked: leave --link out, or unpack it"
        )
    if camera is None or not camera.strip():
        return found
    items = tuple(item if item.camera_told else replace(item, camera=camera.strip()) for item in found.items)
    return replace(found, items=items)


def _import(
    store: GalleryStore,
    encoder: ImageEncoder,
    found: Source,
    link: bool,
    progress: Callable[[int, int], None] | None,
    stop: Callable[[], bool] | None,
    user: str,
    case: str | None,
) -> ImportReport:
    store.require_encoder(encoder.name, encoder.version)
    store.pictures.clean_temporary()
    added = unchanged = done = 0
    rejected = list(found.rejected)
    stopped = False
    batches = _prepared_batches(store, encoder, found.items, link)
    try:
        if progress is not None:
            progress(0, len(found.items))
        for outcomes in batches:
            new = [outcome for outcome in outcomes if isinstance(outcome, _Prepared)]
            count = _commit(store, encoder, new, link, user, case) if new else 0
            refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
            rejected += refused
            added += count
            unchanged += len(outcomes) - len(refused) - count
            done += len(outcomes)
            if progress is not None:
                progress(done, len(found.items))
            if stop is not None and done < len(found.items) and stop():
                stopped = True
                break
    finally:
        batches.close()
    return ImportReport(added, unchanged, found.ignored, tuple(rejected), stopped)


_Outcome = _Prepared | Rejected | None  # None: known already


def _prepared_batches(
    store: GalleryStore, encoder: ImageEncoder, items: Sequence[Item], link: bool
) -> Generator[list[_Outcome], None, None]:
    """One batch ahead of the consumer, so that decoding and encoding overlap."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="import")

    def submit(start: int) -> list[Future[_Outcome]]:
        return [pool.submit(_prepare, store, encoder, item, link) for item in items[start : start + BATCH]]

    try:
        ahead = submit(0)
        for start in range(BATCH, len(items) + BATCH, BATCH):
            now, ahead = ahead, submit(start)
            yield [future.result() for future in now]
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(store: GalleryStore, encoder: ImageEncoder, item: Item, link: bool) -> _Outcome:
    try:
        (item.path + str(item.origin)).encode()
    except UnicodeEncodeError:
        return Rejected(item.path.encode("utf-8", "backslashreplace").decode(), "its name is not valid UTF-8")
    try:
        data = item.read()
        sha256 = hashlib.sha256(data).hexdigest()
        with store.database.reading() as connection:
            if rows.is_known(connection, sha256, camera_key(item.camera or ""), time_text(item.time)):
                return None
        image, suffix = decode(data)
    except PictureError as problem:
        return Rejected(item.path, problem.reason)
    if link:
        file = str(item.origin)
    else:
        file = media_name(sha256, suffix)
        store.pictures.put(file, data)
    fit = getattr(encoder, "fit", None)
    small = fit(image) if fit is not None else image
    return _Prepared(item, sha256, file, image.width, image.height, small)


def _commit(
    store: GalleryStore, encoder: ImageEncoder, new: list[_Prepared], link: bool, user: str, case: str | None
) -> int:
    """Write one batch in one transaction; -> how many rows were new (a picture may come twice)."""
    vectors = encoder.encode_images([prepared.image for prepared in new])
    imported = now_text()
    count = 0
    with store.database.writing() as connection:
        has = rows.encoder(connection)
        rows.check_encoder(has, (encoder.name, encoder.version), store.location)
        if has is None:
            rows.set_encoder(connection, encoder.name, encoder.version)
        ensure_case(connection, case, user)
        for prepared, vector in zip(new, vectors, strict=True):
            item = prepared.item
            values = {
                "sha256": prepared.sha256,
                "camera": item.camera or "",
                "camera_key": camera_key(item.camera or ""),
                "time": time_text(item.time),
                "person": item.person,
                "clothes": item.clothes,
                "frame": item.frame,
                "path": item.path,
                "file": prepared.file,
                "linked": link,
                "width": prepared.width,
                "height": prepared.height,
                "imported": imported,
                "user_id": user,
                "case": case,
            }
            crop_id = rows.add_crop(connection, values, item.tags)
            if crop_id is None:
                continue
            rows.add_vector(connection, crop_id, encoder.name, encoder.version, pack(vector))
            if not link and not store.pictures.path(prepared.file).is_file():
                # Collected as a stray, or deleted with its last crop, since it was stored.
                store.pictures.put(prepared.file, item.read())
            count += 1
    store.note_change()
    return count
