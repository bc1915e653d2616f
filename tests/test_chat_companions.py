"""Who is with the person sought is kept apart: over turns, as chips, in the query, in JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.chat.companions import MOST_COMPANIONS, MOST_SAID
from app.chat.conversation import Conversation, chips, remove_chip, say, search_with, to_query, undo
from app.chat.reply import sought
from app.chat.search_state import SearchState
from app.chat.understanding import understand
from app.model.vocabulary import Attribute
from tests.chat_notation import GALLERY


def talk(*turns: str) -> Conversation:
    conversation = Conversation()
    for turn in turns:
        conversation = say(conversation, turn, GALLERY)
    return conversation


def labels(conversation: Conversation) -> list[str]:
    return [chip.label for chip in chips(conversation)]


BOY = "a boy in a yellow t-shirt"


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ((BOY, "his mother has a red coat"), "with: his mother, a red coat"),
        ((BOY, "he was with his mother", "she has a red coat"), "with: his mother, a red coat"),
        (
            (BOY, "he was with his mother", "her coat was red and she carried a bag"),
            "with: his mother, coat was red, a bag",
        ),
        ((BOY, "he was with his mother", "the mother wears glasses"), "with: his mother, glasses"),
        ((BOY, "he was with a friend", "his friend has a blue cap"), "with: a friend, a blue cap"),
        ((BOY, "next to a woman in green"), "next to: a woman in green"),
    ],
)
def test_what_is_said_of_a_companion_stays_theirs(turns: tuple[str, ...], expected: str):
    conversation = talk(*turns)
    assert labels(conversation) == ["man", "yellow t-shirt", expected]
    assert expected.replace(": ", " ", 1) in to_query(conversation).company
    assert expected.replace(": ", " ", 1) in sought(conversation.known)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("him and his mate, mate was in a red puffer", ["man", "with: his mate, a red puffer"]),
        ("her and her friend, friend wore a hat", ["woman", "with: her friend, a hat"]),
        ("him and a woman in a red coat", ["man", "with: a woman in a red coat"]),
        (
            "two women, one blonde, one with a blue coat",
            ["woman", "blond hair", "with: another woman with a blue coat"],
        ),
        (
            "three men, one in black, one in red, one in green",
            ["man", "black top", "with: another man in red", "with: another man in green"],
        ),
        ("two women, one in a red coat", ["woman", "red coat", "with: another woman"]),
        (
            "kid holding his mums hand, kid has a dinosaur backpack",
            ["man", "child", "backpack", "hand in hand with: his mum", "“dinosaur”"],
        ),
        ("kid with his dad, the kid has a green coat", ["man", "child", "green coat", "with: his dad"]),
        ("child with mother, child in a red coat", ["child", "red coat", "with: mother"]),
        ("woman with a kid, kid in a red coat", ["woman", "with: a kid, a red coat"]),
    ],
)
def test_whom_a_clause_speaks_of(message: str, expected: list[str]):
    assert labels(talk(message)) == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (
            ("actually look for the man instead",),
            ["man", "black top", "with: a woman in a red coat", "camera 2"],
        ),
        (("look for the man",), ["man", "black top", "with: a woman in a red coat", "camera 2"]),
        (("find him instead please",), ["man", "black top", "with: a woman in a red coat", "camera 2"]),
        (
            ("he has a hat", "i want the man in black now"),
            ["man", "black top", "hat", "with: a woman in a red coat", "camera 2"],
        ),
        (
            ("look for the man instead", "look for the woman instead"),
            ["woman", "red coat", "with: a man in black", "camera 2"],
        ),
        (("find her instead",), ["woman", "red coat", "with: a man in black", "camera 2"]),
        (("look for a child with a cap",), None),
    ],
)
def test_the_one_beside_may_be_looked_for_instead(turns: tuple[str, ...], expected: list[str] | None):
    before = talk("woman in a red coat on camera 2", "with a man in black")
    after = before
    for turn in turns:
        after = say(after, turn, GALLERY)
    if expected is None:
        assert labels(after)[-2:] == ["with: a man in black", "camera 2"]
        return
    assert [label.replace("a man in a black top", "a man in black") for label in labels(after)] == expected
    assert labels(undo(after)) == labels(before) or len(turns) > 1


def test_he_is_still_the_person_sought():
    conversation = talk(
        BOY, "he was with his mother", "he has a red cap", "she has a red coat", "and he wore shorts"
    )
    assert labels(conversation) == [
        "man",
        "yellow t-shirt",
        "shorts",
        "red cap",
        "with: his mother, a red coat",
    ]


def test_one_of_the_same_gender_is_not_guessed_at():
    """ "She" is the woman sought, not her mother."""
    conversation = talk("a woman in a red coat", "she was with her mother", "she has a hat")
    assert labels(conversation) == ["woman", "red coat", "hat", "with: her mother"]


def test_a_woman_who_was_a_man_is_corrected():
    assert talk("a man in a red coat with a woman", "no, she is a woman").known.value("gender") == "woman"


@pytest.mark.parametrize("taken_back", ["forget the mother", "without his mother", "he was alone"])
def test_companions_are_taken_back_in_words(taken_back: str):
    assert labels(talk(BOY, "his mother has a red coat", taken_back)) == ["man", "yellow t-shirt"]


def test_chip_undo_and_json():
    with_mother = talk(BOY, "he was with his mother", "she has a red coat")
    kept = TypeAdapter(Conversation)
    assert kept.validate_json(kept.dump_json(with_mother)) == with_mother
    assert labels(undo(with_mother))[-1] == "with: his mother"
    key = next(chip.key for chip in chips(with_mother) if chip.label.startswith("with:"))
    without = remove_chip(with_mother, key)
    assert labels(without) == ["man", "yellow t-shirt"] and to_query(without).company == ""
    assert remove_chip(without, key) == without
    assert labels(search_with(with_mother, 7)) == ["person: a chosen picture"]


def test_a_message_about_a_companion_alone_is_a_search_and_said():
    said = understand("his mother has a red coat", talk(BOY).known, GALLERY)
    assert said.intent == "search" and not [a for a in said.wanted if a.kind != "gender"]
    assert any("“his mother” is kept apart" in note for note in said.notes)


def test_limits_are_said():
    crowd = "a man with " + " and ".join(
        f"a {kin} in red" for kin in ("woman", "sister", "child", "baby", "friend")
    )
    said = understand(crowd, SearchState(), GALLERY)
    assert len(said.companions) == MOST_COMPANIONS
    assert any("“a woman in red”" in note and "at most" in note for note in said.notes)
    long = understand("a man with a woman in a " + "very " * 40 + "green dress", SearchState(), GALLERY)
    assert len(long.companions[0].who) <= MOST_SAID and any("green dress" in note for note in long.notes)


THINGS = st.sampled_from(
    ["red coat", "green dress", "blue skirt", "white hat", "black backpack", "pink shoes"]
)
TIES = st.sampled_from(
    ["with", "next to", "behind", "followed by", "accompanied by", "together with", "talking to", "holding"]
)


@given(
    TIES,
    st.sampled_from(["a woman", "his mother", "a child", "two girls", "an elderly lady"]),
    THINGS,
    THINGS,
)
def test_nothing_of_a_companion_is_wanted(tie: str, who: str, own: str, theirs: str):
    said = understand(f"a man in a {own} {tie} {who} in a {theirs}", SearchState(), GALLERY)
    alone = understand(f"a man in a {own}", SearchState(), GALLERY)
    assert said.wanted == alone.wanted and Attribute("gender", "man") in said.wanted
    assert [one.who for one in said.companions] == [f"{who} in a {theirs}"]
