"""The gallery in memory: filter columns as arrays, and mostly the vectors, derived from the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store import clock
from gallery_store.crops import Filters, camera_key
from gallery_store.dialects import rows_by_driver
from gallery_store.errors import GalleryError
from gallery_store.schema import Role
from gallery_store.vectors import SomeVectors, Vectors, lengths_of

_ROWS = """
SELECT c.id, c.camera, c.camera_key, c.time, {clip}, {reid} FROM crops c
LEFT JOIN vectors v ON v.crop_id = c.id AND v.encoder = ? AND v.version = ? {join}
WHERE c.id > ? ORDER BY c.id LIMIT ?
"""
_JOIN_REID = "LEFT JOIN vectors r ON r.crop_id = c.id AND r.encoder = ? AND r.version = ?"
_TAGS = "SELECT crop_id, tag FROM tags WHERE crop_id > ? AND crop_id <= ? ORDER BY crop_id"
# Of a vector that stays in the database: how long it is if it is whole, else its length below 0.
_WHOLE = "CASE WHEN abs(l2_norm({0}.data) - 1) < 0.01 THEN 1 ELSE -1 END * vector_dims({0}.data)"
_COMPARED_SINGLY = 4  # values that a filter names: np.isin is for many
_PAGE = 1000  # crops that are read at a time: of those there are tuples and bytes beside the arrays
_LENGTHS = "the gallery's vectors differ in length: run `python -m gallery_store verify`"


@dataclass(frozen=True)
class Index:
    """n crops, ids ascending. Immutable: an update makes a new one, so that readers need no lock.

    ids: int64 (n,). vectors: of the crops; of none where they stay in the database. cameras: int32 (n,) codes into
    camera_names, -1 for none. times: datetime64[us] (n,), NaT for none. days, clocks: see clock.local_columns.
    camera_names: key -> (code, name as first imported). tags: casefolded tag -> ids, ascending. reid_vectors: as
    `vectors`, of the re-ID encoder; None where they were not asked for. set_aside: ids of crops
    whose vectors are damaged or missing, ascending; they are in none of the others. last_id: the largest that was read;
    0 without crops.
    """

    ids: np.ndarray
    vectors: Vectors
    cameras: np.ndarray
    times: np.ndarray
    days: np.ndarray
    clocks: np.ndarray
    camera_names: dict[str, tuple[int, str]]
    tags: dict[str, np.ndarray]
    encoder: tuple[str, str] | None = None  # (name, version) of the vectors
    reid_vectors: Vectors | None = None
    reid_encoder: tuple[str, str] | None = None
    set_aside: tuple[int, ...] = ()
    last_id: int = 0

    def __post_init__(self) -> None:
        for column in (self.ids, self.cameras, self.times, self.days, self.clocks):
            column.setflags(write=False)  # they are handed out

    @classmethod
    def empty(cls) -> Index:
        """An index of no crops."""
        none = np.zeros(0, np.int64)
        return cls(
            ids=none,
            vectors=Vectors.absent(0),
            cameras=np.zeros(0, np.int32),
            times=none.astype("datetime64[us]"),
            days=np.zeros(0, np.int32),
            clocks=none,
            camera_names={},
            tags={},
        )

    @property
    def keeps_vectors(self) -> bool:
        """Whether the vectors are here, and not in the database alone."""
        return len(self.vectors) == len(self.ids)

    def extended(
        self,
        connection: Connection,
        encoder: tuple[str, str],
        zone: ZoneInfo,
        reid: tuple[str, str] | None = None,
        *,
        keep_vectors: bool = True,
    ) -> Index:
        """This index and the crops with larger ids that `connection` sees, their local times taken in `zone`.

        encoder: (name, version) of the vectors to read; reid: the re-ID encoder's, where its are wanted too.
        keep_vectors: False leaves them in the database, of PostgreSQL. Raises GalleryError where their lengths differ.
        """
        how = sa.text("SELECT count(*) FROM crops WHERE id > :last")
        room = len(self.ids) + connection.execute(how, {"last": self.last_id}).scalar_one()
        more = _More(self, room, reid is not None)
        column = "{0}.data" if keep_vectors else _WHOLE
        join, named = (_JOIN_REID, reid) if reid else ("", ())
        statement = _ROWS.format(
            clip=column.format("v"), reid=column.format("r") if reid else "NULL", join=join
        )
        while rows := rows_by_driver(connection, statement, (*encoder, *named, more.last_id, _PAGE)):
            tagged = rows_by_driver(connection, _TAGS, (more.last_id, rows[-1][0]))
            more.add(rows, tagged, zone, keep_vectors)
        return more.index(encoder, reid)

    def matching(self, filters: Filters, exclude: Collection[int] = ()) -> np.ndarray:
        """int64 ids of the crops that pass the filters and are not in `exclude`, ascending."""
        if filters.is_empty and not exclude:
            return self.ids
        passes = self.passing(filters)
        if exclude:
            passes &= ~np.isin(self.ids, np.fromiter(exclude, np.int64, len(exclude)))
        return self.ids[passes]

    def passing(self, filters: Filters) -> np.ndarray:
        """bool (n,): which crops pass the filters."""
        passes = np.ones(len(self.ids), bool)
        if filters.cameras:
            passes &= _are_among(self.cameras, self._codes(filters.cameras))
        if filters.not_cameras:
            passes &= (self.cameras >= 0) & ~_are_among(self.cameras, self._codes(filters.not_cameras))
        if filters.days:
            passes &= _are_among(self.days, [clock.day_number(day) for day in filters.days])
        if filters.after is not None or filters.before is not None:
            passes &= self._at_time(filters)
        if filters.since is not None:
            passes &= self._since(filters.since)
        if filters.until is not None:
            passes &= (self.clocks >= 0) & ~self._since(filters.until)
        for tag in filters.tags:
            passes &= np.isin(self.ids, self.tags.get(tag.casefold(), self.ids[:0]), assume_unique=True)
        return passes

    def _codes(self, cameras: tuple[str, ...]) -> list[int]:
        keys = (camera_key(camera) for camera in cameras)
        return [self.camera_names[key][0] for key in keys if key in self.camera_names]

    def _at_time(self, filters: Filters) -> np.ndarray:
        known = self.clocks >= 0
        after = known if filters.after is None else self.clocks >= clock.us_of_day(filters.after)
        before = known if filters.before is None else self.clocks < clock.us_of_day(filters.before)
        wraps = filters.after is not None and filters.before is not None and filters.after > filters.before
        return known & ((after | before) if wraps else (after & before))

    def _since(self, moment: datetime) -> np.ndarray:
        """bool (n,): at a local moment or later; False without a time."""
        day, us = clock.day_number(moment.date()), clock.us_of_day(moment.time())
        return (self.days > day) | ((self.days == day) & (self.clocks >= us))

    def rows_of(self, ids: np.ndarray | list[int]) -> np.ndarray:
        """int64 row numbers of `ids`, in their order; KeyError names the first id that is not there."""
        wanted = np.asarray(ids, np.int64).reshape(-1)
        rows = np.searchsorted(self.ids, wanted)
        present = rows < len(self.ids)
        present[present] = self.ids[rows[present]] == wanted[present]
        if not present.all():
            raise KeyError(f"crop {wanted[~present][0]} is not in the gallery")
        return rows

    def vectors_of(self, role: Role) -> Vectors:
        """Those of CLIP, or of the re-ID encoder."""
        if role == "clip":
            return self.vectors
        return Vectors.absent(0) if self.reid_vectors is None else self.reid_vectors

    def compared(self, ids: np.ndarray | None, role: Role = "clip") -> SomeVectors:
        """The vectors of `ids`, or of all; where they are kept. KeyError names the first id that is not there."""
        own = self.vectors_of(role)
        return SomeVectors(own, None if ids is None or ids is self.ids else self.rows_of(ids))


@dataclass
class _More:
    """What is read behind an index, page by page."""

    before: Index
    room: int
    by_reid: bool

    def __post_init__(self) -> None:
        before = self.before
        self.last_id = before.last_id
        self.camera_names, self.set_aside = dict(before.camera_names), before.set_aside
        self.columns: list[tuple[np.ndarray, ...]] = [
            (before.ids, before.cameras, before.times, before.days, before.clocks)
        ]
        self.tags: dict[str, list[int]] = {}
        self.vectors = before.vectors
        self.reid_vectors = (before.reid_vectors or Vectors.absent(0)) if self.by_reid else None

    def add(self, rows: list[tuple], tagged: list[tuple], zone: ZoneInfo, keep_vectors: bool) -> None:
        self.last_id = rows[-1][0]
        roles = (-2, -1) if self.by_reid else (-2,)
        there = [row for row in rows if row[-2] is not None and (row[-1] is not None or not self.by_reid)]
        columns = [[row[role] for row in there] for role in roles]
        whole = self._take(columns, keep_vectors) if there else np.zeros(0, bool)
        kept = [row for row, is_whole in zip(there, whole, strict=True) if is_whole]
        if len(kept) < len(rows):
            searched = {row[0] for row in kept}
            self.set_aside += tuple(row[0] for row in rows if row[0] not in searched)
        for _, name, key, *_rest in kept:
            if key and key not in self.camera_names:
                self.camera_names[key] = (len(self.camera_names), name)
        times = clock.epoch_us([row[3] for row in kept])
        ids = np.array([row[0] for row in kept], np.int64)
        codes = np.array([self.camera_names[row[2]][0] if row[2] else -1 for row in kept], np.int32)
        self.columns.append((ids, codes, times, *clock.local_columns(times, zone)))
        aside = set(self.set_aside)
        for crop_id, tag in tagged:
            if crop_id not in aside:
                self.tags.setdefault(tag.casefold(), []).append(crop_id)

    def _take(self, columns: list[list[Any]], keep_vectors: bool) -> np.ndarray:
        """Take in the vectors of n crops, of CLIP and where it is wanted of the re-ID encoder, as they were read;
        -> bool (n,), which crops have whole ones.
        """
        if keep_vectors:
            own = [_unpack(column) for column in columns]
            lengths = [lengths_of(halves) for halves in own]
            whole = np.logical_and.reduce([_are_one(of_role) for of_role in lengths])
            self._extend(
                [(halves[whole], of_role[whole]) for halves, of_role in zip(own, lengths, strict=True)]
            )
            return whole
        numbers = [np.array(column, np.int64) for column in columns]
        for of_role in numbers:
            if len(np.unique(np.abs(of_role))) > 1:
                raise GalleryError(_LENGTHS)
        self._note_dims(*(int(abs(of_role[0])) for of_role in numbers))
        return np.logical_and.reduce([of_role > 0 for of_role in numbers])

    def _extend(self, of_roles: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """of_roles: vectors and their lengths, as `_take` has them."""
        clip, *reid = of_roles
        self.vectors = self._behind(self.vectors, *clip)
        if reid and self.reid_vectors is not None:
            self.reid_vectors = self._behind(self.reid_vectors, *reid[0])

    def _behind(self, before: Vectors, halves: np.ndarray, lengths: np.ndarray) -> Vectors:
        self._check(halves.shape[1], before)
        return before.extended(halves, self.room, lengths)

    def _note_dims(self, clip: int, reid: int = 0) -> None:
        self._check(clip, self.vectors)
        self.vectors = Vectors.absent(clip)
        if self.reid_vectors is not None:
            self._check(reid, self.reid_vectors)
            self.reid_vectors = Vectors.absent(reid)

    def _check(self, dim: int, vectors: Vectors) -> None:
        if vectors.dim not in (0, dim):
            raise GalleryError(_LENGTHS)

    def index(self, encoder: tuple[str, str], reid: tuple[str, str] | None) -> Index:
        if self.last_id == self.before.last_id:
            return self.before
        tags = dict(self.before.tags)
        for tag, new in self.tags.items():
            tags[tag] = np.unique(
                np.concatenate([tags.get(tag, self.before.ids[:0]), np.array(new, np.int64)])
            )
        ids, cameras, times, days, clocks = (
            np.concatenate(parts) for parts in zip(*self.columns, strict=True)
        )
        return Index(
            ids=ids,
            vectors=self.vectors,
            cameras=cameras,
            times=times,
            days=days,
            clocks=clocks,
            camera_names=self.camera_names,
            tags=tags,
            encoder=encoder,
            reid_vectors=self.reid_vectors,
            reid_encoder=reid,
            set_aside=self.set_aside,
            last_id=self.last_id,
        )


def _are_among(column: np.ndarray, some: list[int]) -> np.ndarray:
    """bool (n,): as np.isin, but quick for the one or two values that are mostly asked for."""
    if len(some) > _COMPARED_SINGLY:
        return np.isin(column, some)
    passes = np.zeros(len(column), bool)
    for value in some:
        passes |= column == value
    return passes


def pack(vector: np.ndarray) -> bytes:
    """A unit vector (dim,) as it is stored: little-endian float16."""
    return np.asarray(vector, "<f2").tobytes()


def are_whole(vectors: np.ndarray) -> np.ndarray:
    """bool (n,): which rows of float (n, dim) are finite and of length 1, as far as float16 keeps it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _are_one(np.linalg.norm(vectors, axis=1))


def _are_one(lengths: np.ndarray) -> np.ndarray:
    return np.abs(lengths - 1) < 0.01  # NaN fails as well


def is_whole(data: bytes | None) -> bool:
    """Whether a stored vector is one: there, not cut off, and as `are_whole`."""
    return (
        data is not None
        and bool(data)
        and len(data) % 2 == 0
        and bool(are_whole(np.frombuffer(data, "<f2").astype(np.float32)[None])[0])
    )


def _unpack(blobs: list[bytes]) -> np.ndarray:
    """Stored vectors -> float16 (n, dim), as they were stored."""
    if len(lengths := set(map(len, blobs))) > 1 or any(length % 2 for length in lengths):
        raise GalleryError(_LENGTHS)
    return np.frombuffer(b"".join(blobs), "<f2").reshape(len(blobs), -1)
