"""A gallery moved to another place or database: every crop under its id, with pictures, vectors, cases and the audit.

The copy is of one moment, that at which this run began. It is written page by page, pictures before their rows, and
then compared with what it was taken from, row by row and picture by picture. Until that is done it is marked, and
nobody else opens it; a run that was stopped or killed is taken up by the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store import rows
from gallery_store.console import StepProgress
from gallery_store.decoding import PictureError
from gallery_store.dialects import last_id_given, set_last_id_given
from gallery_store.errors import GalleryError
from gallery_store.index import is_whole
from gallery_store.owners import OF_THIS_PLACE
from gallery_store.pictures import PictureWriter, Staged
from gallery_store.schema import (
    case_shares,
    cases,
    conversation_messages,
    conversation_photos,
    conversation_steps,
    conversations,
    crops,
    encoders,
    gallery,
    imports,
    searches,
    tags,
    vectors,
)
from gallery_store.store import GalleryStore

_PAGE = 256
_SIGHTING = ("sha256", "camera_key", "time")  # unique
_WHOLE = (
    conversations,
    conversation_steps,
    conversation_photos,
    conversation_messages,
    case_shares,
    imports,
)
_NUMBERED = (crops, searches)  # their ids are never given twice


@dataclass(frozen=True)
class Copied:
    """crops, searches: how many the copy has. written, mended: crops that this run added, and that its comparison found
    otherwise and wrote again. problems: one sentence for each picture or vector that the gallery itself lacks. stopped:
    by the caller, before the end.
    """

    crops: int
    searches: int
    written: int
    mended: int
    problems: tuple[str, ...] = ()
    stopped: bool = False


def copy_gallery(
    source: GalleryStore,
    target: GalleryStore,
    progress: StepProgress,
    stop: Callable[[], bool] = lambda: False,
) -> Copied:
    """Make `target`, which was opened as a copy, what `source` is now, its zone too. stop(): asked between pages.

    Raises GalleryError: the target has crops of its own, or is a copy of another gallery; either cannot be used.
    """
    target.database.require_writable()
    with source.database.reading() as snapshot:
        job = _Job(source, target, snapshot, progress, stop)
        _begin(job)
        done = job.write_missing() and job.compare() and job.copy_audit() and job.copy_the_rest()
        if done:
            _finish(job)
    target.note_change()
    with target.database.reading() as connection:
        crop_count, search_count = (
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in _NUMBERED
        )
    return Copied(
        crop_count, search_count, job.written, job.mended, tuple(job.problems.values()), stopped=not done
    )


def _begin(job: _Job) -> None:
    """Mark the target as a copy of this source, with its encoders, settings and cases."""
    named = job.source.media.name  # no two galleries have one
    with job.target.database.writing() as connection:
        of = rows.setting(connection, rows.COPY_OF)
        if job.source.media == job.target.media or (of is None and _has_rows(connection)):
            raise GalleryError(
                f"the gallery {job.target.location} holds something already, and is no unfinished copy of "
                f"{job.source.location}: name a new one"
            )
        if of not in (None, named):
            raise GalleryError(
                f"the gallery {job.target.location} is an unfinished copy of another gallery: name a new one"
            )
        rows.set_setting(connection, rows.COPY_OF, named)
        for row in job.snapshot.execute(sa.select(gallery)):
            if row.key not in OF_THIS_PLACE:
                rows.set_setting(connection, row.key, row.value)
        connection.execute(encoders.delete())
        for row in job.snapshot.execute(sa.select(encoders)):
            rows.set_encoder(connection, row.name, row.version, row.role)
        there = set(connection.execute(sa.select(cases.c.name)).scalars())
        for values in map(dict, job.snapshot.execute(sa.select(cases)).mappings()):
            chosen = cases.update().where(cases.c.name == values["name"])
            connection.execute((chosen if values["name"] in there else cases.insert()).values(**values))


def _has_rows(connection: Connection) -> bool:
    return any(connection.execute(sa.select(table.c.id).limit(1)).first() for table in _NUMBERED)


def _finish(job: _Job) -> None:
    """Nobody else opens it before: from here on it is a gallery like any other."""
    with job.target.database.writing() as connection:
        has = sa.inspect(job.snapshot)
        # Ids of crops that were deleted do not come back.
        for table in (one for one in (*_NUMBERED, imports) if has.has_table(one.name)):
            set_last_id_given(connection, table, last_id_given(job.snapshot, table))
        rows.remove_setting(connection, rows.COPY_OF)


@dataclass(frozen=True)
class _Crop:
    """A crop as rows: its own, its tags, and its vectors by the gallery's encoders, as far as they are whole."""

    own: dict[str, Any]
    tagged: list[dict[str, Any]]
    packed: list[dict[str, Any]]


@dataclass
class _Job:
    """snapshot: the source, at one moment. problems: by what is lacking."""

    source: GalleryStore
    target: GalleryStore
    snapshot: Connection
    progress: StepProgress
    stop: Callable[[], bool]
    written: int = 0
    mended: int = 0
    problems: dict[tuple[int, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._total = self.snapshot.execute(sa.select(sa.func.count()).select_from(crops)).scalar_one()
        there = {column["name"] for column in sa.inspect(self.snapshot).get_columns(crops.name)}
        # A gallery that cannot be written is read as it is.
        self._columns = [column for column in crops.c if column.name in there]
        # They mostly wait, for a disk or for the way to a storage.
        self._threads = max(self.source.pictures.at_once, self.target.pictures.at_once)

    def write_missing(self) -> bool:
        """Write the crops above those that are there; False when stopped."""
        with self.target.database.reading() as connection:
            last = rows.state(connection).last_id
        at_or_below = sa.select(sa.func.count()).select_from(crops).where(crops.c.id <= last)
        done = self.snapshot.execute(at_or_below).scalar_one()
        self.progress("copy", done, self._total)
        for _, page in self._pages(last):
            self._bring_pictures(page)
            with self.target.database.writing() as connection:
                _insert(connection, page)
            self.written += len(page)
            done += len(page)
            self.progress("copy", done, self._total)
            if self.stop():
                return False
        return True

    def compare(self) -> bool:
        """Write again what differs; False when stopped."""
        done, first = 0, 0
        for last, page in self._pages(0, ends=True):
            with self.target.database.reading() as connection:
                there = {crop.own["id"]: crop for crop in self._read(connection, first, last)}
            wrong = [crop for crop in page if there.pop(crop.own["id"], None) != crop]
            self._bring_pictures(self._without_pictures(page))
            if wrong or there:
                gone = [*there, *(crop.own["id"] for crop in wrong)]
                with self.target.database.writing() as connection:
                    connection.execute(crops.delete().where(crops.c.id.in_(gone)))
                    _insert(connection, wrong)
                self.mended += len(wrong)
            first, done = last or first, done + len(page)
            self.progress("compare", done, self._total)
            if self.stop():
                return False
        return True

    def copy_audit(self) -> bool:
        """Rows of the audit are only ever added; False when stopped."""
        while True:
            with self.target.database.writing() as connection:
                last = connection.execute(sa.select(sa.func.max(searches.c.id))).scalar() or 0
                chosen = sa.select(searches).where(searches.c.id > last).order_by(searches.c.id).limit(_PAGE)
                page = [dict(row) for row in self.snapshot.execute(chosen).mappings()]
                if not page:
                    return True
                connection.execute(searches.insert(), page)
            if self.stop():
                return False

    def copy_the_rest(self) -> bool:
        """The cases of operators and the list of imports, whole; False when stopped. A gallery of an older version has
        none.
        """
        has = sa.inspect(self.snapshot)
        there = set(has.get_table_names())
        for table in _WHOLE:
            if table.name not in there:
                continue
            named = {column["name"] for column in has.get_columns(table.name)}
            chosen = sa.select(*(column for column in table.c if column.name in named))
            with self.target.database.writing() as connection:
                connection.execute(table.delete())
                for row in self.snapshot.execute(chosen).mappings():  # a photo may be 20 MB
                    connection.execute(table.insert().values(dict(row)))
            if self.stop():
                return False
        return True

    def _pages(self, last: int, ends: bool = False) -> Iterator[tuple[int | None, list[_Crop]]]:
        """The source's crops above `last`, ids ascending, and up to which id each page goes.

        ends: one more, without crops and without an end, for ids above the last.
        """
        while True:
            chosen = sa.select(crops.c.id).where(crops.c.id > last).order_by(crops.c.id).limit(_PAGE)
            ids = self.snapshot.execute(chosen).scalars().all()
            if not ids:
                break
            yield ids[-1], self._read(self.snapshot, last, ids[-1])
            last = ids[-1]
        if ends:
            yield None, []

    def _read(self, connection: Connection, after: int, upto: int | None) -> list[_Crop]:
        def within(column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
            return (column > after) & (sa.true() if upto is None else column <= upto)

        chosen = sa.select(*self._columns).where(within(crops.c.id)).order_by(crops.c.id)
        found = {row["id"]: _Crop(dict(row), [], []) for row in connection.execute(chosen).mappings()}
        tagged = sa.select(tags).where(within(tags.c.crop_id)).order_by(tags.c.crop_id, tags.c.position)
        for tag in connection.execute(tagged).mappings():
            found[tag["crop_id"]].tagged.append(dict(tag))
        by = sa.and_(encoders.c.name == vectors.c.encoder, encoders.c.version == vectors.c.version)
        chosen = sa.select(vectors, encoders.c.role).join(encoders, by).where(within(vectors.c.crop_id))
        for row in connection.execute(chosen.order_by(vectors.c.crop_id, encoders.c.role)):
            crop = found[row.crop_id]
            if is_whole(row.data):
                values = {"crop_id": row.crop_id, "encoder": row.encoder, "version": row.version}
                crop.packed.append({**values, "data": bytes(row.data)})
            else:
                self._note(
                    crop, f"its {row.role} vector is damaged, and was left out: `reindex` makes it anew"
                )
        return list(found.values())

    def _note(self, crop: _Crop, problem: str) -> None:
        crop_id, path = crop.own["id"], crop.own["path"]
        self.problems[crop_id, problem] = f"crop {crop_id} ({path}): {problem}"

    def _bring_pictures(self, page: Sequence[_Crop]) -> None:
        """Copy those pictures that are the gallery's own. What it lacks itself is noted."""
        own = {crop.own["file"]: crop for crop in page if not crop.own["linked"]}
        with self.target.pictures.writer() as writer, ThreadPoolExecutor(self._threads) as pool:
            staged = list(pool.map(lambda crop: self._stage(writer, crop), own.values()))
            writer.publish(zip(staged, own, strict=True))

    def _stage(self, writer: PictureWriter, crop: _Crop) -> Staged:
        name = crop.own["file"]
        file = self.source.pictures.file(name)
        try:
            data = self.source.pictures.read(name)
        except PictureError as problem:
            self._note(crop, f"its picture {file}: {problem.reason}")
            return None
        if hashlib.sha256(data).hexdigest() != crop.own["sha256"]:
            self._note(crop, f"its picture {file} has changed, and was left out")
            return None
        return writer.stage(name, data)

    def _without_pictures(self, page: Sequence[_Crop]) -> list[_Crop]:
        """Those whose picture is not in the copy as it should be; what is there of it is removed."""
        own = [crop for crop in page if not crop.own["linked"]]
        with ThreadPoolExecutor(self._threads) as pool:
            whole = list(pool.map(self._has_picture, own))
        wrong = [crop for crop, is_there in zip(own, whole, strict=True) if not is_there]
        for crop in wrong:
            self.target.pictures.remove(crop.own["file"])
        return wrong

    def _has_picture(self, crop: _Crop) -> bool:
        try:
            data = self.target.pictures.read(crop.own["file"])
        except PictureError:
            return False
        return hashlib.sha256(data).hexdigest() == crop.own["sha256"]


def _insert(connection: Connection, page: Sequence[_Crop]) -> None:
    """Add crops, in place of those that the source had by the same picture, camera and time at an earlier run."""
    same = sa.tuple_(*(crops.c[name] for name in _SIGHTING))
    sightings = [tuple(crop.own[name] for name in _SIGHTING) for crop in page]
    connection.execute(crops.delete().where(same.in_(sightings)))
    for table, values in (
        (crops, [crop.own for crop in page]),
        (tags, [row for crop in page for row in crop.tagged]),
        (vectors, [row for crop in page for row in crop.packed]),
    ):
        if values:
            connection.execute(table.insert(), values)
