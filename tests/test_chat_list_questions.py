"""Questions about the list, the search and the person: told from descriptions, and answered by what was read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.asked_things import read_asked
from app.chat.conversation import Conversation, direct_answer, say
from app.chat.list_answers import helps_answer, known_answer, list_answer
from app.chat.list_questions import ListQuestion, asks_about_person, read_list_question
from app.chat.result_answers import answer_about, differences
from app.chat.search_state import SearchState
from app.chat.understanding import understand
from tests.chat_notation import GALLERY, RED_JACKET
from tests.test_chat_results import shown

OF_LIST = {
    "which one has a hat?": ListQuestion("which", "person has a hat"),
    "Who is wearing a backpack?": ListQuestion("which", "person is wearing a backpack"),
    "which of them are on camera 2": ListQuestion("which", "person are on camera 2"),
    "is anyone in red on camera 2": ListQuestion("any", "person in red on camera 2"),
    "are there any men with hats?": ListQuestion("any", "men with hats"),
    "is there a woman with an umbrella?": ListQuestion("any", "a woman with an umbrella"),
    "does any of these have a beard?": ListQuestion("any", "person have a beard"),
    "how many after 12?": ListQuestion("count", "person after 12"),
    "how many women are there": ListQuestion("count", "women are there"),
    "so, what do you know so far?": ListQuestion("known"),
    "who are you looking for": ListQuestion("known"),
    "what would help most?": ListQuestion("helps"),
    "what else should I say": ListQuestion("helps"),
    "any with a backpack?": ListQuestion("any", "person with a backpack"),
    "any red bags?": ListQuestion("any", "person red bags"),
    "anyone in red?": ListQuestion("any", "person in red"),
    "who has the red bag?": ListQuestion("which", "person has the red bag"),
    "which of these men is old?": ListQuestion("which", "men is old"),
    "what percentage are men?": ListQuestion("count", "person are men"),
    "how many men and how many women?": ListQuestion("count", "men", (ListQuestion("count", "women"),)),
    "do you know if anyone has a beard?": ListQuestion("any", "person a beard"),
    "did you check camera 5?": ListQuestion("searched"),
}
OF_PERSON = [
    "is she wearing glasses?",
    "what is he carrying?",
    "how old is she",
    "what colour was her bag?",
    "did the man have a hat?",
    "isn't he wearing a hat?",
    "hasn't he got glasses?",
    "doesn't she have a hat?",
    "wasn't he on camera 2?",
    "could he be wearing a blue jacket?",
    "could the coat be blue?",
    "was the coat black or blue?",
    "I wonder whether he has a beard",
    "and the shoes?",
    "is it red?",
    "what colour was the coat?",
]
NEITHER = [
    "a woman in a red jacket",
    "who is she?",
    "who is the woman in the red jacket?",
    "who are you?",
    "what can you do?",
    "which cameras are there?",
    "how many cameras are there?",
    "can you find a man with a suitcase?",
    "what about camera 4?",
    "how about a blue one?",
    "someone who is wearing a hat",
    "she is wearing glasses",
    "hat?",
    "any with a backpack",
    "and the red shoes?",
    "any luck?",
    "any chance of a man in red?",
    "could be a red coat?",
    "could she have changed her clothes?",
    "isn't a man",
    "do you see a man with a hat?",
    "maybe a blue coat?",
    "",
]


@pytest.mark.parametrize("text", OF_LIST)
def test_questions_about_the_list(text: str):
    assert read_list_question(text) == OF_LIST[text]


@pytest.mark.parametrize("text", OF_PERSON)
def test_questions_about_the_person(text: str):
    assert asks_about_person(text) and read_list_question(text) is None


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_no_question_about_candidates(text: str):
    assert read_list_question(text) is None and not asks_about_person(text)


@given(st.one_of(st.sampled_from([*OF_LIST, *OF_PERSON]), st.sampled_from(list(OF_LIST)).map(str.upper)))
def test_no_question_changes_a_search(text: str):
    said = understand(text, RED_JACKET, GALLERY)
    assert said.intent == "question" and said.filters == RED_JACKET.filters
    before = say(Conversation(), "a man in a coat", GALLERY)
    after = say(before, text, GALLERY)
    assert after.known == before.known and "none are on the screen" in (direct_answer(after) or "")


HATS = [(1, shown(hat="cap", gender="man")), (2, shown(hat="none", gender="man")), (4, shown(gender="woman"))]


def answer(text: str, listed: int = 40, passing: int = 3) -> str:
    question = read_list_question(text)
    assert question is not None
    asked = read_asked(question.about, GALLERY)
    return list_answer(question, asked, listed, passing, HATS)


def test_candidates_that_show_something_are_named():
    assert (
        answer("which one has a cap?")
        == "As the model reads the 3 on the screen, candidate 1 shows a cap; of 1 it cannot tell."
    )
    assert answer("who has no hat?").startswith(
        "As the model reads the 3 on the screen, candidate 2 shows no hat"
    )
    assert "candidates 1 and 2 show a man" in answer("are there any men?")
    assert "none shows an umbrella; of 3 it cannot tell" in answer("is there one with an umbrella?")
    assert "on the screen on camera 2, candidate 1 shows" in answer("does anyone have a cap on camera 2")


def test_things_whichever_and_either_of_two_are_counted():
    assert "candidate 1 shows a hat; of 1 it cannot tell. That is 1 of 3." in answer("how many have a hat?")
    assert "of 3 it cannot tell" in answer("how many have a bag?")
    assert "candidates 1 and 4 show a cap or a woman" in answer("how many have a cap or are a woman?")
    both = answer("is there anyone with an umbrella and a cap?")
    assert "none shows a cap and an umbrella" in both
    assert "none shows somebody pushing a stroller" in answer("is anyone pushing a stroller?")


def test_what_is_not_known_of_times_is_said():
    assert "There is no camera 9" in answer("how many men are on camera 9?")
    assert "“biggest” it does not read" in answer("who has the biggest cap?")


def test_filters_alone_are_counted_over_the_whole_list():
    assert (
        answer("how many are on camera 3 after 12?")
        == "3 of the 40 candidates listed are on camera 3, after 12:00."
    )
    assert answer("is anyone on camera 3?", passing=0) == "No: 0 of the 40 candidates listed are on camera 3."
    assert answer("which of them are on camera 3?") == "Candidates 1, 2 and 4 are on camera 3."
    assert answer("how many have you found?") == "40 candidates are listed."
    assert "There is no camera 9" in answer("is anyone on camera 9?")


def test_what_cannot_be_answered_is_said_in_one_sentence():
    for text in ("who has a tattoo?", "is anyone tall?", "are there any dogs?", "how many have a tattoo?"):
        assert answer(text).startswith("That I cannot answer") and answer(text).count(".") == 1, text
    assert "“tattoo” it does not read" in answer("who has a cap and a tattoo?")


def test_what_is_known_and_what_would_help():
    known = say(Conversation(), "a woman in a red jacket on camera 3", GALLERY).known
    assert known_answer(known) == "I look for **a woman in a red jacket** on camera 3."
    assert (
        "top" not in helps_answer(known) and "shoes" in helps_answer(known) and "photo" in helps_answer(known)
    )
    assert known_answer(SearchState()) == "I look for **anybody**."
    assert known_answer(SearchState(), everywhere=True).endswith("on all cameras, at any time.")


def test_he_and_she_are_not_what_is_asked():
    said = answer_about(
        1,
        shown(hat="cap", gender="man", age="young"),
        "is she wearing a cap",
        SearchState(),
        seen="",
        facts=GALLERY,
    )
    assert said == "As the model reads it, yes: candidate 1 shows a cap (90%)."
    old = answer_about(1, shown(age="young"), "how old is he", SearchState(), seen="", facts=GALLERY)
    assert "young (90%)" in old


def test_a_candidate_is_not_compared_with_itself():
    assert "twice" in differences((1, 1), (shown(hat="cap"), shown(hat="cap")))
