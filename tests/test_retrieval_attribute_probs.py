"""What is read off crops, kind by kind, against what is said: by hand, and against sums over each value."""

import math

import numpy as np
import pytest

from app.model.vocabulary import KINDS, LASTING, Attribute
from app.retrieval.attribute_probs import (
    LEAST,
    MOST_RATIO,
    SURE_SEEN,
    attribute_score,
    by_kinds,
    comparable_kinds,
    gallery_priors,
    joint_probs,
    likeliest,
    log_ratios,
    log_same,
    log_stated,
    measured_confusion,
    rarity,
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
    np.testing.assert_allclose(log_stated(by_kinds(found), wanted, unwanted), expected)
    assert log_stated(by_kinds(found), (), ()) == 0


def test_a_value_that_is_confused_with_the_one_said_counts_in_part():
    found, said = rows(5), (Attribute("upper", "jacket"),)
    confusion = {"upper": {"jacket": {"sweater": 0.25, "coat": 0.5}, "sweater": {"jacket": 1.0}}}
    expected = [
        math.log(
            row[place("upper", "jacket")]
            + row[place("upper", "sweater")] / 4
            + row[place("upper", "coat")] / 2
        )
        for row in found
    ]
    np.testing.assert_allclose(log_stated(by_kinds(found), said, (), confusion), expected)
    # What is excluded is excluded as it is called, and other kinds are as they were.
    for wanted, unwanted in (((), said), ((Attribute("hat", "cap"),), ())):
        np.testing.assert_array_equal(
            log_stated(by_kinds(found), wanted, unwanted, confusion),
            log_stated(by_kinds(found), wanted, unwanted),
        )


def test_a_near_miss_costs_what_people_confuse_and_a_plain_contradiction_all():
    sure = np.full((2, WIDTH), 1e-6)
    sure[0, place("upper", "sweater")] = sure[1, place("upper", "dress")] = 1
    near, far = log_stated(
        by_kinds(sure), (Attribute("upper", "jacket"),), (), {"upper": {"jacket": {"sweater": 0.12}}}
    )
    assert near == pytest.approx(math.log(0.12), abs=1e-4) and far == pytest.approx(math.log(LEAST))


def test_confusion_is_what_pictures_of_another_value_are_read_as():
    count = 200
    rng = np.random.default_rng(3)
    upper = list(KINDS).index("upper")
    visible = np.full((count, len(KINDS)), -1)
    visible[:, upper] = rng.integers(0, 3, count)  # t-shirts, shirts, sweaters
    visible[:5, upper] = KINDS["upper"].index("coat")  # too few to know
    visible[:, 0] = rng.integers(0, 2, count)
    found = by_kinds(rows(count))
    measured = measured_confusion(found, visible)
    assert set(measured) == {"upper"} and set(measured["upper"]) == {"t-shirt", "shirt", "sweater"}
    for said, near in measured["upper"].items():
        assert set(near) == {"t-shirt", "shirt", "sweater"} - {said}
        number = KINDS["upper"].index(said)
        shown = {value: visible[:, upper] == KINDS["upper"].index(value) for value in (said, *near)}
        other = (visible[:, upper] >= 0) & ~shown[said]
        for seen, share in near.items():
            few, usual = found["upper"][number, shown[seen]], found["upper"][number, other].mean()
            of_seen = (few.sum() + SURE_SEEN * usual) / (len(few) + SURE_SEEN)
            of_said = found["upper"][number, shown[said]].mean()
            assert share == pytest.approx(min(1, of_seen / of_said), abs=1e-3)


def test_confusion_of_few_pictures_is_close_to_what_is_usual():
    """Twenty hoodies that happen to be read as coats do not make every hoodie a coat; two thousand do."""
    upper, values = list(KINDS).index("upper"), list(KINDS["upper"])
    coat, hoodie, shirt = (values.index(value) for value in ("coat", "hoodie", "shirt"))

    def share(hoodies: int) -> float:
        true = np.repeat([coat, hoodie, shirt], [400, hoodies, 400])
        visible = np.full((len(true), len(KINDS)), -1)
        visible[:, upper] = true
        read = {kind: np.full((len(of), len(true)), 1 / len(of)) for kind, of in KINDS.items()}
        read["upper"] = np.full((len(values), len(true)), 1e-4)
        read["upper"][np.where(true == hoodie, coat, true), np.arange(len(true))] = 1
        return measured_confusion(read, visible)["upper"]["coat"]["hoodie"]

    assert share(20) < 0.35 and share(2000) > 0.95


def test_readers_that_are_never_wrong_confuse_nothing():
    visible = np.stack([np.arange(300) % len(values) for values in KINDS.values()], 1)
    perfect = {
        kind: np.eye(len(values))[visible[:, column]].T for column, (kind, values) in enumerate(KINDS.items())
    }
    assert measured_confusion(perfect, visible) == {}


def test_one_share_of_nothing_counts_as_the_least():
    found = np.zeros((1, WIDTH))
    assert log_stated(by_kinds(found), (Attribute("hat", "cap"),), ()) == pytest.approx(math.log(LEAST))
    priors = gallery_priors(by_kinds(rows(5)))
    assert log_same(by_kinds(found), by_kinds(found), ["hat"], priors) == pytest.approx(-MOST_RATIO)


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
            expected[crop] += np.clip(math.log(chance), -MOST_RATIO, MOST_RATIO)
    priors = gallery_priors(by_kinds(gallery))
    np.testing.assert_allclose(
        log_same(by_kinds(own), by_kinds(found), ["hat", "bag_colour"], priors), expected
    )


def test_what_is_rare_says_more_and_what_does_not_show_says_nothing():
    gallery = np.zeros((100, WIDTH))
    for kind, values in KINDS.items():
        gallery[:95, place(kind, values[0])] = gallery[95:, place(kind, values[1])] = 1
    priors = gallery_priors(by_kinds(gallery))
    common, rare, hidden = gallery[:1], gallery[-1:], gallery.mean(0)[None]

    def same(one, other):
        return float(log_same(by_kinds(one), by_kinds(other), ["hat"], priors)[0])

    assert same(rare, rare) > 2 > same(common, common) > 0
    assert same(rare, common) == -MOST_RATIO
    assert same(hidden, rare) == pytest.approx(0, abs=0.2)
    assert same(hidden, common) == pytest.approx(0, abs=0.02)


def test_a_query_of_words_and_pictures_reads_both_and_only_what_lasts_of_the_picture():
    own, found = rows(1, 1), rows(3)
    said = (Attribute("upper", "coat"), Attribute("hair", "long"))
    kinds = [kind for kind in LASTING if kind != "hair"]
    assert comparable_kinds(KINDS, said) == tuple(kinds)
    priors = gallery_priors(by_kinds(rows(7, 5)))
    expected = log_stated(by_kinds(found), said, ()) + log_same(by_kinds(own), by_kinds(found), kinds, priors)
    np.testing.assert_allclose(
        attribute_score(by_kinds(found), by_kinds(own), said, (), False, priors), expected
    )
    by_picture = attribute_score(by_kinds(found), by_kinds(own), (), (), False, priors)
    np.testing.assert_allclose(by_picture, log_same(by_kinds(own), by_kinds(found), list(KINDS), priors))
    in_others = attribute_score(by_kinds(found), by_kinds(own), (), (), True, priors)
    np.testing.assert_allclose(in_others, log_same(by_kinds(own), by_kinds(found), LASTING, priors))
    found[1] = np.nan
    assert np.isnan(attribute_score(by_kinds(found), None, said, (), False, priors)).tolist() == [
        False,
        True,
        False,
    ]
    assert attribute_score(by_kinds(found), None, (), (), False, priors) == 0


def test_ratios_of_several_pictures_are_those_of_each():
    own, found = rows(3, 1), rows(4)
    priors = gallery_priors(by_kinds(rows(9, 2)))
    every = log_ratios(by_kinds(own), by_kinds(found), ("hat", "bag"), priors)
    for picture, row in zip(own, every, strict=True):
        alone = log_same(by_kinds(picture[None]), by_kinds(found), ("hat", "bag"), priors)
        np.testing.assert_allclose(row, alone)


def test_the_likeliest_values():
    read = rows(3, 3)
    for row, best in zip(read, likeliest(by_kinds(read), 3), strict=True):
        assert [reading.attribute.kind for reading in best] == list(KINDS)
        for reading in best:
            kind, value = reading.attribute.kind, reading.attribute.value
            probs = [row[place(kind, other)] for other in KINDS[kind]]
            assert reading.confidence == max(probs) == row[place(kind, value)]


def test_beside_words_a_picture_is_compared_in_what_outlasts_clothes_and_is_not_told_anew():
    assert comparable_kinds(KINDS, []) == tuple(KINDS)
    assert (
        comparable_kinds(KINDS, [Attribute("upper", "coat")]) == comparable_kinds(KINDS, [], True) == LASTING
    )
    assert set(LASTING) - set(comparable_kinds(KINDS, [Attribute("glasses", "none")])) == {"glasses"}


def test_two_readers_weigh_in_where_they_are_to_be_trusted():
    read = rows(3)
    cosines = {
        kind: np.random.default_rng(7).normal(0, 0.3, (len(values), 3)) for kind, values in KINDS.items()
    }
    weights_of = dict.fromkeys(KINDS, (20.0, 0.5)) | {"hat": (10.0, 0.0), "bag": (0.0, 1.0)}
    read[2] = np.nan
    by_model = by_kinds(read)
    found = {kind: joint_probs(cosines[kind], by_model[kind], weights_of[kind]) for kind in KINDS}
    for kind, values in KINDS.items():
        clip, model = weights_of[kind]
        for crop in range(3):
            weights = [
                math.exp(clip * cosines[kind][v, crop])
                * (1 if crop == 2 else read[crop, place(kind, value)] ** model)
                for v, value in enumerate(values)
            ]
            np.testing.assert_allclose(found[kind][:, crop], np.array(weights) / sum(weights), rtol=1e-6)
    np.testing.assert_allclose(found["bag"][:, :2], by_kinds(read)["bag"][:, :2])


def test_rarity_is_the_chance_that_a_crop_of_the_gallery_shows_it_all():
    priors = gallery_priors(by_kinds(rows(20)))
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    red_at, cap_at = (KINDS[one.kind].index(one.value) for one in (red, hat))
    chance = priors["upper_colour"][red_at] * (1 - priors["hat"][cap_at])
    assert rarity(priors, (red,), (hat,)) == pytest.approx(-math.log(chance))
    assert rarity(priors, (), ()) == 0
