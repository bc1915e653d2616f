"""Does the gallery agree with itself? Rows, vectors and picture files are compared; leftovers are removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gallery_store import rows
from gallery_store.console import Progress
from gallery_store.decoding import PictureError, read_bounded
from gallery_store.dialects import rows_by_driver
from gallery_store.media import media_name
from gallery_store.store import GalleryStore

_PAGE = 500
_CROPS = """
SELECT c.id, c.path, c.sha256, c.file, c.linked, v.data, r.data FROM crops c
LEFT JOIN vectors v ON v.crop_id = c.id AND v.encoder = ? AND v.version = ?
LEFT JOIN vectors r ON r.crop_id = c.id AND r.encoder = ? AND r.version = ?
WHERE c.id > ? ORDER BY c.id LIMIT ?
"""


@dataclass(frozen=True)
class Verification:
    """crops: how many were checked. problems: one sentence each. collected: leftover files removed."""

    crops: int
    problems: tuple[str, ...]
    collected: int

    @property
    def ok(self) -> bool:
        """No problems."""
        return not self.problems


def verify(store: GalleryStore, *, quick: bool = False, progress: Progress | None = None) -> Verification:
    """Check every crop: its vectors whole and of length 1, its picture there and unchanged. Raises GalleryError.

    Files that no crop uses, as a killed import leaves them, are not a problem and are removed. Of a storage that cannot
    be reached nothing is told, and nothing removed.
    quick: do not read the pictures, only look whether they are there.
    """
    problems = list(store.database.faults())
    total, checked = store.count(), 0
    dims: set[int] = set()
    reid_dims: set[int] = set()
    has_reid = store.encoder("reid") is not None
    is_there = store.pictures.presence() if quick else None
    for page in _pages(store):
        of_pictures = _picture_problems(store, [(row[2], row[3], row[4]) for row in page], is_there)
        for (crop_id, path, _, _, _, data, reid), of_picture in zip(page, of_pictures, strict=True):
            found = [_vector_problem(data, dims, "vector"), of_picture]
            if has_reid:
                found.append(_vector_problem(reid, reid_dims, "re-ID vector"))
            for problem in found:
                if problem:
                    problems.append(f"crop {crop_id} ({path}): {problem}")
            checked += 1
        if progress is not None:
            progress(checked, total)
    for name, of in (("vectors", dims), ("re-ID vectors", reid_dims)):
        if len(of) > 1:
            problems.append(f"{name} have different lengths: {sorted(of)}")
    return Verification(checked, tuple(problems), 0 if store.read_only else _collect(store))


def _pages(store: GalleryStore) -> Iterator[list[tuple]]:
    last = 0
    while True:
        with store.database.reading() as connection:
            clip = rows.encoder(connection) or ("", "")
            reid = rows.encoder(connection, "reid") or ("", "")
            page = rows_by_driver(connection, _CROPS, (*clip, *reid, last, _PAGE))
        if not page:
            return
        yield page
        last = page[-1][0]


def _vector_problem(data: bytes | None, dims: set[int], name: str) -> str | None:
    if data is None:
        return f"it has no {name}"
    if not data or len(data) % 2:
        return f"its {name} is cut off"
    vector = np.frombuffer(data, "<f2").astype(np.float32)
    dims.add(len(vector))
    if not abs(float(np.linalg.norm(vector)) - 1) < 0.01:  # NaN fails as well
        return f"its {name} is not of length 1"
    return None


def _picture_problems(
    store: GalleryStore, some: list[tuple[str, str, bool]], is_there: Callable[[str], bool] | None
) -> list[str | None]:
    """some: (sha256, file, linked) of each. is_there: says it of the gallery's own, where they are not to be read."""

    def problem_of(one: tuple[str, str, bool]) -> str | None:
        sha256, name, linked = one
        file = Path(name) if linked else store.pictures.file(name)
        if is_there is not None:
            found = Path(name).is_file() if linked else is_there(name)
            return None if found else f"its picture {file} is gone"
        try:
            data = read_bounded(Path(name)) if linked else store.pictures.read(name)
        except PictureError as problem:
            return f"its picture {file}: {problem.reason}"
        return None if hashlib.sha256(data).hexdigest() == sha256 else f"its picture {file} has changed"

    with ThreadPoolExecutor(store.pictures.at_once) as pool:
        return list(pool.map(problem_of, some))


def _collect(store: GalleryStore) -> int:
    removed = store.pictures.clean_temporary() + store.thumbnails.clean_temporary()
    names = {*store.pictures.names(), *store.pictures.copies()}
    shas = {Path(name).stem for name in names} | {Path(name).stem for name in store.thumbnails.names()}
    with store.database.reading() as connection:
        used_shas, used_names = rows.in_use(connection, shas)
    strays = names - used_names
    forgotten = {sha for sha in shas - used_shas if store.thumbnails.path(media_name(sha, ".jpg")).is_file()}
    if strays or forgotten:  # looked at again under the writer's lock
        removed += store.collect({Path(name).stem for name in strays} | forgotten, strays)
    return removed
