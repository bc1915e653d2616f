"""What the model's reading makes of candidates: their similarity by both readers, and together with their kin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.model.manifest import Calibration, Kin
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.retrieval.asking import StopOnce
from app.retrieval.evidence import AttributeEvidence, Looks
from app.retrieval.kin import kinship, log_apart, own_together, together, together_read
from app.retrieval.prefilter import Prefiltered
from app.retrieval.references import OpenReference, crop_picture, rows_of
from app.retrieval.shares import Readers, Usual, reading
from app.retrieval.shares import split as split_shares
from app.retrieval.similarity import query_similarity
from app.retrieval.values import Query
from gallery_store.crops import Filters
from gallery_store.encoder import ClipEncoder
from gallery_store.store import GalleryStore

MOST_REJECTED = 32  # crops that are compared with the candidates


@dataclass(frozen=True)
class Judged:
    """reading: float64 (n,), what the attributes that the model reads add to its word; NaN where it did not read.
    near, kinship, apart: as in Findings."""

    reading: np.ndarray
    near: np.ndarray
    kinship: np.ndarray | None = None
    apart: np.ndarray | None = None


def unjudged(found: Prefiltered) -> Judged:
    """Where nothing but CLIP and the word speak."""
    return Judged(np.zeros(found.asked), found.similarities[: found.asked])


class Judge:
    """A gallery's store, CLIP's evidence, and a model with a manifest for that CLIP."""

    def __init__(
        self, store: GalleryStore, evidence: AttributeEvidence, model: ReidModel, encoder: ClipEncoder
    ) -> None:
        self.store, self.evidence, self.model = store, evidence, model
        manifest, clip = model.manifest, (encoder.name, encoder.version)
        self.readers: Readers | None = manifest.readers_with(*clip) if manifest else None
        self.kin = manifest.kin_with(*clip, "both") if manifest else None
        self.model_kin = manifest.kin_with(*clip, "model") if manifest else None

    def __call__(
        self,
        query: Query,
        described: np.ndarray | None,
        references: Sequence[OpenReference],
        found: Prefiltered,
        pictures: Sequence[Picture],
        calibration: Calibration,
        usual: Usual,
        stop: StopOnce,
    ) -> Judged:
        """pictures: of the candidates that are asked about. described: unit row of the description."""
        plain = unjudged(found)
        if not found.asked or not (calibration.reading or self.readers):
            return plain
        told = self.model.shares([reference.picture for reference in references], stop=stop)
        read = self.model.shares(pictures, stop=stop)
        by_model = plain.reading
        if calibration.reading:
            by_model = calibration.reading * self._reading(query, told, read, usual)
        if self.readers is None:
            return Judged(by_model, plain.near)
        crops = self.evidence.looks(self.store.vectors(found.ids[: found.asked]), read, self.readers)
        own = self.evidence.looks(rows_of(references), told, self.readers) if references else None
        related = apart = None
        if self.kin is not None:
            if own is not None and (query.wanted or query.other_clothes):
                own = own_together(own, crops, self.kin, usual)
            apart = self._apart(query, crops, self.kin, usual, stop)
            related = kinship(crops, self.kin, usual)
            crops = together(crops, related)
        near = query_similarity(query, described, own, crops.seen, calibration, usual)
        return Judged(by_model, near, related, apart)

    def _reading(self, query: Query, told: np.ndarray, rows: np.ndarray, usual: Usual) -> np.ndarray:
        """float64 (n,): how well crops fit by what the model reads off them; NaN where it does not."""
        if self.model_kin is not None:
            rows = together_read(rows, self.model_kin, usual)
        told = told[np.isfinite(told).all(1)]  # a reference whose file has vanished; its vector still counts
        own = split_shares(told) if len(told) else None
        asked = (query.wanted, query.unwanted, query.other_clothes)
        return np.zeros(len(rows)) + reading(split_shares(rows), own, *asked, usual)

    def _apart(self, query: Query, crops: Looks, kin: Kin, usual: Usual, stop: StopOnce) -> np.ndarray | None:
        """float64 (n,): as Findings.apart; of many rejected crops by those that are most like the candidates."""
        ids = np.array(sorted(query.rejected), np.int64)
        ids = ids[np.isin(ids, self.store.matching(Filters()))]  # the others were deleted
        if not len(ids):
            return None
        closest = (self.store.vectors(ids) @ crops.vectors.T).max(1)
        ids = ids[np.argsort(-closest, kind="stable")[:MOST_REJECTED]]
        read = self.model.shares([crop_picture(crop) for crop in self.store.crops(ids.tolist())], stop=stop)
        return log_apart(self.evidence.looks(self.store.vectors(ids), read, self.readers), crops, kin, usual)
