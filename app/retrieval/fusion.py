"""How similar crops are to a query, by CLIP and by attributes; and what the model's attributes add to P(yes).

`query_similarity` serves the prefilter, with CLIP's attributes where the calibration gives them a share. `Fusion`
serves the `fused` ranker, with the attributes of both readers, for checkpoints whose manifest has weights for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.model.asked import AskedModel
from app.model.checkpoint import AffinityWeights, Calibration
from app.model.pictures import Picture
from app.model.vocabulary import Attribute
from app.retrieval.affinity import (
    affinity,
    pooled_crops,
    pooled_model_probs,
    pooled_query,
    rejection_penalty,
)
from app.retrieval.attribute_columns import GalleryAppearance
from app.retrieval.attribute_probs import (
    MOST_RATIO,
    Appearance,
    ClipAttributes,
    FusionWeights,
    PictureAppearance,
    Priors,
    Probs,
    attribute_score,
    by_kinds,
    comparable_kinds,
    log_same,
    log_stated,
)
from app.retrieval.prefilter import Prefiltered, Stop, StopOnce
from app.retrieval.query import Query
from app.retrieval.references import OpenQuery, crop_picture, rows_of
from gallery_store.crops import Filters
from gallery_store.encoder import WordEncoder
from gallery_store.store import GalleryStore

TEXT_WEIGHT = 0.5  # without a calibration
SQUASHED = 0.95  # similarities by words below minus this are drawn together, so that all end above -1
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
        share = calibration.stated_share if calibration else 0.0
        parts.append(text_similarity(crops, description, query.wanted, query.unwanted, share))
    if own is not None:
        share = calibration.attribute_share if calibration else 0.0
        kinds = comparable_kinds(own.probs, query.wanted, query.other_clothes)
        parts.append(picture_similarity(own, crops, share, priors, kinds=kinds))
    if len(parts) == 1:
        return parts[0].astype(np.float32)
    weight = calibration.text_weight if calibration else TEXT_WEIGHT
    return (weight * parts[0] + (1 - weight) * parts[1]).astype(np.float32)


def text_similarity(
    crops: Appearance,
    description: np.ndarray,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
    share: float,
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the description's unit row (dim,), and a share of the log-probabilities of
    the attributes; 0 asks for none.

    Several attributes that do not fit would come to less than -1: there similarities lie closer together, in the same
    order, so that where nobody fits the nearest still come first.
    """
    cosine = crops.cosines(description[None])[0]
    if not share:
        return np.asarray(cosine, np.float32)
    stated = share * log_stated(crops.probs, wanted, unwanted, crops.confusion)
    return squashed(cosine + stated).astype(np.float32)


def squashed(similarities: np.ndarray) -> np.ndarray:
    """float64 (n,), all above -1, in the order that they came in; above -SQUASHED as they are."""
    if not len(similarities) or np.min(similarities) >= -SQUASHED:
        return np.asarray(similarities, np.float64)
    room = 1 - SQUASHED
    below = np.maximum(-SQUASHED - np.asarray(similarities, np.float64), 0)
    return np.maximum(similarities, -SQUASHED) - room * below / (room + below)


def picture_similarity(
    own: PictureAppearance,
    crops: Appearance,
    share: float,
    priors: Priors,
    *,
    kinds: Sequence[str] | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the mean of the pictures' rows, and a share of how alike they are.

    Of a whole gallery the attributes of no more than the MOST_COMPARED nearest crops are compared; the others count
    as unlike, and stay behind them.

    Args:
        own: pictures of one person. share: 0..1, of the attributes; 0 asks for none. kinds: of attributes, to compare;
            None for all that are read.
    """
    mean = own.vectors.mean(axis=0)
    cosine = crops.cosines((mean / max(float(np.linalg.norm(mean)), 1e-12))[None])[0]
    if not share:
        return cosine.astype(np.float32)
    kinds = tuple(own.probs) if kinds is None else kinds
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


@dataclass(frozen=True)
class Fused:
    """What is known of n candidates where CLIP and the model read attributes together.

    similarity: float (n,), -1..1, by the attributes of both readers, each crop together with those that show the same
    person in the same clothes; NaN where the model was to read and did not. Where it is not to read, CLIP's similarity.
    affinity: float64 (n, n), 0..1, the probabilities that two candidates show one person in the same clothes.
    rejection_penalty: float64 (n,), 0 or less, the log-probabilities that they show nobody who was rejected.
    Either is None where there is no such thing.
    """

    similarity: np.ndarray
    affinity: np.ndarray | None = None
    rejection_penalty: np.ndarray | None = None


class Fusion:
    """What a model's attributes add, for one gallery and the CLIP that its manifest was fitted with.

    Its weights come from the manifest; what was not fitted, or has no model, is left out.
    """

    def __init__(
        self, store: GalleryStore, clip: ClipAttributes, model: AskedModel | None, encoder: WordEncoder
    ) -> None:
        self._store, self._clip, self._model = store, clip, model
        manifest, key = model.manifest if model else None, (encoder.name, encoder.version)
        self.weights: FusionWeights | None = manifest.fusion_weights_for(*key) if manifest else None
        self.affinity_weights = manifest.affinity_for(*key, "both") if manifest else None
        self.model_affinity_weights = manifest.affinity_for(*key, "model") if manifest else None

    def fuse(
        self, opened: OpenQuery, prefiltered: Prefiltered, pictures: Sequence[Picture], stop: StopOnce
    ) -> Fused:
        """pictures: of the candidates, in `prefiltered`'s order. Needs weights, and a calibration of the query."""
        priors = opened.priors
        own_probs, crop_probs = self._probs(opened, pictures, stop)
        vectors = self._store.vectors(prefiltered.ids[: prefiltered.asked])
        crops = self._clip.appearance(vectors, crop_probs, self.weights)
        own = None
        if opened.references:
            own = self._clip.appearance(rows_of(opened.references), own_probs, self.weights)
        same = penalty = None
        if self.affinity_weights is not None and len(vectors):
            query = opened.query
            if own is not None and (query.wanted or query.other_clothes):
                own = pooled_query(own, crops, self.affinity_weights, priors)
            penalty = self._penalty(query, crops, self.affinity_weights, priors, stop)
            same = affinity(crops, self.affinity_weights, priors)
            crops = pooled_crops(crops, same)
        similarity = prefiltered.similarities[: prefiltered.asked].copy()
        if not opened.by_reid:
            similarity = query_similarity(opened.query, opened.vector, own, crops, opened.calibration, priors)
        similarity[~np.isfinite(crop_probs).all(1)] = np.nan
        return Fused(similarity, same, penalty)

    def pooled_probs(
        self, vectors: np.ndarray, pictures: Sequence[Picture], priors: Priors, stop: Stop
    ) -> Probs:
        """What n crops show, each seen together with those of its outfit, as `fuse` compares them. Needs weights.
        vectors: their unit rows float32 (n, dim).
        """
        assert self._model is not None
        crops = self._clip.appearance(vectors, self._model.attribute_probs(pictures, stop=stop), self.weights)
        if self.affinity_weights is None:
            return crops.probs
        return pooled_crops(crops, affinity(crops, self.affinity_weights, priors)).probs

    def attribute_score(self, opened: OpenQuery, pictures: Sequence[Picture], stop: StopOnce) -> np.ndarray:
        """float64 (n,): how well crops fit by the model's attributes; NaN where it did not read."""
        own_probs, crop_probs = self._probs(opened, pictures, stop)
        if self.model_affinity_weights is not None:
            crop_probs = pooled_model_probs(
                crop_probs, self.model_affinity_weights, opened.priors, self._clip.kinds
            )
        # A reference whose file has vanished has no attributes; its vector still counts.
        own_probs = own_probs[np.isfinite(own_probs).all(1)]
        own = by_kinds(own_probs, self._clip.kinds) if len(own_probs) else None
        query = opened.query
        stated = (query.wanted, query.unwanted, query.other_clothes)
        score = np.zeros(len(crop_probs)) + attribute_score(
            by_kinds(crop_probs, self._clip.kinds), own, *stated, opened.priors
        )
        score[~np.isfinite(crop_probs).all(1)] = np.nan
        return score

    def _probs(
        self, opened: OpenQuery, pictures: Sequence[Picture], stop: StopOnce
    ) -> tuple[np.ndarray, np.ndarray]:
        """float32 (references, all values) and (n, all values): what the model reads; it remembers pictures."""
        assert self._model is not None
        own = self._model.attribute_probs([r.picture for r in opened.references], stop=stop)
        return own, self._model.attribute_probs(pictures, stop=stop)

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
        pictures = [crop_picture(crop, self._store) for crop in self._store.crops(ids.tolist())]
        assert self._model is not None
        model_probs = self._model.attribute_probs(pictures, stop=stop)
        rejected = self._clip.appearance(self._store.vectors(ids), model_probs, self.weights)
        return rejection_penalty(rejected, crops, weights, priors)
