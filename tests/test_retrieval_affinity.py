"""Crops that speak for one another, against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.checkpoint import AffinityWeights
from app.model.vocabulary import KINDS, Attribute
from app.retrieval.affinity import (
    SUREST,
    affinity,
    pooled_crops,
    pooled_model_probs,
    pooled_query,
    rejection_penalty,
    same_attributes,
    same_outfit,
)
from app.retrieval.attribute_probs import (
    MOST_RATIO,
    LazyProbs,
    PictureAppearance,
    by_kinds,
    gallery_priors,
    log_stated,
)

WEIGHTS = AffinityWeights(cosine=2.0, attributes=6.0, bias=-2.0)
STRANGERS = AffinityWeights(cosine=0.0, attributes=0.0, bias=-60.0)
CERTAIN = AffinityWeights(cosine=0.0, attributes=400.0, bias=-20.0)


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.ones(len(values)), count) for values in KINDS.values()], 1)


def appearance(count, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return PictureAppearance(
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True), by_kinds(rows(count, seed))
    )


def plain_probability(first, second, one, other, priors):
    """Of picture `one` of the first and `other` of the second."""
    total = 0.0
    for kind, values in KINDS.items():
        ratio = sum(
            first.probs[kind][v, one] * second.probs[kind][v, other] / priors[kind][v]
            for v in range(len(values))
        )
        total += min(max(math.log(ratio), -MOST_RATIO), MOST_RATIO)
    odds = WEIGHTS.cosine * float(first.vectors[one] @ second.vectors[other])
    odds += WEIGHTS.attributes * total / (len(KINDS) * MOST_RATIO) + WEIGHTS.bias
    return 1 / (1 + math.exp(-odds))


def plain_mean(vectors, shares, weights):
    """The unit mean of rows, and each kind's shares: the normalised geometric mean."""
    weights = np.asarray(weights) / sum(weights)
    mean = sum(w * v for w, v in zip(weights, vectors, strict=True))
    by_kind = {}
    for kind in KINDS:
        product = math.prod(s[kind] ** w for s, w in zip(shares, weights, strict=True))
        by_kind[kind] = product / product.sum()
    return mean / np.linalg.norm(mean), by_kind


def test_each_crop_is_the_mean_of_its_outfit_weighed_by_affinity():
    crops, own = appearance(5), appearance(2, 1)
    priors = gallery_priors(by_kinds(rows(20, 2)))
    found = pooled_crops(crops, affinity(crops, WEIGHTS, priors))
    joined = pooled_query(own, crops, WEIGHTS, priors)
    shares = [{kind: crops.probs[kind][:, i] for kind in KINDS} for i in range(5)]
    for i in range(5):
        weights = [1 if i == j else plain_probability(crops, crops, i, j, priors) for j in range(5)]
        vector, by_kind = plain_mean(crops.vectors, shares, weights)
        np.testing.assert_allclose(found.vectors[i], vector, atol=1e-5)
        for kind in KINDS:
            np.testing.assert_allclose(found.probs[kind][:, i], by_kind[kind], atol=1e-8)
    for i in range(2):  # a picture of the query, with its outfit among the crops, not among the pictures
        weights = [1, *(plain_probability(own, crops, i, j, priors) for j in range(5))]
        mine = {kind: own.probs[kind][:, i] for kind in KINDS}
        vector, by_kind = plain_mean([own.vectors[i], *crops.vectors], [mine, *shares], weights)
        np.testing.assert_allclose(joined.vectors[i], vector, atol=1e-5)
        for kind in KINDS:
            np.testing.assert_allclose(joined.probs[kind][:, i], by_kind[kind], atol=1e-8)


def test_strangers_stay_as_they_are():
    crops, own = appearance(4), appearance(1, 1)
    priors = gallery_priors(crops.probs)
    found = pooled_crops(crops, affinity(crops, STRANGERS, priors))
    joined = pooled_query(own, crops, STRANGERS, priors)
    for before, after in ((crops, found), (own, joined)):
        np.testing.assert_allclose(after.vectors, before.vectors, atol=1e-6)
        for kind in KINDS:
            np.testing.assert_allclose(after.probs[kind], before.probs[kind], atol=1e-8)
    read = rows(4, 3)
    np.testing.assert_allclose(pooled_model_probs(read, STRANGERS, priors), read, atol=1e-8)


def test_what_one_crop_hides_others_of_its_outfit_show():
    """Two crops alike in all but the bag, which one of them hardly shows, and a third of somebody else."""
    read = np.full((3, sum(map(len, KINDS.values()))), 1e-4)
    first = 0
    for kind, values in KINDS.items():
        for crop in range(3):
            read[crop, first + (crop == 2)] = 1
        if kind == "bag":
            read[1, first : first + len(values)] = 1 / len(values)
            bag = slice(first, first + len(values))
        first += len(values)
    priors = gallery_priors(by_kinds(rows(50, 4)))
    found = pooled_model_probs(read, CERTAIN, priors)
    assert found[1, bag][0] > 0.9 > 0.3 > read[1, bag][0]
    np.testing.assert_allclose(found[2], read[2], atol=2e-3)


def test_a_crop_that_was_not_read_speaks_for_nobody():
    read, priors = rows(4, 5), gallery_priors(by_kinds(rows(50, 4)))
    without = pooled_model_probs(read[[0, 1, 3]], WEIGHTS, priors)
    read[2] = np.nan
    found = pooled_model_probs(read, WEIGHTS, priors)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[[0, 1, 3]], without)
    assert np.isnan(pooled_model_probs(np.full_like(read, np.nan), WEIGHTS, priors)).all()
    assert pooled_model_probs(read[:0], WEIGHTS, priors).shape == read[:0].shape


def test_the_order_of_the_crops_does_not_matter():
    crops = appearance(6, 7)
    priors, order = gallery_priors(crops.probs), np.random.default_rng(0).permutation(6)
    mixed = PictureAppearance(
        crops.vectors[order], LazyProbs(lambda kind: crops.probs[kind][:, order], crops.probs)
    )
    found, shuffled = (pooled_crops(one, affinity(one, WEIGHTS, priors)) for one in (crops, mixed))
    np.testing.assert_allclose(shuffled.vectors, found.vectors[order], atol=1e-6)
    np.testing.assert_allclose(shuffled.probs["hat"], found.probs["hat"][:, order])


def test_affinity_rises_with_what_two_crops_have_in_common():
    crops = appearance(3)
    priors = gallery_priors(by_kinds(rows(20, 2)))
    alike = same_attributes(crops.probs, crops.probs, priors)
    assert alike.shape == (3, 3) and (np.abs(alike) <= 1).all()
    np.testing.assert_allclose(alike, alike.T)
    assert (np.diff(same_outfit(WEIGHTS, 0.0, np.array([[-1.0, 0.0, 1.0]]))[0]) > 0).all()
    assert (np.diff(same_outfit(WEIGHTS, np.array([[-1.0, 0.0, 1.0]]), np.zeros((1, 3)))[0]) > 0).all()


@pytest.mark.parametrize(
    "wrong", [{"cosine": -1.0}, {"attributes": float("nan")}, {"attributes": float("inf")}]
)
def test_no_weight_of_an_affinity_is_negative(wrong):
    with pytest.raises(ValueError, match="0 or more"):
        AffinityWeights(**{"cosine": 0.0, "attributes": 1.0, "bias": 0.0, **wrong})


def test_a_crop_that_looks_like_somebody_rejected_is_put_back_by_that_probability():
    crops, rejected = appearance(5), appearance(2, 1)
    priors = gallery_priors(by_kinds(rows(20, 2)))
    found = rejection_penalty(rejected, crops, WEIGHTS, priors)
    for crop in range(5):
        chance = max(plain_probability(rejected, crops, picture, crop, priors) for picture in range(2))
        assert found[crop] == pytest.approx(math.log(1 - chance), abs=1e-6)
    same = rejection_penalty(crops, crops, CERTAIN, priors)
    assert (same < math.log(0.05)).all() and same.min() == pytest.approx(math.log(1 - SUREST))
    assert rejection_penalty(crops, crops, STRANGERS, priors) == pytest.approx(0)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.01, 1))
def test_affinity_never_lowers_the_worse_of_two(seed, share):
    """Of two crops that may be one person, the one that shows less of what is sought gains by the other."""
    pair = appearance(2, seed)
    wanted = [Attribute(kind, KINDS[kind][seed % len(KINDS[kind])]) for kind in list(KINDS)[seed % 15 :][:4]]
    before = log_stated(pair.probs, wanted, ())
    pooled = pooled_crops(pair, np.array([[1, share], [share, 1]]))
    after = log_stated(pooled.probs, wanted, ())
    worse = int(np.argmin(before))
    assert after[worse] >= before[worse] - 1e-9
