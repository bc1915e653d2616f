"""k-reciprocal re-ranking against the paper's published procedure, written plainly with matrices of all pairs."""

import numpy as np
import pytest

from training.evaluation.k_reciprocal import k_reciprocal
from training.evaluation.metrics import evaluate


def oracle(queries, gallery, k1, k2, weight):
    """Zhong et al., section 3, step by step."""
    rows = np.concatenate([queries, gallery]).astype(np.float64)
    count = len(rows)
    distance = np.maximum(2 - 2 * rows @ rows.T, 0)
    distance = distance / distance.max(1, keepdims=True)
    ranking = [sorted(range(count), key=lambda j, i=i: (j != i, distance[i, j], j)) for i in range(count)]

    def mutual(i, k):
        return {j for j in ranking[i][: k + 1] if i in ranking[j][: k + 1]}

    codes = np.zeros((count, count))
    for i in range(count):
        members = set(mutual(i, k1))
        for j in mutual(i, k1):
            theirs = mutual(j, int(np.around(k1 / 2)))
            if len(theirs & mutual(i, k1)) > 2 / 3 * len(theirs):
                members |= theirs
        for j in members:
            codes[i, j] = np.exp(-distance[i, j] if i != j else 0)
        codes[i] /= codes[i].sum()
    codes = np.stack([codes[ranking[i][:k2]].mean(0) for i in range(count)])
    scores = np.zeros((len(queries), len(gallery)))
    for q in range(len(queries)):
        for g in range(len(gallery)):
            other = len(queries) + g
            shared = np.minimum(codes[q], codes[other]).sum()
            jaccard = 1 - shared / np.maximum(codes[q], codes[other]).sum()
            scores[q, g] = -((1 - weight) * jaccard + weight * distance[q, other])
    return scores


def people(rng, count, views, noise):
    centres = rng.standard_normal((count, 16))
    ids = np.repeat(np.arange(count), views)
    rows = centres[ids] + noise * rng.standard_normal((len(ids), 16))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), ids


@pytest.mark.parametrize(
    ("k1", "k2", "weight"), [(20, 6, 0.3), (5, 1, 0.0), (3, 2, 1.0), (1, 9, 0.5), (60, 3, 0.3)]
)
def test_against_the_oracle(k1, k2, weight):
    rng = np.random.default_rng(k1)
    rows, _ = people(rng, 8, 6, 0.7)
    queries, gallery = rows[::4], np.delete(rows, np.s_[::4], 0)
    scores = np.concatenate(list(k_reciprocal(queries, gallery, k1=k1, k2=k2, weight=weight)))
    assert scores.dtype == np.float32
    assert scores == pytest.approx(oracle(queries, gallery, k1, k2, weight), abs=1e-6)


def test_it_finds_more_of_a_person_than_the_distance_alone():
    rows, ids = people(np.random.default_rng(0), 30, 8, 1.1)
    query = np.arange(len(ids)) % 8 == 0
    plain = evaluate(rows[query] @ rows[~query].T, ids[query], ids[~query])
    scores = np.concatenate(list(k_reciprocal(rows[query], rows[~query])))
    assert evaluate(scores, ids[query], ids[~query]).mAP > plain.mAP + 0.02


def test_a_gallery_smaller_than_k_and_equal_pictures():
    row = np.ones((1, 4), np.float32) / 2
    assert np.isfinite(next(k_reciprocal(row, np.repeat(row, 3, 0)))).all()


def test_wrong_options_are_refused_at_once():
    row = np.ones((1, 4)) / 2
    with pytest.raises(ValueError, match="weight"):
        k_reciprocal(row, row, weight=2)
    with pytest.raises(ValueError, match="dimension"):
        k_reciprocal(row, np.ones((2, 3)))
