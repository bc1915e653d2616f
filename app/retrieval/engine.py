"""A query in, a ranking out: filters, CLIP, prefilter by tau, one ranker, calibration (section 4.1).

Stateless between searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from app.model.asked import AskedModel
from app.model.checkpoint import Calibration, ModelError, encoder_key, is_calibrated
from app.model.description import query_description
from app.model.line import Line, never
from app.model.reid_model import GREY, ReidModel
from app.model.vocabulary import KINDS, Kinds
from app.retrieval.attribute_columns import AttributeColumns, GalleryAppearance
from app.retrieval.attribute_probs import (
    ClipAttributes,
    Priors,
    Probs,
    gallery_priors,
    likeliest,
    sensible,
)
from app.retrieval.candidates import AskedCandidates, is_picture_error
from app.retrieval.fusion import Fusion, query_similarity
from app.retrieval.joined import in_line
from app.retrieval.near import crops_to_compare, spread
from app.retrieval.photographs import FoundPhotographs, PhotographTest
from app.retrieval.prefilter import Prefiltered, Stop, StopOnce, prefilter
from app.retrieval.query import Query, Reference, RetrievalError, as_known
from app.retrieval.rankers import RANKERS, choose_ranker
from app.retrieval.ranking import Candidate, Ranking, SearchTrace, Timings, rank_candidates
from app.retrieval.references import (
    OpenQuery,
    copies_of,
    crop_picture,
    open_reference,
    reference_crops,
    reference_picture,
    rows_of,
)
from app.retrieval.reid import prefilter_encoder, reid_rows, reid_similarity
from app.settings import BEST_CHOICE, CLIP, FUSED, RankerName
from gallery_store.console import StepProgress
from gallery_store.crops import Filters
from gallery_store.encoder import ImageEncoder, WordEncoder
from gallery_store.store import GalleryStore

if TYPE_CHECKING:
    from app.model.answers import AttributeReading
    from app.model.generation import WrittenAnswer
    from app.model.prompts import Message

Result = TypeVar("Result")

NO_TAU = -1.0  # without a calibration: every crop is worth asking about, up to k


@dataclass(frozen=True)
class FoundCandidates:
    """What CLIP let through. total: crops in the gallery. seconds: to encode the query, and to prefilter. stop: asked
    on between the model's batches."""

    query: OpenQuery
    prefiltered: Prefiltered
    candidates: AskedCandidates
    total: int
    seconds: tuple[float, float]
    stop: StopOnce


class Engine:
    """Searches one gallery with one encoder and one model. Thread-safe: searches compute in turns (app.model.line).

    Args:
        model: None searches by CLIP alone, uncalibrated.
        reid: prefilters queries with a picture in CLIP's place; the gallery needs its vectors too.
        k: at most so many candidates are ranked in a search, the rest follows in CLIP's order.
        tau: least similarity by CLIP to be worth reading; None takes the manifest's for each kind of query.
        ranker: who ranks (app.retrieval.rankers); None takes the manifest's. Without a model, CLIP alone.
    """

    def __init__(
        self,
        store: GalleryStore,
        encoder: WordEncoder,
        model: AskedModel | None,
        *,
        reid: ImageEncoder | None = None,
        k: int = 64,
        tau: float | None = None,
        ranker: RankerName | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k is at least 1, not {k}")
        if model is None and ranker not in (None, CLIP):
            raise ValueError(f"the ranker {ranker} needs a model")
        self.store = store
        self.encoder = encoder
        self.model = model
        self.reid = reid
        self.k = k
        self.tau = tau
        self.line, self._clock = Line(), time.perf_counter
        if isinstance(model, ReidModel):  # one elsewhere has turns of its own
            self.line, self._clock = model.line, model.line.computed
        self._encoder, self._reid = in_line(encoder, self.line), in_line(reid, self.line)
        manifest, own = model.manifest if model else None, (encoder.name, encoder.version)
        self.ranker = choose_ranker(ranker if model else CLIP, manifest, *filter(None, (encoder, reid)))
        self.clip_attributes = ClipAttributes(
            encoder,
            manifest.sharpness_for(*own) if manifest else None,
            manifest.confusion_for(*own) if manifest else None,
            manifest.kinds if manifest else KINDS,
        )
        self.columns = AttributeColumns(store, self.clip_attributes)
        self._reads_free_words = manifest is None or manifest.reads_free_words
        self._photographs = PhotographTest(store)
        self._fusion = Fusion(store, self.clip_attributes, model, encoder)

    def search(
        self,
        query: Query,
        *,
        limit: int = 200,
        progress: StepProgress | None = None,
        stop: Stop | None = None,
    ) -> Ranking:
        """Rank the crops that pass the query's filters.

        Args:
            limit: candidates returned. progress: called with (step, done, all); steps are "encode", "prefilter",
                and the ranker's, "rerank" or "choose". stop: asked between batches; a stopped search returns what it
                has.

        Raises:
            RetrievalError: a reference that is gone or cannot be read.
            EncoderMismatch: the gallery was indexed by another encoder. ModelError: the model cannot load.
            LeftLine: it was stopped before anything was searched.
        """
        if not (query.has_text or query.references):
            self._require_encoders()
            return _again_if_deleted(lambda: self._list_by_time(query, limit))
        return rank_candidates(self.trace(query, progress=progress, stop=stop), limit)

    def trace(
        self, query: Query, *, progress: StepProgress | None = None, stop: Stop | None = None
    ) -> SearchTrace:
        """One search before it is ranked. Raises as `search`; ValueError for a query without words and pictures."""
        return _again_if_deleted(lambda: self._trace(query, progress, stop))

    def _trace(self, query: Query, progress: StepProgress | None, stop: Stop | None) -> SearchTrace:
        began, lost = time.perf_counter(), self._lost
        query = as_known(query, self.kinds)
        found = self.find_candidates(query, progress=progress, stop=stop)
        opened, candidates = found.query, found.candidates
        unchecked = "" if self._reads_free_words else query.text.strip() or query.company
        judged = not (unchecked and query.only_free_words)
        ranker = self.ranker.name if judged else CLIP
        ranked = time.perf_counter()
        scores = RANKERS[ranker](opened, candidates)
        fused = candidates.fused if ranker == FUSED and opened.calibration is not None else None
        calibrated = judged and ranker == FUSED and opened.calibration is not None
        photographs = self._find_photographs(opened, found.prefiltered, found.stop) if calibrated else None
        ended = time.perf_counter()
        return SearchTrace(
            found.prefiltered,
            scores,
            ranker,
            opened.calibration,
            candidates.known("yes_logits"),
            fused,
            candidates.read,
            total=found.total,
            timings=Timings(*found.seconds, ended - ranked, ended - began),
            stopped=found.stop.stopped,
            judged=judged,
            unchecked=unchecked,
            photographs=photographs,
            copies=opened.copies,
            unreadable=candidates.unreadable,
            set_aside=len(self.store.set_aside()),
            delayed=self._lost > lost,
        )

    @property
    def _lost(self) -> int:
        return self.encoder.lost + (self.model.lost if self.model else 0)

    def _find_photographs(
        self, opened: OpenQuery, prefiltered: Prefiltered, stop: Stop
    ) -> FoundPhotographs | None:
        """None where the model knows more than drawn people."""
        manifest = self.model.manifest if self.model else None
        if manifest is None or not manifest.knows_drawn_only:
            return None
        asked = prefiltered.ids[: prefiltered.asked].tolist()
        return self._photographs.look(opened.query.references, asked, stop)

    def find_candidates(
        self, query: Query, *, progress: StepProgress | None = None, stop: Stop | None = None
    ) -> FoundCandidates:
        """CLIP's part of a search: its similarity to every crop, and the candidates, of which nothing was asked yet.

        Evaluation reads every ranker off one such pass. Raises as `search`; ValueError for a query without words and
        pictures.
        """
        if not (query.has_text or query.references):
            raise ValueError("there is nothing to compare crops with: the query has no words and no pictures")
        self._require_encoders()
        query = as_known(query, self.kinds)
        show, stopped = progress or _silent, StopOnce(stop or never)
        began = time.perf_counter()
        ids = self._matching(query)
        total = self.store.count()
        show("encode", 0, 1)
        opened, ids = self._open(query, ids)
        encoded = time.perf_counter()
        show("prefilter", 0, len(ids))
        calibration = opened.calibration
        own = self.clip_attributes.appearance(rows_of(opened.references)) if opened.references else None
        by_reid = reid_rows(opened, self.store, self._reid) if self.reid and opened.by_reid else None
        crops = crops_to_compare(opened, own, by_reid, ids, self.columns, self.clip_attributes, self.store)
        left_out = len(ids) - len(crops.ids)
        if by_reid is not None:
            sample = GalleryAppearance(self.store, spread(ids), self.columns) if left_out else None
            similarity = reid_similarity(opened, by_reid, crops, sample)
        else:
            similarity = query_similarity(query, opened.vector, own, crops, calibration, opened.priors)
        tau = self.tau if not opened.by_reid else None  # it is a cosine by CLIP
        if tau is None:
            tau = calibration.tau if calibration else NO_TAU
        name = self._prefilter_name(query)
        prefiltered = prefilter(crops.ids, similarity, tau=tau, k=self.k, encoder=name, left_out=left_out)
        seconds = (encoded - began, time.perf_counter() - encoded)
        asked = (self.store, self.model, self._fusion, opened, prefiltered, show, stopped)
        candidates = AskedCandidates(*asked, clock=self._clock)
        return FoundCandidates(opened, prefiltered, candidates, total, seconds, stopped)

    def _matching(self, query: Query) -> np.ndarray:
        """int64 ids that the filters pass, without the query's own crops."""
        self.store.refresh()
        own = {reference.image_id for reference in query.references if reference.image_id is not None}
        return self.store.matching(query.filters, exclude=query.rejected | query.confirmed | own)

    def _open(self, query: Query, ids: np.ndarray) -> tuple[OpenQuery, np.ndarray]:
        """The query made ready, and those of `ids` to be searched: without copies of the operator's own file."""
        # To a model that knows the vocabulary alone, other words for the same things say nothing more.
        own = [words for _, words in query.words] if self._reads_free_words else []
        # It would take the clothes of who is with the person for the person's own, where it has words for those.
        alone = not (query.wanted or query.unwanted or query.text.strip())
        company = query.company if self._reads_free_words or alone else ""
        free = ", ".join(part for part in (*own, query.text, company) if part.strip())
        description = query_description(query.wanted, query.unwanted, free)
        crops = reference_crops(query.references, self.store)
        references = tuple(open_reference(r, crops, self.store, self._encoder) for r in query.references)
        calibration = self._calibration(query.kind)
        vector = self._encoder.encode_texts([description])[0] if description else None
        if copies := copies_of(references, ids, self.store):
            ids = ids[~np.isin(ids, list(copies))]
        by_reid = self.reid is not None and bool(references)
        priors = self._priors(ids)
        opened = OpenQuery(query, description, vector, references, calibration, priors, by_reid, copies)
        return opened, ids

    def _priors(self, ids: np.ndarray) -> Priors:
        """How common each value is among the crops searched, or among some of them, evenly spread."""
        return gallery_priors(self.columns.probs(spread(ids)))

    def _calibration(self, kind: str) -> Calibration | None:
        manifest = self.model.manifest if self.model else None
        encoder = prefilter_encoder(kind, self.encoder, self.reid)
        return manifest.calibration(encoder.name, encoder.version, kind) if manifest else None

    def _require_encoders(self) -> None:
        self.store.require_encoder(self.encoder.name, self.encoder.version)
        if self.reid is not None:
            self.store.require_encoder(self.reid.name, self.reid.version, "reid")

    def _prefilter_name(self, query: Query) -> str:
        used = [prefilter_encoder(query.kind, self.encoder, self.reid)]
        if query.has_text and used[0] is not self.encoder:
            used.append(self.encoder)
        return " + ".join(encoder_key(encoder.name, encoder.version) for encoder in used)

    def _list_by_time(self, query: Query, limit: int) -> Ranking:
        """A query of filters alone: earliest first, those without a time last, equal ones by id; nothing is scored."""
        began = time.perf_counter()
        ids = self._matching(query)
        ordered = ids[np.lexsort((ids, self.store.times(ids)))[:limit]]  # NaT comes last
        candidates = tuple(
            Candidate(image_id, similarity=0.0, p_yes=None, probability=None) for image_id in ordered.tolist()
        )
        return Ranking(
            candidates,
            total=self.store.count(),
            searched=len(ids),
            scored=0,
            no_match=False,
            timings=Timings(total=time.perf_counter() - began),
            ranker=None,
            calibrated=False,
            judged=False,
            set_aside=len(self.store.set_aside()),
        )

    @property
    def kinds(self) -> Kinds:
        """The kinds of attributes that are read here, and their values; what else a query says goes along in words."""
        return self.clip_attributes.kinds

    @property
    def reads_attributes(self) -> bool:
        """Whether a search itself reads the attributes of its candidates, which are then remembered."""
        return self.ranker.name == FUSED and self._fusion.weights is not None

    def read(
        self, references: Sequence[Reference], *, stop: Stop | None = None
    ) -> list[tuple[AttributeReading, ...]]:
        """What is read off each picture; nothing where there is no model, and in those that `stop` came before.

        A model that was tuned together with this encoder reads with it.

        Raises:
            RetrievalError: a reference that is gone or cannot be read.
        """
        crops = reference_crops(references, self.store)
        pictures = [reference_picture(reference, crops, self.store) for reference in references]
        if self.model is None or not pictures:
            return [() for _ in pictures]
        try:
            if (weights := self._fusion.weights) is not None:
                model_probs = self.model.attribute_probs(pictures, stop=stop)
                if np.isfinite(model_probs).all():
                    opened = [open_reference(r, crops, self.store, self._encoder) for r in references]
                    seen = self.clip_attributes.appearance(rows_of(opened), model_probs, weights)
                    return [sensible(readings) for readings in likeliest(seen.probs, len(opened))]
            return self.model.annotate(pictures, stop=stop)  # says so where a picture cannot be opened
        except (OSError, ValueError) as error:
            raise _unreadable(error) from None

    @property
    def talks_freely(self) -> bool:
        """Whether there is a model that answers questions in its own words."""
        return self.model is not None and self.model.talks_freely

    def write(
        self,
        messages: list[Message],
        references: Sequence[Reference],
        *,
        limit: int,
        said: Callable[[str], None] = lambda _: None,
        stop: Stop | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> WrittenAnswer:
        """What the model writes about pictures; as ReidModel.write.

        Raises:
            RetrievalError: a reference that is gone or cannot be read. ModelError: it failed, or there is none.
        """
        if self.model is None:
            raise ModelError("there is no model to ask; start with --model")
        crops = reference_crops(references, self.store)
        pictures = [reference_picture(reference, crops, self.store) for reference in references]
        try:
            return self.model.write(messages, pictures, limit=limit, said=said, stop=stop, schema=schema)
        except (OSError, ValueError) as error:
            raise _unreadable(error) from None

    def candidate_probs(self, ids: Sequence[int], *, stop: Stop | None = None) -> Probs:
        """kind -> float64 (values, n): what these crops show, by the readers that rank them; crops that look like one
        person in the same clothes are read together. By CLIP alone where a search does not read them.

        Raises:
            KeyError: an id that is not in the gallery.
        """
        vectors = self.store.vectors(np.asarray(ids, np.int64))
        if not self.reads_attributes:
            return self.clip_attributes.appearance(vectors).probs
        pictures = [crop_picture(crop, self.store) for crop in self.store.crops(ids)]
        return self._fusion.pooled_probs(
            vectors, pictures, self._priors(self.store.matching(Filters())), stop or never
        )

    def warm_up(self) -> None:
        """Load what loads lazily and run each path once, so that the first search is as fast as the next."""
        self.encoder.encode_texts(["a person"])
        if self.model is None:
            return
        manifest = self.model.manifest
        if is_calibrated(manifest, self.encoder.name, self.encoder.version) and self.store.count():
            self.columns.prepare()
        self.model.warm_up()
        if self.ranker.name == BEST_CHOICE:
            self.model.choice_logits("", [GREY], [[GREY, GREY]])
        if self._fusion.weights:
            self.model.attribute_probs([GREY])


def _unreadable(error: OSError | ValueError) -> OSError | ValueError:
    """The error of a picture in words of ours; any other as it is."""
    if not is_picture_error(error):
        return error
    return RetrievalError(
        f"a picture cannot be read: {error}; `python -m gallery_store verify` lists all such"
    )


def _again_if_deleted(step: Callable[[], Result]) -> Result:
    """Once more where a crop was deleted between two of our questions: the refreshed gallery does not list it."""
    try:
        return step()
    except KeyError:
        return step()


def _silent(_step: str, _done: int, _total: int) -> None:
    pass
