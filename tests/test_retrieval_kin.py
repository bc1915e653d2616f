"""Crops that speak for one another, against plain loops."""

import math

import numpy as np
import pytest

from app.model.manifest import Kin
from app.model.vocabulary import KINDS
from app.retrieval.evidence import Looks
from app.retrieval.kin import (
    SUREST,
    chances,
    kinship,
    likeness,
    log_apart,
    own_together,
    together,
    together_read,
)
from app.retrieval.shares import MOST_ALIKE, split, usual_shares

KIN = Kin(cosine=2.0, alike=6.0, bias=-2.0)
STRANGERS = Kin(cosine=0.0, alike=0.0, bias=-60.0)
CERTAIN = Kin(cosine=0.0, alike=400.0, bias=-20.0)


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.ones(len(values)), count) for values in KINDS.values()], 1)


def looks(count, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return Looks(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), split(rows(count, seed)))


def plain_chance(first, second, one, other, usual):
    """Of picture `one` of the first and `other` of the second."""
    total = 0.0
    for kind, values in KINDS.items():
        ratio = sum(
            first.shares(kind)[v, one] * second.shares(kind)[v, other] / usual(kind)[v]
            for v in range(len(values))
        )
        total += min(max(math.log(ratio), -MOST_ALIKE), MOST_ALIKE)
    odds = KIN.cosine * float(first.vectors[one] @ second.vectors[other])
    odds += KIN.alike * total / (len(KINDS) * MOST_ALIKE) + KIN.bias
    return 1 / (1 + math.exp(-odds))


def plain_mean(vectors, shares, weights):
    """The unit mean of rows, and each kind's shares: the normalised geometric mean."""
    weights = np.asarray(weights) / sum(weights)
    mean = sum(w * v for w, v in zip(weights, vectors, strict=True))
    found = {}
    for kind in KINDS:
        product = math.prod(s[kind] ** w for s, w in zip(shares, weights, strict=True))
        found[kind] = product / product.sum()
    return mean / np.linalg.norm(mean), found


def test_each_crop_is_the_mean_of_its_kin_by_the_chances_that_they_are():
    crops, own = looks(5), looks(2, 1)
    usual = usual_shares(split(rows(20, 2)))
    found = together(crops, kinship(crops, KIN, usual))
    joined = own_together(own, crops, KIN, usual)
    shares = [{kind: crops.shares(kind)[:, i] for kind in KINDS} for i in range(5)]
    for i in range(5):
        weights = [1 if i == j else plain_chance(crops, crops, i, j, usual) for j in range(5)]
        vector, by_kind = plain_mean(crops.vectors, shares, weights)
        np.testing.assert_allclose(found.vectors[i], vector, atol=1e-5)
        for kind in KINDS:
            np.testing.assert_allclose(found.shares(kind)[:, i], by_kind[kind], atol=1e-8)
    for i in range(2):  # a picture of the query, with its kin among the crops, not among the pictures
        weights = [1, *(plain_chance(own, crops, i, j, usual) for j in range(5))]
        mine = {kind: own.shares(kind)[:, i] for kind in KINDS}
        vector, by_kind = plain_mean([own.vectors[i], *crops.vectors], [mine, *shares], weights)
        np.testing.assert_allclose(joined.vectors[i], vector, atol=1e-5)
        for kind in KINDS:
            np.testing.assert_allclose(joined.shares(kind)[:, i], by_kind[kind], atol=1e-8)


def test_strangers_stay_as_they_are():
    crops, own = looks(4), looks(1, 1)
    usual = usual_shares(crops.shares)
    found = together(crops, kinship(crops, STRANGERS, usual))
    joined = own_together(own, crops, STRANGERS, usual)
    for before, after in ((crops, found), (own, joined)):
        np.testing.assert_allclose(after.vectors, before.vectors, atol=1e-6)
        for kind in KINDS:
            np.testing.assert_allclose(after.shares(kind), before.shares(kind), atol=1e-8)
    read = rows(4, 3)
    np.testing.assert_allclose(together_read(read, STRANGERS, usual), read, atol=1e-8)


def test_what_one_crop_hides_its_kin_shows():
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
    usual = usual_shares(split(rows(50, 4)))
    found = together_read(read, CERTAIN, usual)
    assert found[1, bag][0] > 0.9 > 0.3 > read[1, bag][0]
    np.testing.assert_allclose(found[2], read[2], atol=2e-3)


def test_a_crop_that_was_not_read_speaks_for_nobody():
    read, usual = rows(4, 5), usual_shares(split(rows(50, 4)))
    without = together_read(read[[0, 1, 3]], KIN, usual)
    read[2] = np.nan
    found = together_read(read, KIN, usual)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[[0, 1, 3]], without)
    assert np.isnan(together_read(np.full_like(read, np.nan), KIN, usual)).all()
    assert together_read(read[:0], KIN, usual).shape == read[:0].shape


def test_the_order_of_the_crops_does_not_matter():
    crops = looks(6, 7)
    usual, order = usual_shares(crops.shares), np.random.default_rng(0).permutation(6)
    mixed = Looks(crops.vectors[order], lambda kind: crops.shares(kind)[:, order])
    found, shuffled = (together(one, kinship(one, KIN, usual)) for one in (crops, mixed))
    np.testing.assert_allclose(shuffled.vectors, found.vectors[order], atol=1e-6)
    np.testing.assert_allclose(shuffled.shares("hat"), found.shares("hat")[:, order])


def test_chances_rise_with_what_two_crops_have_in_common():
    crops = looks(3)
    usual = usual_shares(split(rows(20, 2)))
    alike = likeness(crops.shares, crops.shares, usual)
    assert alike.shape == (3, 3) and (np.abs(alike) <= 1).all()
    np.testing.assert_allclose(alike, alike.T)
    assert (np.diff(chances(KIN, 0.0, np.array([[-1.0, 0.0, 1.0]]))[0]) > 0).all()
    assert (np.diff(chances(KIN, np.array([[-1.0, 0.0, 1.0]]), np.zeros((1, 3)))[0]) > 0).all()


@pytest.mark.parametrize("wrong", [{"cosine": -1.0}, {"alike": float("nan")}, {"alike": float("inf")}])
def test_likeness_never_counts_against_kinship(wrong):
    with pytest.raises(ValueError, match="0 or more"):
        Kin(**{"cosine": 0.0, "alike": 1.0, "bias": 0.0, **wrong})


def test_a_crop_that_looks_like_somebody_rejected_is_put_back_by_that_chance():
    crops, rejected = looks(5), looks(2, 1)
    usual = usual_shares(split(rows(20, 2)))
    found = log_apart(rejected, crops, KIN, usual)
    for crop in range(5):
        chance = max(plain_chance(rejected, crops, picture, crop, usual) for picture in range(2))
        assert found[crop] == pytest.approx(math.log(1 - chance), abs=1e-6)
    same = log_apart(crops, crops, CERTAIN, usual)
    assert (same < math.log(0.05)).all() and same.min() == pytest.approx(math.log(1 - SUREST))
    assert log_apart(crops, crops, STRANGERS, usual) == pytest.approx(0)
