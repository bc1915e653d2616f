"""A case as one zip: the report as a page and as a PDF, a table, the pictures, and a signed manifest of it all."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from app.chat.conversation import NO_REASON
from app.export.page import html_of
from app.export.pdf import write_pdf
from app.export.report import Judged, Photo, Report, report_of, suffix_of
from app.export.table import write_csv
from app.refused import ReasonNeeded
from gallery_store.decoding import PictureError, open_picture
from gallery_store.errors import GalleryError
from gallery_store.export_case import ExportedCase
from gallery_store.files import replacing
from gallery_store.pictures import PictureFile
from gallery_store.sealed_zip import SealedZip, UnreadableSource
from gallery_store.shown import picture_bytes
from gallery_store.store import GalleryStore

_PHOTO_SIDE = 384  # pixels, of the small copies of photos


def export_case(
    store: GalleryStore,
    case: str,
    user: str,
    target: Path,
    *,
    by: str,
    key: bytes | None = None,
    needs_reason: bool = False,
) -> ExportedCase:
    """Write the user's case to a zip: whole, or not at all. Without a row about it in the audit there is none.

    by: who asked for it. key: signs the manifest. KeyError where the user has no such case, ReasonNeeded where it lacks
    a reason that is needed. Raises GalleryError; OSError where the zip cannot be written.
    """
    store.database.require_writable()  # for the audit
    began, now = time.perf_counter(), datetime.now(UTC)
    report = report_of(store, case, user, by, now)
    if needs_reason and report.reason == NO_REASON:
        raise ReasonNeeded
    with (
        tempfile.TemporaryDirectory(prefix="chatreid-export-") as folder,
        replacing(target) as partial,
        closing(SealedZip(partial, report.made)) as sealed,
    ):
        small = _SmallCopies(store, case, Path(folder))
        report = _with_pictures(store, report, sealed)
        with _text(sealed, "sightings.csv", "utf-8-sig") as table:
            write_csv(report, table)
        with _text(sealed, "report.html") as page:
            page.writelines(html_of(report, small.of))
        pdf = Path(folder) / "report.pdf"
        with pdf.open("wb") as stream:
            write_pdf(report, stream, small.of)
        sealed.add("report.pdf", pdf)
        facts = {"case": case, "user": report.case.user, "made": report.made.isoformat(timespec="seconds")}
        manifest = sealed.seal(facts | {"exported_by": by, "zone": str(report.zone)}, key)
        done = ExportedCase(
            len(report.sightings), len(report.rejected), _missing(report), key is not None, manifest
        )
        store.record_search(
            user=by,
            reason=report.reason,
            query={"exported": {"manifest": manifest, "signed": done.signed}},
            shown=_shown(report),
            seconds=time.perf_counter() - began,
            case=case,
        )
    return done


def _shown(report: Report) -> list[int]:
    """The crops whose pictures go out."""
    of_query = [photo.crop.id for photo in report.photos if photo.crop is not None]
    return [*(one.stop.image_id for one in (*report.sightings, *report.rejected)), *of_query]


def file_name(case: str) -> str:
    """What an export is called where nobody says."""
    return f"case-{case}.zip"


@contextmanager
def _text(sealed: SealedZip, name: str, encoding: str = "utf-8") -> Iterator[io.TextIOWrapper[Any]]:
    with sealed.writing(name) as target:
        text: io.TextIOWrapper[Any] = io.TextIOWrapper(
            cast("Any", target), encoding, errors="replace", newline=""
        )
        yield text
        text.flush()
        text.detach()


def _with_pictures(store: GalleryStore, report: Report, sealed: SealedZip) -> Report:
    """The report with the names of its pictures, which are in the zip then."""
    photos = enumerate(report.photos, start=1)
    return replace(
        report,
        photos=tuple(_with_picture(store, report.case.id, number, photo, sealed) for number, photo in photos),
        sightings=_added(report.sightings, "sightings", sealed),
        rejected=_added(report.rejected, "ruled-out", sealed),
    )


def _with_picture(store: GalleryStore, case: str, number: int, photo: Photo, sealed: SealedZip) -> Photo:
    source: PictureFile | bytes | None
    kind, called = "photo", photo.name
    try:
        if photo.crop:
            kind, called = f"crop-{photo.crop.id}", photo.crop.file.name
            source = picture_bytes(photo.crop)  # not what a linked file has become
        else:
            source = store.cases.photo(case, photo.kept_as) if photo.kept_as else None
        if source is None:
            return photo
        name = f"query/{number:03d}-{kind}{suffix_of(called if isinstance(source, bytes) else source.name)}"
        sealed.add(name, source)
    except (UnreadableSource, PictureError):
        return photo
    return replace(photo, picture=name)


def _added(some: Sequence[Judged], folder: str, sealed: SealedZip) -> tuple[Judged, ...]:
    added = []
    for number, one in enumerate(some, start=1):
        if one.crop is None:
            added.append(replace(one, problem="the crop was deleted from the gallery"))
            continue
        name = f"{folder}/{number:03d}-crop-{one.crop.id}{suffix_of(one.crop.file.name)}"
        try:
            digest = sealed.add(name, picture_bytes(one.crop) if one.crop.linked else one.crop.file)
        except (UnreadableSource, PictureError) as problem:
            added.append(replace(one, problem=f"the picture cannot be read ({problem})"))
            continue
        is_same = digest == one.crop.sha256
        added.append(
            replace(one, picture=name, problem="" if is_same else "the picture was changed since the import")
        )
    return tuple(added)


def _missing(report: Report) -> tuple[str, ...]:
    judged = (*report.sightings, *report.rejected)
    lost = [f"crop {one.stop.image_id}: {one.problem}" for one in judged if one.problem]
    return (
        *lost,
        *(
            f"{photo.name}: it is not there any more, or was changed"
            for photo in report.photos
            if not photo.picture
        ),
    )


class _SmallCopies:
    """Small JPEGs for the reports: the gallery's thumbnails, and copies of the photos in a folder."""

    def __init__(self, store: GalleryStore, case: str, folder: Path) -> None:
        self._store, self._case, self._folder = store, case, folder

    def of(self, one: Judged | Photo) -> Path | None:
        """None where there is no picture that can be shown."""
        if one.crop is None:
            return self._of_photo(one) if isinstance(one, Photo) else None
        try:
            return self._store.thumbnail(one.crop.id)
        except (KeyError, OSError, GalleryError):
            return None

    def _of_photo(self, photo: Photo) -> Path | None:
        if not photo.picture:
            return None
        copy = self._folder / f"{Path(photo.picture).stem}.jpg"
        if not copy.exists():
            data = self._store.cases.photo(self._case, photo.kept_as)
            try:
                picture = open_picture(data or b"", within=(_PHOTO_SIDE, _PHOTO_SIDE))
            except PictureError:
                return None
            picture.save(copy, "JPEG", quality=88)
        return copy
