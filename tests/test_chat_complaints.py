"""Complaints about the candidates are no description of the person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.complaints import read_complaint
from app.chat.conversation import Conversation, chips, say, say_of
from app.chat.search_state import SearchState
from tests.chat_notation import GALLERY, RED_JACKET

WOMAN = say(Conversation(), "woman in a red coat", GALLERY)


def labels(conversation: Conversation) -> list[str]:
    return [chip.label for chip in chips(conversation)]


@pytest.mark.parametrize(
    "message",
    [
        "these are men",
        "these are all men",
        "they're all men",
        "you keep showing me men",
        "too many men",
        "too many red coats",
        "way too old",
        "these people are all too old",
        "number 3 is too old",
        "this one is too young",
        "wrong gender",
    ],
)
def test_a_complaint_changes_no_search_and_is_answered(message: str):
    conversation = say(WOMAN, message, GALLERY)
    assert labels(conversation) == ["woman", "red coat"]
    assert conversation.last is not None and "said of the candidates" in (conversation.last.direct or "")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("these are all men, i want women", ["woman", "red coat"]),
        ("these are all men, I'm looking for a woman", ["woman", "red coat"]),
        ("I want women, these are all men", ["woman", "red coat"]),
        ("fewer men, more women", ["woman", "red coat"]),
        ("too old, she was about 20", ["woman", "young", "red coat"]),
        ("too old. she's 20", ["woman", "young", "red coat"]),
        ("that one had a hat, she didn't", ["woman", "red coat", "no hat"]),
        ("number 3 is wearing glasses but she wasnt", ["woman", "red coat", "no glasses"]),
        ("they all have bags but she had none", ["woman", "red coat", "no bag"]),
        ("fewer hats", ["woman", "red coat", "no hat"]),
        ("too many hats pls", ["woman", "red coat", "no hat"]),
        ("they were both men", ["man", "red coat"]),
        ("these are jeans", ["woman", "red coat", "jeans"]),
        ("not too old", ["woman", "red coat", "not elderly"]),
    ],
)
def test_what_is_said_of_the_person_beside_a_complaint_is_searched(message: str, expected: list[str]):
    assert labels(say(WOMAN, message, GALLERY)) == expected


def test_what_is_said_beside_a_judgement_is_searched_unless_it_compares():
    hat = say_of(WOMAN, "not 4, she had a hat", "reject", [104], GALLERY, "she had a hat")
    assert labels(hat) == ["woman", "red coat", "hat"] and hat.known.rejected == (104,)
    older = say_of(WOMAN, "4 isn't her, she was older", "reject", [104], GALLERY, "she was older")
    assert labels(older) == ["woman", "red coat"] and older.known.rejected == (104,)
    assert older.last is not None and older.last.understood is not None
    assert "compares with a candidate" in older.last.understood.notes[0]


@given(st.text(max_size=80))
def test_whatever_is_said_it_is_a_complaint_or_none(text: str):
    for state in (SearchState(), RED_JACKET):
        found = read_complaint(text, state)
        assert found is None or found.words
