"""Metrics against hand-computed cases and the edge cases of the field."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.metrics import evaluate


def test_by_hand():
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    found = evaluate(scores, np.array([1]), np.array([2, 1, 2, 1]))
    assert found.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (found.rank1, found.rank5, found.mINP) == (0.0, 1.0, pytest.approx(2 / 4))


def test_crops_of_the_same_person_by_the_same_camera_are_junk():
    scores = np.array([[0.9, 0.8, 0.7]])
    found = evaluate(scores, np.array([1]), np.array([1, 2, 1]), np.array([3]), np.array([3, 3, 4]))
    assert found.mAP == pytest.approx(1 / 2)
    only = evaluate(scores, np.array([1]), np.array([1, 2, 1]), np.array([3]), np.array([3, 3, 3]))
    assert (only.without_match, only.queries, only.mAP) == (1, 1, 0.0)


def test_ties_go_by_gallery_order_and_a_gallery_may_be_small():
    found = evaluate(np.zeros((1, 3)), np.array([1]), np.array([2, 2, 1]))
    assert found.mAP == pytest.approx(1 / 3)
    assert found.rank10 == 1.0


@pytest.mark.parametrize("scores", [np.zeros((2, 3)), np.full((1, 3), np.nan), np.zeros((1, 0))])
def test_wrong_input_is_refused(scores):
    with pytest.raises(ValueError, match="scores"):
        evaluate(scores, np.array([1]), np.arange(scores.shape[1] if scores.shape[0] == 1 else 4))


def oracle(scores, query_ids, gallery_ids, query_cameras, gallery_cameras):
    """As slow and plain as can be."""
    averages = []
    for q, person in enumerate(query_ids):
        ranked = sorted(range(len(gallery_ids)), key=lambda g: (-scores[q][g], g))
        ranked = [
            g for g in ranked if not (gallery_ids[g] == person and gallery_cameras[g] == query_cameras[q])
        ]
        right, precisions = 0, []
        for place, g in enumerate(ranked, 1):
            if gallery_ids[g] == person:
                right += 1
                precisions.append(right / place)
        if precisions:
            averages.append(sum(precisions) / len(precisions))
    return sum(averages) / len(averages) if averages else 0.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_against_the_oracle(seed, queries, gallery):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (queries, gallery)) / 4
    arrays = [rng.integers(0, 3, n) for n in (queries, gallery, queries, gallery)]
    assert evaluate(scores, *arrays).mAP == pytest.approx(oracle(scores, *arrays))
