"""The simulated operator and its figures: by hand, by rate, and one conversation end to end."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.questions import DONT_KNOW, WITNESS_KNOWS, Question, in_words
from app.model.vocabulary import KINDS
from training.__main__ import main
from training.evaluation.dialogue import asker
from training.evaluation.dialogue_figures import figures, stopped_below
from training.evaluation.results import Result
from training.evaluation.synthetic_people import one_outfit
from training.evaluation.witness import Operator, witness_of
from training.evaluation.work_folder import HarnessError
from training.synthetic.people import split_of

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


@settings(max_examples=80)
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


def test_the_witness_knows_what_a_witness_would():
    """Of what the crop shows, at the table's rates; and errs at the rate asked for."""
    crop = max(CROPS, key=lambda crop: len(crop.visible))
    rng = np.random.default_rng(0)
    witnesses = [witness_of(crop.visible, Operator(wrong=0.2), rng) for _ in range(1500)]
    for kind, truth in crop.visible.items():
        known = [witness.believes[kind] for witness in witnesses if kind in witness.believes]
        assert len(known) / 1500 == pytest.approx(WITNESS_KNOWS[kind], abs=0.05), kind
        assert known.count(truth) / len(known) == pytest.approx(0.8, abs=0.06), kind
    for witness in witnesses[:200]:
        assert 1 <= len(witness.first) <= 2 and witness.first.items() <= crop.visible.items()
        assert all(kind == "gender" or kind in witness.believes for kind in witness.first)
        for kind in KINDS:
            expected = in_words(kind, witness.believes[kind]) if kind in witness.believes else DONT_KNOW
            assert witness.answer(kind) == expected
    with pytest.raises(HarnessError, match=r"0\.\.1, not 1\.7"):
        Operator(wrong=1.7)


def test_nobody_knows_what_the_crop_does_not_show():
    hidden = next(crop for crop in CROPS if len(crop.visible) < len(crop.attributes))
    gone = set(KINDS) - set(hidden.visible)
    for seed in range(50):
        witness = witness_of(hidden.visible, Operator(0), np.random.default_rng(seed))
        assert all(witness.answer(kind) == DONT_KNOW for kind in gone)
        assert witness.believes.items() <= hidden.visible.items()


def test_what_the_witness_knows_does_not_depend_on_who_asks():
    """Other kinds that show, or nothing told of them, change nothing of the rest."""
    visible = CROPS[0].visible
    fewer = {kind: value for kind, value in visible.items() if kind not in ("hat", "shoes")}
    one = witness_of(visible, Operator(0.3), np.random.default_rng(5))
    other = witness_of(fewer, Operator(0.3), np.random.default_rng(5))
    assert {k: v for k, v in one.believes.items() if k in fewer} == other.believes


def test_the_three_askers():
    answers = ("one", "another", DONT_KNOW)
    questions = [
        Question(kind, "", answers, bits) for kind, bits in (("hat", 0.2), ("bag", 0.9), ("hair", 0.4))
    ]
    assert asker("gain", 1, 0.3)(questions).kind == "bag" and asker("gain", 1, 1.0)(questions) is None
    assert asker("fixed", 1, 0.3)(questions).kind == "hat" and asker("fixed", 1, 0.3)([]) is None
    random = asker("random", 1, 0.3)
    drawn = [random(questions).kind for _ in range(300)]
    assert all(drawn.count(one.kind) > 70 for one in questions) and random([]) is None
    again = asker("random", 1, 0.3)
    assert [again(questions).kind for _ in range(300)] == drawn


def test_had_it_asked_only_from_so_many_bits():
    ranks = np.array([[9, 5, 3, 1], [4, 4, 2, 2], [7, 7, 7, 7]])
    bits = [[0.9, 0.2, 0.5], [0.1, 0.8, 0.8], []]
    for worth, expected, questions in (
        (0.0, ranks.tolist(), 2.0),
        (0.3, [[9, 5, 5, 5], [4, 4, 4, 4], [7, 7, 7, 7]], 1 / 3),
        (2.0, [[9] * 4, [4] * 4, [7] * 4], 0.0),
    ):
        stopped, asked = stopped_below(ranks, bits, worth)
        assert stopped.tolist() == expected and asked == pytest.approx(questions)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_people_are_of_the_split_asked_for(split):
    assert {split_of(crop.shot.identity) for crop in one_outfit(3, 6, split=split).gallery} == {split}


@pytest.mark.slow
def test_the_command_end_to_end(tmp_path, capsys):
    chosen = ["evaluate", "--dialogue", "--seed", "41", "--worlds", "2", "--identities", "2", "--rounds", "2"]
    out = tmp_path / "out"
    assert main([*chosen, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    result = Result.read(out)
    assert result.kind == "dialogue"
    extra = result.extra
    assert list(extra["askers"]) == ["gain", "random", "fixed"]
    for of in extra["askers"].values():  # the first message is the same, whoever asks
        assert len(of["recall"]["@10"]) == 3 and of["recall"]["@1"][0] == extra["recall"]["@1"][0]
        assert [one["seed"] for one in of["by_seed"]] == [41, 42]
    assert extra["hits"]["@10"][-1] >= 0.5 and extra["questions_asked"] <= 2
    assert f"{extra['bri']:.3f}" in text and "- gain - random: recall@1" in text and "0.1 bits" in text
    # A killed run has some of its conversations on disk: only the others are held again.
    talks = sorted((out / "work").glob("seed-*/talks/*"))
    assert len(talks) == 2 * 2 * 3
    firsts = {}
    for talk in talks:
        held = json.loads(talk.read_text())
        assert len(held["ranks"]) == 3 and len(held["bits"]) == len(held["asked"]) == len(set(held["asked"]))
        firsts.setdefault((talk.parent.parent.name, talk.name.split("-")[0]), set()).add(held["said"][0])
    assert all(len(said) == 1 for said in firsts.values())
    first, last = (
        out / "work" / name for name in ("seed-41/talks/00000-gain.json", "seed-42/talks/00001-fixed.json")
    )
    kept = {talk: talk.stat().st_mtime_ns for talk in talks if talk not in (first, last)}
    first.unlink()
    last.unlink()
    assert main([*chosen, "--work", str(out / "work"), "--shard", "2/2"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "left to other shards: 1 of 12 pieces" in told.err and last.is_file()
    assert main([*chosen, "--work", str(out / "work"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["extra"] == json.loads(json.dumps(result.extra))
    assert {talk: talk.stat().st_mtime_ns for talk in kept} == kept
    assert main([*chosen[:-1], "3", "--work", str(out / "work")]) == 2
    assert "another evaluation" in capsys.readouterr().err
    assert main([*chosen[:-1], "0"]) == 2
    assert "at least one round" in capsys.readouterr().err
