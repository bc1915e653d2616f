"""From fitted weights to a probability."""

import math

import numpy as np
import pytest

from app.retrieval.calibration import Calibration, clip_log_odds, log_odds, sigmoid


def test_a_probability_is_the_logistic_of_any_log_odds():
    assert sigmoid(np.array([-1e4, 0, 1e4])).tolist() == [0, 0.5, 1]
    odds = np.linspace(-30, 30, 61)
    chance = sigmoid(odds)
    assert (np.diff(chance) > 0).all()
    np.testing.assert_allclose(np.log(chance / (1 - chance))[10:51], odds[10:51], rtol=1e-6)
    assert chance[32] == pytest.approx(1 / (1 + math.exp(-2)))


def test_log_odds_add_up_what_each_signal_weighs():
    weights = fitted(yes_logit=0.5, similarity=4.0, bias=-1.0, rarity=0.25)
    words, similarities = np.array([2.0, -2.0]), np.array([0.5, 0.0])
    assert log_odds(weights, words, similarities).tolist() == [2.0, -2.0]
    assert log_odds(weights, words, similarities, 4.0).tolist() == [3.0, -1.0]
    assert clip_log_odds(weights, similarities).tolist() == [2.0, -0.5]


def fitted(**values):
    return Calibration(**{"clip_similarity": 5.0, "clip_bias": -0.5, "tau": 0.1, "threshold": 0.5, **values})
