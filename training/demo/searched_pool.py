"""A gallery off a pool, searched as the engine does, with the parts of a similarity apart: calibration weighs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from app.model.checkpoint import AffinityWeights
from app.model.description import query_description
from app.retrieval.affinity import kinship, own_together, together, together_read
from app.retrieval.attribute_probs import AttributeEvidence, Looks, Readers, Usual, comparable, reading
from app.retrieval.attribute_probs import split as split_shares
from app.retrieval.fusion import picture_similarity, text_similarity
from gallery_store.encoder import ClipEncoder
from training.demo.searches import Search


@dataclass(frozen=True)
class Gallery:
    """rows of the pool that are searched, with every row's CLIP vector, and what the model read off it."""

    encoder: ClipEncoder
    evidence: AttributeEvidence
    vectors: np.ndarray
    rows: np.ndarray
    usual: Usual
    read: np.ndarray | None = None
    readers: Readers | None = None
    kin: Mapping[str, AffinityWeights] = field(default_factory=dict)

    def looks(self, rows: np.ndarray | list[int], both: bool) -> Looks:
        """Rows of the pool by CLIP, or by both readers."""
        if not both:
            return self.evidence.looks(self.vectors[rows])
        assert self.read is not None
        return self.evidence.looks(self.vectors[rows], self.read[rows], self.readers)

    def parts(self, search: Search, among: np.ndarray | None = None) -> Parts:
        """What the engine's similarity is made of; for some rows of the pool, int64 (n,), by both readers, and
        together with their kin among these rows."""
        crops = self.looks(self.rows if among is None else among, among is not None)
        own = None if search.reference is None else self.looks([search.reference], among is not None)
        if among is not None and "both" in self.kin:
            kin = self.kin["both"]
            if own is not None and (search.wanted or search.other_clothes):
                own = own_together(own, crops, kin, self.usual)
            crops = together(crops, kinship(crops, kin, self.usual))
        words = cosine = alike = None
        if search.wanted:
            told = self.encoder.encode_texts([query_description(search.wanted)])[0]
            words = text_similarity(crops.seen, told, search.wanted, ())
        if own is not None:
            kinds = comparable(search.wanted, search.other_clothes)
            cosine, alike = (
                picture_similarity(own, crops.seen, share, self.usual, kinds=kinds) for share in (0, 1)
            )
        return Parts(words, cosine, alike)

    def reading(self, search: Search, among: np.ndarray) -> np.ndarray:
        """float64 (n,): how well rows of the pool fit by what the model alone reads off them and their kin there."""
        assert self.read is not None
        own = None if search.reference is None else split_shares(self.read[[search.reference]])
        rows = self.read[among]
        if "model" in self.kin:
            rows = together_read(rows, self.kin["model"], self.usual)
        told = (search.wanted, (), search.other_clothes)
        return np.zeros(len(among)) + reading(split_shares(rows), own, *told, self.usual)

    def nearest(self, search: Search, similarities: np.ndarray) -> np.ndarray:
        """int64 (gallery,): places, most similar first, the query's own picture last."""
        own = -1 if search.reference is None else search.reference
        return np.argsort(-np.where(self.rows == own, -2, similarities), kind="stable")


@dataclass(frozen=True)
class Parts:
    """Float (gallery,) each, None where the search has no words or no picture."""

    words: np.ndarray | None
    cosine: np.ndarray | None
    alike: np.ndarray | None

    def similarity(self, text: float, attributes: float) -> np.ndarray:
        """As the engine's: by the words, by the picture, or a share of each."""
        if self.cosine is None or self.alike is None:
            assert self.words is not None
            return self.words
        picture = (1 - attributes) * self.cosine + attributes * self.alike
        return picture if self.words is None else text * self.words + (1 - text) * picture
