"""The final order: what the model was asked about by calibrated log-odds, the rest in CLIP's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.model.manifest import Calibration
from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from app.retrieval.prefilter import Prefiltered
from app.retrieval.values import Candidate

LIKELY_KIN = 0.5  # from this chance on a crop is named as a candidate's kin
MOST_KIN = 6
UNCALIBRATED_THRESHOLD = 0.5  # of a model's own P(yes)


@dataclass(frozen=True)
class Reranked:
    """candidates, best first; scored: how many the model read; nobody_fits: as in Ranking."""

    candidates: tuple[Candidate, ...]
    scored: int
    nobody_fits: bool


def order_head(
    found: Prefiltered,
    words: np.ndarray,
    calibration: Calibration | None,
    near: np.ndarray | None = None,
    rarity: float = 0.0,
    apart: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The candidates that the model read, best first. near, rarity, apart: as in Findings; None for CLIP's similarity
    and for nobody rejected.

    Returns:
        places int64 (n,) in `found`, and their log-odds float64 (n,): calibrated, or without a calibration
        the word's own. Ties fall to the more similar, then to the smaller id: CLIP's order is just that.
    """
    asked = np.arange(found.asked)[np.isfinite(words)]
    words = np.asarray(words, np.float64)[asked]
    similar = (found.similarities if near is None else near)[asked]
    odds = words if calibration is None else log_odds(calibration, words, similar, rarity)
    if apart is not None:
        odds = odds + apart[asked]
    best = np.argsort(-odds, kind="stable")
    return asked[best], odds[best]


def rerank(
    found: Prefiltered,
    words: np.ndarray,
    calibration: Calibration | None,
    *,
    limit: int,
    near: np.ndarray | None = None,
    rarity: float = 0.0,
    kinship: np.ndarray | None = None,
    apart: np.ndarray | None = None,
) -> Reranked:
    """Put the words on the prefiltered candidates.

    Args:
        found: candidates in CLIP's order.
        words: float (found.asked,) log-odds of "Yes"; NaN where the model gave none.
        calibration: None orders by the word alone and takes its P(yes) for the probability.
        limit: how many candidates to return.
        near: float (found.asked,), their similarity with what the model reads too; None for CLIP's.
        rarity: of what the query's words tell, in this gallery.
        kinship: float (found.asked, found.asked), as in Findings; None where nobody tells.
        apart: float (found.asked,), as in Findings; None where nobody was rejected.
    """
    head, odds = order_head(found, words, calibration, near, rarity, apart)
    words = np.asarray(words, np.float64)[head]
    if calibration is not None:
        rest_of = sigmoid(clip_log_odds(calibration, found.similarities))
        threshold = calibration.threshold
    else:
        threshold = UNCALIBRATED_THRESHOLD
        rest_of = np.clip(found.similarities.astype(np.float64), 0, 1)
    is_rest = np.ones(len(found.ids), bool)
    is_rest[head] = False
    places = np.concatenate([head, np.flatnonzero(is_rest)])[:limit]
    chances = np.concatenate([sigmoid(odds), rest_of[is_rest]])[: len(places)]
    chances = np.minimum.accumulate(chances) if len(chances) else chances
    says = np.concatenate([sigmoid(words), np.full(int(is_rest.sum()), np.nan)])[: len(places)]
    # Without a calibration and without a word there is no belief to speak of.
    believes = calibration is not None or len(head) > 0
    weak = (chances < threshold) & believes | (not found.passed)
    candidates = tuple(
        Candidate(
            image_id=int(found.ids[place]),
            similarity=float(found.similarities[place]),
            word=None if np.isnan(word) else float(word),
            probability=float(chance),
            weak=bool(faint),
            kin=_kin_of(int(place), found, kinship),
        )
        for place, word, chance, faint in zip(places, says, chances, weak, strict=True)
    )
    nobody = not candidates or not found.passed or bool(believes and chances[0] < threshold)
    return Reranked(candidates, len(head), nobody)


def _kin_of(place: int, found: Prefiltered, kinship: np.ndarray | None) -> tuple[int, ...]:
    """Image ids of a candidate's likely kin, the likeliest first."""
    if kinship is None or place >= len(kinship):
        return ()
    order = np.argsort(-kinship[place], kind="stable")
    likely = [other for other in order if other != place and kinship[place, other] >= LIKELY_KIN]
    return tuple(int(found.ids[other]) for other in likely[:MOST_KIN])
