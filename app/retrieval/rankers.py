"""Section 4.1 of the paper: CLIP prefilters by tau, Qwen2-VL ranks what passes, by P(yes) or by best choice.

A ranker takes the question and the candidates' pictures. `pairwise` asks "is this the same person?" of each candidate
and scores by logit("Yes") - logit("No"); `best_choice` asks several times for the best of a list (section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.model.checkpoint import ModelError
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.retrieval.references import MOST_REFERENCES, OpenReference
from gallery_store.console import StepProgress
from gallery_store.decoding import PictureError

FEW = 12  # looked at where nothing passes tau
LIST_LENGTH = 8  # candidates shown in one best-choice question

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Prefiltered:
    """The searched crops in CLIP's order.

    ids int64 (n,) and similarities float32 (n,), most similar first, equal ones by id; the first `asked`
    of them go to the model. passed: whether any is more similar than tau.
    """

    ids: np.ndarray
    similarities: np.ndarray
    asked: int
    passed: bool


def prefilter(ids: np.ndarray, similarities: np.ndarray, *, tau: float, k: int) -> Prefiltered:
    """Order by similarity and take those above tau, at most k; the best few where none passes."""
    order = np.lexsort((ids, -similarities))
    ids, similarities = ids[order], similarities[order]
    above = int((similarities > tau).sum())
    return Prefiltered(ids, similarities, min(above or FEW, k, len(ids)), bool(above))


class StopOnce:
    """Asks the caller's stop, and remembers a yes in `stopped`."""

    def __init__(self, ask: Stop) -> None:
        self._ask = ask
        self.stopped = False

    def __call__(self) -> bool:
        self.stopped = self.stopped or self._ask()
        return self.stopped


def pairwise(
    model: ReidModel | None,
    description: str,
    references: Sequence[OpenReference],
    candidates: Sequence[Picture],
    progress: StepProgress,
    stop: StopOnce,
    *,
    other_clothes: bool = False,
) -> np.ndarray:
    """float64 (n,): logit("Yes") - logit("No"), averaged over the latest references; NaN where there is none.

    progress: called with ("rerank", done, all). other_clothes: as app.retrieval.query.Query has it.

    Raises:
        ModelError: the model cannot load.
    """
    nothing = np.full(len(candidates), np.nan)
    if model is None or not candidates or stop():
        return nothing
    questions = [[reference.picture] for reference in references[-MOST_REFERENCES:]] or [[]]
    answers: list[np.ndarray] = []
    for number, query_pictures in enumerate(questions):
        done_before = number * len(candidates)

        def report(done: int, _: int, done_before: int = done_before) -> None:
            progress("rerank", done_before + done, len(questions) * len(candidates))

        try:
            yes_logits = model.yes_logits(
                description,
                query_pictures,
                candidates,
                other_clothes=other_clothes,
                stop=stop,
                progress=report,
            )
        except (OSError, ValueError) as error:
            if not is_picture_error(error):
                raise
            continue  # this reference's file has vanished; its vector still counts
        if stop.stopped and answers:
            break  # some candidates were asked with one reference more: not comparable
        answers.append(yes_logits)
        if stop.stopped:
            break
    return np.stack(answers).astype(np.float64).mean(axis=0) if answers else nothing


def best_choice(
    model: ReidModel,
    description: str,
    references: Sequence[OpenReference],
    candidates: Sequence[Picture],
    *,
    other_clothes: bool = False,
    list_length: int = LIST_LENGTH,
    stop: Stop | None = None,
) -> np.ndarray:
    """int64 (n,): places of the candidates, best first: those that the model chose in the order of its choice, then
    the rest as they came.

    Raises:
        ModelError: the model cannot load. OSError, ValueError: a picture cannot be opened.
    """
    query_pictures = [reference.picture for reference in references[-MOST_REFERENCES:]]
    choice = model.best_choice(
        description,
        query_pictures,
        candidates,
        other_clothes=other_clothes,
        list_length=list_length,
        stop=stop,
    )
    return np.array(choice.order, np.int64)


def is_picture_error(error: Exception) -> bool:
    """Whether it is a file that failed, and not the model."""
    return isinstance(error, (OSError, PictureError)) and not isinstance(error, ModelError)
