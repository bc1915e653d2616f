"""Packed lists over records: true, pure, and asked exactly as at run time."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from app.model.loading import load_weights
from app.model.pictures import STAGE_3, Picture
from app.model.prompts import NOTHING_DIFFERS, MayDiffer, pair_prompt
from app.model.vision import token_count
from tests.tiny_qwen import noise_picture, tiny_folder, tiny_parts, with_rule
from tests.tuning import PIXELS, records
from training.instructions.stage_samples import Samples
from training.stages import STAGES
from training.tuning import packed_lists
from training.tuning.failures import TuningError
from training.tuning.origin import set_trained, with_lora
from training.tuning.packed_lists import CANDIDATES, MOST_QUERIES, RecordLists

RULE = STAGE_3.within(PIXELS)


@pytest.fixture(scope="module")
def lists():
    stream = Samples(replace(STAGES[3].mixture, samples=10), records(), 4)
    return RecordLists.of(stream, tiny_parts()[1], RULE, seed=0, tokens=20_000)


@pytest.fixture(scope="module")
def drawn(lists):
    return [lists.draw(step) for step in range(24)]


def test_a_list_is_a_function_of_its_step(lists, drawn):
    again = lists.draw(3)
    assert again.kind == drawn[3].kind
    assert torch.equal(again.patches.values, drawn[3].patches.values) and torch.equal(
        again.right, drawn[3].right
    )
    assert len({one.patches.values.sum().item() for one in drawn}) == len(drawn)
    assert {one.kind for one in drawn} == {"image", "text", "image-plus-text"}


def test_every_question_has_a_right_candidate_and_wrong_ones(drawn):
    for one in drawn:
        questions, candidates = one.right.shape
        assert 1 <= questions <= MOST_QUERIES and 2 <= candidates <= CANDIDATES
        assert one.right.any(1).all()
        assert (~one.right & ~one.ignored).any()
        assert not (one.right & one.ignored).any()
        assert one.stats.pairs == questions * candidates


@pytest.fixture
def seen(monkeypatch):
    """The rows of the lists that are drawn, on their way to the pictures, and the questions that are asked."""
    rows, asked = [], []
    before = RecordLists._pictures
    monkeypatch.setattr(
        RecordLists, "_pictures", lambda self, given: rows.append(list(given)) or before(self, given)
    )
    monkeypatch.setattr(
        packed_lists, "pair_prompt", lambda *question: asked.append(question) or pair_prompt(*question)
    )
    return rows, asked


def test_right_is_who_it_is_and_never_the_reference_itself(lists, seen):
    """By the records themselves, and by what the question says of them."""
    rows, asked = seen
    wordings = Counter()
    for step in range(60):
        asked.clear()
        one = lists.draw(step)
        own = [lists.samples.record(row) for row in rows[-1]]
        for question, references in enumerate(one.references):
            may_differ = asked[question][2]
            if one.kind == "text":
                assert may_differ == NOTHING_DIFFERS
                continue
            (place,) = references
            wordings[one.kind, may_differ] += 1
            assert not one.right[question, place] and one.ignored[question, place]
            for crop, right, ignored in zip(
                own, one.right[question].tolist(), one.ignored[question].tolist(), strict=True
            ):
                crosses = crop.infrared != own[place].infrared
                same = crop.person == own[place].person and crop is not own[place]
                # Candidates that run time asks about with other words, of this reference, count for nothing.
                assert ignored or crosses == may_differ.light
                fits = may_differ.clothes or crop.clothes == own[place].clothes
                if one.kind == "image":
                    assert right == (same and fits and crosses == may_differ.light)
                assert not right or (same and fits)
    assert {may_differ for kind, may_differ in wordings if kind == "image"} == {
        MayDiffer(clothes, light) for clothes in (False, True) for light in (False, True)
    }
    assert all(may_differ.clothes for kind, may_differ in wordings if kind == "image-plus-text")


def test_fewer_tokens_ask_fewer_questions(lists):
    small = RecordLists.of(lists.samples, tiny_parts()[1], RULE, seed=0, tokens=900)
    for step in range(4):
        few, many = small.draw(step), lists.draw(step)
        assert len(few.right) <= max(1, len(many.right) // 2)


@pytest.mark.parametrize("lora", [False, True])
def test_gradients_reach_what_is_trained_and_nothing_else(drawn, lora):
    model = load_weights(tiny_folder(), torch.float32)
    model = with_lora(model, 4, seed=0) if lora else model
    set_trained(model, STAGES[3], lora=lora)
    drawn[0].loss(model, "cpu").backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.requires_grad, name
    reached = [name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())]
    assert [name for name in reached if "language_model.layers.0" in name]
    assert not [name for name in reached if "visual" in name]


def test_pictures_of_several_sizes_and_lights_are_asked_about_as_at_run_time(tmp_path, monkeypatch, seen):
    sizes = [(128, 64), (246, 90), (100, 80)]
    stream = Samples(replace(STAGES[3].mixture, samples=10), records(), 4)

    def crop(row):
        made = noise_picture(row, *sizes[row % len(sizes)])
        return made.convert("L").convert("RGB") if stream.record(row).infrared else made

    monkeypatch.setattr(Samples, "picture", lambda self, row: crop(row))
    rows, asked = seen
    mixed = RecordLists.of(stream, tiny_parts()[1], STAGE_3, seed=0, tokens=20_000)
    model = with_rule(tmp_path / "mixed", STAGE_3)
    kinds = set()
    for step in range(12):
        asked.clear()
        one = mixed.draw(step)
        assert len(set(one.patches.grids)) == 3
        with torch.no_grad():
            odds = one.odds(tiny_parts()[0])
        pictures = [Picture(row, lambda row=row: crop(row)) for row in rows[-1]]
        for question, references in enumerate(one.references):
            text, _, may_differ = asked[question]
            kinds.add((bool(text), may_differ))
            own = [pictures[place] for place in references]
            counts = ~one.ignored[question].numpy()
            again = model.yes_logits(text, own, pictures, other_clothes=may_differ.clothes)
            assert odds[question].numpy()[counts] == pytest.approx(again[counts], abs=1e-3)
    assert len(kinds) > 4


def test_large_pictures_become_smaller_until_a_list_fits(monkeypatch):
    monkeypatch.setattr(Samples, "picture", lambda self, row: noise_picture(row, 600, 300))
    stream = Samples(replace(STAGES[3].mixture, samples=10), records(), 4)
    one = RecordLists.of(stream, tiny_parts()[1], STAGE_3, seed=0, tokens=400).draw(0)
    assert sum(token_count(grid) for grid in one.patches.grids) <= 400


def test_lists_need_records():
    with pytest.raises(TuningError, match="drawn from records"):
        RecordLists.of([], tiny_parts()[1], STAGE_3, seed=0, tokens=100)
