"""The multi-turn best choice of section 3.3, over the candidates of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from app.retrieval.findings import Findings
from app.retrieval.references import MOST_REFERENCES, crop_picture

if TYPE_CHECKING:
    from app.retrieval.engine import Engine

LIST_LENGTH = 8  # candidates shown in one question


def choose(
    engine: Engine,
    told: Findings,
    *,
    list_length: int = LIST_LENGTH,
    stop: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Every searched crop's id, int64, best first: those that the model chose in the order of its choice, the
    rest of the candidates and the tail in CLIP's order. Without a model all are in CLIP's order.

    Raises:
        ModelError: the model cannot load. OSError, ValueError: a picture cannot be opened.
    """
    ids = told.found.ids.copy()
    if engine.model is None or not told.found.asked:
        return ids
    head = ids[: told.found.asked]
    pictures = [crop_picture(crop) for crop in engine.store.crops(head.tolist())]
    asked_with = [reference.picture for reference in told.references[-MOST_REFERENCES:]]
    choice = engine.model.best_choice(
        told.description, asked_with, pictures, list_length=list_length, stop=stop
    )
    ids[: told.found.asked] = head[list(choice.order)]
    return ids
