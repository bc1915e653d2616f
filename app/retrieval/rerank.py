"""The final order: what the model was asked about by calibrated log-odds, the rest in CLIP's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.model.manifest import Calibration
from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from app.retrieval.prefilter import Prefiltered
from app.retrieval.values import Candidate

UNCALIBRATED_THRESHOLD = 0.5  # of a model's own P(yes)


@dataclass(frozen=True)
class Reranked:
    """candidates, best first; scored: how many the model read; nobody_fits: as in Ranking."""

    candidates: tuple[Candidate, ...]
    scored: int
    nobody_fits: bool


def rerank(found: Prefiltered, words: np.ndarray, calibration: Calibration | None, *, limit: int) -> Reranked:
    """Put the words on the prefiltered candidates.

    Args:
        found: candidates in CLIP's order.
        words: float (found.asked,) log-odds of "Yes"; NaN where the model gave none.
        calibration: None orders by the word alone and takes its P(yes) for the probability.
        limit: how many candidates to return.
    """
    asked = np.arange(found.asked)[np.isfinite(words)]
    words = np.asarray(words, np.float64)[asked]
    if calibration is not None:
        odds = log_odds(calibration, words, found.similarities[asked])
        rest_of = sigmoid(clip_log_odds(calibration, found.similarities))
        threshold = calibration.threshold
    else:
        odds, threshold = words, UNCALIBRATED_THRESHOLD
        rest_of = np.clip(found.similarities.astype(np.float64), 0, 1)
    # Ties fall to the more similar, then to the smaller id: the prefiltered order is just that.
    best = np.argsort(-odds, kind="stable")
    head = asked[best]
    is_rest = np.ones(len(found.ids), bool)
    is_rest[asked] = False
    places = np.concatenate([head, np.flatnonzero(is_rest)])[:limit]
    chances = np.concatenate([sigmoid(odds[best]), rest_of[is_rest]])[: len(places)]
    chances = np.minimum.accumulate(chances) if len(chances) else chances
    says = np.concatenate([sigmoid(words[best]), np.full(int(is_rest.sum()), np.nan)])[: len(places)]
    # Without a calibration and without a word there is no belief to speak of.
    believes = calibration is not None or len(asked) > 0
    weak = (chances < threshold) & believes | (not found.passed)
    candidates = tuple(
        Candidate(
            image_id=int(found.ids[place]),
            similarity=float(found.similarities[place]),
            word=None if np.isnan(word) else float(word),
            probability=float(chance),
            weak=bool(faint),
        )
        for place, word, chance, faint in zip(places, says, chances, weak, strict=True)
    )
    nobody = not candidates or not found.passed or bool(believes and chances[0] < threshold)
    return Reranked(candidates, len(asked), nobody)
