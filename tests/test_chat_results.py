"""Messages about the candidates on the screen: what they are read as, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.asked_things import choices_in
from app.chat.list_orders import ORDERS_THERE_ARE
from app.chat.result_answers import answer_about, count_answer, differences
from app.chat.results import SAY_OTHERWISE, STILL_THERE, Pointing, read_pointing
from app.chat.search_state import SearchState, ShownCandidate
from app.model.vocabulary import KINDS, Attribute
from app.retrieval.ranking import Candidate
from gallery_store.crops import Crop
from tests.chat_notation import GALLERY

READ_AS = {
    "latest first": Pointing("by-time-back"),
    "sort by time, newest first": Pointing("by-time-back"),
    "show the most recent first": Pointing("by-time-back"),
    "search with number 2": Pointing("search-with", (2,)),
    "Please search with the second one.": Pointing("search-with", (2,)),
    "find her with 2": Pointing("search-with", (2,)),
    "use the third picture as the query": Pointing("search-with", (3,)),
    "show me more like the first one": Pointing("search-with", (1,)),
    "people who look like #4": Pointing("search-with", (4,)),
    "search with 2 and 5": Pointing("search-with", (2, 5)),
    "more like number 3 but with a hat": Pointing("search-with", (3,), rest="with a hat"),
    "more like 3, but in a green coat": Pointing("search-with", (3,), rest="in a green coat"),
    "this one, but in a green coat": Pointing("search-with", (0,), rest="in a green coat"),
    "the second one is him": Pointing("confirm", (2,)),
    "it's number 5": Pointing("confirm", (5,)),
    "That's her, number 4!": Pointing("confirm", (4,)),
    "I think it is the last one": Pointing("confirm", (-1,)),
    "yes, #3 is the right person": Pointing("confirm", (3,)),
    "not the first one": Pointing("reject", (1,)),
    "not 1 and not 2": Pointing("reject", (1, 2)),
    "it's not 1, 2 or 7": Pointing("reject", (1, 2, 7)),
    "number 3 is not him": Pointing("reject", (3,)),
    "number 3 is somebody else": Pointing("reject", (3,)),
    "hide the third one": Pointing("reject", (3,)),
    "not this one": Pointing("reject", (0,)),
    "none of these": Pointing("reject", every=True),
    "No, it's none of them.": Pointing("reject", every=True),
    "none of these people is him": Pointing("reject", every=True),
    "number 3": Pointing("select", (3,)),
    "show me the second one": Pointing("select", (2,)),
    "the last one": Pointing("select", (-1,)),
    "show more": Pointing("more"),
    "next page": Pointing("more"),
    "more results please": Pointing("more"),
    "show them in time order": Pointing("by-time"),
    "sort by time": Pointing("by-time"),
    "list the results chronologically": Pointing("by-time"),
    "earliest first": Pointing("by-time"),
    "sort by fit": Pointing("by-fit"),
    "best first": Pointing("by-fit"),
    "compare 1 and 3": Pointing("compare", (1, 3)),
    "compare the first one with the last": Pointing("compare", (1, -1)),
    "what is the difference between 2 and 5?": Pointing("compare", (2, 5)),
    "how does number 2 differ from number 5": Pointing("compare", (2, 5)),
    "how many are on camera 3?": Pointing("count", camera="3"),
    "how many of them were seen on camera entrance": Pointing("count", camera="entrance"),
    "how many fit?": Pointing("count"),
    "export the results as a report": Pointing("export"),
    "number 0": Pointing("unclear"),
    "show number 3 and 4": Pointing("unclear"),
    "which camera is number 1 on?": Pointing("ask", (1,), question="which camera is on"),
    "where was the last one seen": Pointing("ask", (-1,), question="where was seen"),
    "is the first one wearing glasses?": Pointing("ask", (1,), question="is wearing glasses"),
    "what colour is number 2's jacket?": Pointing("ask", (2,), question="what colour is jacket"),
    "what is number 2 carrying?": Pointing("ask", (2,), question="what is carrying"),
    "why is the first one on top?": Pointing("ask", (1,), question="why is on top"),
    "the top one": Pointing("select", (1,)),
    "not the bottom one": Pointing("reject", (-1,)),
    "number two": Pointing("select", (2,)),
    "search with candidate three": Pointing("search-with", (3,)),
    "3 is him": Pointing("confirm", (3,)),
    "yes, number 3": Pointing("confirm", (3,)),
    "that's him": Pointing("confirm", (0,)),
    "it is not her": Pointing("reject", (0,)),
    "1 and 2 are wrong": Pointing("reject", (1, 2)),
    "1 and 2 are him": Pointing("confirm", (1, 2)),
    "both the first one and number 3 are her": Pointing("confirm", (1, 3)),
    "compare candidates 1 and 3": Pointing("compare", (1, 3)),
    "are the first two the same person?": Pointing("compare", (1, 2)),
    "is number 1 the same man as number 3": Pointing("compare", (1, 3)),
    "numbers 1, 2 and 5 are wrong": Pointing("reject", (1, 2, 5)),
    "search with numbers 1 and 2": Pointing("search-with", (1, 2)),
    "reject 1-3": Pointing("reject", (1, 2, 3)),
    "reject 2 to 4": Pointing("reject", (2, 3, 4)),
    "reject 3-1": Pointing("reject", (3, 1)),
    "the first two are wrong": Pointing("reject", (1, 2)),
    "reject the first three": Pointing("reject", (1, 2, 3)),
    "reject all of them": Pointing("reject", every=True),
    "hide them all": Pointing("reject", every=True),
    "save this as a PDF": Pointing("export"),
    "it's not number 3, it's number 4": Pointing("confirm", (4,), against=(3,)),
    "not 1 but 2": Pointing("confirm", (2,), against=(1,)),
    "it's 4, not 3": Pointing("confirm", (4,), against=(3,)),
    "it's not 1, 2": Pointing("reject", (1, 2)),
    "show only number 2": Pointing("select", (2,)),
    "like number 2 without the bag": Pointing("search-with", (2,), rest="without the bag"),
    "same as 2 but a woman": Pointing("search-with", (2,), rest="a woman"),
    "2 looks right but the hat is wrong": Pointing("unclear", sentence=SAY_OTHERWISE.format(2)),
    "previous": Pointing("unclear", sentence=STILL_THERE),
    "the previous page": Pointing("unclear", sentence=STILL_THERE),
    "newest": Pointing("by-time-back"),
    "the latest ones": Pointing("by-time-back"),
    "oldest": Pointing("by-time"),
    "any more?": Pointing("more"),
    "looks like number 2": Pointing("search-with", (2,)),
    "I mean number 4, not 3": Pointing("unclear"),
    "number 3, not number 4": Pointing("unclear"),
    "first page": Pointing("unclear", sentence=STILL_THERE),
    "reverse the order": Pointing("reverse"),
    "is number 1 older than number 2?": Pointing("compare", (1, 2)),
    "is number 1 wearing the same coat as number 2?": Pointing("compare", (1, 2)),
    "number 1 has a hat, right?": Pointing("ask", (1,), question="has a hat"),
    "isn't number 1 a woman?": Pointing("ask", (1,), question="is a woman"),
    "I wonder whether number 1 has a beard": Pointing("ask", (1,), question="has a beard"),
    "whats the difference between 2 and 3?": Pointing("compare", (2, 3)),
    "how are 2 and 3 different?": Pointing("compare", (2, 3)),
    "compare 2 & 3 pls": Pointing("compare", (2, 3)),
    "its 4": Pointing("confirm", (4,)),
    "ok so its 4": Pointing("confirm", (4,)),
    "its not 4": Pointing("reject", (4,)),
    "4 isnt him": Pointing("reject", (4,)),
    "number 3 wasn't her": Pointing("reject", (3,)),
    "that isnt him": Pointing("reject", (0,)),
    "thats number 2": Pointing("confirm", (2,)),
    "it's number 4 i think": Pointing("confirm", (4,)),
    "number 4, maybe": Pointing("select", (4,)),
    "she's the last one": Pointing("confirm", (-1,)),
    "definitely number 4": Pointing("confirm", (4,)),
    "the third one looks right": Pointing("confirm", (3,)),
    "3rd one looks right": Pointing("confirm", (3,)),
    "2 looks good": Pointing("confirm", (2,)),
    "2 is her, she has a bag": Pointing("confirm", (2,), rest="she has a bag"),
    "number 4 isn't her, she was older": Pointing("reject", (4,), rest="she was older"),
    "not 1 or 2 because he had a hat": Pointing("reject", (1, 2), rest="he had a hat"),
    "get rid of 1, 3 and 7": Pointing("reject", (1, 3, 7)),
    "1 3 and 7 are wrong": Pointing("reject", (1, 3, 7)),
    "pls reject 1 3 and 7": Pointing("reject", (1, 3, 7)),
    "dont show 3 again": Pointing("reject", (3,)),
    "stop showing me number 3": Pointing("reject", (3,)),
    "take 3 off the list": Pointing("reject", (3,)),
    "rule out the first three": Pointing("reject", (1, 2, 3)),
    "definitely not the 2nd or the 5th": Pointing("reject", (2, 5)),
    "definitely not the second": Pointing("reject", (2,)),
    "it's definitely not 4": Pointing("reject", (4,)),
    "these aren't her": Pointing("reject", every=True),
    "they are all wrong": Pointing("reject", every=True),
    "which camera is 2 on?": Pointing("ask", (2,), question="which camera is on"),
    "what camera was 2 on": Pointing("ask", (2,), question="what camera was on"),
    "whats 2 wearing": Pointing("ask", (2,), question="what is wearing"),
    "is 2 carrying anything?": Pointing("ask", (2,), question="is carrying anything"),
    "where is 3": Pointing("ask", (3,), question="where is"),
    "show me 5": Pointing("select", (5,)),
    "zoom in on 5": Pointing("select", (5,)),
    "second last one": Pointing("select", (-2,)),
    "the third from the bottom": Pointing("select", (-3,)),
    "second from the left": Pointing("select", (2,)),
    "second from the right": Pointing("unclear"),
    "hide everyone but number 2": Pointing("select", (2,)),
    "only keep 2": Pointing("select", (2,)),
    "maybe 3": Pointing("select", (3,)),
    "best match first": Pointing("by-fit"),
    "best match first please": Pointing("by-fit"),
    "most likely first": Pointing("by-fit"),
    "put the closest ones on top": Pointing("by-fit"),
    "sort newest to oldest": Pointing("by-time-back"),
    "newer first": Pointing("by-time-back"),
    "put the latest at the top": Pointing("by-time-back"),
    "oldest to newest": Pointing("by-time"),
    "older first": Pointing("unclear", sentence=ORDERS_THERE_ARE),
    "younger ones first": Pointing("unclear", sentence=ORDERS_THERE_ARE),
    "men first": Pointing("unclear", sentence=ORDERS_THERE_ARE),
    "sort by height": Pointing("unclear", sentence=ORDERS_THERE_ARE),
}

DESCRIPTIONS = [
    "a woman in a red jacket",
    "the first jacket was red",
    "only camera number 3",
    "not camera 1",
    "on camera 1 and 2",
    "he is not young",
    "it is a red one",
    "the blue one",
    "no, the red one",
    "a man, not the first time",
    "after 2",
    "how many bags does she carry",
    "is it him?",
    "not a hat",
    "remove the hat",
    "exclude camera 2",
    "the same person, but now in a green coat",
    "she looks like a nurse",
    "12 May",
    "",
    "???",
    "the top",
    "remove the top",
    "not the top",
    "the top is red",
    "what colour is the top",
    "not 0",
    "print on his shirt",
    "print dress",
    "the first two buttons are open",
    "3 bags are wrong",
    "not 1 but 2 bags",
    "he wears number two",
    "1-3 bags",
    "numbers 1 and 2 on his shirt",
    "number 1 has a hat",
    "like a nurse with a bag",
    "newest boots",
    "the previous man had a hat",
    "maybe 30",
    "it could be 50",
    "its colour was red",
    "its not red",
    "forget 3 bags",
    "is 2 in the morning ok",
    "what is 2 pm",
    "he was 2 metres tall",
    "ignore the man in red",
    "old coat first",
    "take the hat off",
    "she is the oldest",
]


@pytest.mark.parametrize("text", READ_AS)
def test_what_messages_do_with_candidates(text):
    assert read_pointing(text) == READ_AS[text]


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_what_speaks_of_the_person_or_the_filters_is_left_alone(text):
    assert read_pointing(text) is None


def test_maybe_a_number_is_a_candidate_only_of_so_many():
    assert read_pointing("maybe 30", shown=36) == Pointing("select", (30,))
    assert read_pointing("maybe 3", shown=2) is None
    assert read_pointing("number 30", shown=12) == Pointing("select", (30,))


@given(st.text(max_size=80))
def test_whatever_is_said_it_is_read_or_left_alone(text):
    found = read_pointing(text)
    assert found is None or found.action


@dataclass(frozen=True)
class Read:
    attribute: Attribute
    confidence: float = 0.9


def shown(probability: float | None = 0.8, **readings: str) -> ShownCandidate:
    crop = Crop(1, "", "1.jpg", Path("x"), "3", None, None, None, (), 64, 128, None)
    read = tuple(Read(Attribute(kind, value)) for kind, value in readings.items())
    return ShownCandidate(crop, Candidate(1, 0.3, 0.5, probability), read)


WOMAN = shown(
    gender="woman",
    upper="jacket",
    upper_colour="red",
    bag="backpack",
    bag_colour="black",
    hat="none",
    glasses="none",
)
KNOWN = SearchState(wanted=(Attribute("gender", "woman"), Attribute("upper", "coat")))


def ask(question: str, candidate: ShownCandidate = WOMAN, seen: str = "on camera 3") -> str:
    return answer_about(2, candidate, question, KNOWN, seen=seen, facts=GALLERY)


def test_questions_are_answered_by_what_was_read():
    assert ask("which camera is on") == "Candidate 2 was seen on camera 3."
    assert ask("when was seen", seen="") == "Of candidate 2 neither camera nor time is known."
    assert ask("what is carrying") == "Candidate 2, as the model reads it: black backpack (90%)."
    assert ask("is wearing glasses") == "As the model reads it, no: candidate 2 shows no glasses (90%)."
    assert (
        ask("is wearing a red jacket") == "As the model reads it, yes: candidate 2 shows a red jacket (90%)."
    )
    assert (
        ask("is wearing a blue jacket") == "As the model reads it, no: candidate 2 shows a red jacket (90%)."
    )
    assert ask("does have a beard") == "The model does not make that out in candidate 2."
    assert ask("what colour is jacket") == "Candidate 2, as the model reads it: red jacket (90%)."
    assert ask("what colour are shoes") == "The model does not make that out in candidate 2."
    everything = ask("describe")
    assert "woman (90%), red jacket (90%), no hat (90%), black backpack (90%), no glasses (90%)" in everything
    assert ask("how tall is") == f"That I cannot answer. {everything}"
    assert ask("how tall is", shown()) == "That I cannot answer: the model read nothing in candidate 2."


BY_FIRST_VOCABULARY = replace(
    shown(
        gender="woman",
        age="young",
        build="average",
        upper="coat",
        upper_colour="black",
        lower="jeans",
        lower_colour="grey",
        hat="beanie",
        bag="none",
        glasses="none",
    ),
    kinds=KINDS,
)


@pytest.mark.parametrize(
    ("question", "says"),
    (
        ("is her coat torn", "That I cannot answer: the model does not read “torn”. Candidate 2"),
        ("is her bag heavy", "That I cannot answer: the model does not read “heavy”"),
        ("is older than 30", "That I cannot answer: the model does not read “older than”"),
        ("is her coat dark", "The model does not make that out"),
        ("is his mother there", "That I cannot answer."),
        ("is looking at the camera", "That I cannot answer."),
        ("is she with a man", "That I cannot answer."),
        ("is a child", "That I cannot answer: the model tells no “child” from “young”"),
        ("is wearing a scarf", "The model does not make that out"),
        ("does the man have a bag", "As the model reads it, no: candidate 2 shows no bag (90%)."),
        ("does have a bag", "As the model reads it, no: candidate 2 shows no bag (90%)."),
        ("is without a bag", "As the model reads it, yes: candidate 2 shows no bag (90%)."),
        ("is her bag red", "As the model reads it, no: candidate 2 shows no bag (90%)."),
        ("does have no hat", "As the model reads it, no: candidate 2 shows a beanie (90%)."),
        ("is she wearing a hat", "As the model reads it, yes: candidate 2 shows a beanie (90%)."),
        ("is she wearing a fedora", "As the model reads it, no: candidate 2 shows a beanie (90%)."),
        ("does have a hat or a cap", "As the model reads it, candidate 2 shows a beanie (90%)."),
        ("is her coat red or black", "As the model reads it, candidate 2 shows a black coat (90%)."),
        ("is wearing a red, green or black coat", "As the model reads it, candidate 2 shows a black coat"),
        ("is her coat red or green", "As the model reads it, no: candidate 2 shows a black coat (90%)."),
        ("is not a man", "As the model reads it, yes: candidate 2 shows a woman (90%)."),
        ("are her trousers not blue", "As the model reads it, yes: candidate 2 shows grey jeans (90%)."),
        ("could she be wearing a blue jacket", "As the model reads it, no: candidate 2 shows a black coat"),
        ("what is the time of", "Candidate 2 was seen on camera 3."),
        ("what camera is on", "Candidate 2 was seen on camera 3."),
    ),
)
def test_yes_and_no_are_said_of_what_is_read_alone(question, says):
    assert ask(question, BY_FIRST_VOCABULARY).startswith(says)


@pytest.mark.parametrize(
    ("question", "choices"),
    (
        ("has a cap, a beanie or a hat", ["has a cap", "has a beanie", "has a hat"]),
        ("person in a red or a blue coat", ["person in a red coat", "person in a blue coat"]),
        ("has a red coat or a blue one", ["has a red coat", "has a blue coat"]),
        ("has a hat or is bald", ["has a hat", "is bald"]),
        ("wears jeans or a skirt on camera 3", ["wears jeans on camera 3", "wears a skirt on camera 3"]),
        ("is he young or old", ["is he young", "is he old"]),
        ("red or", ["red or"]),
    ),
)
def test_or_parts_what_would_do(question, choices):
    assert sorted(choices_in(question)) == sorted(choices)


@given(
    st.lists(
        st.sampled_from(["is", "a", "red", "or", "one", "coat", ",", "with", "has", "on", "3", "hat"]),
        max_size=12,
    )
)
def test_any_or_comes_to_an_end(words):
    assert choices_in(" ".join(words))


@given(st.text(max_size=60), st.sampled_from(("is ", "does she have ", "was her coat ", "")))
def test_every_question_gets_a_sentence(words, begin):
    assert ask(begin + words, BY_FIRST_VOCABULARY).endswith(".")


def test_cameras_and_times_are_answered_by_the_crop():
    def was(question: str, passes: bool, **of_crop: object) -> str:
        one = replace(WOMAN, crop=replace(WOMAN.crop, **of_crop))
        return answer_about(2, one, question, KNOWN, seen="then", facts=GALLERY, passes=lambda _: passes)

    assert was("was he on camera 2", True) == "Yes: candidate 2 was seen then."
    assert was("was he on camera 2", False) == "No: candidate 2 was seen then."
    assert "not known" in was("was he on camera 2", False, camera=None)
    assert "not known" in was("was seen before 15:00", False)
    at_noon = datetime(2026, 5, 12, 12, tzinfo=UTC)
    assert was("was seen before 15:00", True, time=at_noon) == "Yes: candidate 2 was seen then."
    assert was("was seen limping before 15:00", True, time=at_noon).startswith("That I cannot answer")


def test_why_and_how_sure():
    why = ask("why is on top")
    assert "woman, but a jacket instead of a coat" in why and "80 in 100" in why
    assert ask("how sure are you about", shown(None)).endswith(
        "no confidence for this search, only the order."
    )


def test_two_candidates_are_told_apart():
    other = shown(gender="woman", upper="coat", upper_colour="red", hat="none")
    said = differences((2, 5), (WOMAN, other))
    assert "red jacket in 2, red coat in 5" in said and "**Both:** woman, no hat" in said
    assert "no proof" in differences((1, 2), (WOMAN, WOMAN))
    assert "nothing that tells" in differences((1, 2), (shown(), shown()))


def test_candidates_are_counted_by_camera():
    cameras = {"c3": 4, "entrance": 1, "": 2}
    assert count_answer(7, 3, cameras, "c3") == "4 of the 7 candidates listed are on camera 3."
    assert count_answer(7, 3, cameras, "entrance") == "1 of the 7 candidates listed is on camera entrance."
    assert count_answer(7, 3, cameras, "9") == "0 of the 7 candidates listed are on camera 9."
    assert count_answer(7, 1, cameras, "") == (
        "7 candidates are listed, of which 1 fits. By camera: 4 on camera 3 and 1 on camera entrance."
    )
    assert count_answer(7, None, {}, "") == "7 candidates are listed."
