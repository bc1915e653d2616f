"""A re-ID encoder in CLIP's place as the prefilter of queries with a picture, as the paper filters by a ResNet-50.

A picture is compared by the re-ID vectors alone: no attributes are read off those. Words are CLIP's. Where a query has
both, the two likenesses are on scales that have nothing to do with each other, so each is measured by its own mean and
standard deviation over the crops that are searched, and they are added up by the share of the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from app.model.checkpoint import CheckpointManifest, is_calibrated
from app.retrieval.attribute_probs import Appearance, Confusion, PictureAppearance
from app.retrieval.fusion import TEXT_WEIGHT, picture_similarity, text_similarity
from app.retrieval.references import OpenQuery
from gallery_store.encoder import ImageEncoder
from gallery_store.store import GalleryStore

Uncalibrated = Literal["", "words", "pictures", "all"]

_SPREAD = 4.0  # standard deviations; what is that far above the mean has a similarity of tanh(1)


@dataclass(frozen=True)
class _ReidCrops:
    """Crops of a gallery by their re-ID vectors. ids: int64 (n,)."""

    store: GalleryStore
    ids: np.ndarray
    probs: Mapping[str, np.ndarray] = field(default_factory=dict)  # nothing is read off them
    confusion: Confusion = field(default_factory=dict)

    def cosines(self, rows: np.ndarray) -> np.ndarray:
        return self.store.similarities(rows, self.ids, "reid")


def prefilter_encoder(kind: str, clip: ImageEncoder, reid: ImageEncoder | None) -> ImageEncoder:
    """Whose similarity prefilters queries of this kind, and so whose calibration and tau hold for them."""
    return clip if reid is None or kind == "text" else reid


def uncalibrated_searches(
    manifest: CheckpointManifest | None, clip: ImageEncoder, reid: ImageEncoder | None
) -> Uncalibrated:
    """Which searches nothing was fitted for: with a picture, by words, or all; "" for none."""
    words, pictures = (not is_calibrated(manifest, e.name, e.version) for e in (clip, reid or clip))
    if words and pictures:
        return "all"
    return "words" if words else "pictures" if pictures else ""


def reid_similarity(
    opened: OpenQuery, ids: np.ndarray, crops: Appearance, store: GalleryStore, encoder: ImageEncoder
) -> np.ndarray:
    """float32 (n,), -1..1: the re-ID cosine to the mean of the query's pictures; with words, both together.

    Args:
        ids: int64 (n,), the crops; crops: the same by CLIP.
    """
    rows = [
        store.vectors([reference.image_id], "reid")[0]
        if reference.image_id is not None
        else encoder.encode_images([reference.picture.load()])[0]
        for reference in opened.references
    ]
    own = PictureAppearance(np.stack(rows), {})
    pictures = picture_similarity(own, _ReidCrops(store, ids), 0.0, opened.priors)
    if opened.vector is None:
        return pictures
    query, calibration = opened.query, opened.calibration
    share, weight = (calibration.stated_share, calibration.text_weight) if calibration else (0.0, TEXT_WEIGHT)
    words = text_similarity(crops, opened.vector, query.wanted, query.unwanted, share)
    return together(words, pictures, weight)


def together(words: np.ndarray, pictures: np.ndarray, weight: float) -> np.ndarray:
    """float32 (n,), -1..1: two likenesses of the same crops, each in standard deviations over them, weighed.

    weight: 0..1, the share of the words. One that is the same for all crops says nothing.
    """
    summed = weight * _standard(words) + (1 - weight) * _standard(pictures)
    return np.tanh(summed / _SPREAD).astype(np.float32)


def _standard(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if not len(values):
        return values
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))
