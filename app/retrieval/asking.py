"""Asking the model whether candidates show the person sought: with several references, and until it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from app.model.errors import ModelError
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.retrieval.references import MOST_REFERENCES, OpenReference
from gallery_store.decoding import PictureError

Progress = Callable[[str, int, int], None]  # step, done, all
Stop = Callable[[], bool]


class StopOnce:
    """Asks the caller's stop and remembers a yes."""

    def __init__(self, ask: Stop) -> None:
        self._ask = ask
        self.said = False

    def __call__(self) -> bool:
        self.said = self.said or self._ask()
        return self.said


def ask_words(
    model: ReidModel | None,
    description: str,
    references: Sequence[OpenReference],
    pictures: Sequence[Picture],
    progress: Progress,
    stop: StopOnce,
) -> np.ndarray:
    """float64 (n,): log-odds of "Yes", averaged over the latest references; NaN where there is none."""
    none = np.full(len(pictures), np.nan)
    if model is None or not pictures or stop():
        return none
    asked = [[reference.picture] for reference in references[-MOST_REFERENCES:]] or [[]]
    heard: list[np.ndarray] = []
    for number, query_pictures in enumerate(asked):
        done = number * len(pictures)

        def report(batch: int, _: int, done: int = done) -> None:
            progress("rerank", done + batch, len(asked) * len(pictures))

        try:
            words = model.words(description, query_pictures, pictures, stop=stop, progress=report)
        except (OSError, ValueError) as error:
            if not is_picture_error(error):
                raise
            continue  # this reference's file has vanished; its vector still counts
        if stop.said and heard:
            break  # some candidates were asked with one reference more: not comparable
        heard.append(words)
        if stop.said:
            break
    return np.stack(heard).astype(np.float64).mean(axis=0) if heard else none


def is_picture_error(error: Exception) -> bool:
    """Whether it is a file that failed, and not the model."""
    return isinstance(error, (OSError, PictureError)) and not isinstance(error, ModelError)
