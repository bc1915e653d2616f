"""What a checkpoint of version 1 makes of what version 2 says: never worse than what it understood before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.chips import NOT_READ, chips_of
from app.chat.conversation import Conversation, say, to_query
from app.model.known import known_attributes, known_value
from app.model.vocabulary import ALL_KINDS, KINDS_OF_VERSION, Attribute, describe, is_absent
from app.retrieval.query import Query, as_known
from tests.chat_notation import GALLERY

OLD = KINDS_OF_VERSION[1]
attributes = st.sampled_from(
    [Attribute(kind, value) for kind, values in ALL_KINDS.items() for value in values]
)


def asked(message: str) -> Query:
    return as_known(to_query(say(Conversation(), message, GALLERY)), OLD)


@pytest.mark.parametrize(
    ("message", "wanted", "text"),
    [
        ("a man in a dark blue jacket", "a man in a blue jacket", ""),  # as before shades were known
        ("dark clothes", "a person in a black top", ""),
        ("a light top", "a person", "light top"),
        ("a black and white striped shirt", "a person in a black striped shirt", "white shirt"),
        (
            "a red short-sleeved t-shirt with a logo",
            "a person in a red t-shirt",
            "logo, short-sleeved t-shirt",
        ),
        ("a floral dress", "a person in a dress", "floral dress"),
        ("a long black coat", "a person in a black coat", ""),
        ("a long black dress", "a person in a black dress", "long dress"),
        ("a white polo", "a person in a white shirt", ""),  # short sleeves were not said
        ("a maroon long-sleeved jumper", "a person in a red sweater", "long-sleeved sweater"),
        ("high heels", "a person in shoes", ""),
        ("pink shoes", "a person", "pink shoes"),
        ("beige shoes", "a person in brown shoes", ""),
        ("a 6-year-old girl in a pink dress", "a young woman in a pink dress", ""),
        ("a man in a suit and tie", "a man", "suit, tie"),
        ("a woman with a blue face mask", "a woman", "blue face mask"),
        ("a woman with a carrier bag", "a woman", "carrier bag"),
        ("a man with a trolley", "a man with a suitcase", ""),
        ("a man pushing a shopping cart", "a man", "shopping cart"),
        ("no scarf", "a person", "no scarf"),
        ("no sandals and no logo", "a person", "no sandals, no logo"),
        ("a man without a bag", "a man", ""),
    ],
)
def test_sentences_reach_an_older_checkpoint_as_it_knows_them(message: str, wanted: str, text: str):
    query = asked(message)
    assert describe(query.wanted) == wanted and query.text == text


def test_no_hat_leaves_out_the_older_hats_and_is_still_no_hat():
    query = asked("no hat")
    assert {a.value for a in query.unwanted} == {"cap", "beanie", "hat"} and not query.text
    assert is_absent("hat", query.unwanted)
    assert not is_absent("hat", query.unwanted[:2])


@settings(max_examples=300)
@given(st.lists(attributes, max_size=8), st.lists(attributes, max_size=5))
def test_an_older_checkpoint_is_asked_what_it_knows_and_nothing_is_lost(wanted, unwanted):
    wanted = list({attribute.kind: attribute for attribute in wanted}.values())
    query = Query(tuple(wanted), tuple(dict.fromkeys(unwanted)))
    known = as_known(query, OLD)
    assert all(a.value in OLD.get(a.kind, ()) for a in (*known.wanted, *known.unwanted))
    assert as_known(known, OLD) == known
    assert as_known(query, ALL_KINDS) is query
    told = " ".join([known.text, *(words for _, words in known.words)])
    for attribute in wanted:
        if attribute not in known.wanted:
            assert attribute.value.split("-")[0] in told or attribute.value == "none", (attribute, told)


def test_chips_say_what_this_model_does_not_read():
    known = say(
        Conversation(), "a young man in a red short-sleeved shirt and heels with a scarf, no tie", GALLERY
    ).known
    unread = {chip.label: chip.unread for chip in chips_of(known, OLD)}
    assert unread == {
        "man": "",
        "young": "",
        "red short-sleeved shirt": "read as red shirt",
        "heels": "read as shoes",
        "scarf": NOT_READ,
        "no tie": NOT_READ,
    }
    assert not any(chip.unread for chip in chips_of(known))


def test_a_shade_beside_a_colour_is_a_nuance_and_alone_it_is_a_colour():
    dark, blue = Attribute("lower_shade", "dark"), Attribute("lower_colour", "blue")
    assert known_attributes([dark], [], OLD).wanted == (Attribute("lower_colour", "black"),)
    assert known_attributes([dark, blue], [], OLD).wanted == (blue,)
    assert known_value(dark, OLD) is None and known_value(dark, ALL_KINDS) == dark
