"""Crops without a person to compare them with: a query of filters alone lists them by time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from app.retrieval.values import Candidate
from gallery_store.store import GalleryStore

_AT_ONCE = 2000  # rows read together
_LAST = datetime.max.replace(tzinfo=UTC)


def list_by_time(store: GalleryStore, ids: np.ndarray, limit: int) -> tuple[Candidate, ...]:
    """Earliest first, those without a time last, equal ones by id. Nothing is scored."""
    times = {
        crop.id: crop.time or _LAST
        for start in range(0, len(ids), _AT_ONCE)
        for crop in store.crops(ids[start : start + _AT_ONCE].tolist())
    }
    ordered = sorted(times, key=lambda image_id: (times[image_id], image_id))[:limit]
    return tuple(Candidate(image_id, similarity=0.0, word=None, probability=0.0) for image_id in ordered)
