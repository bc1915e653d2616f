"""Photographs in front of a model that was taught and calibrated on drawn people alone: its figures say nothing there.

The ranking stays, as what looks most alike; a percentage would be made up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.model.pictures import BoundedCache
from app.retrieval.prefilter import Stop
from app.retrieval.query import Reference
from gallery_store.crops import Crop
from gallery_store.decoding import PictureError, decode, read_bounded
from gallery_store.photographs import PROOF, is_photograph
from gallery_store.shown import picture_bytes
from gallery_store.store import GalleryStore

_SMALL = (512, 512)  # pixels, of the copy that is looked at
_KEPT = 65_536  # pictures


@dataclass(frozen=True)
class FoundPhotographs:
    """candidates: bool (n,), which of them look like photographs. query: whether one of its pictures does."""

    candidates: np.ndarray
    query: bool

    @property
    def prevail(self) -> bool:
        """Whether no figure of this search counts."""
        return self.query or (len(self.candidates) > 0 and float(self.candidates.mean()) >= PROOF)


class PhotographTest:
    """Looks at pictures of one gallery, and remembers what it saw. Thread-safe."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._seen: BoundedCache[bool] = BoundedCache(_KEPT)

    def look(self, references: Sequence[Reference], ids: Sequence[int], stop: Stop) -> FoundPhotographs:
        """references: the query's pictures. ids: of the candidates. Pictures that cannot be opened, and those that
        `stop` came before, count as drawn.
        """
        crops = self._store.crops(ids)
        self._store.absent([crop for crop in crops if self._seen.get(crop.sha256) is None])
        candidates = np.array([self._of_crop(crop, stop) for crop in crops], bool)
        files = [reference.file for reference in references if reference.file is not None]
        of_query = [self._is_photograph(file, partial(read_bounded, file), stop) for file in files]
        own = [reference.image_id for reference in references if reference.image_id is not None]
        of_query += [self._of_crop(crop, stop) for crop in self._store.crops(own)]
        return FoundPhotographs(candidates, any(of_query))

    def _of_crop(self, crop: Crop, stop: Stop) -> bool:
        return self._is_photograph(crop.sha256, partial(picture_bytes, crop), stop)

    def _is_photograph(self, key: Hashable, read: Callable[[], bytes], stop: Stop) -> bool:
        known = self._seen.get(key)
        if known is not None or stop():
            return bool(known)
        try:
            data = read()
            image, _ = decode(data, max_pixels=self._store.max_pixels, within=_SMALL)
        except PictureError:
            return False
        found = is_photograph(data, image)
        self._seen.put(key, found, 1)
        return found
