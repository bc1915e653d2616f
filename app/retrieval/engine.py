"""A query in, a ranking out: filters, CLIP, the model's word, calibration. Stateless between searches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from app.model.description import query_description
from app.model.manifest import Calibration
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.retrieval.asking import Progress, Stop, StopOnce, ask_words, is_picture_error
from app.retrieval.comparison import Comparison, compare_readings
from app.retrieval.errors import RetrievalError
from app.retrieval.evidence import AttributeEvidence, Seen, sensible
from app.retrieval.findings import Findings
from app.retrieval.judging import Judge, unjudged
from app.retrieval.listing import list_by_time
from app.retrieval.prefilter import prefilter
from app.retrieval.references import (
    copies_of,
    crop_picture,
    open_reference,
    reference_picture,
    rows_of,
)
from app.retrieval.rerank import rerank
from app.retrieval.shares import Readers, Usual, rarity
from app.retrieval.similarity import query_similarity
from app.retrieval.values import Query, Ranking, Reference, Timings
from gallery_store.encoder import ClipEncoder
from gallery_store.store import GalleryStore

if TYPE_CHECKING:
    from app.model.annotation import AttributeReading

__all__ = ["Comparison", "Engine", "RetrievalError"]

SAMPLED = 1024  # crops that tell how common a value is
NO_TAU = -1.0  # without a calibration: every crop is worth asking about, up to k


class Engine:
    """Searches one gallery with one encoder and one model.

    Args:
        model: None searches by CLIP alone, uncalibrated.
        k: at most so many candidates are read by the model in a search.
        tau: least similarity to be worth reading; None takes the manifest's for each kind of query.
    """

    def __init__(
        self,
        store: GalleryStore,
        encoder: ClipEncoder,
        model: ReidModel | None,
        *,
        k: int = 64,
        tau: float | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k is at least 1, not {k}")
        self.store = store
        self.encoder = encoder
        self.evidence = AttributeEvidence(encoder)
        self.model = model
        self.k = k
        self.tau = tau

    def search(
        self,
        query: Query,
        *,
        limit: int = 200,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Ranking:
        """Rank the crops that pass the query's filters.

        Args:
            limit: candidates returned. progress: called with (step, done, all); steps are "encode",
                "prefilter" and "rerank". stop: asked between batches; a stopped search returns what it has.

        Raises:
            RetrievalError: a reference that is gone or cannot be read.
            EncoderMismatch: the gallery was indexed by another encoder. ModelError: the model cannot load.
        """
        self.store.require_encoder(self.encoder.name, self.encoder.version)
        try:
            return self._search(query, limit, progress or _silent, stop or _never)
        except KeyError:
            # A crop was deleted between two of our questions; the refreshed gallery does not list it.
            return self._search(query, limit, progress or _silent, stop or _never)

    def _search(self, query: Query, limit: int, progress: Progress, stop: Stop) -> Ranking:
        began = time.perf_counter()
        if not (query.has_text or query.references):
            ids = self._searched(query)
            candidates = list_by_time(self.store, ids, limit)
            spent = Timings(total=time.perf_counter() - began)
            calibrated = self._calibrated(query)
            return Ranking(candidates, self.store.count(), len(ids), 0, False, spent, calibrated)
        told = self._find(query, progress, stop)
        ranked = rerank(
            told.found,
            told.words,
            told.calibration,
            limit=limit,
            near=told.near,
            rarity=told.rarity,
            kinship=told.kinship,
            apart=told.apart,
        )
        total = time.perf_counter() - began
        encode, prefilter = told.timings.encode, told.timings.prefilter
        return Ranking(
            candidates=ranked.candidates,
            total=told.total,
            searched=len(told.found.ids),
            scored=ranked.scored,
            nobody_fits=ranked.nobody_fits,
            timings=Timings(encode, prefilter, total - encode - prefilter, total),
            calibrated=told.calibration is not None,
            stopped=told.stopped,
            put_back=told.apart is not None,
        )

    def find(self, query: Query, *, progress: Progress | None = None, stop: Stop | None = None) -> Findings:
        """What `search` ranks by: CLIP's similarity to every crop, and the word on those worth asking about.

        Evaluation reads every ranker off one such pass. Raises as `search`; ValueError for a query without
        words and pictures.
        """
        if not (query.has_text or query.references):
            raise ValueError("there is nothing to compare crops with: the query has no words and no pictures")
        self.store.require_encoder(self.encoder.name, self.encoder.version)
        return self._find(query, progress or _silent, stop or _never)

    def _searched(self, query: Query) -> np.ndarray:
        """int64 ids that the filters pass, without the query's own crops."""
        self.store.refresh()
        apart = query.rejected | query.confirmed
        apart |= {r.image_id for r in query.references if r.image_id is not None}
        return self.store.matching(query.filters, exclude=apart)

    def _find(self, query: Query, progress: Progress, stop: Stop) -> Findings:
        began = time.perf_counter()
        ids = self._searched(query)
        total = self.store.count()
        progress("encode", 0, 1)
        description = query_description(query.wanted, query.unwanted, query.text)
        references = [open_reference(r, self.store, self.encoder) for r in query.references]
        calibration = self._calibration(query.kind)
        described = self.encoder.encode_texts([description])[0] if description else None
        encoded = time.perf_counter()

        progress("prefilter", 0, len(ids))
        if copies := copies_of(references, ids, self.store):
            ids = ids[~np.isin(ids, list(copies))]
        usual = self._usual(ids)
        own = self.evidence.looks(rows_of(references)) if references else None

        def some(places: np.ndarray | slice) -> Seen:
            return self.evidence.seen(lambda rows: self.store.similarities(rows, ids[places]))

        everyone = some(slice(None))
        similarities = query_similarity(query, described, own, everyone, calibration, usual, some)
        tau = self.tau if self.tau is not None else calibration.tau if calibration else NO_TAU
        found = prefilter(ids, similarities, tau=tau, k=self.k)
        filtered = time.perf_counter()

        stopped = StopOnce(stop)
        pictures = [crop_picture(crop) for crop in self.store.crops(found.ids[: found.asked].tolist())]
        words = ask_words(self.model, description, references, pictures, progress, stopped)
        judged = unjudged(found)
        if calibration and self.model is not None:
            judge = Judge(self.store, self.evidence, self.model, self.encoder)
            judged = judge(query, described, references, found, pictures, calibration, usual, stopped)
        ended = time.perf_counter()
        spent = Timings(encoded - began, filtered - encoded, ended - filtered, ended - began)
        return Findings(
            found=found,
            words=words + judged.reading,
            near=judged.near,
            kinship=judged.kinship,
            apart=judged.apart,
            calibration=calibration,
            description=description,
            references=tuple(references),
            rarity=rarity(usual, query.wanted, query.unwanted),
            total=total,
            timings=spent,
            stopped=stopped.said,
        )

    def _usual(self, ids: np.ndarray) -> Usual:
        """How common each value is among the crops searched, or among SAMPLED of them, evenly spread."""
        sample = ids[np.linspace(0, len(ids) - 1, SAMPLED).astype(np.int64)] if len(ids) > SAMPLED else ids
        return self.evidence.usual(lambda rows: self.store.similarities(rows, sample))

    def _calibration(self, kind: str) -> Calibration | None:
        manifest = self.model.manifest if self.model else None
        return manifest.calibration(self.encoder.name, self.encoder.version, kind) if manifest else None

    def _readers(self) -> Readers | None:
        manifest = self.model.manifest if self.model else None
        return manifest.readers_with(self.encoder.name, self.encoder.version) if manifest else None

    def _calibrated(self, query: Query) -> bool:
        return self._calibration(query.kind) is not None

    def read(self, references: Sequence[Reference]) -> list[tuple[AttributeReading, ...]]:
        """What is read off each picture; nothing where there is no model.

        A model that was tuned together with this encoder reads with it.

        Raises:
            RetrievalError: a reference that is gone or cannot be read.
        """
        pictures = [reference_picture(reference, self.store) for reference in references]
        if self.model is None:
            return [() for _ in pictures]
        try:
            if (readers := self._readers()) is not None:
                rows = self.model.shares(pictures)
                if np.isfinite(rows).all():
                    opened = [open_reference(r, self.store, self.encoder) for r in references]
                    told = zip(opened, rows, strict=True)
                    return [sensible(self.evidence.read(o.vector, row, readers)) for o, row in told]
            return self.model.annotate(pictures)  # says so where a picture cannot be opened
        except (OSError, ValueError) as error:
            if not is_picture_error(error):
                raise
            raise RetrievalError(
                f"a picture cannot be read: {error}; `python -m gallery_store verify` lists all such"
            ) from None

    def compare(self, first: Reference, second: Reference) -> Comparison:
        """What two pictures have in common, by the model's readings. Raises RetrievalError."""
        one, other = self.read([first, second])
        return compare_readings(one, other)

    def warm_up(self) -> None:
        """Load what loads lazily and run each path once, so that the first search is as fast as the next."""
        self.encoder.encode_texts(["a person"])
        if self.model is not None:
            grey = Picture("warm-up", lambda: Image.new("RGB", (56, 112), (128, 128, 128)))
            self.model.words("a person", [], [grey])
            self.model.words("", [grey], [grey])
            if self._readers():
                self.model.shares([grey])


def _silent(step: str, done: int, everything: int) -> None:
    pass


def _never() -> bool:
    return False
