"""Bring pictures into a gallery: threads read, decode and store while the encoder works on the batch before.

A picture's file is on disk before its row is committed, and row, tags and vector are one transaction. A kill
at any instant leaves at most files without rows, which `verify` collects; running the import again completes
it. Where the gallery has re-ID vectors, each new crop gets one in the same transaction.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Connection, Row

from gallery_store import rows
from gallery_store.archives import MOST_NAME
from gallery_store.audit import ensure_case
from gallery_store.console import Progress
from gallery_store.crops import camera_key
from gallery_store.database import now_text, time_text
from gallery_store.decoding import PictureError, decode
from gallery_store.encoder import ImageEncoder, fitted
from gallery_store.imports import begin_import, count_import, note_met
from gallery_store.index import are_whole, pack
from gallery_store.items import ImportItem, ImportSource, ReadingStopped, Rejected, SourceError, Stop
from gallery_store.media import media_name
from gallery_store.pace import Pace
from gallery_store.photographs import PROOF, is_photograph
from gallery_store.pictures import PictureWriter, Staged
from gallery_store.reimport import (
    INDEXED,
    Known,
    changes_of,
    find_known,
    rows_of_picture,
    write_changes,
)
from gallery_store.sources import Times, read_source
from gallery_store.store import GalleryStore

BATCH = 64
FIRST_BATCH = 4
_STOP_ASKED = 0.25  # seconds, while threads decode
_THREADS = 4  # they mostly wait for the disk


@dataclass(frozen=True)
class ImportReport:
    """What became of the pictures, each counted once.

    added, unchanged: crops. ignored: files that are not pictures by their name. stopped: by the caller. completed,
    corrected: crops that were there, of which something is known now that was not known, or known otherwise. mended:
    those whose lost picture was brought back, or found where it lies now, and nothing else. changes: name ("camera",
    "time", "person", "clothes", "frame", "tags", "picture") -> crops in which it was completed, corrected or mended.
    photographs: of those added, how many look like photographs and not like drawings. notes: sentences on what was read
    in an unexpected way, left out, or looks wrong.
    """

    added: int
    unchanged: int
    ignored: int
    rejected: tuple[Rejected, ...]
    stopped: bool = False
    photographs: int = 0
    completed: int = 0
    corrected: int = 0
    mended: int = 0
    changes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def are_photographs(self) -> bool:
        """Whether so many of the new crops look like photographs that they are."""
        return self.photographs > 0 and self.photographs >= PROOF * self.added

    @property
    def taken(self) -> int:
        """Pictures that are in the gallery now, whether they were there before or not."""
        return self.added + self.unchanged + self.completed + self.corrected + self.mended

    def in_words(self) -> str:
        """The counts: "3 added, 2 corrected (camera 2, time 1), 5 unchanged"."""
        said = [f"{self.added:,} added"]
        changed = {name: getattr(self, name) for name in ("completed", "corrected", "mended")}
        said += [f"{count:,} {name}" for name, count in changed.items() if count]
        if self.changes:
            said[-1] += f" ({', '.join(f'{name} {count:,}' for name, count in self.changes.items())})"
        return ", ".join([*said, f"{self.unchanged:,} unchanged"])


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
    """Import a folder, zip, CSV manifest, file of boxes or picture. Of what is there already, lost pictures are
    written again, and what is told now is completed or corrected (see reimport).

    reid: a second encoder, for queries by picture; the gallery's own, or any for a gallery without crops.
    camera: for pictures whose manifest names none; it goes before what a file's name tells. link: refer to
    the pictures where they are. times, pattern: see read_source. progress(done, total): at the start and after
    each batch, which is then on disk; done counts pictures looked at. stop(): asked between batches, which are sized
    to take about half a second, while the source is read and while pictures are decoded.

    Raises SourceError, EncoderMismatch, GalleryError.
    """
    store.database.require_writable()
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
            listed = Counter(item.source for item in contents.items)
            repeated = frozenset(source for source, times in listed.items() if times > 1)
            with store.database.writing() as connection:
                number = begin_import(connection, user, source)
            job = _Job(store, encoder, reid, writer, link, user, case, repeated, number)
            return _run(job, contents, progress or (lambda done, total: None), stop)
    finally:
        contents.close()


def _check_encoders(
    connection: Connection, encoder: ImageEncoder, reid: ImageEncoder | None, store: GalleryStore
) -> None:
    by_reid = (reid.name, reid.version) if reid else None
    rows.check_encoders(connection, (encoder.name, encoder.version), by_reid, store.location)


def _completed(contents: ImportSource, camera: str | None, link: bool, source: Path) -> ImportSource:
    if link and any(item.whole is not None for item in contents.items):
        raise SourceError(
            f"people cut out of the pictures of {source} have no files to link: leave --link out"
        )
    if link and any(item.origin is None for item in contents.items):
        raise SourceError(
            f"pictures inside the zip {source} cannot be linked: leave --link out, or unpack it"
        )
    if camera is None or not camera.strip():
        return contents
    named = camera.strip()
    if len(named) > MOST_NAME:
        raise SourceError(f"the camera's name has more than {MOST_NAME:,} characters")
    items = tuple(
        item if "camera" in item.given else replace(item, camera=named, by_caller=True)
        for item in contents.items
    )
    return replace(contents, items=items)


def _run(job: _Job, contents: ImportSource, progress: Progress, stop: Stop) -> ImportReport:
    count: Counter[str] = Counter()  # names of the report's fields
    changes: Counter[str] = Counter()
    full_frames = 0
    rejected = list(contents.rejected)
    done, total = 0, len(contents.items)
    progress(0, total)
    pace = Pace(BATCH, first=FIRST_BATCH)
    batches = _prepared_batches(job, contents.items, pace, stop)
    try:
        for outcomes in batches:
            began = time.perf_counter()
            new = [outcome for outcome in outcomes if isinstance(outcome, _Prepared)]
            for prepared, outcome in zip(outcomes, job.commit(outcomes), strict=True):
                if isinstance(outcome, Rejected):
                    rejected.append(outcome)
                    continue
                count[outcome.what] += 1
                changes.update(outcome.changed)
                if outcome.what == "added" and isinstance(prepared, _Prepared):
                    count["photographs"] += prepared.photograph
                    full_frames += is_full_frame(prepared.width, prepared.height)
            done += len(outcomes)
            if new:
                pace.took(len(new), time.perf_counter() - began)
            progress(done, total)
            if done < total and stop():
                break
    finally:
        batches.close()
    return ImportReport(
        added=count["added"],
        unchanged=count["unchanged"],
        ignored=contents.ignored,
        rejected=tuple(rejected),
        stopped=done < total,
        photographs=count["photographs"],
        completed=count["completed"],
        corrected=count["corrected"],
        mended=count["mended"],
        changes=dict(sorted(changes.items())),
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
    """A new picture, staged for its place (None: linked, or there already), shrunk for each encoder."""

    item: ImportItem
    sha256: str
    file: str
    staged: Staged
    width: int
    height: int
    image: Image.Image
    reid_image: Image.Image | None
    photograph: bool  # see is_photograph


@dataclass(frozen=True)
class _There:
    """A picture of a crop that is there. staged: for its place, where the crop's own picture is lost. file: its name
    there; "" where it is linked.
    """

    item: ImportItem
    sha256: str
    known: Known
    staged: Staged
    file: str


@dataclass(frozen=True)
class _Done:
    """what: a field of ImportReport that counts. changed: what was completed, corrected or mended."""

    what: str
    changed: tuple[str, ...] = ()


_UNCHANGED = _Done("unchanged")
_Outcome = _Prepared | _There | Rejected


@dataclass(frozen=True)
class _Job:
    """What every picture of one import shares. repeated: sources that it has more than once. number: of the import, in
    the gallery. taken: see find_known. counted: what became of the pictures that are written.
    """

    store: GalleryStore
    encoder: ImageEncoder
    reid: ImageEncoder | None
    writer: PictureWriter
    link: bool
    user: str
    case: str | None
    repeated: frozenset[str]
    number: int
    taken: set[int] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)

    def prepare(self, item: ImportItem) -> _Outcome:
        """Read, decode and stage one picture; in any thread."""
        try:
            (item.path + item.source).encode()
        except UnicodeEncodeError:
            name = item.path.encode("utf-8", "backslashreplace").decode()
            return Rejected(name, "its name is not valid UTF-8")
        told = (item.path, item.source, item.camera, item.person, item.clothes, *item.tags)
        if not self.store.database.takes_nul and any("\0" in text for text in told if text):
            return Rejected(item.path.replace("\0", "\\0"), "what is told of it has a NUL byte")
        try:
            data = item.read()
            sha256 = hashlib.sha256(data).hexdigest()
            if (there := self._there(item, sha256, data)) is not None:
                return there
            image, suffix = decode(data, max_pixels=self.store.max_pixels)
        except PictureError as problem:
            return Rejected(item.path, problem.reason)
        file = str(item.origin) if self.link else media_name(sha256, suffix)
        staged = None if self.link else self.writer.stage(file, data, is_new=True)
        # Shrunk: 64 full pictures could fill the memory.
        small, reid_small = fitted(self.encoder, image), fitted(self.reid, image) if self.reid else None
        photograph = is_photograph(data, image)
        return _Prepared(item, sha256, file, staged, image.width, image.height, small, reid_small, photograph)

    def _there(self, item: ImportItem, sha256: str, data: bytes) -> _There | None:
        with self.store.database.reading() as connection:
            found = rows_of_picture(connection, sha256)
        known = self._known(found, item)
        if known is None:
            return None
        row = next(row for row in found if row.id == known.crop_id)
        own = row.file
        if row.linked:
            own = (
                ""
                if self.link or Path(row.file).is_file()
                else media_name(sha256, decode(data, max_pixels=self.store.max_pixels)[1])
            )
        return _There(item, sha256, known, self.writer.stage(own, data) if own else None, own)

    def _known(self, found: Sequence[Row], item: ImportItem) -> Known | None:
        return find_known(found, item, is_listed_once=item.source not in self.repeated, taken=self.taken)

    def commit(self, outcomes: Sequence[_Outcome]) -> list[_Done | Rejected]:
        """Write one batch in one transaction; -> what became of each, in their order."""
        new = [outcome for outcome in outcomes if isinstance(outcome, _Prepared)]
        refused, packed = self._encoded(new) if new else ({}, [])
        self.writer.publish(
            (one.staged, one.file)
            for one in outcomes
            if not isinstance(one, Rejected) and id(one) not in refused
        )
        imported = now_text()
        done: list[_Done | Rejected | None] = []
        with self.store.database.writing() as connection:
            _check_encoders(connection, self.encoder, self.reid, self.store)
            if len(refused) < len(new) and rows.encoder(connection) is None:
                rows.set_encoder(connection, self.encoder.name, self.encoder.version)
                if self.reid is not None:
                    rows.set_encoder(connection, self.reid.name, self.reid.version, "reid")
            ensure_case(connection, self.case, self.user)
            # Written again where they were collected as strays, or deleted with their last crop, since they were
            # published: under this lock nobody removes any.
            self._keep_pictures([one for one in outcomes if id(one) not in refused])
            vectors = iter(packed)
            for outcome in outcomes:
                if isinstance(outcome, _There):
                    done.append(self._mend(connection, outcome))
                elif isinstance(outcome, _Prepared):
                    own = next(vectors)
                    done.append(refused.get(id(outcome)) or self._add(connection, outcome, own, imported))
                else:
                    done.append(outcome)
            self._note(connection, outcomes, done)
            if INDEXED & {name for one in done if isinstance(one, _Done) for name in one.changed}:
                rows.note_rewrite(connection)
        self.store.note_change()
        # What another line, or another process, changed in between is looked at again, by itself.
        again = (outcomes[n] for n, one in enumerate(done) if one is None)
        settled = [self.commit([self.prepare(there.item)])[0] for there in again if isinstance(there, _There)]
        return [one if one is not None else settled.pop(0) for one in done]

    def _note(
        self, connection: Connection, outcomes: Sequence[_Outcome], done: Sequence[_Done | Rejected | None]
    ) -> None:
        """In the list of imports: what became of these, and which crops were there."""
        known = [
            outcome.known.crop_id
            for outcome, one in zip(outcomes, done, strict=True)
            if isinstance(outcome, _There) and one is not None
        ]
        note_met(connection, self.number, known)
        self.counted.update(
            "rejected" if isinstance(one, Rejected) else one.what for one in done if one is not None
        )
        count_import(connection, self.number, self.counted)

    def _encoded(
        self, new: Sequence[_Prepared]
    ) -> tuple[dict[int, Rejected], list[list[tuple[ImageEncoder, bytes]]]]:
        """-> those (by their id()) of which an encoder makes no usable vector; each one's vectors, packed."""
        by_encoder = [(self.encoder, self.encoder.encode_images([prepared.image for prepared in new]))]
        if self.reid is not None:
            pictures = [prepared.reid_image for prepared in new if prepared.reid_image is not None]
            by_encoder.append((self.reid, self.reid.encode_images(pictures)))
        refused: dict[int, Rejected] = {}
        for encoder, vectors in by_encoder:
            for prepared, whole in zip(new, are_whole(vectors), strict=True):
                if not whole:
                    reason = (
                        f"{encoder.name} makes no usable vector of it, one that is finite and of length 1"
                    )
                    refused[id(prepared)] = Rejected(prepared.item.path, reason)
        packed = [
            [(encoder, pack(vectors[row])) for encoder, vectors in by_encoder] for row in range(len(new))
        ]
        return refused, packed

    def _add(
        self, connection: Connection, new: _Prepared, vectors: list[tuple[ImageEncoder, bytes]], imported: str
    ) -> _Done:
        crop_id = rows.add_crop(connection, self._values(new, imported), new.item.tags)
        if crop_id is None:
            return _UNCHANGED  # twice in one import
        for encoder, data in vectors:
            rows.add_vector(connection, crop_id, encoder.name, encoder.version, data)
        return _Done("added")

    def _mend(self, connection: Connection, there: _There) -> _Done | None:
        """None where the crop that it was is another's by now, or gone."""
        item = there.item
        found = rows_of_picture(connection, there.sha256)
        known = self._known(found, item)
        if known is None or known.crop_id != there.known.crop_id:
            return None
        row = next(row for row in found if row.id == known.crop_id)
        if row.source != item.source:
            self.taken.add(row.id)
        changes = changes_of(connection, row, item, known.surely)
        is_lost = there.staged is not None and not row.linked
        if row.linked and row.file != str(item.origin) and not Path(row.file).is_file():
            is_lost = True
            changes.values |= (
                {"file": str(item.origin)} if self.link else {"file": there.file, "linked": False}
            )
        write_changes(connection, row, changes)
        changed = (*changes.completed, *changes.corrected, *(["picture"] if is_lost else []))
        what = "corrected" if changes.corrected else "completed" if changes.completed else "mended"
        return _Done(what, changed) if changed else _UNCHANGED

    def _keep_pictures(self, outcomes: Sequence[_Outcome]) -> None:
        wanted = {
            one.file: one.item
            for one in outcomes
            if not isinstance(one, Rejected) and one.file and not (self.link and isinstance(one, _Prepared))
        }
        for name in sorted(self.store.pictures.lacking(wanted)):
            self.store.pictures.put(name, wanted[name].read())

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
            "source": item.source,
            "file": prepared.file,
            "linked": self.link,
            "width": prepared.width,
            "height": prepared.height,
            "imported": imported,
            "user_id": self.user,
            "import_id": self.number,
            "case": self.case,
        }
