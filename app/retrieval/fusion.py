"""How similar crops are to a query, by CLIP and by attributes; and what the model's attributes add to P(yes).

`query_similarity` serves the prefilter, with CLIP's attributes. `fuse` serves the ranker, with the attributes of both
readers, for checkpoints whose manifest has weights for that; without them P(yes) and CLIP's similarity stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.model.checkpoint import AffinityWeights, Calibration
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import KINDS, Attribute
from app.retrieval.affinity import (
    affinity,
    pooled_crops,
    pooled_model_probs,
    pooled_query,
    rejection_penalty,
)
from app.retrieval.attribute_probs import (
    MOST_RATIO,
    Appearance,
    ClipAttributes,
    FusionWeights,
    GalleryAppearance,
    PictureAppearance,
    Priors,
    Probs,
    attribute_score,
    by_kinds,
    comparable_kinds,
    log_same,
    log_stated,
)
from app.retrieval.query import Query
from app.retrieval.rankers import Prefiltered, StopOnce
from app.retrieval.ranking import Fused
from app.retrieval.references import OpenQuery, crop_picture, rows_of
from gallery_store.crops import Filters
from gallery_store.encoder import ClipEncoder
from gallery_store.store import GalleryStore

TEXT_WEIGHT = 0.5  # without a calibration
STATED_SHARE = 1 / 12  # of the summed log-probabilities, beside the description's cosine
MOST_COMPARED = 4096  # crops: a hundred values against each of a million would take seconds
MOST_REJECTED = 32  # crops that are compared with the candidates


def query_similarity(
    query: Query,
    description: np.ndarray | None,
    own: PictureAppearance | None,
    crops: Appearance,
    calibration: Calibration | None,
    priors: Priors,
) -> np.ndarray:
    """float32 (n,), -1..1: by the words, by the pictures, or a share of each.

    Args:
        description: its unit row (dim,). own: the query's pictures. One of both at least.
        calibration: of this kind of query, for the shares.
    """
    parts = []
    if description is not None:
        parts.append(text_similarity(crops, description, query.wanted, query.unwanted))
    if own is not None:
        share = calibration.attribute_share if calibration else 0.0
        kinds = comparable_kinds(query.wanted, query.other_clothes)
        parts.append(picture_similarity(own, crops, share, priors, kinds=kinds))
    if len(parts) == 1:
        return parts[0].astype(np.float32)
    weight = calibration.text_weight if calibration else TEXT_WEIGHT
    return (weight * parts[0] + (1 - weight) * parts[1]).astype(np.float32)


def text_similarity(
    crops: Appearance, description: np.ndarray, wanted: Sequence[Attribute], unwanted: Sequence[Attribute]
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the description's unit row (dim,), and the attributes' log-probabilities."""
    cosine = crops.cosines(description[None])[0]
    stated = STATED_SHARE * log_stated(crops.probs, wanted, unwanted)
    return np.clip(cosine + stated, -1, 1).astype(np.float32)


def picture_similarity(
    own: PictureAppearance,
    crops: Appearance,
    share: float,
    priors: Priors,
    *,
    kinds: Sequence[str] = tuple(KINDS),
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the mean of the pictures' rows, and a share of how alike they are.

    Of a whole gallery the attributes of no more than the MOST_COMPARED nearest crops are compared; the others count
    as unlike, and stay behind them.

    Args:
        own: pictures of one person. share: 0..1, of the attributes; 0 asks for none. kinds: of attributes, to compare.
    """
    mean = own.vectors.mean(axis=0)
    cosine = crops.cosines((mean / max(float(np.linalg.norm(mean)), 1e-12))[None])[0]
    if not share:
        return cosine.astype(np.float32)
    if not isinstance(crops, GalleryAppearance) or len(cosine) <= MOST_COMPARED:
        alike = attribute_similarity(own.probs, crops.probs, kinds, priors, len(cosine))
    else:
        nearest = np.sort(np.argpartition(-cosine, MOST_COMPARED)[:MOST_COMPARED])
        alike = np.full(len(cosine), -1.0)
        nearest_probs = crops.some(nearest).probs
        alike[nearest] = attribute_similarity(own.probs, nearest_probs, kinds, priors, len(nearest))
    return ((1 - share) * cosine + share * alike).astype(np.float32)


def attribute_similarity(
    own: Probs, probs: Probs, kinds: Sequence[str], priors: Priors, count: int
) -> np.ndarray:
    """float64 (count,), -1..1: how far crops show the same attributes as the pictures of one person.

    The mean over the kinds of the log-ratio to chance, in units of the greatest that counts; 0 where nothing
    speaks for or against.
    """
    if not kinds:
        return np.zeros(count)
    return np.asarray(log_same(own, probs, kinds, priors)) / (len(kinds) * MOST_RATIO)


def unfused(prefiltered: Prefiltered) -> Fused:
    """Where nothing but CLIP and P(yes) speak."""
    return Fused(prefiltered.similarities[: prefiltered.asked], np.zeros(prefiltered.asked))


class Fusion:
    """What one model's attributes add, for one gallery and the CLIP that the manifest was fitted with.

    Its weights come from the manifest; what was not fitted is left out.
    """

    def __init__(
        self, store: GalleryStore, clip: ClipAttributes, model: ReidModel, encoder: ClipEncoder
    ) -> None:
        self._store, self._clip, self._model = store, clip, model
        manifest, key = model.manifest, (encoder.name, encoder.version)
        self.weights: FusionWeights | None = manifest.fusion_weights_for(*key) if manifest else None
        self.affinity_weights = manifest.affinity_for(*key, "both") if manifest else None
        self.model_affinity_weights = manifest.affinity_for(*key, "model") if manifest else None

    def fuse(
        self, opened: OpenQuery, prefiltered: Prefiltered, pictures: Sequence[Picture], stop: StopOnce
    ) -> Fused:
        """pictures: of the candidates that were asked about, in `prefiltered`'s order."""
        calibration, priors = opened.calibration, opened.priors
        nothing = unfused(prefiltered)
        if not prefiltered.asked or not calibration or not (calibration.attribute_score or self.weights):
            return nothing
        own_probs = self._model.attribute_probs([r.picture for r in opened.references], stop=stop)
        crop_probs = self._model.attribute_probs(pictures, stop=stop)
        score = nothing.attribute_score
        if calibration.attribute_score:
            score = calibration.attribute_score * self._score(opened, own_probs, crop_probs)
        if self.weights is None:
            return Fused(nothing.similarity, score)
        vectors = self._store.vectors(prefiltered.ids[: prefiltered.asked])
        crops = self._clip.appearance(vectors, crop_probs, self.weights)
        own = None
        if opened.references:
            own = self._clip.appearance(rows_of(opened.references), own_probs, self.weights)
        same = penalty = None
        if self.affinity_weights is not None:
            query = opened.query
            if own is not None and (query.wanted or query.other_clothes):
                own = pooled_query(own, crops, self.affinity_weights, priors)
            penalty = self._penalty(query, crops, self.affinity_weights, priors, stop)
            same = affinity(crops, self.affinity_weights, priors)
            crops = pooled_crops(crops, same)
        similarity = query_similarity(opened.query, opened.vector, own, crops, calibration, priors)
        return Fused(similarity, score, same, penalty)

    def _score(self, opened: OpenQuery, own_probs: np.ndarray, crop_probs: np.ndarray) -> np.ndarray:
        """float64 (n,): how well crops fit by the model's attributes; NaN where it did not read."""
        if self.model_affinity_weights is not None:
            crop_probs = pooled_model_probs(crop_probs, self.model_affinity_weights, opened.priors)
        # A reference whose file has vanished has no attributes; its vector still counts.
        own_probs = own_probs[np.isfinite(own_probs).all(1)]
        own = by_kinds(own_probs) if len(own_probs) else None
        query = opened.query
        stated = (query.wanted, query.unwanted, query.other_clothes)
        return np.zeros(len(crop_probs)) + attribute_score(by_kinds(crop_probs), own, *stated, opened.priors)

    def _penalty(
        self,
        query: Query,
        crops: PictureAppearance,
        weights: AffinityWeights,
        priors: Priors,
        stop: StopOnce,
    ) -> np.ndarray | None:
        """As Fused.rejection_penalty; of many rejected crops by those that are most like the candidates."""
        ids = np.array(sorted(query.rejected), np.int64)
        ids = ids[np.isin(ids, self._store.matching(Filters()))]  # the others were deleted
        if not len(ids):
            return None
        closest = (self._store.vectors(ids) @ crops.vectors.T).max(1)
        ids = ids[np.argsort(-closest, kind="stable")[:MOST_REJECTED]]
        pictures = [crop_picture(crop) for crop in self._store.crops(ids.tolist())]
        model_probs = self._model.attribute_probs(pictures, stop=stop)
        rejected = self._clip.appearance(self._store.vectors(ids), model_probs, self.weights)
        return rejection_penalty(rejected, crops, weights, priors)
