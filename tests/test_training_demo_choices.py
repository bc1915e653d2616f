"""Best-choice turns of the demo recipe: fair over places, asked as at run time, and learnt."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.model.choice import choice_logits
from app.model.scoring import LanguageModel
from app.model.vision import VisionTokens
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import build_tiny
from training.decoder import Decoder
from training.demo.choices import ChoiceQuestions, choice_loss, choice_turns, list_size
from training.demo.language import PoolTokens, answer_rows
from training.demo.looks import DevicePictures
from training.demo.recipe import StepBudget, demo_stages, load
from training.demo.sampling import PoolLists
from training.demo.sequences import answer_logits, answer_loss


@pytest.fixture
def tiny(tmp_path):
    return load(build_tiny(tmp_path / "tiny"))


def seen_of(model, rows):
    """The vision tokens of some rows of the tiny pool, and their places."""
    rows = sorted(set(rows))
    tokens = PoolTokens(model, DevicePictures(tiny_pool().pictures), frozen=True)
    return tokens(np.array(rows)), {row: place for place, row in enumerate(rows)}


def drawn_turns(processor, size, lists=30, kind="image", count=None):
    drawer, rng = PoolLists(tiny_pool(), processor, 0), np.random.default_rng(0)
    return [
        turn
        for number in range(lists)
        for turn in choice_turns(drawer.draw(kind, number), size, count or size, rng)
    ]


def test_lists_grow_as_long_as_run_time_shows_and_short_ones_are_not_forgotten():
    rng = np.random.default_rng(0)
    assert {list_size(0.1, rng) for _ in range(50)} == {2}
    assert {list_size(0.25, rng) for _ in range(50)} == {2, 3}
    assert {list_size(0.4, rng) for _ in range(90)} == {2, 3, 4}
    late = [list_size(0.9, rng) for _ in range(300)]
    assert set(late) == {2, 3, 4, 6, 8}
    assert late.count(8) > 150
    assert demo_stages(StepBudget())["stage3"].choices >= 8


@pytest.mark.parametrize("kind", ["image", "text", "image-plus-text"])
@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_the_right_one_stands_at_every_place_equally_often(tiny, kind, count):
    """Also where a step has fewer turns than they have places."""
    _, processor = tiny
    turns = drawn_turns(processor, 4, lists=240 // count, kind=kind, count=count)
    placed = [turn.place for turn in turns if turn.place is not None]
    assert len(placed) > 150
    shares = np.bincount(placed, minlength=4) / len(placed)
    assert np.abs(shares - 0.25).max() < 0.09
    assert 0.02 < np.mean([turn.place is None for turn in turns]) < 0.25


def test_a_turn_has_one_match_and_no_other_crop_that_fits(tiny):
    _, processor = tiny
    pool = tiny_pool()
    for turn in drawn_turns(processor, 4):
        person = pool.person[turn.references[0]]
        shown = pool.person[list(turn.rows)] == person
        assert len(turn.rows) == 4 == len(set(turn.rows))
        assert shown.sum() == (turn.place is not None)
        if turn.place is not None:
            assert shown[turn.place]
            assert turn.rows[turn.place] != turn.references[0]


def test_the_loss_reads_what_run_time_compares(tiny):
    """Losses that differ by nothing but the right place differ as the names' logits of run time do."""
    model, processor = tiny
    pool = tiny_pool()
    lists = PoolLists(pool, processor, 0)
    questions = ChoiceQuestions(processor, lists.grid)
    turn = next(turn for turn in drawn_turns(processor, 4) if turn.place is not None)
    pictures = [*turn.references, *turn.rows]
    seen, places = seen_of(model, pictures)
    tokens = {
        row: VisionTokens(seen[places[row]], lists.grid, infrared=bool(pool.infrared[row]))
        for row in pictures
    }
    with torch.inference_mode():
        losses = [
            choice_loss(
                Decoder(model, rounded=True), questions.lay_out([replace(turn, place=place)], places), seen
            )[0]
            for place in range(4)
        ]
        logits = choice_logits(
            LanguageModel(model),
            processor,
            turn.text,
            [tokens[row] for row in turn.references],
            [[tokens[row] for row in turn.rows]],
            may_differ=lambda shown: turn.may_differ,
        )[0]
    gaps = torch.stack(losses)[0] - torch.stack(losses)
    assert gaps.tolist() == pytest.approx((logits - logits[0]).tolist(), abs=1e-4)
    assert logits.std() > 0


def test_two_candidates_are_told_apart_after_some_steps(tiny):
    model, processor = tiny
    pool = tiny_pool()
    lists = PoolLists(pool, processor, 0)
    questions = ChoiceQuestions(processor, lists.grid)
    optimizer = torch.optim.AdamW(model.model.language_model.parameters(), 3e-3)
    turns = drawn_turns(processor, 2, lists=2)[:4]
    seen, places = seen_of(model, [row for turn in turns for row in (*turn.references, *turn.rows)])
    laid = questions.lay_out(turns, places)
    first = float(choice_loss(Decoder(model, rounded=True), laid, seen)[0].detach())
    for _ in range(25):
        optimizer.zero_grad()
        loss, share = choice_loss(Decoder(model, rounded=True), laid, seen)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5 * first
    assert share == 1.0


def test_every_sample_weighs_the_same_however_long_its_answer(tiny):
    from app.model.prompts import annotate_prompt, pair_prompt
    from training.instructions.sample import InstructionSample

    model, processor = tiny
    seen, places = seen_of(model, [0, 1])
    grid = PoolLists(tiny_pool(), processor, 0).grid
    short = InstructionSample("pair-question", pair_prompt("", 1).messages, (0, 1), "Yes")
    long = InstructionSample(
        "annotate-attributes", annotate_prompt(), (0,), "gender: woman; age: adult; build: slim; " * 4
    )
    with torch.no_grad():
        one, other, both = (
            float(answer_loss(answer_logits(Decoder(model, rounded=True), rows, seen), rows))
            for rows in (
                answer_rows(processor, samples, places, grid) for samples in ([short], [long], [short, long])
            )
        )
    assert both == pytest.approx((one + other) / 2, rel=1e-4)
