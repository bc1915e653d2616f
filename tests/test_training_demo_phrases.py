"""What a description says of each thing, where it has said it, and of whom that is true."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.model.prompts import pair_prompt
from app.model.vocabulary import Attribute
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import tiny_parts
from training.demo.language import LanguageLesson
from training.demo.looks import DevicePictures
from training.demo.phrases import Phrase, PhraseArrays, phrase_loss, phrases_of, tokens_from_end
from training.demo.recipe import StepBudget, demo_stages
from training.demo.sampling import PoolLists, descriptions

NO_BACKPACK = Attribute("bag", "backpack")
SAID = [
    (
        "a young slim woman in a long dark red coat and blue jeans with no hat.",
        {"age": "young", "build": "slim", "gender": "woman", "upper": "coat", "upper_length": "long"}
        | {
            "upper_shade": "dark",
            "upper_colour": "red",
            "lower": "jeans",
            "lower_colour": "blue",
            "hat": "none",
        },
        None,
        {"a young slim woman", "coat", "jeans", "no hat"},
    ),
    (
        "find a gentleman wearing a rucksack and a grey top with a logo",
        {"gender": "man", "bag": "backpack", "upper_colour": "grey", "upper_print": "logo"},
        None,
        {"gentleman", "rucksack", "top", "logo"},
    ),
    (
        "a person with long brown hair, not a backpack",
        {"hair": "long", "hair_colour": "brown"},
        NO_BACKPACK,
        {"hair", "not a backpack"},
    ),
    ("a person, not a backpack", {}, NO_BACKPACK, {"not a backpack"}),
    ("a woman of average build", {"gender": "woman", "build": "average"}, None, {"woman"}),
    ("a person pushing a stroller", {"pushing": "stroller"}, None, {"stroller"}),
]


@pytest.mark.parametrize(("text", "said", "refused", "ends"), SAID)
def test_a_phrase_ends_with_its_noun(text, said, refused, ends):
    found = phrases_of(text, said, refused, 2)
    for end in ends:
        (one,) = [phrase for phrase in found if text[: phrase.end].endswith(end)]
        assert one.refused == end.startswith("not ")
    assert len(found) == len(ends)
    stated = [kind for one in found for kind in one.said if not one.refused]
    assert sorted(stated) == sorted(kind for kind in said if (kind, said[kind]) != ("build", "average"))


@pytest.mark.parametrize("world", [1, 2])
def test_nearly_all_that_is_said_is_found_at_a_token_of_the_prompt(world):
    pool, (_, processor) = tiny_pool(world=world), tiny_parts()
    told = descriptions(pool, np.arange(140), np.random.default_rng(1), (1, 12), 0.5, 0.4)
    said, found = int((told.fragments >= 0).sum() + (told.refused >= 0).sum()), 0
    for text, phrases in zip(told.texts, told.phrases, strict=True):
        messages = pair_prompt(text, words_behind=True).messages
        prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = processor.tokenizer(prompt)["input_ids"]
        for one, end in zip(
            phrases, tokens_from_end(processor, messages, text.rstrip(" ."), phrases), strict=True
        ):
            found += len(one.said)
            read = processor.tokenizer.decode(ids[: len(ids) + end + 1])
            assert read.endswith('"' + text[: one.end])
    assert said * 0.9 < found <= said


def test_of_whom_a_phrase_is_true():
    kinds = {"upper": ("coat", "shirt"), "upper_colour": ("red", "blue"), "hat": ("none", "cap")}
    shown = np.array([[0, 0, 0], [0, 1, 0], [0, -1, 1], [-1, 1, -1]], np.int8)
    red_coat, no_cap = Phrase(4, {"upper": "coat", "upper_colour": "red"}), Phrase(9, {"hat": "cap"}, True)
    said = PhraseArrays.of([[red_coat], [], [no_cap]], [[-7], [], [-3]], shown, kinds)
    assert said.queries.tolist() == [0, 2] and said.ends.tolist() == [-7, -3]
    assert said.true.tolist() == [[1, 0, -1, 0], [1, 1, 0, -1]]
    both = PhraseArrays.side_by_side([said, said], [3, 3])
    assert both.queries.tolist() == [0, 2, 3, 5] and both.true.shape == (4, 4)
    sure = torch.tensor(np.where(said.true == 1, 9.0, -9.0))
    assert phrase_loss(sure, said.true) < 1e-3 < 8 < phrase_loss(-sure, said.true)
    assert phrase_loss(sure.masked_fill(torch.tensor(said.true < 0), 99.0), said.true) < 1e-3


@pytest.mark.parametrize("prompt", [2, 4, 5])
def test_phrases_behind_the_picture_are_taught(prompt):
    """At the tokens that were found, behind each candidate's picture."""
    pool, (model, processor) = tiny_pool(), tiny_parts()
    stage = replace(
        demo_stages(StepBudget(), prompt)["stage3"], lists={"text": 1.0}, choices=0, forms=0, plain=0
    )
    lesson = LanguageLesson(model, processor, stage, pool, DevicePictures(pool.pictures), seed=0)
    _, figures = lesson.loss(lesson.draw(0, 0.0))
    assert ("phrases" in figures) == (prompt > 2)
    packed = PoolLists(pool, processor, 0, prompt=prompt).draw("text", 0)
    assert packed.reading == (len(pool.kinds) if prompt == 5 else 0)
    if packed.phrases is not None:
        for query, end in zip(packed.phrases.queries, packed.phrases.ends, strict=True):
            layout = packed.layouts[query]
            place = len(layout.block_ids) + end
            assert place >= layout.block_image_span[1]
            word = processor.tokenizer.decode(layout.block_ids[place : place + 1]).strip()
            assert word and packed.texts[query].rstrip(" .").find(word) >= 0
