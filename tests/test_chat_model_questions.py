"""Which messages are put to the model, which are answered without it, and which of nobody; how its words are shown."""

import pytest

from app.chat.model_questions import (
    NO_ORIGIN,
    NOT_IN_A_PICTURE,
    ModelTask,
    about_selected,
    declined,
    task_of,
)
from app.chat.model_words import CANNOT_TALK, model_words, unmarked
from app.chat.result_answers import is_unanswered
from app.chat.results import read_pointing
from app.chat.search_state import ShownCandidate
from app.model.answers import AttributeReading
from app.model.vocabulary import KINDS_OF_VERSION, Attribute

ANSWERED, UNANSWERED = "Candidate 2 was seen on camera 3.", "That I cannot answer. Candidate 2: …"


def task(text: str, *, free: bool, answer: str = ANSWERED) -> ModelTask | None:
    pointing = read_pointing(text) or about_selected(text)
    assert pointing is not None, text
    return task_of(pointing, text, pointing.places, answer, free=free)


@pytest.mark.parametrize(
    "text",
    (
        "what is written on number 2's shirt?",
        "what is number 2 doing?",
        "is number 2 alone?",
        "is the second one looking at his watch?",
        "what are number 2 and number 5 doing?",
        "are numbers 2 and 5 talking?",
        "what are 2 and 5 doing?",
        "are 1 and 3 the same man?",
        "is 1 the same person as 3?",
        "what is written on his shirt?",
        "does she have a tattoo?",
        "which bus is he waiting for?",
    ),
)
def test_an_open_question_is_the_models_own_and_else_its_trained_words(text):
    asked = task(text, free=True)
    assert asked is not None and (asked.kind, asked.question, asked.instead) == ("ask", text, False)
    taught = task(text, free=False)
    same = "same" in text  # a comparison is what was taught for that
    assert taught is not None and (taught.question, taught.instead) == ("", not same)
    assert taught.kind == ("compare" if len(asked.places) == 2 else "describe")
    assert taught.places == asked.places


@pytest.mark.parametrize(
    ("text", "kind"),
    (
        ("describe number 2", "describe"),
        ("Could you describe the second one, please?", "describe"),
        ("tell me about number 2", "describe"),
        ("what does number 2 look like?", "describe"),
        ("describe him", "describe"),
        ("compare 1 and 3", "compare"),
        ("what is the difference between 2 and 5?", "compare"),
        ("how do 1 and 3 differ?", "compare"),
    ),
)
def test_describe_and_compare_are_the_trained_prompts_of_every_model(text, kind):
    for free in (True, False):
        asked = task(text, free=free)
        assert asked is not None and (asked.kind, asked.question, asked.instead) == (kind, "", False)


@pytest.mark.parametrize(
    "text",
    (
        "which camera is number 1 on?",
        "when was number 1 seen?",
        "is the first one wearing glasses?",
        "why is the first one on top?",
        "what is number 2 carrying?",
        "what colour is number 2's jacket?",
        "is she wearing a hat?",
        "what is he carrying?",
    ),
)
def test_what_is_known_or_read_is_asked_of_no_model(text):
    assert task(text, free=True) is None and task(text, free=False) is None
    asked = task(text, free=True, answer=UNANSWERED)
    assert asked is not None and asked.kind == "ask"  # but what was not made out is


@pytest.mark.parametrize(
    ("text", "place"), (("what is number 2 and number 5 doing?", (2, 5)), ("is number 4 alone?", (4,)))
)
def test_a_question_may_be_about_two(text, place):
    assert read_pointing(text).places == place


@pytest.mark.parametrize(
    "text",
    (
        "a man in a red coat",
        "he has a red coat",
        "does not matter what he wore",
        "was wearing a red coat, he had a hat",
        "what about him in a green coat",
        "has her hood up",
        "can you find her on camera 3?",
        "who is he?",
        "what is his name?",
        "where does she live?",
        "when he left he wore a cap",
        "is there anyone with a hat like his",
        "could she have changed her clothes?",
        "did he wear a hat? i think so, a red one",
        "what did he wear? a red coat",
    ),
)
def test_no_description_and_no_command_is_a_question_about_the_selected_one(text):
    assert about_selected(text) is None


@pytest.mark.parametrize(
    ("question", "says"),
    (
        ("what race is", NO_ORIGIN),
        ("is black", NO_ORIGIN),
        ("is he asian", NO_ORIGIN),
        ("is a white man", NO_ORIGIN),
        ("what is his skin colour", NO_ORIGIN),
        ("is suspicious", NOT_IN_A_PICTURE),
        ("what religion is", NOT_IN_A_PICTURE),
        ("what is the name of", "I never tell who somebody is"),
        ("who is", "I never tell who somebody is"),
        ("do you recognise him in", "I never tell who somebody is"),
    ),
)
def test_identity_origin_and_guesses_are_asked_of_nobody(question, says):
    assert (declined(question) or "").startswith(says)


@pytest.mark.parametrize(
    "question", ("is wearing a black hat", "what is on his feet", "what is doing", "is black his coat")
)
def test_the_rest_is_not_declined(question):
    assert declined(question) is None


def test_words_that_are_quoted_can_do_nothing():
    said = "<img src=x> ![a](http://e.org/a.png) **bold** [l](javascript:x)\n# head\n> `c`"
    shown = model_words(ModelTask("ask", (2,), "what is it?"), said)
    quoted = shown.split("\n> ")[1]
    assert quoted.count("\n") == 0 and "model's own words on candidate 2" in shown
    for mark in "<>![]()*#`":
        assert all(quoted[at - 1] == "\\" for at, char in enumerate(quoted) if char == mark)
    assert unmarked("a red coat, 5 %.") == "a red coat, 5 %."


def test_what_was_cut_or_stopped_is_said():
    asked = ModelTask("ask", (2, 5), "what do they do?")
    assert "candidates 2 and 5" in model_words(asked, "They walk")
    cut = model_words(asked, "They walk", ended=False)
    assert "They walk …" in cut and "too long" in cut
    assert model_words(asked, "They", ended=False, stopped=True).endswith("Stopped.")
    assert "Stopped before" in model_words(asked, "", ended=False, stopped=True)
    assert model_words(asked, " ") == "The model wrote nothing."
    assert model_words(ModelTask("describe", (2,), instead=True), "a man").startswith(CANNOT_TALK)


def test_a_description_is_held_against_what_is_read():
    describe = ModelTask("describe", (2,))
    readings = [
        AttributeReading(Attribute(kind, value), 0.9)
        for kind, value in (("gender", "woman"), ("upper", "coat"), ("upper_colour", "green"))
    ]
    shown = ShownCandidate(None, None, readings)  # type: ignore[arg-type]
    said = model_words(describe, "A woman in a red coat with a backpack.", shown=[shown])
    assert (
        "> A woman in a red coat" in said
        and "Of 3 details that can be held against what it reads, 2 agree." in said
    )
    sandals = AttributeReading(Attribute("shoes", "sandals"), 0.9)
    barefoot = ShownCandidate(None, None, [sandals])  # type: ignore[arg-type]
    said = model_words(describe, "A child in sandals.", shown=[barefoot])
    assert "Of 1 details that can be held against what it reads, 1 agree." in said
    older = ShownCandidate(None, None, [AttributeReading(Attribute("shoes", "shoes"), 0.9)])  # type: ignore[arg-type]
    said = model_words(describe, "A child in heels.", shown=[older], kinds=KINDS_OF_VERSION[1])
    assert "Of 1 details that can be held against what it reads, 1 agree." in said
    for nothing in ("Image 2", "No", ""):
        said = model_words(describe, nothing, shown=[shown])
        assert "says nothing of what is worn" in said and "own words" not in said
    assert model_words(ModelTask("describe", (2,), instead=True), "Image 2") == CANNOT_TALK
    above = model_words(ModelTask("describe", (2,), instead=True), "Image 2", above=True)
    assert "above stands" in above and "above" not in CANNOT_TALK
    assert "says nothing" in model_words(ModelTask("compare", (1, 3)), "Image 2 and Image")


def test_only_answers_that_are_none_are_unanswered():
    assert is_unanswered(UNANSWERED) and is_unanswered("The model does not make that out in candidate 1.")
    assert not is_unanswered(ANSWERED)
