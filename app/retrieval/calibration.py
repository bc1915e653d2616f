"""From the model's answer and a similarity to a probability, by the weights that training.calibration fitted.

Weights are never negative, so that P(yes) can only help: where it says nothing, the fit gives it a weight of 0 and
CLIP's order stands.
"""

from __future__ import annotations

import numpy as np

from app.model.checkpoint import Calibration


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """float64, without overflow."""
    half = np.tanh(np.asarray(log_odds, np.float64) / 2)
    return (1 + half) / 2


def log_odds(
    calibration: Calibration,
    model_logits: np.ndarray,
    similarities: np.ndarray,
    rarity: np.ndarray | float = 0.0,
) -> np.ndarray:
    """float64 (n,) of P(same person) for candidates that the model was asked about.

    model_logits: logit("Yes") - logit("No"), with the attribute score. rarity: how rare is what the words say, nats.
    """
    logits, similarities = np.asarray(model_logits, np.float64), np.asarray(similarities, np.float64)
    by_rarity = calibration.rarity * np.asarray(rarity, np.float64)
    return (
        calibration.yes_logit * logits + calibration.similarity * similarities + by_rarity + calibration.bias
    )


def clip_log_odds(calibration: Calibration, similarities: np.ndarray) -> np.ndarray:
    """float64 (n,) of P(same person) from the prefilter's similarity alone."""
    return calibration.clip_similarity * np.asarray(similarities, np.float64) + calibration.clip_bias
