"""How answers read: what was searched, why candidates fit, what could not be used, and what to ask next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.chat.conversation import Conversation, confirm, direct_answer, reject, say, search_with
from app.chat.labels import kind_label, read_label, with_article
from app.chat.questions import SENTENCES, Question
from app.chat.reply import compare_text, fit_of, labels_of, near_misses, reply, sought
from app.chat.search_state import ShownCandidate
from app.model.vocabulary import KINDS, KINDS_OF_VERSION, Attribute
from app.retrieval.ranking import Candidate, Ranking
from gallery_store.crops import Crop
from tests.chat_notation import GALLERY


@dataclass(frozen=True)
class Read:
    attribute: Attribute
    confidence: float = 0.9


@dataclass(frozen=True)
class Compared:
    common: tuple[Attribute, ...] = ()
    only_first: tuple[Attribute, ...] = ()
    only_second: tuple[Attribute, ...] = ()


def shown(image_id: int, probability: float | None, **readings: str) -> ShownCandidate:
    crop = Crop(image_id, "", f"{image_id}.jpg", Path("x"), "3", None, None, None, (), 64, 128, None)
    read = tuple(Read(Attribute(kind, value)) for kind, value in readings.items())
    return ShownCandidate(crop, Candidate(image_id, 0.3, 0.5, probability), read)


TOP = [
    shown(1, 0.91, gender="woman", upper="jacket", upper_colour="red", bag="backpack", hat="none"),
    shown(2, 0.85, gender="woman", upper="coat", upper_colour="red", bag="backpack", hat="cap"),
    shown(3, 0.84, gender="man", upper="jacket", upper_colour="orange", bag="handbag", hat="cap"),
]


def ranking(top: list[ShownCandidate] = TOP, **changes: object) -> Ranking:
    candidates = tuple(one.candidate for one in top)
    return replace(Ranking(candidates, total=600, searched=600, scored=64, no_match=False), **changes)  # type: ignore[arg-type]


def talk(*messages: str) -> Conversation:
    conversation = Conversation()
    for message in messages:
        conversation = say(conversation, message, GALLERY)
    return conversation


def test_it_says_what_was_searched_and_why_the_first_fit():
    said = reply(talk("I'm looking for a woman in a red jacket with a bakpack"), ranking(), TOP)
    assert "**a woman in a red jacket with a backpack**" in said
    assert "searched all 600 pictures, and looked closely at the 64 that look most like it." in said
    assert "candidate 1 (91%): woman, red jacket and backpack." in said
    assert "Candidate 2 (85%): woman and backpack, but a red coat instead of a red jacket." in said
    assert "a man instead of a woman" in said and "a handbag instead of a backpack" in said
    assert "“bakpack” as “backpack”" in said


def test_filters_exclusions_and_free_words():
    said = reply(
        talk("a man without a hat, with a tattoo, on camera 3 after 14:00"), ranking(searched=120), TOP
    )
    assert "no hat" in said and "“tattoo”" in said and "on camera 3, after 14:00" in said
    assert "120 of 600 pictures" in said
    assert (
        "but a cap that you excluded" in said.replace("woman instead of a man and ", "") or "excluded" in said
    )
    assert "not in my vocabulary" in said


def test_what_the_model_cannot_make_out_is_said_once():
    said = reply(talk("a woman with long hair"), ranking(), TOP)
    assert said.count("long hair") == 2  # in what was searched, and once for all candidates
    assert "cannot make out long hair in any of them" in said


def test_an_excluded_thing_that_is_read():
    fit = fit_of(talk("a woman without a hat").known, TOP[1])
    assert (fit.shows, fit.against) == (("woman",), ("cap",))
    assert fit.text == "woman, but a cap that you excluded"
    assert fit_of(talk("no hat").known, TOP[0]).text == "no hat"
    assert fit_of(talk("no hat").known, shown(9, 0.5)).text == ""


def test_pictures_and_changes():
    conversation = search_with(talk("a woman"), 17, "camera 3, 14:05:20")
    said = reply(conversation, ranking(), TOP)
    assert "the person on camera 3, 14:05:20" in said and "stands for the person" in said
    assert "candidate 1 (91%): woman, red jacket and backpack." in said
    conversation = say(conversation, "the same person, but now in a green coat", GALLERY)
    assert "**the person on camera 3, 14:05:20, now in a green coat**" in reply(conversation, ranking(), TOP)
    conversation = confirm(conversation, 4)
    assert "the person in 2 pictures" in reply(conversation, ranking(), TOP)
    assert "That one is left out from now on." in reply(reject(conversation, 5), ranking(), TOP)
    put_back = replace(ranking(), penalized=True)
    assert "and pictures that look like the same person count less." in reply(
        reject(conversation, 5), put_back, TOP
    )
    assert "your photo" in reply(say(Conversation(), "", GALLERY, [Path("a.jpg")]), ranking(), TOP)


def test_when_nobody_fits_it_says_what_would_help():
    conversation = talk("a woman in a purple dress on camera 2")
    said = reply(conversation, ranking(no_match=True, searched=100), TOP, hidden={"camera 2": 500})
    assert "Nobody here really fits" in said and "weak" in said
    assert "a purple dress" in said and "“camera 2” hides 500 crops" in said and "photo" in said
    assert "none of the first shows a woman" not in said.lower()  # two of them do
    assert not any(sentence in said for sentence in SENTENCES.values())


def test_nothing_at_all():
    conversation = talk("camera 2")
    none = ranking([], searched=0, scored=0)
    assert "No crop passes these filters" in reply(conversation, none, [], hidden={"camera 2": 600})
    assert "“camera 2” hides 600 crops" in reply(conversation, none, [], hidden={"camera 2": 600})
    assert "The gallery is empty" in reply(conversation, replace(none, total=0), [])
    assert "no candidate left" in reply(talk("a man"), none, [])


def test_a_listing_by_filters_alone():
    said = reply(talk("camera 2"), ranking(searched=100, scored=0), TOP)
    assert said.startswith("I listed the pictures on camera 2: 100 of 600.") and "candidate 1" not in said


def test_a_stopped_search_and_unread_candidates():
    said = reply(talk("a man"), ranking(stopped=True), [shown(1, 0.4), shown(2, 0.3)])
    assert "You stopped the search" in said and "own eyes" in said


def test_what_could_not_be_checked_is_said():
    top = [shown(1, None), shown(2, None)]
    nothing = ranking(
        top, scored=0, ranker="clip", calibrated=False, judged=False, unchecked="asdkjh qwe zzz"
    )
    said = reply(talk("asdkjh qwe zzz"), nothing, top)
    assert "None of this could be checked" in said and "reads English words" in said
    assert "“asdkjh qwe zzz” is something else" in said
    assert "%" not in said and "Nobody" not in said and "weak" not in said
    beside = talk("a woman in a red jacket, limping")
    said = reply(beside, ranking(unchecked="limping"), TOP)
    assert "“limping” could not be checked, for the model knows certain English words alone; the" in said
    assert "the percentages speak of the rest" in said and "(91%)" in said
    uncalibrated = reply(beside, ranking(top, calibrated=False, unchecked="limping"), top)
    assert "“limping” could not be checked" in uncalibrated and "percentage" not in uncalibrated
    assert "could not be checked" not in reply(beside, ranking(), TOP)


def test_an_older_model_is_held_to_what_it_reads():
    known = talk("a child in a red short-sleeved shirt and heels with a scarf, no hat").known
    seen = shown(1, 0.9, age="young", upper="shirt", upper_colour="red", shoes="shoes", hat="none")
    newest = fit_of(known, seen)
    assert "heels" in newest.differs and "child" in newest.differs and "scarf" in newest.unread
    older = fit_of(known, replace(seen, kinds=KINDS_OF_VERSION[1]))
    assert older.shows == ("young", "red shirt", "shoes", "no hat")
    assert not older.differs and not older.unread


@pytest.mark.parametrize("nobody", [True, False])
def test_never_an_identity_always_short(nobody: bool):
    conversation = talk(
        "who is the woman in the red jacket with long hair, jeans, white sneakers and a tattoo?"
    )
    said = reply(conversation, ranking(no_match=nobody), TOP)
    assert "who somebody is I never tell" in said
    assert len(said) < 1_200 and "\n- " not in said


def test_the_question_stands_at_the_end():
    asked = Question("bag", SENTENCES["bag"], ("backpack", "I don't know"), 0.9)
    conversation = talk("a woman in a red jacket")
    assert reply(conversation, ranking(), TOP, question=asked).endswith(SENTENCES["bag"])
    assert SENTENCES["bag"] not in reply(conversation, ranking(no_match=True), TOP, question=asked)
    assert SENTENCES["bag"] not in reply(talk("camera 3"), ranking(), TOP, question=asked)


def test_comparison():
    red, blue = Attribute("upper_colour", "red"), Attribute("upper_colour", "blue")
    jacket, woman, bare = Attribute("upper", "jacket"), Attribute("gender", "woman"), Attribute("hat", "none")
    said = compare_text(Compared((woman, bare), (jacket, red), (blue,)), "your photo", "crop 17")
    assert said.split("  \n") == [
        "**Both:** woman, no hat",
        "**Only your photo:** red jacket",
        "**Only crop 17:** blue top",
    ]
    assert "no proof" in compare_text(Compared((woman,)), "crop 1", "crop 2")
    assert "reads nothing" in compare_text(Compared(), "crop 1", "crop 2")


def test_labels_and_articles():
    things = (Attribute("hair", "long"), Attribute("hair_colour", "black"), Attribute("age", "young"))
    assert labels_of(things) == ["young", "long black hair"]
    assert [with_article(label) for label in ("red jacket", "orange coat", "jeans", "long hair", "no hat")] == [
        "a red jacket", "an orange coat", "jeans", "long hair", "no hat",
    ]  # fmt: skip
    assert sought(talk("not a backpack, no hat").known) == "a person, not a backpack, no hat"


SWEATERS = [
    shown(1, 0.4, upper="sweater", upper_colour="green", hat="none"),
    shown(2, 0.3, upper="hoodie", upper_colour="green", hat="none"),
    shown(3, 0.2, upper="jacket", upper_colour="grey", hat="none"),
    shown(4, 0.1, upper="sweater", upper_colour="grey", hat="none"),  # two are wrong
    shown(5, 0.1, upper="sweater", upper_colour="green", hat="cap"),  # excluded
    shown(6, 0.1, upper="sweater"),  # the colour is not made out
]


@pytest.mark.parametrize("no_match", [True, False])
def test_a_near_miss_is_told(no_match):
    said = reply(talk("green jacket, no cap"), ranking(SWEATERS, no_match=no_match), SWEATERS)
    assert "Two crops fit all but the kind of top." in said
    assert "leave that out" not in said


def test_near_misses_are_told_where_the_first_does_not_fit_itself():
    fitting = [shown(9, 0.9, upper="jacket", upper_colour="green", hat="none"), *SWEATERS]
    assert "all but" not in reply(talk("green jacket, no cap"), ranking(fitting), fitting)


def test_one_near_miss_alone():
    state = talk("green jacket").known
    assert near_misses(state, SWEATERS[2:3]) == "One crop fits all but the colour of the top."
    assert near_misses(state, SWEATERS[3:4]) == ""
    assert near_misses(talk("a jacket").known, SWEATERS) == ""


def test_every_kind_has_a_label():
    labels = {kind: kind_label(kind) for kind in KINDS}
    assert len(set(labels.values())) == len(KINDS)
    assert labels["upper"] == "the kind of top" and labels["bag_colour"] == "the colour of the bag"
    assert labels["hat"] == "the kind of hat" and labels["age"] == "the age"
    assert labels["upper_pattern"] == "the pattern of the top" and labels["hair"] == "the kind of hair"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("eine Frau mit roter Jacke", "German"),
        ("ein Mann ohne Brille", "German"),
        ("une femme avec un manteau rouge", "French"),
        ("un hombre con una mochila negra", "Spanish"),
        ("een vrouw met een rode jas", "Dutch"),
        ("женщина в красной куртке", "Cyrillic script"),
        ("穿红色夹克的女人", "CJK script"),
    ],
)
def test_a_language_that_is_not_read_is_named(text, named):
    before = say(Conversation(), "a woman in a red jacket", GALLERY)
    after = say(before, text, GALLERY)
    assert f"That looks like {named}, and I read English alone" in (direct_answer(after) or "")
    assert after.known == before.known


@pytest.mark.parametrize(
    "text",
    [
        "a man in a rock band t-shirt",
        "la",
        "in the la mode",
        "a woman named Frau Holle in red",
        "o, a red coat",
        "jas",
    ],
)
def test_english_with_a_foreign_word_is_english(text):
    assert "English alone" not in (direct_answer(say(Conversation(), text, GALLERY)) or "")


@pytest.mark.parametrize(
    "read, said",
    [
        ("upper_length=short upper_shade=medium upper_pattern=plain sleeves=long", "short long-sleeved top"),
        ("upper_shade=medium upper_colour=red", "red top"),
        ("upper_shade=dark upper_pattern=striped", "dark striped top"),
        ("upper_pattern=plain", "plain top"),  # as an answer to what the pattern is
        ("lower=trousers lower_shade=medium", "trousers"),
        ("lower=trousers lower_colour=black lower_shade=dark", "black trousers"),
        ("lower=trousers lower_colour=blue lower_shade=dark", "dark blue trousers"),
        ("upper=shirt upper_colour=white upper_shade=light", "white shirt"),
    ],
)
def test_what_tells_nobody_apart_is_not_said(read: str, said: str):
    attributes = [Attribute(*one.split("=")) for one in read.split()]
    assert read_label(attributes[0].kind.partition("_")[0], attributes) == said
