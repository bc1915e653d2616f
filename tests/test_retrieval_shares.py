"""What is read off crops, kind by kind, against what is said: by hand, and against sums over each value."""

import math

import numpy as np
import pytest

from app.model.vocabulary import KINDS, LASTING, Attribute
from app.retrieval.shares import (
    LEAST,
    MOST_ALIKE,
    comparable,
    joint,
    likeliest,
    log_alike,
    log_ratios,
    log_stated,
    rarity,
    reading,
    split,
    usual_shares,
)

WIDTH = sum(map(len, KINDS.values()))


def rows(count, seed=0):
    """Shares of `count` crops, each kind's adding up to 1."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.ones(len(values)), count) for values in KINDS.values()], 1)


def place(kind, value):
    before = 0
    for other, values in KINDS.items():
        if other == kind:
            return before + values.index(value)
        before += len(values)
    raise KeyError(kind)


def test_what_is_stated_adds_up_and_what_is_unwanted_is_taken_from_one():
    found = rows(5)
    wanted = (Attribute("upper_colour", "red"), Attribute("gender", "man"))
    unwanted = (Attribute("hat", "cap"), Attribute("hat", "cap"))
    expected = [
        math.log(max(row[place("upper_colour", "red")], LEAST))
        + math.log(max(row[place("gender", "man")], LEAST))
        + math.log(max(1 - row[place("hat", "cap")], LEAST))
        for row in found
    ]
    np.testing.assert_allclose(log_stated(split(found), wanted, unwanted), expected)
    assert log_stated(split(found), (), ()) == 0


def test_one_share_of_nothing_counts_as_the_least():
    found = np.zeros((1, WIDTH))
    assert log_stated(split(found), (Attribute("hat", "cap"),), ()) == pytest.approx(math.log(LEAST))
    usual = usual_shares(split(rows(5)))
    assert log_alike(split(found), split(found), ["hat"], usual) == pytest.approx(-MOST_ALIKE)


def test_alike_is_the_chance_of_one_value_against_that_of_any_over_the_kinds():
    own, found, gallery = rows(2, 1), rows(4), rows(9, 2)
    expected = np.zeros(4)
    for kind in ("hat", "bag_colour"):
        for crop in range(4):
            chance = sum(
                own[:, place(kind, value)].mean()
                * found[crop, place(kind, value)]
                / ((gallery[:, place(kind, value)].sum() + 1 / len(KINDS[kind])) / 10)
                for value in KINDS[kind]
            )
            expected[crop] += np.clip(math.log(chance), -MOST_ALIKE, MOST_ALIKE)
    usual = usual_shares(split(gallery))
    np.testing.assert_allclose(log_alike(split(own), split(found), ["hat", "bag_colour"], usual), expected)


def test_what_is_rare_says_more_and_what_does_not_show_says_nothing():
    gallery = np.zeros((100, WIDTH))
    for kind, values in KINDS.items():
        gallery[:95, place(kind, values[0])] = gallery[95:, place(kind, values[1])] = 1
    usual = usual_shares(split(gallery))
    common, rare, hidden = gallery[:1], gallery[-1:], gallery.mean(0)[None]

    def alike(one, other):
        return float(log_alike(split(one), split(other), ["hat"], usual)[0])

    assert alike(rare, rare) > 2 > alike(common, common) > 0
    assert alike(rare, common) == -MOST_ALIKE
    assert alike(hidden, rare) == pytest.approx(0, abs=0.2)
    assert alike(hidden, common) == pytest.approx(0, abs=0.02)


def test_a_query_of_words_and_pictures_reads_both_and_only_what_lasts_of_the_picture():
    own, found = rows(1, 1), rows(3)
    said = (Attribute("upper", "coat"), Attribute("hair", "long"))
    kinds = [kind for kind in LASTING if kind != "hair"]
    assert comparable(said) == tuple(kinds)
    usual = usual_shares(split(rows(7, 5)))
    expected = log_stated(split(found), said, ()) + log_alike(split(own), split(found), kinds, usual)
    np.testing.assert_allclose(reading(split(found), split(own), said, (), False, usual), expected)
    by_picture = reading(split(found), split(own), (), (), False, usual)
    np.testing.assert_allclose(by_picture, log_alike(split(own), split(found), list(KINDS), usual))
    in_others = reading(split(found), split(own), (), (), True, usual)
    np.testing.assert_allclose(in_others, log_alike(split(own), split(found), LASTING, usual))
    found[1] = np.nan
    assert np.isnan(reading(split(found), None, said, (), False, usual)).tolist() == [False, True, False]
    assert reading(split(found), None, (), (), False, usual) == 0


def test_ratios_of_several_pictures_are_those_of_each():
    own, found = rows(3, 1), rows(4)
    usual = usual_shares(split(rows(9, 2)))
    every = log_ratios(split(own), split(found), ("hat", "bag"), usual)
    for picture, row in zip(own, every, strict=True):
        alone = log_alike(split(picture[None]), split(found), ("hat", "bag"), usual)
        np.testing.assert_allclose(row, alone)


def test_the_likeliest_values():
    (row,) = rows(1, 3)
    best = likeliest(row)
    assert [attribute.kind for attribute, _ in best] == list(KINDS)
    for attribute, share in best:
        own = [row[place(attribute.kind, value)] for value in KINDS[attribute.kind]]
        assert share == max(own) == row[place(attribute.kind, attribute.value)]


def test_beside_words_a_picture_is_compared_in_what_outlasts_clothes_and_is_not_told_anew():
    assert comparable([]) == tuple(KINDS)
    assert comparable([Attribute("upper", "coat")]) == comparable([], True) == LASTING
    assert set(LASTING) - set(comparable([Attribute("glasses", "none")])) == {"glasses"}


def test_two_readers_weigh_in_where_they_are_to_be_trusted():
    read = rows(3)
    cosines = {
        kind: np.random.default_rng(7).normal(0, 0.3, (len(values), 3)) for kind, values in KINDS.items()
    }
    readers = dict.fromkeys(KINDS, (20.0, 0.5)) | {"hat": (10.0, 0.0), "bag": (0.0, 1.0)}
    read[2] = np.nan
    found = joint(cosines.__getitem__, read, readers)
    for kind, values in KINDS.items():
        clip, model = readers[kind]
        for crop in range(3):
            weights = [
                math.exp(clip * cosines[kind][v, crop])
                * (1 if crop == 2 else read[crop, place(kind, value)] ** model)
                for v, value in enumerate(values)
            ]
            np.testing.assert_allclose(found(kind)[:, crop], np.array(weights) / sum(weights), rtol=1e-6)
    np.testing.assert_allclose(found("bag")[:, :2], split(read)("bag")[:, :2])


def test_rarity_is_the_chance_that_a_crop_of_the_gallery_shows_it_all():
    usual = usual_shares(split(rows(20)))
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    red_at, cap_at = (KINDS[one.kind].index(one.value) for one in (red, hat))
    chance = usual("upper_colour")[red_at] * (1 - usual("hat")[cap_at])
    assert rarity(usual, (red,), (hat,)) == pytest.approx(-math.log(chance))
    assert rarity(usual, (), ()) == 0
