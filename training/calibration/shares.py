"""What is fitted of a similarity before the model reads anything: by how much the words count beside a picture, and by
how much the attributes that words name, beside the cosine of all the words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.model.checkpoint import KindOfQuery
from app.model.description import query_description
from app.model.vocabulary import KINDS, Kinds
from app.retrieval.attribute_probs import ClipAttributes, Confusion, Probs
from app.retrieval.fusion import TEXT_WEIGHT, text_similarity
from app.retrieval.query import as_known
from app.retrieval.reid import prefilter_encoder, together
from gallery_store.encoder import ImageEncoder, WordEncoder
from gallery_store.schema import Role
from gallery_store.store import GalleryStore
from training.calibration.by_kind import average_precision, clearly_best
from training.calibration.found import by_crop
from training.calibration.searches import Searches

# The first stays where no other is clearly better.
TEXT_WEIGHTS = (TEXT_WEIGHT, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
# A real CLIP's cosines differ by hundredths between crops, the demo's by tenths; a log-probability by whole nats.
STATED_SHARES = (0.003, 0.01, 0.03, 0.1)
SHARPNESSES = (1.0, 0.1, 0.3, 3.0)  # of the encoder's own


@dataclass(frozen=True)
class Shares:
    """text_weight, stated_share: as app.model.checkpoint.Calibration. sharpness: as its manifest's
    attribute_sharpness; None where the attributes have no share, or it was given."""

    text_weight: float = TEXT_WEIGHT
    stated_share: float = 0.0
    sharpness: float | None = None


class Likeness:
    """How like U crops are to the Q queries of a kind that has words, as the app's prefilter has it.

    ids: int64 (G,), each record's crop, -1 where its picture could not be read. reid: compares the pictures in
    CLIP's place; None leaves them to CLIP. confusion: of the values that words name, as the manifest has it. kinds: of
    attributes that the checkpoint knows.
    """

    def __init__(
        self,
        asked: Searches,
        kind: KindOfQuery,
        ids: np.ndarray,
        store: GalleryStore,
        clip: WordEncoder,
        reid: ImageEncoder | None,
        confusion: Confusion | None = None,
        kinds: Kinds = KINDS,
    ) -> None:
        rows = asked.rows_of(kind)
        if kind != "text":  # a picture that the gallery refused has no vector in it
            rows = rows[ids[asked.subjects[rows]] >= 0]
        self._store, self.clip, self._confusion = store, clip, confusion or {}
        self._crops = np.unique(ids[ids >= 0])
        self._queries = [as_known(asked.queries[row], kinds) for row in rows.tolist()]
        self._kinds = kinds
        self.has_attributes = any(query.wanted or query.unwanted for query in self._queries)
        self._unsure = np.stack([by_crop(asked.unsure[row], ids, self._crops) for row in rows])
        self._right = np.stack([by_crop(asked.right[row], ids, self._crops) for row in rows]) & ~self._unsure
        told = [query_description(query.wanted, query.unwanted, query.text) for query in self._queries]
        self._vectors = clip.encode_texts(told)
        self.cosines = store.similarities(self._vectors, self._crops)
        self._pictures: np.ndarray | None = None
        self._subjects = ids[asked.subjects[rows]]
        self._by_reid = prefilter_encoder(kind, clip, reid) is not clip
        if kind != "text":
            role: Role = "reid" if self._by_reid else "clip"
            if self._by_reid and reid is not None:
                store.require_encoder(reid.name, reid.version, role)
            self._pictures = store.similarities(store.vectors(self._subjects, role), self._crops, role)

    @property
    def weighs_words(self) -> bool:
        """Whether there are pictures beside them."""
        return self._pictures is not None

    def probs(self, sharpness: float) -> Probs:
        """Of the crops, as the app reads them by CLIP."""
        return ClipAttributes(self.clip, sharpness, kinds=self._kinds).probs(
            lambda rows: self._store.similarities(rows, self._crops)
        )

    def words(self, share: float, probs: Probs) -> np.ndarray:
        """float32 (Q, U): how like the words, with this share of the attributes that they name."""
        crops = [_Compared(cosines[None], probs, self._confusion) for cosines in self.cosines]
        return np.stack(
            [
                text_similarity(crop, vector, query.wanted, query.unwanted, share)
                for query, vector, crop in zip(self._queries, self._vectors, crops, strict=True)
            ]
        )

    def precisions(self, words: np.ndarray, weight: float) -> np.ndarray:
        """float64 (Q,): average precision by likenesses of the words, float32 (Q, U), that count by this weight."""
        return average_precision(self.similarities(words, weight), self._right, self._unsure)

    def similarities(self, words: np.ndarray, weight: float) -> np.ndarray:
        """float (Q, U), -1..1: of the words and the pictures together; -2 for the query's own crop."""
        if self._pictures is None:
            return words
        return np.stack([self._both(row, words[row], weight) for row in range(len(words))])

    def _both(self, row: int, words: np.ndarray, weight: float) -> np.ndarray:
        assert self._pictures is not None
        others = self._crops != self._subjects[row]
        pictures = self._pictures[row]
        similar = np.full(len(others), -2.0)
        if self._by_reid:
            similar[others] = together(words[others], pictures[others], weight)
        else:
            similar[others] = (weight * words + (1 - weight) * pictures)[others]
        return similar


@dataclass(frozen=True)
class _Compared:
    """Crops that were compared with one query's words: float32 (1, U)."""

    known: np.ndarray
    probs: Probs
    confusion: Confusion

    def cosines(self, _rows: np.ndarray) -> np.ndarray:
        return self.known


def fit_shares(
    likeness: Likeness, sharpness: float | None, progress: Callable[[int, int], None] | None = None
) -> Shares:
    """The shares with which the prefilter ranks best; the attributes get one only where they clearly help.

    Args:
        sharpness: that the CLIP has; None fits it too, where the attributes get a share.
        progress: called with (done, all) ways that were tried.
    """
    weights = TEXT_WEIGHTS if likeness.weighs_words else TEXT_WEIGHTS[:1]
    precisions = [likeness.precisions(likeness.cosines, weight) for weight in weights]
    best = Shares(weights[clearly_best(precisions)])
    if not likeness.has_attributes:
        return best
    own = likeness.clip.logit_scale
    sharp = [own * times for times in SHARPNESSES] if sharpness is None else [sharpness]
    ways, tried = [best], [precisions[weights.index(best.text_weight)]]
    for one in sharp:
        probs = likeness.probs(one)
        for share in STATED_SHARES:
            words = likeness.words(share, probs)
            for weight in weights:
                ways.append(Shares(weight, share, one if sharpness is None else None))
                tried.append(likeness.precisions(words, weight))
            if progress is not None:
                progress(len(ways) - 1, len(sharp) * len(STATED_SHARES) * len(weights))
    return ways[clearly_best(tried)]
