"""The simulated operator and its figures: by hand, by rate, and one conversation end to end."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.conversation import Conversation, answered, say
from app.chat.questions import SENTENCES
from app.chat.search_state import GalleryFacts
from app.model.vocabulary import ALL_KINDS, Attribute
from training.__main__ import main
from training.evaluation.dialogue import DONT_KNOW, Operator, figures, next_message
from training.evaluation.harness import HarnessError
from training.evaluation.results import Result
from training.evaluation.synthetic_people import one_outfit

CROPS = one_outfit(3, 10).gallery


def test_figures_by_hand():
    result = figures(np.array([[8, 4, 6, 1], [1, 3, 1, 1], [20, 11, 10, 12]]))
    assert result["recall"] == {
        "@1": pytest.approx([1 / 3, 0, 1 / 3, 2 / 3]),
        "@5": pytest.approx([1 / 3, 2 / 3, 1 / 3, 2 / 3]),
        "@10": pytest.approx([2 / 3, 2 / 3, 1, 2 / 3]),
    }
    assert result["hits"]["@1"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3])
    assert result["hits"]["@10"] == pytest.approx([2 / 3, 2 / 3, 1, 1])
    assert result["median_rank"] == [8, 4, 6, 1]
    ln = np.log
    first = ((ln(8) + ln(4)) / 2 + (ln(4) + ln(4)) / 2 + (ln(4) + ln(1)) / 2) / 3
    third = ((ln(20) + ln(11)) / 2 + (ln(11) + ln(10)) / 2 + (ln(10) + ln(10)) / 2) / 3
    assert result["bri"] == pytest.approx((first + 0 + third) / 3)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.randoms(use_true_random=False))
def test_bri_by_plain_loops(queries, rounds, random):
    ranks = np.array([[random.randint(1, 50) for _ in range(rounds + 1)] for _ in range(queries)])
    total = 0.0
    for row in ranks.tolist():
        best = [min(row[: t + 1]) for t in range(rounds + 1)]
        total += sum((np.log(best[t]) + np.log(best[t + 1])) / 2 for t in range(rounds)) / rounds
    result = figures(ranks)
    assert result["bri"] == pytest.approx(total / queries)
    for hits, now in zip(result["hits"]["@5"], result["recall"]["@5"], strict=True):
        assert hits >= now
    assert result["hits"]["@5"] == sorted(result["hits"]["@5"])


@pytest.mark.parametrize("ranks", [np.ones((2, 1)), np.ones((0, 3)), np.zeros((2, 3))])
def test_what_are_no_ranks(ranks):
    with pytest.raises(ValueError, match="ranks"):
        figures(ranks)


def test_the_operator_errs_at_the_rates_asked_for():
    rng = np.random.default_rng(0)
    target = next(crop for crop in CROPS if "upper_colour" in crop.attributes)
    messages = [
        next_message("upper_colour", target, {}, Operator(wrong=0.2, unsure=0.3), rng) for _ in range(2000)
    ]
    right = f"{target.attributes['upper_colour']} top"
    assert messages.count(DONT_KNOW) / 2000 == pytest.approx(0.3, abs=0.04)
    assert messages.count(right) / 2000 == pytest.approx(0.5, abs=0.04)
    for _ in range(20):
        stated = {}
        message = next_message("hat", target, stated, Operator(wrong=1, unsure=0), rng)
        assert stated["hat"] != target.attributes["hat"]
        assert message != DONT_KNOW
    with pytest.raises(HarnessError, match="at most 1"):
        Operator(wrong=0.7, unsure=0.6)


def test_what_the_person_does_not_have_cannot_be_told():
    dressed = next((crop for crop in CROPS if "lower" not in crop.attributes), None)
    if dressed is None:
        dressed = next(crop for crop in one_outfit(4, 40).gallery if "lower" not in crop.attributes)
    assert next_message("lower", dressed, {}, Operator(0, 0), np.random.default_rng(0)) == DONT_KNOW


def test_the_chat_understands_every_answer():
    began = say(Conversation(), "somebody", GalleryFacts())
    rng = np.random.default_rng(0)
    for kind in SENTENCES:
        for crop in CROPS:
            if kind not in crop.attributes:
                continue
            asked = answered(began, SENTENCES[kind])
            message = next_message(kind, crop, {}, Operator(0, 0), rng)
            known = say(asked, message, GalleryFacts()).known
            value = crop.attributes[kind]
            if value == "none":
                refused = {a.value for a in known.unwanted if a.kind == kind}
                stated = known.value(kind) == "none"
                assert stated or refused == set(ALL_KINDS[kind]) - {"none"}, (kind, message)
            else:
                assert known.value(kind) == value, (kind, message)
    unsure = say(answered(began, SENTENCES["bag"]), DONT_KNOW, GalleryFacts())
    assert unsure.known == began.known


def test_untold_things_are_told_one_by_one():
    rng = np.random.default_rng(2)
    stated: dict[str, str] = {}
    crop = CROPS[0]
    for _ in range(len(crop.visible)):
        before = dict(stated)
        message = next_message(None, crop, stated, Operator(), rng)
        new = stated.items() - before.items()
        assert len(new) == 1
        assert all(crop.visible[kind] == value for kind, value in new)
        assert message != DONT_KNOW
        kind, value = next(iter(new))
        assert Attribute(kind, value)
    assert next_message(None, crop, stated, Operator(), rng) == DONT_KNOW


@pytest.mark.slow
def test_the_command_end_to_end(tmp_path, capsys):
    chosen = ["evaluate", "--dialogue", "--seed", "41", "--identities", "4", "--rounds", "2"]
    out = tmp_path / "out"
    assert main([*chosen, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    result = Result.read(out)
    assert result.kind == "dialogue"
    extra = result.extra
    assert len(extra["recall"]["@10"]) == 3
    assert extra["hits"]["@10"][-1] >= 0.5
    assert f"BRI {extra['bri']:.3f}" in text
    assert len(extra["example"]) == 3
    # A killed run has some of its conversations on disk: only the others are held again.
    talks = sorted((out / "work" / "talks").iterdir())
    assert len(talks) == 4
    kept = {talk: talk.stat().st_mtime_ns for talk in talks[1:-1]}
    talks[-1].unlink()
    talks[0].unlink()
    assert main([*chosen, "--work", str(out / "work"), "--shard", "2/2"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "left to other shards: 1 of 4 pieces" in told.err and talks[-1].is_file()
    assert main([*chosen, "--work", str(out / "work"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["extra"] == json.loads(json.dumps(result.extra))
    assert {talk: talk.stat().st_mtime_ns for talk in kept} == kept
    assert main([*chosen[:-1], "3", "--work", str(out / "work")]) == 2
    assert "another evaluation" in capsys.readouterr().err
    assert main([*chosen[:-1], "0"]) == 2
    assert "at least one round" in capsys.readouterr().err
