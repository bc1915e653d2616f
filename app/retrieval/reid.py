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

from app.model.checkpoint import CheckpointManifest, encoder_key, is_calibrated
from app.retrieval.attribute_columns import GalleryAppearance
from app.retrieval.attribute_probs import Confusion, PictureAppearance
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


def crops_of_calibration(
    manifest: CheckpointManifest | None, clip: ImageEncoder, reid: ImageEncoder | None
) -> int:
    """The least number of crops that confidences with these encoders were fitted over; 0 where nobody says."""
    by_encoder = manifest.calibrations if manifest is not None else {}
    known = [by_encoder.get(encoder_key(e.name, e.version), {}) for e in (clip, reid or clip)]
    return min((one.crops for kinds in known for one in kinds.values() if one.crops), default=0)


def reid_rows(opened: OpenQuery, store: GalleryStore, encoder: ImageEncoder) -> np.ndarray:
    """float32 (references, dim): the query's pictures by the re-ID encoder."""
    return np.stack(
        [
            store.vectors([reference.image_id], "reid")[0]
            if reference.image_id is not None
            else encoder.encode_images([reference.picture.load()])[0]
            for reference in opened.references
        ]
    )


def reid_similarity(
    opened: OpenQuery, rows: np.ndarray, crops: GalleryAppearance, sample: GalleryAppearance | None = None
) -> np.ndarray:
    """float32 (n,), -1..1: the re-ID cosine to the mean of the query's pictures; with words, both together.

    Args:
        rows: see `reid_rows`. crops: by CLIP. sample: some of all that pass the filters, evenly spread, where `crops`
            are the nearest of them.
    """
    pictures = _by_pictures(opened, rows, crops)
    if opened.vector is None:
        return pictures
    weight = opened.calibration.text_weight if opened.calibration else TEXT_WEIGHT
    words, of = _by_words(opened, crops), None
    if sample is not None:
        of = _by_words(opened, sample), _by_pictures(opened, rows, sample)
    return together(words, pictures, weight, of)


def _by_pictures(opened: OpenQuery, rows: np.ndarray, crops: GalleryAppearance) -> np.ndarray:
    own = PictureAppearance(rows, {})
    return picture_similarity(own, _ReidCrops(crops.store, crops.ids), 0.0, opened.priors)


def _by_words(opened: OpenQuery, crops: GalleryAppearance) -> np.ndarray:
    assert opened.vector is not None
    share = opened.calibration.stated_share if opened.calibration else 0.0
    return text_similarity(crops, opened.vector, opened.query.wanted, opened.query.unwanted, share)


def together(
    words: np.ndarray,
    pictures: np.ndarray,
    weight: float,
    of: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: two likenesses of the same crops, each in standard deviations over them, weighed.

    weight: 0..1, the share of the words. One that is the same for all crops says nothing. of: both of other crops, over
    which the deviations are taken.
    """
    of_words, of_pictures = of or (words, pictures)
    summed = weight * _standard(words, of_words) + (1 - weight) * _standard(pictures, of_pictures)
    return np.tanh(summed / _SPREAD).astype(np.float32)


def _standard(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    values, of = np.asarray(values, np.float64), np.asarray(of, np.float64)
    if not len(values):
        return values
    spread = float(of.std())
    return (values - of.mean()) / spread if spread > 1e-9 else np.zeros(len(values))
