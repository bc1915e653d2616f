"""The rows that demo models are judged by: what captions state, what guessing comes to."""

import numpy as np
import pytest

from app.model.vocabulary import KINDS_OF_VERSION, Attribute
from tests.tiny_pool import tiny_pool
from training.demo import goals
from training.demo.goals import captions_true, commonest
from training.evaluation.captions import stated_facts, true_facts
from training.synthetic.captions import caption, fragment


def facts(text, version=2):
    return {(one.kind, one.value) for one in stated_facts(text, KINDS_OF_VERSION[version])}


def test_a_caption_states_what_an_operator_would_state_by_it():
    told = facts("We see a little girl in a dark red t-shirt and sandals, without a hat.")
    assert told == {
        ("gender", "woman"), ("age", "child"), ("upper", "t-shirt"), ("upper_colour", "red"),
        ("upper_shade", "dark"), ("shoes", "sandals"), ("hat", "none"),
    }  # fmt: skip
    assert facts("a child in heels", 1) == {("age", "young"), ("shoes", "shoes")}
    assert facts("Image 2") == set()


@pytest.mark.parametrize("world", (1, 2))
def test_true_captions_are_read_back_as_true(world):
    pool, rng = tiny_pool("validation", 2, world), np.random.default_rng(1)
    stated, shown = [], []
    for row in range(len(pool)):
        said = fragment(pool.seen(row), rng, 8)
        stated.append(stated_facts(caption(said, rng, 0.5, world), pool.kinds))
        shown.append(pool.seen(row))
    true, held = true_facts(stated, shown)
    assert held > 6 * len(pool) and true / held > 0.96  # "hat" may be said of a cap
    _, others = true_facts(stated, shown[::-1])
    assert true_facts(stated, shown[::-1])[0] / others < 0.7


def test_only_what_shows_is_held_against_a_caption():
    red, coat = Attribute("upper_colour", "red"), Attribute("upper", "coat")
    assert true_facts([[red, coat], [red]], [{"upper_colour": "red"}, {"upper_colour": "blue"}]) == (1, 2)
    assert true_facts([[coat]], [{}]) == (0, 0)


def test_captions_are_of_crops_evenly_spread_each_held_against_its_own(monkeypatch):
    pool = tiny_pool("validation", 4)
    rows = {pool.pictures[row].tobytes(): row for row in range(len(pool))}

    class Knowing:
        def __init__(self, folder, *, device, batch):
            self.batch = batch

        def captions(self, pictures):
            assert 0 < len(pictures) <= self.batch
            seen = [pool.seen(rows[np.asarray(picture).tobytes()]) for picture in pictures]
            return [caption({"upper": one["upper"]}, np.random.default_rng(0), 1.0) for one in seen]

    monkeypatch.setattr(goals, "LocalCaptioner", Knowing)
    shown = sum("upper" in pool.seen(row) for row in range(len(pool)))
    assert captions_true("anywhere", pool, 10_000, "cpu") == (shown, shown)
    true, held = captions_true("anywhere", pool, 40, "cpu")
    assert true == held == 40


def test_guessing_comes_to_the_commonest_value():
    pool = tiny_pool("validation", 4)
    priors = commonest(pool)
    values = [pool.seen(row)["upper"] for row in range(len(pool)) if "upper" in pool.seen(row)]
    assert priors["upper"] == max(values.count(value) for value in set(values)) / len(values)
    assert set(priors) <= set(pool.kinds) and all(0 < share <= 1 for share in priors.values())
