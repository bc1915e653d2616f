"""What an operator calls a thing is kept beside what it was read as, for as long as that holds."""

from __future__ import annotations

import pytest

from app.chat.conversation import Conversation, chips, remove_chip, say, search_with, to_query, undo
from tests.chat_notation import GALLERY


def talk(*messages: str) -> Conversation:
    conversation = Conversation()
    for message in messages:
        conversation = say(conversation, message, GALLERY)
    return conversation


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "a maroon jumper, cream chinos and tan shoes",
            {"upper": "maroon jumper", "lower": "cream chinos", "shoes": "tan shoes"},
        ),
        ("a woman in a red jacket with a black backpack", {}),  # the vocabulary says the same
        ("red jackets and a T-shirt", {}),
        ("dark-coloured trousers", {"lower": "dark-coloured trousers"}),
        ("a Navy Hoodie and a rucksack", {"upper": "navy hoodie", "bag": "rucksack"}),
        ("a marron jumpr", {"upper": "maroon jumper"}),  # as mended, not as typed
        ("white tee under a red blazer", {"upper": "red blazer"}),  # not the one that was not taken
        ("the jacket could be red or orange", {"upper": "red or orange jacket"}),
        ("a coat in camel, and navy jeans", {"upper": "camel coat", "lower": "navy jeans"}),
        ("she was in a coat in the navy", {}),
        ("no maroon jumper", {}),
        ("camera 3", {}),
    ],
)
def test_words_of_one_message(message: str, words: dict[str, str]) -> None:
    assert dict(to_query(talk(message)).words) == words


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["a maroon jumper", "and blue jeans"], {"upper": "maroon jumper"}),
        (["a maroon jumper", "it is striped"], {"upper": "maroon jumper"}),
        (["a maroon jumper", "the jumper is striped"], {"upper": "maroon jumper, striped jumper"}),
        (["a maroon jumper", "now the jumper is green"], {"upper": "green jumper"}),
        (["a maroon jumper", "no, a red jacket"], {}),
        (["a maroon jumper", "forget the jumper"], {}),
        (["a maroon jumper", "start over", "a man"], {}),
    ],
)
def test_words_do_not_outlive_what_was_read_from_them(messages: list[str], words: dict[str, str]) -> None:
    assert dict(to_query(talk(*messages)).words) == words


def test_words_go_with_their_chip_and_with_their_message() -> None:
    known = talk("a man in a maroon jumper")
    (chip,) = [chip for chip in chips(known) if chip.words]
    assert (chip.label, chip.words) == ("red sweater", "maroon jumper")
    assert to_query(remove_chip(known, chip.key)).words == ()
    assert to_query(search_with(known, 7)).words == ()
    assert to_query(undo(known)).words == ()


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (["a man with a tattoo", "no tattoo"], "no tattoo"),
        (["a man without a tattoo", "with a tattoo"], "tattoo"),
        (["a man with a tattoo", "he limps"], "tattoo, limps"),
        (["a red or orange jacket", "the jacket is blue"], ""),
        (["a red or orange jacket", "forget the jacket"], ""),
        (["a red or orange jacket", "and blue jeans"], "orange jacket"),
        (["with a bag", "a backpack"], ""),
        (["with a bag", "no bag"], ""),
        (["with a bag", "a red coat"], "bag"),
        (["a white shirt under a red jacket", "the jacket is blue"], "white shirt"),  # it is another thing
    ],
)
def test_free_words_go_with_what_they_were_said_of(messages: list[str], text: str) -> None:
    assert to_query(talk(*messages)).text == text
