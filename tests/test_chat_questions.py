"""What to ask next: the information of an answer, by brute force; what is never asked; what "I don't know" means."""

from __future__ import annotations

from itertools import product
from math import log2

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.chat.conversation import (
    Conversation,
    answered,
    asked_before,
    direct_answer,
    say,
    search_with,
    told,
    undo,
)
from app.chat.questions import (
    DONT_KNOW,
    SENTENCES,
    WITNESS_KNOWS,
    WORTH_ASKING,
    Looks,
    Question,
    asked_in,
    confusion_channel,
    declined_kinds,
    in_words,
    information,
    most_telling,
    only_declines,
    open_questions,
)
from app.chat.search_state import SearchState
from app.model.vocabulary import ALL_KINDS, KINDS, Attribute
from tests.chat_notation import GALLERY

JSON = TypeAdapter(Conversation)


def talk(*messages: str, start: Conversation | None = None) -> Conversation:
    conversation = start or Conversation()
    for message in messages:
        conversation = say(conversation, message, GALLERY)
    return conversation


def asking(conversation: Conversation, kind: str) -> Conversation:
    """The conversation after a reply that asked about a kind."""
    question = Question(kind, SENTENCES[kind], ("…", DONT_KNOW), 1.0)
    return answered(conversation, f"I looked. {question.text}", [1], question)


def looks(count: int = 8, **shares: list[float] | np.ndarray) -> Looks:
    """`count` candidates that all show the same of every kind, but of those in `shares`: (values, count)."""
    probs = {kind: np.full((len(values), count), 1 / len(values)) for kind, values in KINDS.items()}
    probs["gender"] = np.tile([[0.0], [1.0]], count)
    return Looks(np.ones(count), {**probs, **{kind: np.array(of) for kind, of in shares.items()}})


def halves(kind: str, sure: float, count: int = 8) -> np.ndarray:
    """One half of the candidates shows the first value of a kind, the other the second, each with this probability."""
    probs = np.full((len(KINDS[kind]), count), 0.0)
    for column in range(count):
        probs[column % 2, column], probs[1 - column % 2, column] = sure, 1 - sure
    return probs


def by_kind(
    of: Looks, state: SearchState | None = None, already: tuple[str, ...] = ()
) -> dict[str, Question]:
    return {question.kind: question for question in open_questions(state or SearchState(), of, already)}


shares = st.floats(0, 1)


@settings(max_examples=150)
@given(st.integers(1, 5), st.integers(2, 4), st.data())
def test_information_by_brute_force(candidates, values, data):
    """Over every candidate, value that it shows and value that is said."""

    def columns(rows: int, count: int) -> np.ndarray:
        drawn = np.array([[data.draw(shares) for _ in range(count)] for _ in range(rows)])
        assume((drawn.sum(0) > 1e-3).all())
        return drawn / drawn.sum(0)

    probs, channel = columns(values, candidates), columns(values, values)
    weights = columns(candidates, 1)[:, 0]
    together = np.zeros((candidates, values))  # of the candidate and what is said
    for one, seen, said in product(range(candidates), range(values), range(values)):
        together[one, said] += weights[one] * probs[seen, one] * channel[said, seen]
    expected = 0.0
    for one, said in product(range(candidates), range(values)):
        if together[one, said] > 0:
            expected += together[one, said] * log2(
                together[one, said] / together[one].sum() / together[:, said].sum()
            )
    assert information(probs, weights, channel) == pytest.approx(expected, abs=1e-9)
    assert (
        information(probs, weights, channel) <= information(probs, weights) + 1e-9
    )  # nothing is gained on the way
    assert information(probs, weights) <= -sum(w * log2(w) for w in weights if w > 0) + 1e-9


def test_information_by_hand():
    assert information(np.eye(4), np.full(4, 0.25)) == pytest.approx(2)
    assert information(np.full((4, 4), 0.25), np.full(4, 0.25)) == pytest.approx(0)
    assert information(np.eye(2), np.array([1.0, 0.0])) == pytest.approx(0)


def test_a_sure_reading_is_asked_before_an_unsure_one():
    of = looks(hat=halves("hat", 0.6), bag=halves("bag", 0.99))
    assert most_telling(tuple(by_kind(of).values())).kind == "bag"
    of = looks(hat=halves("hat", 0.99), bag=halves("bag", 0.6))
    assert most_telling(tuple(by_kind(of).values())).kind == "hat"
    assert by_kind(of)["hat"].bits == pytest.approx(WITNESS_KNOWS["hat"] * 0.919, abs=1e-3)  # 1 - H(0.99)


def test_what_is_taken_for_one_another_is_asked_later():
    one_way = {"bag": {"none": {"backpack": 0.9}, "backpack": {"none": 0.9}}}
    channel = confusion_channel(KINDS["bag"], one_way["bag"])
    assert np.allclose(channel.sum(0), 1) and channel[0, 1] == pytest.approx(0.9 / 1.9)
    plain = looks(hat=halves("hat", 0.9), bag=halves("bag", 0.99))
    mixed_up = Looks(plain.weights, plain.probs, one_way)
    assert most_telling(tuple(by_kind(plain).values())).kind == "bag"
    assert most_telling(tuple(by_kind(mixed_up).values())).kind == "hat"


def test_what_witnesses_seldom_know_is_asked_later():
    of = looks(shoes=halves("shoes", 1), upper=halves("upper", 1))
    asked = by_kind(of)
    assert asked["upper"].bits / asked["shoes"].bits == pytest.approx(
        WITNESS_KNOWS["upper"] / WITNESS_KNOWS["shoes"]
    )
    assert set(WITNESS_KNOWS) <= set(KINDS) and all(0 < known < 1 for known in WITNESS_KNOWS.values())


def test_a_likely_candidate_counts_for_more():
    """Who is nearly certain already need not be told apart from the rest."""
    even = looks(hat=halves("hat", 1))
    certain = Looks(np.array([1.0, *[0.001] * 7]), even.probs)
    assert by_kind(certain)["hat"].bits < 0.1 < by_kind(even)["hat"].bits
    assert most_telling(tuple(by_kind(certain).values())) is None


def test_no_question_when_it_would_not_help():
    assert most_telling(()) is None
    assert most_telling(tuple(by_kind(looks()).values())) is None  # all alike
    nobody = Looks(np.zeros(0), {kind: np.zeros((len(values), 0)) for kind, values in KINDS.items()})
    assert open_questions(SearchState(), nobody) == ()
    little = Question("hat", "", ("no hat", "cap", DONT_KNOW), WORTH_ASKING * 0.9)
    assert most_telling([little]) is None and most_telling([little], worth=0) == little
    guess = Question("bag", "", ("backpack", DONT_KNOW), 1.0)  # the same in all: nothing to choose among
    assert most_telling([guess]) is None and most_telling([guess, little], worth=0) == little


ALL_OPEN = looks(**{kind: halves(kind, 1) for kind in KINDS if kind != "gender"})


@settings(max_examples=60)
@given(st.data())
def test_never_about_what_is_known_shown_or_asked_before(data):
    kinds = sorted(KINDS)
    wanted = data.draw(st.lists(st.sampled_from(kinds), unique=True, max_size=6))
    absent = data.draw(
        st.lists(st.sampled_from(["hat", "bag", "glasses", "umbrella"]), unique=True, max_size=2)
    )
    shown, already = (data.draw(st.lists(st.sampled_from(kinds), unique=True, max_size=6)) for _ in range(2))
    state = SearchState(
        wanted=tuple(Attribute(kind, data.draw(st.sampled_from(KINDS[kind]))) for kind in wanted),
        unwanted=tuple(Attribute(kind, v) for kind in absent for v in KINDS[kind] if v != "none"),
    )
    of = Looks(ALL_OPEN.weights, ALL_OPEN.probs, {}, frozenset(shown))
    asked = by_kind(of, state, tuple(already))
    assert not set(asked) & {*wanted, *absent, *shown, *already}
    for thing, colour in (("hat", "hat_colour"), ("bag", "bag_colour")):
        assert colour not in asked or state.value(thing) not in (None, "none")


def test_what_is_ruled_out_is_no_answer():
    state = talk("a man, not a backpack").known
    of = looks(bag=np.array([[0.5] * 8, [0.4] * 8, [0.1] * 8, [0.0] * 8, [0.0] * 8]))
    assert by_kind(of, state)["bag"].answers == ("no bag", "handbag", DONT_KNOW)
    assert by_kind(of)["bag"].answers == ("no bag", "backpack", "handbag", DONT_KNOW)


def test_where_one_value_is_left_nothing_is_asked():
    of = looks(gender=halves("gender", 0.5), upper_colour=halves("upper_colour", 1))
    not_a_man = SearchState(unwanted=(Attribute("gender", "man"),))
    no_colour = SearchState(unwanted=tuple(Attribute("upper_colour", v) for v in KINDS["upper_colour"]))
    assert "gender" in by_kind(of) and "gender" not in by_kind(of, not_a_man)
    assert "upper_colour" in by_kind(of) and "upper_colour" not in by_kind(of, no_colour)


def test_what_goes_without_saying():
    bald = SearchState(wanted=(Attribute("hair", "bald"),))
    assert "hair_colour" in by_kind(ALL_OPEN) and "hair_colour" not in by_kind(ALL_OPEN, bald)
    dress = SearchState(wanted=(Attribute("upper", "dress"),))
    assert not {"lower", "lower_colour"} & set(by_kind(ALL_OPEN, dress))
    women = Looks(ALL_OPEN.weights, {**ALL_OPEN.probs, "gender": ALL_OPEN.probs["gender"][::-1]})
    assert "beard" in by_kind(ALL_OPEN) and "beard" not in by_kind(women)
    woman, man = (SearchState(wanted=(Attribute("gender", who),)) for who in ("woman", "man"))
    assert "beard" not in by_kind(ALL_OPEN, woman) and "beard" in by_kind(women, man)


def test_every_answer_that_is_offered_says_what_it_stands_for():
    """A button is the same as its words: whatever was known before, it states this value and changes nothing else."""
    starts = [
        talk("somebody"),
        talk("a woman in a striped jacket and jeans with boots, a cap, a backpack and long hair"),
    ]
    for start, kind in product(starts, SENTENCES):
        for value in KINDS[kind]:
            after = talk(in_words(kind, value), start=asking(start, kind)).known
            expected = {a.kind: a.value for a in start.known.wanted} | {kind: value}
            if value == "none":
                assert {a.value for a in after.unwanted if a.kind == kind} == set(ALL_KINDS[kind]) - {"none"}
                del expected[kind]
                colour = f"{kind}_colour"
                assert colour not in {a.kind for a in after.wanted}
            assert {a.kind: a.value for a in after.wanted} == expected, (kind, value)
            assert after.text == start.known.text


@pytest.mark.parametrize(
    "text",
    ["I don't know", "i don’t know.", "no idea", "Not sure", "dunno", "sorry, I can't remember", "we did not see it",
     "I really don't know!", "skip", "the witness does not know", "I couldn't tell", "No clue…"],
)  # fmt: skip
def test_i_do_not_know(text):
    assert (
        only_declines(text) and declined_kinds(text, "hat") == ("hat",) and declined_kinds(text, None) == ()
    )
    start = asking(talk("a woman in a red jacket"), "hat")
    after = talk(text, start=start)
    assert after.known == start.known and after.last.declined == ("hat",)
    assert direct_answer(after) == "All right, that stays open."


@pytest.mark.parametrize(
    "text",
    ["no hat", "I know he had a hat", "I don't know, maybe a red hat", "not sure but I think a cap", "no", "red",
     "I don't think he had a hat", "a man who did not know", "she knows him", "passing by in a red jacket",
     "unknown man in a red jacket", "I did not see him in a hat", "not sure about the hat but a red bag"],
)  # fmt: skip
def test_what_is_an_answer_after_all(text):
    assert declined_kinds(text, "bag") == () and not only_declines(text)


def test_what_is_not_known_can_be_named():
    assert declined_kinds("I don't know what shoes he wore", "hat") == ("shoes", "shoe_colour")
    assert declined_kinds("no idea about the colour of the bag", None) == ("bag_colour",)
    assert declined_kinds("I’m not sure if she had an umbrella", "hat") == ("umbrella",)
    assert declined_kinds("I don't know what it was", "hat") == ("hat",)
    after = talk("a man", "I don't know what shoes he wore")
    assert after.known == talk("a man").known and {"shoes", "shoe_colour"} <= asked_before(after)
    after = talk("a man", "I don't remember the hat")
    assert {"hat", "hat_colour"} <= asked_before(after)


def test_declining_is_remembered_through_undo_and_json():
    declined = talk(DONT_KNOW, start=asking(talk("a woman"), "hat"))
    declined = asking(declined, "bag")
    assert asked_before(declined) == {"hat"}
    later = talk("a backpack", "long hair", start=declined)
    assert {"hat", "bag"} <= asked_before(later)
    back = undo(undo(later))
    assert back.turns == declined.turns and "hat" in asked_before(back)
    assert back.last.question.kind == "bag" and back.last.question.answers[-1] == DONT_KNOW
    kept = JSON.validate_json(JSON.dump_json(later))
    assert kept == later and asked_before(undo(kept)) == asked_before(undo(later))
    with_picture = search_with(later, 7)
    assert {"hat", "bag"} <= asked_before(with_picture)
    assert "hat" not in by_kind(ALL_OPEN, later.known, tuple(asked_before(later)))


def test_the_next_person_may_be_asked_anew():
    after = talk(DONT_KNOW, "start over", "a man", start=asking(talk("a woman"), "hat"))
    assert asked_before(after) == frozenset()
    assert after.turns[2].question is None


def test_a_question_waits_while_something_else_is_told():
    start = asking(talk("a woman"), "hat")
    after = answered(told(start, "which camera is 1 on?", "On camera 3."), "On camera 3.", [1])
    assert after.last.question == start.last.question and after.last.asked == "hat"
    thanks = answered(talk("thanks", start=start), "You are welcome.", [1])
    assert thanks.last.question == start.last.question
    gone = answered(talk(DONT_KNOW, start=start), "All right, that stays open.", [1])
    assert gone.last.question is None and gone.last.asked is None
    assert answered(talk("start over", start=start), "Started over.", []).last.question is None


def test_every_kind_has_a_question_of_its_own():
    assert set(SENTENCES) == set(KINDS)
    assert all(asked_in(f"Well. {sentence} Or so.") == kind for kind, sentence in SENTENCES.items())
    assert asked_in("no question") is None
