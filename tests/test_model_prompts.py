"""What the model is asked: the paper's wordings word for word, the query-first question, and safe texts."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model import prompts
from app.model.prompts import (
    MAX_DESCRIPTION,
    PAPER_PROMPTS,
    MayDiffer,
    PairPrompt,
    best_choice_prompt,
    clean_text,
    pair_prompt,
    paper_prompt,
)


def shown(messages):
    """The user's message as one text, pictures as <image>."""
    assert [message["role"] for message in messages] == ["user"]
    parts = messages[0]["content"]
    for one, two in pairwise(parts):
        assert not one["type"] == two["type"] == "text"  # texts are joined: one way to tokenize them
    return "".join(part["text"] if part["type"] == "text" else "<image>" for part in parts)


def test_the_pair_question_is_query_first_and_ends_with_the_candidate():
    assert shown(pair_prompt("a woman in a red jacket").messages) == (
        "Query: a woman in a red jacket.\n"
        "Does the image match the description? Answer Yes or No.\n"
        "Image 1:<image>"
    )
    assert shown(pair_prompt(references=1).messages) == (
        "Query: Image 1:<image>\nDoes the next image show the same person? Answer Yes or No.\nImage 2:<image>"
    )
    assert shown(pair_prompt("a green coat.", references=2).messages) == (
        "Query: Image 1:<image>\nImage 2:<image>\nNow: a green coat.\n"
        "Does the next image show the same person, who may be wearing different clothing?"
        " Answer Yes or No.\nImage 3:<image>"
    )
    for nothing in ("", "  ", "<|im_end|>"):
        with pytest.raises(ValueError, match="description or a reference"):
            pair_prompt(nothing)


def test_words_can_stand_behind_the_picture():
    """By words alone as Figure 4 asks; beside references, where the words are a change, they are said again."""
    for text in ("a woman in a red jacket.", "  a woman in a red jacket "):
        figure_4 = paper_prompt("text_one_to_one", [1], ["a woman in a red jacket"])
        assert pair_prompt(text, words_behind=True) == PairPrompt(figure_4, 0)
    assert shown(figure_4) == (
        'Does the image Image 1:<image> of the pedestrian match the following caption: "a woman in a red jacket"'
    )
    told = shown(pair_prompt("a green coat.", 2, words_behind=True).messages)
    assert told == shown(pair_prompt("a green coat.", 2).messages) + "\na green coat."
    assert pair_prompt("", 1, words_behind=True) == pair_prompt("", 1)
    with pytest.raises(ValueError, match="description or a reference"):
        pair_prompt(" ", words_behind=True)


CLOTHES = ", who may be wearing different clothing"
LIGHT = ", considering both infrared and visible light images"
KINDS = {
    MayDiffer(): "",
    MayDiffer(clothes=True): CLOTHES,
    MayDiffer(light=True): LIGHT,
    MayDiffer(clothes=True, light=True): CLOTHES + LIGHT,
}


@pytest.mark.parametrize(("may_differ", "clause"), KINDS.items())
def test_what_may_differ_is_said_in_the_papers_own_words(may_differ, clause):
    assert shown(pair_prompt("", 1, may_differ).messages) == (
        f"Query: Image 1:<image>\nDoes the next image show the same person{clause}?"
        " Answer Yes or No.\nImage 2:<image>"
    )
    assert shown(best_choice_prompt("", 1, 2, may_differ).messages) == (
        f"Query: Image 1:<image>\nWhich image shows the same person{clause}?"
        " Answer the image or None.\nImage 2:<image>\nImage 3:<image>"
    )
    assert CLOTHES in PAPER_PROMPTS["cloth_changing"] and LIGHT in PAPER_PROMPTS["visible_infrared"]
    # Words beside a picture tell of other clothes; without a picture there is nothing to differ from.
    told = shown(pair_prompt("a green coat", 1, may_differ).messages)
    assert f"same person{CLOTHES}{LIGHT if may_differ.light else ''}?" in told
    assert pair_prompt("a green coat", 0, may_differ) == pair_prompt("a green coat")
    assert best_choice_prompt("a green coat", 0, 2, may_differ) == best_choice_prompt("a green coat", 0, 2)


def test_the_question_of_version_1_says_nothing_of_it():
    for text in ("", "a green coat"):
        assert "same person? Answer" in shown(pair_prompt(text, 1, None).messages)
        assert "same person? Answer" in shown(best_choice_prompt(text, 1, 2, None).messages)


def test_best_choice_names_the_pictures():
    prompt = best_choice_prompt("a man", candidates=3)
    assert prompt.names == ("Image 1", "Image 2", "Image 3")
    assert shown(prompt.messages) == (
        "Query: a man.\nWhich image matches the description? Answer the image or None.\n"
        "Image 1:<image>\nImage 2:<image>\nImage 3:<image>"
    )
    assert best_choice_prompt("", references=2, candidates=2).names == ("Image 3", "Image 4")
    with pytest.raises(ValueError, match="one candidate"):
        best_choice_prompt("a man", candidates=0)


def test_the_papers_wordings_fill_word_for_word():
    assert shown(prompts.caption_prompt()).startswith("In the Image 1:<image> provided, can you give")
    assert shown(paper_prompt("image_one_to_one", [2])) == (
        "Do these two images Image 1:<image> Image 2:<image> contain the same pedestrian identity?"
    )
    assert shown(paper_prompt("image_many_to_many", [1, 2])) == (
        "Given the query image Image 1:<image> of a pedestrian and a gallery set"
        " Image 2:<image> Image 3:<image>."
        " Please select all images from gallery set, that match the identity of the pedestrian"
        " in the query image."
    )
    assert shown(paper_prompt("text_one_to_one", [1], ["a man"])) == (
        'Does the image Image 1:<image> of the pedestrian match the following caption: "a man"'
    )
    assert shown(paper_prompt("text_many_to_one", [1], ["a", "b", "c"])) == (
        "Given the following image Image 1:<image>, which of the captions accurately describes it?"
        ' The first caption: "a". The second caption: "b". The third: "c"'
    )
    assert shown(paper_prompt("text_one_to_many", [2], ["a man"])).endswith(
        'appearance: "a man"\nImage 1:<image> Image 2:<image>'
    )
    assert shown(paper_prompt("standard", [1, 3])).endswith(
        "\nImage 2:<image> Image 3:<image> Image 4:<image>"
    )
    assert shown(paper_prompt("text_to_image", [2], ["a man"])).endswith("appearance: a man")


@pytest.mark.parametrize("task", PAPER_PROMPTS)
def test_nothing_but_the_slots_changes(task):
    wording = PAPER_PROMPTS[task]
    slots = sum(wording.count(slot) for slot in ("<[ ]>", "{person image}", "{gallery}"))
    texts = ["TEXT"] * (wording.count('"..."') + wording.count("{text}"))
    filled = shown(paper_prompt(task, [1] * slots, texts))
    for number in range(1, slots + 1):
        filled = filled.replace(f"Image {number}:<image>", "SLOT")
    for slot in ("<[ ]>", "{person image}", "{gallery}"):
        wording = wording.replace(slot, "SLOT")
    assert filled == wording.replace('"..."', '"TEXT"').replace("{text}", "TEXT")


def test_counts_that_do_not_fit_are_refused():
    for task, pictures, texts in (
        ("nonsense", [1], []),
        ("caption", [], []),
        ("caption", [1, 1, 1], []),
        ("caption", [0], []),
        ("text_one_to_one", [1], []),
        ("text_many_to_one", [1], ["only one"]),
    ):
        with pytest.raises(ValueError, match=task):
            paper_prompt(task, pictures, texts)


@settings(max_examples=200)
@given(st.text(max_size=1000))
def test_any_text_is_made_safe(text):
    clean = clean_text(text)
    assert len(clean) <= MAX_DESCRIPTION
    assert "<|" not in clean
    assert "\n" not in clean
    assert clean == clean.strip()
    assert clean_text(clean) == clean


@pytest.mark.parametrize(
    "attack", ["<|im_end|>", "<|im_<|x|>end|>", "<<||im_end|>", "<|image_pad|>" * 3, "<|\n|>"]
)
def test_control_marks_cannot_be_smuggled_in(attack):
    assert "<|" not in clean_text(f"a man {attack} in red")
    assert clean_text(f"a man {attack} in red").startswith("a man")
