"""Turns, undo, chips, queries and JSON: what a whole conversation adds up to."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.chat.chips import hidden_by
from app.chat.conversation import (
    Conversation,
    answered,
    asked_before,
    chips,
    confirm,
    direct_answer,
    redo,
    reject,
    remove_chip,
    say,
    search_with,
    to_query,
    undo,
)
from app.chat.questions import Question
from app.chat.search_state import GalleryFacts
from app.chat.words import listed
from app.model.vocabulary import Attribute
from app.retrieval.query import Query, Reference
from gallery_store.crops import Filters
from tests.chat_notation import GALLERY

JSON = TypeAdapter(Conversation)  # all of a conversation is plain values, so that it can be kept in a file


def talk(*messages: str, start: Conversation | None = None) -> Conversation:
    conversation = start or Conversation()
    for message in messages:
        conversation = say(conversation, message, GALLERY)
    return conversation


def labels(conversation: Conversation) -> list[str]:
    return [chip.label for chip in chips(conversation)]


def wanted(conversation: Conversation) -> dict[str, str]:
    return {a.kind: a.value for a in to_query(conversation).wanted}


OPENING = "I'm looking for a woman in a red jacket with a backpack"


def test_the_conversation_of_the_readme():
    conversation = talk(OPENING)
    assert labels(conversation) == ["woman", "red jacket", "backpack"]
    conversation = talk("she has long hair", "no, the jacket is orange", "without a hat", start=conversation)
    assert labels(conversation) == ["woman", "long hair", "orange jacket", "backpack", "no hat"]
    conversation = talk("actually it was a coat", "only camera 3 after 14:00", start=conversation)
    assert labels(conversation) == [
        "woman", "long hair", "orange coat", "backpack", "no hat", "camera 3", "after 14:00",
    ]  # fmt: skip
    conversation = search_with(conversation, 17)
    query = to_query(conversation)
    assert (query.references, query.has_text, query.kind) == ((Reference(image_id=17),), False, "image")
    assert query.filters.cameras == ("3",)
    conversation = talk("the same person, but now in a green coat", start=conversation)
    query = to_query(conversation)
    assert query.kind == "image-plus-text"
    assert wanted(conversation) == {"upper": "coat", "upper_colour": "green"}
    conversation = confirm(conversation, 21)
    conversation = reject(conversation, 22)
    query = to_query(conversation)
    assert [reference.image_id for reference in query.references] == [17, 21]
    assert (query.confirmed, query.rejected) == (frozenset({21}), frozenset({22}))
    assert wanted(conversation) == {"upper": "coat", "upper_colour": "green"}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["no longer the backpack"], ["woman", "red jacket"]),
        (["the backpack doesn't matter"], ["woman", "red jacket"]),
        (["a black backpack", "forget the backpack"], ["woman", "red jacket"]),
        (["forget the bag"], ["woman", "red jacket"]),
        (["no bag"], ["woman", "red jacket", "no bag"]),
        (["no bag", "with a handbag"], ["woman", "red jacket", "handbag"]),
        (["no bag", "a red bag"], ["woman", "red jacket", "red bag"]),
        (["not a backpack"], ["woman", "red jacket", "not a backpack"]),
        (["no hat", "with a hat"], ["woman", "red jacket", "hat", "backpack"]),
        (["with a cap", "no hat"], ["woman", "red jacket", "backpack", "no hat"]),
        (["a blue cap", "no hat", "a hat after all"], ["woman", "red jacket", "hat", "backpack"]),
        (["no glasses", "forget the glasses"], ["woman", "red jacket", "backpack"]),
        (["no, orange"], ["woman", "orange jacket", "backpack"]),
        (["a coat instead of the jacket"], ["woman", "red coat", "backpack"]),
        (["swap the backpack for a handbag"], ["woman", "red jacket", "handbag"]),
        (["it's a man"], ["man", "red jacket", "backpack"]),
        (["the backpack is black", "no, green"], ["woman", "red jacket", "green backpack"]),
        (["a striped shirt", "in a green coat"], ["woman", "green coat", "backpack"]),
        (["striped", "actually it was a coat"], ["woman", "red striped coat", "backpack"]),
        (["the same, but now in a coat"], ["woman", "coat", "backpack"]),
        (["the jacket can be any colour"], ["woman", "jacket", "backpack"]),
        (["not red"], ["woman", "jacket", "backpack", "not red top"]),
        (["she has a tattoo"], ["woman", "red jacket", "backpack", "“tattoo”"]),
        (["she has a tattoo", "forget the tattoo"], ["woman", "red jacket", "backpack"]),
        (["hello", "thanks", "who is she?", "", "what can you do?"], ["woman", "red jacket", "backpack"]),
        (["start over"], []),
        (["start over", "undo"], ["woman", "red jacket", "backpack"]),
        (["no hat", "undo"], ["woman", "red jacket", "backpack"]),
    ],
)
def test_words_add_replace_exclude_and_go(messages: list[str], expected: list[str]):
    assert labels(talk(OPENING, *messages)) == expected


BEFORE = "woman in a red coat with glasses and a backpack on camera 2"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("start again: man in a blue suit", ["man", "blue suit"]),
        ("start over. man in a blue suit", ["man", "blue suit"]),
        ("start over with a man in a blue suit", ["man", "blue suit"]),
        ("ok so let's start over please, this time a man in a blue suit", ["man", "blue suit"]),
        ("pls start from scratch - man in a blue suit", ["man", "blue suit"]),
        ("can we start over and look for a man in a blue suit", ["man", "blue suit"]),
        ("Start afresh\nman in a blue suit", ["man", "blue suit"]),
        ("reset and find me a man in a blue suit", ["man", "blue suit"]),
        ("forget everything, man in a blue suit", ["man", "blue suit"]),
        ("forget all that, man in a blue suit", ["man", "blue suit"]),
        ("forget everything I said. Man in a blue suit", ["man", "blue suit"]),
        ("forget her, look for a man in a blue suit", ["man", "blue suit"]),
        ("never mind her and find a man in a blue suit", ["man", "blue suit"]),
        ("forget him, a man in a blue suit", ["man", "blue suit"]),
        ("new search: man in a blue suit", ["man", "blue suit"]),
        ("new person, man in a blue suit", ["man", "blue suit"]),
        ("new person man in a blue suit", ["man", "blue suit"]),
        ("new person in a blue suit", ["blue suit"]),
        ("I want to start a new search: man in a blue suit", ["man", "blue suit"]),
        ("different person now, a boy with a yellow cap", ["man", "yellow cap"]),
        ("next person: a boy with a yellow cap", ["man", "yellow cap"]),
        ("somebody else now: a boy with a yellow cap", ["man", "yellow cap"]),
        ("ok, start over", []),
        ("start over, thanks", []),
        ("can we start over please", []),
        ("forget all that", []),
        ("forget everything but the glasses", None),
        ("start over but keep the red coat", None),
        ("forget everything but the first two candidates", None),
        ("clear all except the photo", None),
        ("start over, but keep the camera", ["camera 2"]),
        ("start over but keep the camera please", ["camera 2"]),
        ("start again keeping the camera: a man in a blue suit", ["man", "blue suit", "camera 2"]),
        ("clear everything but the filters", ["camera 2"]),
        ("reset, keep both filters", ["camera 2"]),
        ("clear the search but keep the current filters as they are", ["camera 2"]),
        ("start over but keep the camera, time, and day; a boy", ["man", "camera 2"]),
        ("reset but keep the time filter, a man in a blue suit", ["man", "blue suit"]),
        ("clear, she also wore a hat", None),
        ("forget her hat, it was a cap", None),
        ("reset the cameras", None),
        ("forget all the filters", None),
    ],
)
def test_starting_over_may_go_on_with_the_next_person(message: str, expected: list[str] | None):
    conversation = talk(BEFORE, message)
    if expected is None:
        assert "woman" in labels(conversation)
        return
    assert labels(conversation) == expected
    assert labels(undo(conversation)) == ["woman", "red coat", "backpack", "glasses", "camera 2"]


def test_what_was_asked_of_the_person_before_is_asked_again():
    conversation = answered(talk(BEFORE), "What is worn on the head?", question=Question("hat", "?", (), 1.0))
    assert "hat" in asked_before(talk("with a bag", start=conversation))
    assert "hat" not in asked_before(talk("start over. man in a suit", start=conversation))


@pytest.mark.parametrize(
    "message",
    [
        *("undo", "oops undo that", "pls undo", "undo last", "undo my last message", "go back one step"),
        *("no, undo that", "take back the last one"),
        *("scratch that", "cancel that", "scrap that", "ignore that", "forget what i just said"),
        "ok so forget what I just said please",
    ],
)  # fmt: skip
def test_what_was_said_last_is_taken_back_and_had_again(message: str):
    taken_back = talk(OPENING, "with a hat", message)
    assert labels(taken_back) == labels(talk(OPENING))
    for again in ("redo", "please redo that", "undo the undo"):
        assert labels(talk(again, start=taken_back)) == labels(talk(OPENING, "with a hat"))
    assert talk("redo", start=talk(OPENING)) == talk(OPENING)


@pytest.mark.parametrize("message", ["scratch that, it was a cap", "no wait, forget that, it was a cap"])
def test_something_else_is_said_in_place_of_what_was_said_last(message: str):
    conversation = talk(OPENING, "with glasses", message)
    assert labels(conversation) == labels(talk(OPENING, "with a cap"))
    assert "glasses" in labels(undo(conversation))
    assert labels(talk(OPENING, "with glasses", "scratch that, sorry")) == labels(talk(OPENING))


def test_clothes_may_have_changed_until_the_chip_is_taken_away_or_it_is_denied():
    conversation = talk("they may have changed clothes", start=search_with(Conversation(), 7))
    assert labels(conversation) == ["person: a chosen picture", "perhaps other clothes"]
    assert to_query(conversation) == Query(references=(Reference(image_id=7),), other_clothes=True)
    assert to_query(conversation).kind == "image-other-clothes"
    assert to_query(talk("only camera 3", start=conversation)).other_clothes
    assert not to_query(talk("they have not changed clothes", start=conversation)).other_clothes
    chip = next(chip for chip in chips(conversation) if chip.label == "perhaps other clothes")
    assert not to_query(remove_chip(conversation, chip.key)).other_clothes
    assert JSON.validate_json(JSON.dump_json(conversation)) == conversation
    alone = talk("they may have changed clothes")
    assert alone.last.understood.notes == (
        "Once there is a picture of the person, I compare in it only what outlasts clothes.",
    )


def test_red_or_orange_is_said_honestly():
    conversation = talk("a red or orange jacket")
    assert labels(conversation) == ["red jacket", "“orange jacket”"]
    assert to_query(conversation).text == "orange jacket"
    assert conversation.last is not None and conversation.last.understood is not None
    assert any("one colour" in note for note in conversation.last.understood.notes)


def test_photos_stand_for_the_person_unless_they_join():
    photo, other = Path("a.jpg"), Path("b.png")
    conversation = say(talk(OPENING, "camera 3"), "", GALLERY, [photo])
    query = to_query(conversation)
    assert (query.references, query.has_text) == ((Reference(file=photo),), False)
    assert query.filters.cameras == ("3",) and direct_answer(conversation) is None
    conversation = say(conversation, "also this one, with a red cap", GALLERY, [other])
    assert to_query(conversation).references == (Reference(file=photo), Reference(file=other))
    assert labels(conversation)[:2] == ["photo", "photo"]
    conversation = say(conversation, "a woman in a coat", GALLERY, [photo])
    assert to_query(conversation).references == (Reference(file=photo),)
    assert wanted(conversation) == {"gender": "woman", "upper": "coat"}


def test_answers_without_a_search():
    for message in (
        "hello",
        "thanks!",
        "what can you do?",
        "who is she?",
        "is this John Smith?",
        "tell me a joke",
        "",
    ):
        conversation = talk(OPENING, message)
        answer = direct_answer(conversation)
        assert answer and len(answer) < 900, message
        assert to_query(conversation) == to_query(talk(OPENING))
    assert "never tell who" in (direct_answer(talk("who is she?")) or "")
    assert "camera" in (direct_answer(talk("what can you do?")) or "")
    assert "1 to 6" in (direct_answer(talk("camera 9")) or "")
    assert "Nothing is looked for" in (direct_answer(remove_chip(talk("a hat"), "wanted:hat")) or "")
    assert direct_answer(talk(OPENING)) is None
    assert "looking for" in (direct_answer(Conversation()) or "")


def test_yes_and_no_answer_the_question_that_was_asked():
    asked = answered(
        talk("a woman"), "… Did they wear a hat or cap? The first candidates show cap and no hat.", [1]
    )
    assert asked.last is not None and asked.last.asked == "hat"
    assert labels(talk("no", start=asked)) == ["woman", "no hat"]
    assert "cap, beanie, hat" in (direct_answer(talk("yes", start=asked)) or "")
    asked = answered(talk("a woman"), "Was there an umbrella?", [])
    assert labels(talk("yes", start=asked)) == ["woman", "umbrella"]
    asked = answered(talk("a woman"), "Do you know the colour of the trousers or skirt?", [])
    assert wanted(talk("black", start=asked)) == {"gender": "woman", "lower_colour": "black"}


def test_every_chip_can_be_taken_away():
    conversation = say(
        talk("red cap, no bag, not a coat, a scarf, striped shirt"), "also", GALLERY, [Path("a.jpg")]
    )
    conversation = talk("blue jeans, no glasses, not young, with a tattoo, cameras 1 and 2, not camera 3, "
                        "on 12 May after 9:00", start=conversation)  # fmt: skip
    conversation = confirm(conversation, 5)
    there = chips(conversation)
    assert len({chip.key for chip in there}) == len(there)
    assert {chip.kind for chip in there} == {"wanted", "unwanted", "filter", "reference", "text"}
    for chip in there:
        rest = chips(remove_chip(conversation, chip.key))
        assert set(rest) == set(there) - {chip}
    for chip in there:
        conversation = remove_chip(conversation, chip.key)
    assert to_query(conversation) == Query()
    assert remove_chip(conversation, "wanted:hat") == conversation  # a second click changes nothing


def test_each_filter_can_be_counted_without():
    known = talk("a man on cameras 1 and 2 after 9:00").known
    assert [(label, after.filters) for label, after in hidden_by(known)] == [
        ("camera 1", Filters(cameras=("2",), after=known.filters.after)),
        ("camera 2", Filters(cameras=("1",), after=known.filters.after)),
        ("after 09:00", Filters(cameras=("1", "2"))),
    ]


def test_a_crop_has_one_standing():
    conversation = reject(confirm(Conversation(), 4), 4)
    assert to_query(conversation) == Query(rejected=frozenset({4}))
    conversation = confirm(conversation, 4)
    assert to_query(conversation).rejected == frozenset()
    assert search_with(reject(Conversation(), 4), 4).known.rejected == ()


def test_a_long_message_is_kept_short():
    started = time.process_time()
    conversation = say(talk(OPENING), "a scarf, a dog and a bicycle " * 400, GALLERY)
    assert time.process_time() - started < 0.2
    assert len(JSON.dump_json(conversation)) < 12_000 and len(to_query(conversation).text) <= 300


# Steps of every kind, for the properties below.
_TEXT = st.lists(
    st.sampled_from(
        listed(
            """
    a red green jacket coat hat no without forget same person now camera 3 9 after 14:00 on 12 May hello
    she tattoo bakpack start over who is , start over any time not tall
    """
        )
    ),
    max_size=8,
).map(" ".join)
_STEPS = st.one_of(
    st.tuples(st.just("say"), st.one_of(_TEXT, st.text(max_size=30))),
    st.tuples(st.just("photo"), _TEXT),
    st.tuples(st.sampled_from(["search", "confirm", "reject"]), st.integers(1, 6)),
    st.tuples(st.just("chip"), st.integers(0, 9)),
    st.tuples(st.just("answer"), st.lists(st.integers(1, 9), max_size=3)),
)


def take(conversation: Conversation, step: tuple[str, object]) -> Conversation:
    kind, what = step
    if kind == "say":
        return say(conversation, str(what), GALLERY)
    if kind == "photo":
        return say(conversation, str(what), GALLERY, [Path("shots/a.jpg")])
    if kind == "chip":
        there = chips(conversation)
        return remove_chip(conversation, there[int(str(what)) % len(there)].key) if there else conversation
    if kind == "answer":
        assert isinstance(what, list)
        return answered(conversation, "Did they wear a hat or cap?", what)
    return {"search": search_with, "confirm": confirm, "reject": reject}[kind](conversation, int(str(what)))


@settings(max_examples=150)
@given(st.lists(_STEPS, max_size=10))
def test_any_conversation(steps: list[tuple[str, object]]):
    conversation = Conversation(reason="missing child", case="2026-17")
    for step in steps:
        before, conversation = conversation, take(conversation, step)
        if len(conversation.turns) > len(before.turns):
            undone = undo(conversation)  # takes back any step, whatever it was
            assert undone == replace(before, undone=undone.undone)
            assert redo(undone) == replace(conversation, undone=undone.undone[:-1])
        query = to_query(conversation)
        assert query == to_query(conversation)
        assert len({a.kind for a in query.wanted}) == len(query.wanted)
        assert not set(query.wanted) & set(query.unwanted)
        shown = {reference.image_id for reference in query.references}
        assert query.confirmed <= shown and not query.rejected & shown
        assert len({chip.key for chip in chips(conversation)}) == len(chips(conversation))
    assert JSON.validate_json(JSON.dump_json(conversation)) == conversation


def test_undo_of_nothing_is_harmless():
    assert undo(Conversation()) == Conversation()
    assert say(Conversation(), "undo", GALLERY) == Conversation()
    assert answered(Conversation(), "hello") == Conversation()


def test_no_gallery_facts_at_all():
    conversation = say(Conversation(), "a woman yesterday on camera 3, last night, today", GalleryFacts())
    assert to_query(conversation).filters.is_empty
    assert Attribute("gender", "woman") in to_query(conversation).wanted


def test_chat_needs_neither_torch_nor_gradio():
    code = "import sys, app.chat.reply; print({'torch', 'gradio'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
