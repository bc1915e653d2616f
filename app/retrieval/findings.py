"""What one pass over the gallery found out about a query, before anything is ranked by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.model.manifest import Calibration
from app.retrieval.prefilter import Prefiltered
from app.retrieval.references import OpenReference
from app.retrieval.values import Timings


@dataclass(frozen=True)
class Findings:
    """One query's prefiltered candidates and the model's word on them; every ranker reads the same ones.

    found: all searched crops in CLIP's order. words: float64 (found.asked,), log-odds of "Yes", NaN where the
    model gave none. near: float32 (found.asked,), their similarity with what the model reads too, and together with
    their kin; CLIP's where it does not. kinship: float64 (found.asked, found.asked), the chances that two of them
    show one person in the same clothes; None where nobody tells. apart: float64 (found.asked,), 0 or less, the
    log-chances that they show nobody who was rejected; None where nobody was. calibration: of this kind of query; None
    for a model without one. description, references: as CLIP and the model were asked. rarity: of what the words tell,
    in this gallery. total: crops in the gallery. timings: `rerank` is the words'.
    """

    found: Prefiltered
    words: np.ndarray
    near: np.ndarray
    kinship: np.ndarray | None
    apart: np.ndarray | None
    calibration: Calibration | None
    description: str
    references: tuple[OpenReference, ...]
    rarity: float
    total: int
    timings: Timings
    stopped: bool
