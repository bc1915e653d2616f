"""Bring pictures into a gallery: threads read, decode and store while the encoder works on the batch before.

A picture's file is on disk before its row is committed, and row, tags and vector are one transaction. A kill
at any instant leaves at most files without rows, which `verify` collects; running the import again completes
it. Where the gallery has re-ID vectors, each new crop gets one in the same transaction.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Connection

from gallery_store import rows
from gallery_store.audit import ensure_case
from gallery_store.console import Progress
from gallery_store.crops import camera_key
from gallery_store.database import now_text, time_text
from gallery_store.decoding import PictureError, decode
from gallery_store.encoder import ImageEncoder, fitted
from gallery_store.index import pack
from gallery_store.media import MediaWriter, media_name
from gallery_store.pace import Pace
from gallery_store.sources import (
    ImportItem,
    ImportSource,
    ReadingStopped,
    Rejected,
    SourceError,
    Stop,
    Times,
    read_source,
)
from gallery_store.store import GalleryStore

BATCH = 64
FIRST_BATCH = 4
_STOP_ASKED = 0.25  # seconds, while threads decode
_THREADS = 4  # they mostly wait for the disk


@dataclass(frozen=True)
class ImportReport:
    """added, unchanged: crops. ignored: files that are not pictures by their name. stopped: by the caller.

    notes: sentences on what was read in an unexpected way, left out, or looks wrong.
    """

    added: int
    unchanged: int
    ignored: int
    rejected: tuple[Rejected, ...]
    stopped: bool = False
    notes: tuple[str, ...] = ()


def import_crops(
    store: GalleryStore,
    encoder: ImageEncoder,
    source: Path,
    *,
    reid: ImageEncoder | None = None,
    camera: str | None = None,
    link: bool = False,
    times: Times = "name",
    pattern: str | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    user: str = "",
    case: str | None = None,
) -> ImportReport:
    """Import a folder, zip, CSV manifest or picture; what is there already is counted as unchanged.

    reid: a second encoder, for queries by picture; the gallery's own, or any for a gallery without crops.
    camera: for pictures whose manifest names none; it goes before what a file's name tells. link: refer to
    the pictures where they are. times, pattern: see read_source. progress(done, total): at the start and after
    each batch, which is then on disk; done counts pictures looked at. stop(): asked between batches, which are sized
    to take about half a second, while the source is read and while pictures are decoded.

    Raises SourceError, EncoderMismatch, GalleryError.
    """
    with store.database.reading() as connection:
        _check_encoders(connection, encoder, reid, store)
    store.pictures.clean_temporary()
    stop = stop or (lambda: False)
    try:
        contents = read_source(source, store.zone, stop, times=times, pattern=pattern)
    except ReadingStopped:
        return ImportReport(0, 0, 0, (), stopped=True)
    try:
        contents = _completed(contents, camera, link, source)
        with store.pictures.writer() as writer:
            job = _Job(store, encoder, reid, writer, link, user, case)
            return _run(job, contents, progress or (lambda done, total: None), stop)
    finally:
        contents.close()


def _check_encoders(
    connection: Connection, encoder: ImageEncoder, reid: ImageEncoder | None, store: GalleryStore
) -> None:
    by_reid = (reid.name, reid.version) if reid else None
    rows.check_encoders(connection, (encoder.name, encoder.version), by_reid, store.location)


def _completed(contents: ImportSource, camera: str | None, link: bool, source: Path) -> ImportSource:
    if link and any(item.origin is None for item in contents.items):
        raise SourceError(
            f"pictures inside the zip {source} cannot be linked: leave --link out, or unpack it"
        )
    if camera is None or not camera.strip():
        return contents
    items = tuple(
        item if item.camera_given else replace(item, camera=camera.strip()) for item in contents.items
    )
    return replace(contents, items=items)


def _run(job: _Job, contents: ImportSource, progress: Progress, stop: Stop) -> ImportReport:
    added = unchanged = done = full_frames = 0
    rejected = list(contents.rejected)
    total = len(contents.items)
    progress(0, total)
    pace = Pace(BATCH, first=FIRST_BATCH)
    batches = _prepared_batches(job, contents.items, pace, stop)
    try:
        for outcomes in batches:
            began = time.perf_counter()
            new = [outcome for outcome in outcomes if isinstance(outcome, _Prepared)]
            refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
            full_frames += sum(is_full_frame(prepared.width, prepared.height) for prepared in new)
            count = job.commit(new) if new else 0
            added += count
            unchanged += len(outcomes) - len(refused) - count
            rejected += refused
            done += len(outcomes)
            if new:
                pace.took(len(new), time.perf_counter() - began)
            progress(done, total)
            if done < total and stop():
                break
    finally:
        batches.close()
    return ImportReport(
        added,
        unchanged,
        contents.ignored,
        tuple(rejected),
        stopped=done < total,
        notes=contents.notes + _remarks(contents.items, full_frames),
    )


def is_full_frame(width: int, height: int) -> bool:
    """Whether a picture looks like all that a camera sees, and not like one person: wide, and large."""
    return width > height and width * height >= 640 * 360


def _remarks(items: Sequence[ImportItem], full_frames: int) -> tuple[str, ...]:
    """What the pictures lack, and what they are not."""
    lacking = {
        "camera": sum(item.camera is None for item in items),
        "time": sum(item.time is None for item in items),
        "person": sum(item.person is None for item in items),
    }
    without = ", ".join(f"{count:,} without a {what}" for what, count in lacking.items() if count)
    remarks = [f"of {len(items):,} pictures: {without}"] if without else []
    if full_frames:
        remarks.append(
            "pictures that are wide and large, like whole frames of a camera, where a search needs people cut out of "
            f"them: {full_frames:,}"
        )
    return tuple(remarks)


def _prepared_batches(
    job: _Job, items: Sequence[ImportItem], pace: Pace, stop: Stop
) -> Generator[list[_Outcome], None, None]:
    """One batch ahead of the consumer, so that decoding and encoding overlap; ends early when `stop` says so."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="import")
    begun = 0

    def submit() -> list[Future[_Outcome]]:
        nonlocal begun
        some = items[begun : begun + pace.size]
        begun += len(some)
        return [pool.submit(job.prepare, item) for item in some]

    try:
        ahead = submit()
        while ahead:
            now, ahead = ahead, submit()
            while wait(now, _STOP_ASKED).not_done:
                if stop():
                    return
            yield [future.result() for future in now]
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Prepared:
    """A new picture, staged for its folder (None: linked, or there already), shrunk for each encoder."""

    item: ImportItem
    sha256: str
    file: str
    staged: Path | None
    width: int
    height: int
    image: Image.Image
    reid_image: Image.Image | None


_Outcome = _Prepared | Rejected | None  # None: known already


@dataclass(frozen=True)
class _Job:
    """What every picture of one import shares."""

    store: GalleryStore
    encoder: ImageEncoder
    reid: ImageEncoder | None
    writer: MediaWriter
    link: bool
    user: str
    case: str | None

    def prepare(self, item: ImportItem) -> _Outcome:
        """Read, decode and stage one picture; in any thread."""
        try:
            (item.path + str(item.origin)).encode()
        except UnicodeEncodeError:
            name = item.path.encode("utf-8", "backslashreplace").decode()
            return Rejected(name, "its name is not valid UTF-8")
        try:
            data = item.read()
            sha256 = hashlib.sha256(data).hexdigest()
            with self.store.database.reading() as connection:
                if rows.is_known(connection, sha256, camera_key(item.camera or ""), time_text(item.time)):
                    return None
            image, suffix = decode(data, max_pixels=self.store.max_pixels)
        except PictureError as problem:
            return Rejected(item.path, problem.reason)
        file = str(item.origin) if self.link else media_name(sha256, suffix)
        staged = None if self.link else self.writer.stage(file, data)
        # Shrunk: 64 full pictures could fill the memory.
        small, reid_small = fitted(self.encoder, image), fitted(self.reid, image) if self.reid else None
        return _Prepared(item, sha256, file, staged, image.width, image.height, small, reid_small)

    def commit(self, new: list[_Prepared]) -> int:
        """Write one batch in one transaction; -> how many rows were new (a picture may come twice)."""
        vectors = [(self.encoder, self.encoder.encode_images([prepared.image for prepared in new]))]
        if self.reid is not None:
            pictures = [prepared.reid_image for prepared in new if prepared.reid_image is not None]
            vectors.append((self.reid, self.reid.encode_images(pictures)))
        self.writer.publish((prepared.staged, prepared.file) for prepared in new)
        imported = now_text()
        count = 0
        with self.store.database.writing() as connection:
            _check_encoders(connection, self.encoder, self.reid, self.store)
            if rows.encoder(connection) is None:
                rows.set_encoder(connection, self.encoder.name, self.encoder.version)
                if self.reid is not None:
                    rows.set_encoder(connection, self.reid.name, self.reid.version, "reid")
            ensure_case(connection, self.case, self.user)
            for row, prepared in enumerate(new):
                crop_id = rows.add_crop(connection, self._values(prepared, imported), prepared.item.tags)
                if crop_id is None:
                    continue
                count += 1
                for encoder, of_new in vectors:
                    rows.add_vector(connection, crop_id, encoder.name, encoder.version, pack(of_new[row]))
                if not self.link and not self.store.pictures.path(prepared.file).is_file():
                    # Collected as a stray, or deleted with its last crop, since it was published.
                    self.store.pictures.put(prepared.file, prepared.item.read())
        self.store.note_change()
        return count

    def _values(self, prepared: _Prepared, imported: str) -> dict[str, Any]:
        item = prepared.item
        return {
            "sha256": prepared.sha256,
            "camera": item.camera or "",
            "camera_key": camera_key(item.camera or ""),
            "time": time_text(item.time),
            "person": item.person,
            "clothes": item.clothes,
            "frame": item.frame,
            "path": item.path,
            "file": prepared.file,
            "linked": self.link,
            "width": prepared.width,
            "height": prepared.height,
            "imported": imported,
            "user_id": self.user,
            "case": self.case,
        }
