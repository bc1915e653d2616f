"""The candidates of one search, and what the model says of them: asked when a ranker wants it, and once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from PIL import Image

from app.model.asked import AskedModel
from app.model.checkpoint import ModelError
from app.model.pictures import Picture
from app.model.reid_model import LONGEST_LIST
from app.retrieval.fusion import Fused, Fusion
from app.retrieval.prefilter import Prefiltered, StopOnce
from app.retrieval.references import MOST_REFERENCES, OpenQuery, crop_picture
from app.retrieval.tournament import LIST_LENGTH, Clock, tournament
from gallery_store.console import StepProgress
from gallery_store.crops import Crop
from gallery_store.decoding import PictureError
from gallery_store.store import GalleryStore


class AskedCandidates:
    """As app.retrieval.rankers.Candidates. Not thread-safe: one search has its own.

    read: whether the model was asked to look at them. unreadable: ids of those whose picture is gone or
    damaged, crops that are searched with among them. progress: called with ("rerank", done, all) or, for the best
    choice, ("choose", done, all) questions; ("attributes", done, all) where what they wear is read.
    """

    def __init__(
        self,
        store: GalleryStore,
        model: AskedModel | None,
        fusion: Fusion,
        query: OpenQuery,
        prefiltered: Prefiltered,
        progress: StepProgress,
        stop: StopOnce,
        clock: Clock = time.perf_counter,
    ) -> None:
        """clock: seconds that this search has computed."""
        self._clock = clock
        self._store, self._model, self._fusion = store, model, fusion
        self._query, self._prefiltered = query, prefiltered
        self._progress, self._stop = progress, stop
        self.read = False
        self._unreadable: set[int] = set()

    @property
    def similarities(self) -> np.ndarray:
        return self._prefiltered.similarities[: self._prefiltered.asked]

    @cached_property
    def pictures(self) -> list[Picture]:
        ids = self._prefiltered.ids[: self._prefiltered.asked].tolist()
        some = self._store.crops(ids)
        self._unreadable |= self._store.absent(some)
        return [self._noted(crop) for crop in some]

    def _noted(self, crop: Crop) -> Picture:
        """The crop's picture, noted where it cannot be read."""
        picture = crop_picture(crop, self._store)

        def load() -> Image.Image:
            try:
                return picture.load()
            except (OSError, ValueError):
                self._unreadable.add(crop.id)
                raise

        return Picture(picture.key, load)

    @property
    def unreadable(self) -> frozenset[int]:
        _ = self.pictures
        own = [r.image_id for r in self._query.references if r.image_id is not None]
        return self._store.absent(self._store.crops(own)) | self._unreadable

    @cached_property
    def yes_logits(self) -> np.ndarray:
        """Averaged over the latest references. Raises ModelError where the model cannot load."""
        if self._model is None:
            return self._nothing
        self.read = True
        return yes_logits(self._model, self._query, self.pictures, self._progress, self._stop)

    def known(self, name: str) -> np.ndarray:
        """`yes_logits`, `choice_scores` or `attribute_score` if it was asked for; else NaN for each."""
        return vars(self).get(name, self._nothing)

    @cached_property
    def choice_scores(self) -> np.ndarray:
        """Raises ModelError where the model cannot load."""
        if self._model is None:
            return self._nothing
        self.read = True
        return choice_scores(self._model, self._query, self.pictures, self._progress, self._stop, self._clock)

    @cached_property
    def attribute_score(self) -> np.ndarray:
        calibration = self._query.calibration
        if calibration is None or not calibration.attribute_score:
            return np.zeros(self._prefiltered.asked)
        self._read_attributes()
        score = self._fusion.attribute_score(self._query, self.pictures, self._stop)
        return calibration.attribute_score * score

    @cached_property
    def fused(self) -> Fused:
        if self._query.calibration is None or not self._fusion.weights or not len(self.similarities):
            return Fused(self.similarities)
        self._read_attributes()
        return self._fusion.fuse(self._query, self._prefiltered, self.pictures, self._stop)

    def _read_attributes(self) -> None:
        """The model reads them now, where it can be seen how far it is; it remembers what it read."""
        self.read = True
        if self._model is not None:
            self._model.attribute_probs(
                self.pictures,
                stop=self._stop,
                progress=lambda done, total: self._progress("attributes", done, total),
            )

    @property
    def _nothing(self) -> np.ndarray:
        return np.full(self._prefiltered.asked, np.nan)


def yes_logits(
    model: AskedModel, query: OpenQuery, pictures: Sequence[Picture], progress: StepProgress, stop: StopOnce
) -> np.ndarray:
    """float64 (n,): logit("Yes") - logit("No"), averaged over the latest references; NaN where there is none.

    progress: called with ("rerank", done, all).

    Raises:
        ModelError: the model cannot load.
    """
    nothing = np.full(len(pictures), np.nan)
    if not pictures or stop():
        return nothing
    questions = [[reference.picture] for reference in query.references[-MOST_REFERENCES:]] or [[]]
    answers: list[np.ndarray] = []
    for number, query_pictures in enumerate(questions):
        done_before = number * len(pictures)

        def report(done: int, _: int, done_before: int = done_before) -> None:
            progress("rerank", done_before + done, len(questions) * len(pictures))

        try:
            answer = model.yes_logits(
                query.description,
                query_pictures,
                pictures,
                other_clothes=query.query.other_clothes,
                stop=stop,
                progress=report,
            )
        except (OSError, ValueError) as error:
            if not is_picture_error(error):
                raise
            continue  # this reference's file has vanished; its vector still counts
        if stop.stopped and answers:
            break  # some candidates were asked with one reference more: not comparable
        answers.append(answer)
        if stop.stopped:
            break
    return np.stack(answers).astype(np.float64).mean(axis=0) if answers else nothing


def choice_scores(
    model: AskedModel,
    query: OpenQuery,
    pictures: Sequence[Picture],
    progress: StepProgress,
    stop: StopOnce,
    clock: Clock,
) -> np.ndarray:
    """float64 (n,): the worth of each candidate in a tournament of lists (section 3.3), in nats; NaN for pictures
    that cannot be opened, and for all where it was stopped before each was shown.

    progress: called with ("choose", done, all) questions.

    Raises:
        ModelError: the model cannot load.
    """
    scores = np.full(len(pictures), np.nan)
    if not pictures or stop():
        return scores
    latest = [reference.picture for reference in query.references[-MOST_REFERENCES:]]
    can_open = model.can_open([*latest, *pictures], stop=stop)
    if stop.stopped:
        return scores
    own = [picture for picture, ok in zip(latest, can_open, strict=False) if ok]
    if not (own or query.description):
        return scores  # its pictures have vanished, their vectors still count
    places = np.flatnonzero(can_open[len(latest) :])
    if len(places):
        scores[places] = tournament(
            len(places),
            lambda lists: model.choice_logits(
                query.description,
                own,
                [[pictures[places[one]] for one in shown] for shown in lists],
                other_clothes=query.query.other_clothes,
            ),
            list_length=min(LIST_LENGTH, LONGEST_LIST - len(own)),
            stop=stop,
            progress=lambda done, total: progress("choose", done, total),
            clock=clock,
        )
    return scores


def is_picture_error(error: Exception) -> bool:
    """Whether it is a file that failed, and not the model."""
    return isinstance(error, (OSError, PictureError)) and not isinstance(error, ModelError)
