"""The gallery in memory: vectors and filter columns as arrays, derived from the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection

from gallery_store import clock
from gallery_store.crops import Filters, camera_key
from gallery_store.dialects import rows_by_driver
from gallery_store.errors import GalleryError
from gallery_store.schema import Role

_ROWS = """
SELECT c.id, c.camera, c.camera_key, c.time, v.data FROM crops c
JOIN vectors v ON v.crop_id = c.id AND v.encoder = ? AND v.version = ?
WHERE c.id > ? ORDER BY c.id
"""
_REID = """
SELECT v.crop_id, v.data FROM vectors v WHERE v.encoder = ? AND v.version = ? AND v.crop_id > ? ORDER BY v.crop_id
"""
_TAGS = "SELECT crop_id, tag FROM tags WHERE crop_id > ? ORDER BY crop_id"
_GATHER_BELOW = 0.5  # share of rows below which picking rows beats scoring all


@dataclass(frozen=True)
class Index:
    """n crops, ids ascending. Immutable: an update makes a new one, so that readers need no lock.

    ids: int64 (n,). vectors: float32 (n, dim), unit rows. cameras: int32 (n,) codes into camera_names, -1
    for none. times: datetime64[us] (n,), NaT for none. days, clocks: see clock.local_columns.
    camera_names: key -> (code, name as first imported). tags: casefolded tag -> ids, ascending. reid_vectors:
    float32 (n, its dim), unit rows of the re-ID encoder; None where they were not asked for. set_aside: ids of crops
    whose vectors are damaged, ascending; they are in none of the others. last_id: the largest that was read; 0 without
    crops.
    """

    ids: np.ndarray
    vectors: np.ndarray
    cameras: np.ndarray
    times: np.ndarray
    days: np.ndarray
    clocks: np.ndarray
    camera_names: dict[str, tuple[int, str]]
    tags: dict[str, np.ndarray]
    encoder: tuple[str, str] | None = None  # (name, version) of the vectors
    reid_vectors: np.ndarray | None = None
    reid_encoder: tuple[str, str] | None = None
    set_aside: tuple[int, ...] = ()
    last_id: int = 0

    def __post_init__(self) -> None:
        for column in (self.ids, self.vectors, self.cameras, self.times, self.days, self.clocks):
            column.setflags(write=False)  # they are handed out
        if self.reid_vectors is not None:
            self.reid_vectors.setflags(write=False)

    @classmethod
    def empty(cls) -> Index:
        """An index of no crops."""
        none = np.zeros(0, np.int64)
        return cls(
            ids=none,
            vectors=np.zeros((0, 0), np.float32),
            cameras=np.zeros(0, np.int32),
            times=none.astype("datetime64[us]"),
            days=np.zeros(0, np.int32),
            clocks=none,
            camera_names={},
            tags={},
        )

    def extended(
        self,
        connection: Connection,
        encoder: tuple[str, str],
        zone: ZoneInfo,
        reid: tuple[str, str] | None = None,
    ) -> Index:
        """This index and the crops with larger ids that `connection` sees, their local times taken in `zone`.

        encoder: (name, version) of the vectors to read; reid: the re-ID encoder's, where its are wanted too. Raises
        GalleryError where their lengths differ, or crops have no re-ID vector.
        """
        rows = rows_by_driver(connection, _ROWS, (*encoder, self.last_id))
        tagged = rows_by_driver(connection, _TAGS, (self.last_id,))
        by_reid = rows_by_driver(connection, _REID, (*reid, self.last_id)) if reid else []
        if not rows:
            return self
        last_id = rows[-1][0]
        vectors, reid_vectors, whole = _whole_vectors(rows, dict(by_reid), reid)
        set_aside = tuple(row[0] for row, is_whole in zip(rows, whole, strict=True) if not is_whole)
        rows = [row for row, is_whole in zip(rows, whole, strict=True) if is_whole]
        if not rows:
            return replace(self, set_aside=self.set_aside + set_aside, last_id=last_id)
        ids, names, keys, times_text, _ = zip(*rows, strict=True)
        camera_names = dict(self.camera_names)
        for key, name in zip(keys, names, strict=True):
            if key and key not in camera_names:
                camera_names[key] = (len(camera_names), name)
        codes = [camera_names[key][0] if key else -1 for key in keys]
        times = clock.epoch_us(list(times_text))
        days, clocks = clock.local_columns(times, zone)
        tags: dict[str, list[int]] = {}
        for crop_id, tag in tagged:
            tags.setdefault(tag.casefold(), []).append(crop_id)
        merged = dict(self.tags)
        for tag, new in tags.items():
            merged[tag] = np.unique(np.concatenate([merged.get(tag, self.ids[:0]), np.array(new, np.int64)]))
        if reid_vectors is not None and self.reid_vectors is not None:
            reid_vectors = np.concatenate([self.reid_vectors, reid_vectors])
        return Index(
            ids=np.concatenate([self.ids, np.array(ids, np.int64)]),
            vectors=np.concatenate([self.vectors, vectors]) if len(self.ids) else vectors,
            cameras=np.concatenate([self.cameras, np.array(codes, np.int32)]),
            times=np.concatenate([self.times, times]),
            days=np.concatenate([self.days, days]),
            clocks=np.concatenate([self.clocks, clocks]),
            camera_names=camera_names,
            tags=merged,
            encoder=encoder,
            reid_vectors=reid_vectors,
            reid_encoder=reid,
            set_aside=self.set_aside + set_aside,
            last_id=last_id,
        )

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
            passes &= np.isin(self.cameras, self._codes(filters.cameras))
        if filters.not_cameras:
            passes &= (self.cameras >= 0) & ~np.isin(self.cameras, self._codes(filters.not_cameras))
        if filters.days:
            passes &= np.isin(self.days, [clock.day_number(day) for day in filters.days])
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

    def vectors_of(self, role: Role) -> np.ndarray:
        """float32 (n, dim): the unit rows of CLIP, or of the re-ID encoder."""
        if role == "clip":
            return self.vectors
        return np.zeros((0, 0), np.float32) if self.reid_vectors is None else self.reid_vectors

    def similarities(
        self, vectors: np.ndarray, ids: np.ndarray | None = None, role: Role = "clip"
    ) -> np.ndarray:
        """(q, dim) unit rows by CLIP, or by the re-ID encoder -> float32 (q, n) cosines, in the order of `ids` or of
        all ids ascending.

        Raises KeyError for an id that is not there, ValueError for vectors of another shape.
        """
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2:
            raise ValueError(f"query vectors must be (q, dim), not {vectors.shape}")
        if not len(self.ids) and (ids is None or not len(ids)):
            return np.zeros((len(vectors), 0), np.float32)
        own = self.vectors_of(role)
        if vectors.shape[1] != own.shape[1]:
            raise ValueError(f"query vectors have {vectors.shape[1]} numbers, the gallery {own.shape[1]}")
        if ids is None:
            return vectors @ own.T
        rows = self.rows_of(ids)
        if len(rows) < _GATHER_BELOW * len(self.ids):
            return vectors @ own[rows].T
        return (vectors @ own.T)[:, rows]


def pack(vector: np.ndarray) -> bytes:
    """A unit vector (dim,) as it is stored: little-endian float16."""
    return np.asarray(vector, "<f2").tobytes()


def are_whole(vectors: np.ndarray) -> np.ndarray:
    """bool (n,): which rows of float (n, dim) are finite and of length 1, as far as float16 keeps it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.abs(np.linalg.norm(vectors, axis=1) - 1) < 0.01  # NaN fails as well


def is_whole(data: bytes) -> bool:
    """Whether a stored vector is one: not cut off, and as `are_whole`."""
    return (
        bool(data)
        and len(data) % 2 == 0
        and bool(are_whole(np.frombuffer(data, "<f2").astype(np.float32)[None])[0])
    )


def _whole_vectors(
    rows: list[tuple], by_reid: dict[int, bytes], reid: tuple[str, str] | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """-> float32 vectors by CLIP, and by the re-ID encoder if it is named, of those rows in which both are whole; bool
    (n,): which rows these are.
    """
    vectors = _unpack([row[-1] for row in rows])
    whole = are_whole(vectors)
    if reid is None:
        return _unit(vectors[whole]), None, whole
    if missing := sum(row[0] not in by_reid for row in rows):
        raise GalleryError(
            f"{missing} crops have no re-ID vector: run `python -m gallery_store reindex` with --reid naming "
            f"the encoder {reid[0]}"
        )
    reid_vectors = _unpack([by_reid[row[0]] for row in rows])
    whole &= are_whole(reid_vectors)
    return _unit(vectors[whole]), _unit(reid_vectors[whole]), whole


def _unpack(blobs: list[bytes]) -> np.ndarray:
    """Stored vectors -> float32 (n, dim), as they were stored."""
    if len(lengths := {len(blob) for blob in blobs}) > 1 or any(length % 2 for length in lengths):
        raise GalleryError("the gallery's vectors differ in length: run `python -m gallery_store verify`")
    return np.frombuffer(b"".join(blobs), "<f2").reshape(len(blobs), -1).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The rows, made unit rows again: float16 leaves lengths off by up to 1e-3."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
