"""The whole model on a toy checkpoint: cached, batched scoring against the stock model; loading; reading."""

import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from app.model.checkpoint import FILE_NAME
from app.model.generation import MAX_NEW_TOKENS, generate
from app.model.pictures import DEMO, STAGE_1, STAGE_2, STAGE_3, BoundedCache, Picture
from app.model.prompts import (
    NOTHING_DIFFERS,
    MayDiffer,
    annotate_prompt,
    best_choice_prompt,
    pair_prompt,
)
from app.model.reid_model import LONGEST_LIST, ReidModel
from app.model.scoring import LanguageModel, yes_no_ids
from app.model.token_budget import TokenBudget
from tests.tiny_qwen import noise_picture, picture, tiny_folder, tiny_parts, with_rule

SIZES = [(112, 56), (140, 84), (90, 70), (112, 56)]


def mixed(count: int) -> list[Picture]:
    return [picture(100 + seed, *SIZES[seed % len(SIZES)]) for seed in range(count)]


@pytest.fixture
def model(tmp_path):
    """A fresh toy model under a rule that leaves small pictures their own sizes, so that grids are mixed."""
    return with_rule(tmp_path / "mixed", STAGE_2)


def infrared(seed: int, height: int = 112, width: int = 56) -> Picture:
    made = noise_picture(seed, height, width).convert("L").convert("RGB")
    return Picture(("infrared", seed, height, width), lambda: made)


def stock_yes_logit(description, references, candidate, may_differ=NOTHING_DIFFERS, **asked):
    """The plain full forward of transformers, one pair at a time, pictures resized by its own processor."""
    stock, processor = tiny_parts()
    prompt = pair_prompt(description, len(references), may_differ, **asked)
    text = processor.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
    images = [p.load() for p in [*references, candidate]]
    with torch.no_grad():
        logits = stock(**processor(text=[text], images=images, return_tensors="pt")).logits[0, -1]
    yes, no = yes_no_ids(processor.tokenizer)
    return float(logits[yes] - logits[no])


QUERIES = [
    ("a woman in a red jacket", []),
    ("", [picture(1)]),
    ("a green coat", [picture(1), picture(2, 140, 84)]),
]


def test_pictures_are_decoded_side_by_side_and_stay_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    together = threading.Barrier(3)

    def meeting(seed):
        def load():
            together.wait(30)  # BrokenBarrierError where one is decoded after the other
            return noise_picture(seed)

        return Picture(("met", seed), load)

    def torn():
        together.wait(30)
        raise OSError("torn.jpg cannot be opened")

    model = with_rule(tmp_path / "side-by-side", STAGE_2)
    pictures = [meeting(1), Picture("torn", torn), meeting(2)]
    scores = model.yes_logits("a red jacket", [], pictures)
    alone = [model.yes_logits("a red jacket", [], [picture(seed)])[0] for seed in (1, 2)]
    assert np.isnan(scores[1]) and scores[[0, 2]].tolist() == pytest.approx(alone, abs=1e-5)
    assert abs(alone[0] - alone[1]) > 1e-3
    pictures = [meeting(3), Picture("torn", torn), meeting(4)]
    with pytest.raises(OSError, match=r"torn\.jpg"):
        model.annotate(pictures)


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (None, 3)])
def test_vision_tokens_are_kept_within_their_budget(tmp_path, limit, kept):
    with_rule(tmp_path / "kept", STAGE_2)
    model = ReidModel.load(tmp_path / "kept", tokens=TokenBudget(limit))
    opened = []
    pictures = [
        Picture(seed, lambda seed=seed: opened.append(seed) or noise_picture(seed)) for seed in range(3)
    ]
    first = model.yes_logits("a red jacket", [], pictures)
    assert model.yes_logits("a red jacket", [], pictures).tolist() == first.tolist()
    assert len(opened) == 6 - kept
    assert (model.warm_up() > 0) == (limit is None)


@pytest.mark.parametrize(("description", "references"), QUERIES)
def test_yes_logits_equal_the_plain_full_forward(model, description, references):
    # Sizes in multiples of 28, so that neither side resizes.
    candidates = [picture(seed, *[(112, 56), (140, 84)][seed % 2]) for seed in range(20, 27)]
    mine = model.yes_logits(description, references, candidates)
    stock = [stock_yes_logit(description, references, candidate) for candidate in candidates]
    np.testing.assert_allclose(mine, stock, atol=1e-4)
    assert np.ptp(mine) > 1e-3  # candidates differ
    again = model.yes_logits(description, references, candidates)  # from the cache
    np.testing.assert_allclose(again, mine, atol=1e-6)


@pytest.mark.parametrize(("description", "references"), QUERIES)
def test_a_batch_never_changes_a_score(model, description, references):
    candidates = mixed(64)
    together = model.yes_logits(description, references, candidates)
    assert together.dtype == np.float32
    assert together.shape == (64,)
    for place in (0, 1, 2, 31, 32, 63):
        alone = ReidModel.load(model._checkpoint.spec).yes_logits(
            description, references, [candidates[place]]
        )
        assert abs(float(alone[0]) - float(together[place])) < 1e-3
    shuffled = np.random.default_rng(0).permutation(64)
    np.testing.assert_allclose(
        model.yes_logits(description, references, [candidates[i] for i in shuffled]),
        together[shuffled],
        atol=1e-3,
    )


def test_other_words_and_other_people_give_other_scores(model):
    candidates = mixed(8)
    red = model.yes_logits("a woman in a red jacket", [], candidates)
    blue = model.yes_logits("a man with a blue backpack", [], candidates)
    assert np.abs(red - blue).max() > 1e-3


def test_stop_and_progress_between_batches(model):
    seen = []
    calls = iter([False, True])
    yes_logits = model.yes_logits(
        "a man",
        [],
        mixed(70),
        stop=lambda: next(calls),
        progress=lambda done, total: seen.append((done, total)),
    )
    ((done, total),) = seen
    assert 1 <= done <= 32 and total == 70
    assert not np.isnan(yes_logits[:done]).any()
    assert np.isnan(yes_logits[done:]).all()
    assert model.yes_logits("a man", [], []).shape == (0,)


def test_a_picture_that_cannot_be_opened_is_left_out(model):
    def gone():
        raise FileNotFoundError("gone.jpg")

    candidates = [picture(1), Picture("gone", gone), picture(2)]
    yes_logits = model.yes_logits("a man", [], candidates)
    assert np.isnan(yes_logits).tolist() == [False, True, False]
    with pytest.raises(FileNotFoundError):
        model.yes_logits("", [Picture("gone", gone)], candidates)
    with pytest.raises(ValueError, match="description or a reference"):
        model.yes_logits("", [], candidates)


def test_annotation_equals_the_stock_greedy_generation(tmp_path):
    model = with_rule(tmp_path / "demo", DEMO)
    stock, processor = tiny_parts()
    text = processor.apply_chat_template(annotate_prompt(), tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[text], images=[noise_picture(5, 168, 84)], return_tensors="pt")
    with torch.no_grad():
        out = stock.generate(**inputs, max_new_tokens=12, do_sample=False)
    expected = out[0, inputs["input_ids"].shape[1] :].tolist()
    from app.model.attributes import annotation_tokens

    with model._ready() as loaded:
        seen = loaded.reader.see([picture(4), picture(5, 168, 84), picture(6)])
        tokens = annotation_tokens(loaded.processor)
        answers = generate(loaded.language, tokens, seen, batch=32, limit=12)
    assert list(answers[1].ids) == expected
    assert all(0 < chance <= 1 for chance in answers[1].probabilities)
    assert len(answers[0].ids) <= MAX_NEW_TOKENS
    read = model.annotate([picture(4), picture(5), picture(4)])
    assert len(read) == 3
    assert read[0] == read[2]


def stock_choice(description, references, candidates, may_differ=NOTHING_DIFFERS):
    """Log-probabilities of the candidates' names, from one full forward of transformers."""
    stock, processor = tiny_parts()
    prompt = best_choice_prompt(description, len(references), len(candidates), may_differ)
    text = processor.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
    images = [p.load() for p in [*references, *candidates]]
    ids = processor.tokenizer.convert_tokens_to_ids
    with torch.no_grad():
        given = processor(text=[f"{text}Image"], images=images, return_tensors="pt")
        logits = stock(**given).logits[0, -1]
    return logits[[ids(f"Ġ{name.split()[1]}") for name in prompt.names]].log_softmax(0).numpy()


@pytest.mark.parametrize(("description", "references"), QUERIES)
def test_choices_equal_the_plain_full_forward(model, description, references):
    """Lists of one grid and of mixed ones, together."""
    some = [picture(seed, *[(112, 56), (140, 84)][seed % 2]) for seed in range(40, 44)]
    alike = [[picture(60 + seed + 4 * n) for seed in range(4)] for n in range(2)]
    lists = [some, some[::-1], *alike]
    mine = model.choice_logits(description, references, lists)
    expected = [stock_choice(description, references, shown) for shown in lists]
    np.testing.assert_allclose(mine, expected, atol=2e-3)
    assert np.ptp(mine) > 0.01
    alone = [model.choice_logits(description, references, [shown])[0] for shown in lists]
    np.testing.assert_allclose(mine, alone, atol=1e-3)


def test_which_pictures_can_be_opened(model):
    def gone():
        raise FileNotFoundError("gone.jpg")

    lost = Picture("gone", gone)
    assert model.can_open([picture(1), lost, picture(2)]).tolist() == [True, False, True]
    with pytest.raises(FileNotFoundError):
        model.choice_logits("a man", [], [[picture(1), lost]])
    longest = [picture(seed) for seed in range(LONGEST_LIST - 2)]
    assert model.choice_logits("", [picture(90), picture(91)], [longest]).shape == (1, LONGEST_LIST - 2)


@pytest.mark.parametrize("other_clothes", [False, True])
@pytest.mark.parametrize("reference", [picture(1), infrared(1)], ids=["visible", "infrared"])
def test_each_candidate_is_asked_about_with_what_may_differ(model, reference, other_clothes):
    candidates = [picture(20), infrared(21), picture(22, 140, 84), infrared(23, 140, 84), infrared(20)]
    scores = model.yes_logits("", [reference], candidates, other_clothes=other_clothes)
    by_day = reference.key[0] == "noise"
    kinds = [MayDiffer(other_clothes, by_day == (one.key[0] == "infrared")) for one in candidates]
    for score, candidate, kind in zip(scores, candidates, kinds, strict=True):
        asked = {
            other: stock_yes_logit("", [reference], candidate, other)
            for other in (MayDiffer(clothes, light) for clothes in (False, True) for light in (False, True))
        }
        assert score == pytest.approx(asked[kind], abs=1e-4)
        assert len({round(value, 3) for value in asked.values()}) == 4  # another wording, another answer
    lists = [candidates[:2], [candidates[0], picture(24)], [candidates[1], infrared(25)]]
    choices = model.choice_logits("", [reference], lists, other_clothes=other_clothes)
    lights = [True, not by_day, by_day]
    for choice, shown, light in zip(choices, lists, lights, strict=True):
        expected = stock_choice("", [reference], shown, MayDiffer(other_clothes, light))
        np.testing.assert_allclose(choice, expected, atol=1e-3)


def test_a_plain_model_is_told_that_clothes_may_be_others():
    plain = ReidModel.load(tiny_folder())
    crops = mixed(4)
    alike, other = (plain.yes_logits("", crops[:1], crops[1:], other_clothes=said) for said in (False, True))
    assert np.abs(alike - other).min() > 1e-4
    by_words = [plain.yes_logits("a green coat", [], crops, other_clothes=said) for said in (False, True)]
    np.testing.assert_allclose(*by_words, atol=1e-5)  # there is no picture to differ from


def before_and_of_version(version: int, folder: Path) -> tuple[ReidModel, ReidModel]:
    """A toy checkpoint of version 2 of the prompts, and the same said to be of another."""
    before = with_rule(folder / "toy", STAGE_2)
    file = folder / "toy" / FILE_NAME
    file.write_text(file.read_text().replace('"prompt_version": 2', f'"prompt_version": {version}'))
    return before, ReidModel.load(folder / "toy")


@pytest.mark.parametrize(("description", "references"), QUERIES)
def test_a_checkpoint_of_version_1_is_asked_as_it_was_taught(tmp_path, description, references):
    _, old = before_and_of_version(1, tmp_path)
    assert old.manifest.prompt_version == 1
    candidates = [picture(20), infrared(21), infrared(22), picture(23)]
    alike, other = (
        old.yes_logits(description, references, candidates, other_clothes=said) for said in (False, True)
    )
    np.testing.assert_allclose(alike, other, atol=1e-5)  # batches go by time
    stock = [stock_yes_logit(description, references, candidate, None) for candidate in candidates]
    np.testing.assert_allclose(alike, stock, atol=1e-4)
    for said in (False, True):
        (chosen,) = old.choice_logits(description, references, [candidates], other_clothes=said)
        np.testing.assert_allclose(chosen, stock_choice(description, references, candidates, None), atol=1e-3)


@pytest.mark.parametrize(("description", "references"), QUERIES)
def test_a_checkpoint_of_version_4_is_asked_with_the_words_behind_the_picture(
    tmp_path, description, references
):
    before, new = before_and_of_version(4, tmp_path)
    candidates = [picture(20), picture(21, 140, 84), picture(23)]
    own, old = (model.yes_logits(description, references, candidates) for model in (new, before))
    stock = [stock_yes_logit(description, references, one, words_behind=True) for one in candidates]
    np.testing.assert_allclose(own, stock, atol=1e-4)
    assert (np.abs(own - old).max() > 1e-4) == bool(description)


def stock_yes_logit_read_aloud(description, candidate, probs, kinds):
    """Figure 4's question, the candidate's picture followed by a token for each kind that is read off it."""
    stock, processor = tiny_parts()
    prompt = pair_prompt(description, words_behind=True)
    text = processor.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
    asked = processor(text=[text], images=[candidate.load()], return_tensors="pt")
    ids, picture_id = asked["input_ids"][0], processor.image_token_id
    embed = stock.get_input_embeddings()
    with torch.no_grad():
        rows = embed(ids)
        found = stock.model.get_image_features(asked["pixel_values"], asked["image_grid_thw"])
        rows[ids == picture_id] = torch.cat(list(getattr(found, "pooler_output", found)))
        told, left = [], list(probs)
        for kind, values in kinds.items():
            label = processor.tokenizer(f" {kind.replace('_', ' ')}", add_special_tokens=False)["input_ids"]
            token = sum(embed(torch.tensor(one)) for one in label) / len(label)
            for value in values:
                begun, whole = (
                    processor.tokenizer(f"{kind.replace('_', ' ')}:{one}", add_special_tokens=False)[
                        "input_ids"
                    ]
                    for one in ("", f" {value}")
                )
                token = token + float(left.pop(0)) * embed(torch.tensor(whole[len(begun)]))
            told.append(token)
        behind = int((ids == picture_id).nonzero().max()) + 1
        length = len(ids) - behind
        _, h, w = asked["image_grid_thw"][0].tolist()
        start = int((ids == picture_id).nonzero().min())
        grid = torch.stack(
            torch.meshgrid(torch.arange(1), torch.arange(h // 2), torch.arange(w // 2), indexing="ij")
        )
        words = torch.arange(len(told) + length) + start + max(h, w) // 2
        positions = torch.cat(
            [torch.arange(start).expand(3, -1), grid.flatten(1) + start, words.expand(3, -1)], 1
        )
        rows = torch.cat([rows[:behind], torch.stack(told), rows[behind:]])
        logits = stock(inputs_embeds=rows[None], position_ids=positions[:, None]).logits[0, -1]
    yes, no = yes_no_ids(processor.tokenizer)
    return float(logits[yes] - logits[no])


@pytest.mark.parametrize(("description", "references"), QUERIES)
def test_a_checkpoint_of_version_5_is_told_by_words_what_it_reads(tmp_path, description, references):
    before, new = before_and_of_version(5, tmp_path)
    broken = Picture("broken", mock.Mock(side_effect=OSError("torn.jpg cannot be opened")))
    candidates = [picture(20), picture(21, 140, 84), broken, picture(23)]
    own, old = (model.yes_logits(description, references, candidates) for model in (new, before))
    if references:  # as version 2 is asked
        np.testing.assert_allclose(own, old, atol=1e-5)
        return
    assert np.isnan(own[2]) and np.nanmin(np.abs(own - old)) > 1e-4
    for place in (0, 1, 3):
        (probs,) = new.attribute_probs([candidates[place]])
        stock = stock_yes_logit_read_aloud(description, candidates[place], probs, new.kinds)
        assert own[place] == pytest.approx(stock, abs=1e-4)
    alone = [new.yes_logits(description, [], [one])[0] for one in candidates]
    np.testing.assert_allclose(alone, own, atol=1e-4)


def test_the_rule_of_the_manifest_is_the_rule_in_use(tmp_path):
    demo = with_rule(tmp_path / "demo", DEMO)
    with demo._ready() as loaded:
        seen = loaded.reader.see([picture(1, 300, 111)])[0]
    assert seen.grid == (1, 12, 6)
    assert ReidModel.load(tiny_folder()).rule.fixed == (252, 140)  # no manifest: the rule of run time


SERVED = [STAGE_1.within(252 * 140), STAGE_2, STAGE_3.within(252 * 140)]


@pytest.mark.parametrize("rule", SERVED, ids=str)
def test_crops_of_many_sizes_in_one_call_read_as_each_by_itself(tmp_path, monkeypatch, rule):
    sizes = [(128, 64), (246, 90), (40, 20), (600, 300), (90, 120)]
    crops = [picture(300 + seed, *sizes[seed % len(sizes)]) for seed in range(10)]
    model, alone = with_rule(tmp_path / "a", rule), with_rule(tmp_path / "b", rule)
    computed = []
    before = LanguageModel.prefix
    monkeypatch.setattr(LanguageModel, "prefix", lambda *given: computed.append(1) or before(*given))
    scores = model.yes_logits("a green coat", [crops[0], crops[1]], crops)
    assert len(computed) == 1  # one prefix, whatever the candidates' grids
    own = [alone.yes_logits("a green coat", [crops[0], crops[1]], [crop])[0] for crop in crops]
    np.testing.assert_allclose(scores, own, atol=1e-3)
    read = [alone.attribute_probs([crop])[0] for crop in crops]
    np.testing.assert_allclose(model.attribute_probs(crops), read, atol=1e-3)
    for together, crop in zip(model.annotate(crops[:5]), crops[:5], strict=True):
        (by_itself,) = alone.annotate([crop])
        assert [one.attribute for one in together] == [one.attribute for one in by_itself]
    lists = [crops[1:5], crops[5:9]]
    read = [alone.choice_logits("a green coat", crops[:1], [shown])[0] for shown in lists]
    np.testing.assert_allclose(model.choice_logits("a green coat", crops[:1], lists), read, atol=1e-3)


def test_many_threads_share_one_model(model):
    candidates = mixed(6)
    expected = model.yes_logits("a man", [], candidates)
    results = {}

    def ask(number):
        results[number] = model.yes_logits("a man", [], candidates)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for yes_logits in results.values():
        np.testing.assert_allclose(yes_logits, expected, atol=1e-6)
    assert len(results) == 4


def test_the_cache_is_bounded_by_bytes_and_forgets_the_oldest():
    cache = BoundedCache(10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1
    cache.put("c", 3, 4)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (1, 3)
    cache.put("huge", 4, 11)
    assert cache.get("huge") is None
    cache.put("a", 5, 6)
    assert cache.get("a") == 5
    assert cache.used == 10


def test_a_grey_or_transparent_picture_is_read_as_rgb(model):
    grey = Picture("grey", lambda: Image.new("L", (56, 112), 128))
    rgb = Picture("rgb", lambda: Image.new("RGB", (56, 112), (128, 128, 128)))
    yes_logits = model.yes_logits("a man", [], [grey, rgb])
    assert abs(float(yes_logits[0] - yes_logits[1])) < 1e-5
