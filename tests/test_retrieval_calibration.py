"""From fitted weights to a probability."""

import math
from dataclasses import replace

import numpy as np
import pytest

from app.retrieval.calibration import Calibration, clip_log_odds, log_odds, sigmoid, strangers
from app.retrieval.prefilter import prefilter
from app.retrieval.ranking import SearchTrace, rank_candidates
from training.evaluation.calibration_error import reliability


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


def test_more_strangers_take_off_and_fewer_add_nothing():
    over_100 = fitted(yes_logit=1.0, similarity=1.0, bias=0.0, crops=100)
    assert [strangers(over_100, searched) for searched in (0, 50, 100)] == [0, 0, 0]
    assert strangers(over_100, 1000) == pytest.approx(math.log(10))
    assert strangers(fitted(yes_logit=1.0, similarity=1.0, bias=0.0), 10**6) == 0


def test_a_figure_says_how_many_are_right_however_many_strangers_there_are():
    """One right crop among N: P = 1 / (1 + (N - 1) * ratio of densities); by what was fitted over 300 crops."""
    fitted_over, away = 300, 3.0
    by_law = fitted(
        yes_logit=0.0, similarity=away, bias=-(away**2) / 2 - math.log(fitted_over - 1), threshold=0.5
    )
    by_law = replace(by_law, clip_similarity=by_law.similarity, clip_bias=by_law.bias, tau=-100.0)
    rng, alarms = np.random.default_rng(4), {}
    for count in (300, 6000):
        errors, weak = {}, {}
        for crops in (0, fitted_over):
            calibration = replace(by_law, crops=crops)
            chances, right, told = [], [], 0
            for _ in range(300):
                seen = np.append(rng.normal(0, 1, count - 1), rng.normal(away, 1)).astype(np.float32)
                near = prefilter(np.arange(count), seen, tau=-100.0, k=64)
                odds = log_odds(calibration, np.zeros(64), near.similarities[:64])
                ranked = rank_candidates(SearchTrace(near, odds, "fused", calibration, np.zeros(64)), 12)
                chances += [one.probability for one in ranked.candidates]
                right += [one.image_id == count - 1 for one in ranked.candidates]
                told += ranked.no_match
            errors[crops], weak[crops] = reliability(np.array(chances), np.array(right)).ece, told
        assert errors[fitted_over] < 0.02, count
        assert count == fitted_over or errors[0] > 0.15
        alarms[count] = weak[fitted_over]
    assert alarms[6000] <= alarms[300]  # whoever is there fits as well as before


def fitted(**values):
    return Calibration(**{"clip_similarity": 5.0, "clip_bias": -0.5, "tau": 0.1, "threshold": 0.5, **values})
