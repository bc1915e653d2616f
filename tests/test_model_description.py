"""The one description of the person sought."""

from app.model.description import query_description
from app.model.vocabulary import KINDS, Attribute


def every(kind):
    return [Attribute(kind, value) for value in KINDS[kind] if value != "none"]


def test_wanted_unwanted_and_further_words():
    woman, jacket = Attribute("gender", "woman"), Attribute("upper", "jacket")
    red, coat = Attribute("upper_colour", "red"), Attribute("upper", "coat")
    assert query_description() == ""
    assert query_description(text="  limping \n badly ") == "limping badly"
    assert query_description([woman, jacket, red]) == "a woman in a red jacket"
    assert query_description([woman], [jacket, red, coat]) == "a woman, not a red jacket, not a coat"
    assert query_description([], [jacket], "limping") == "a person, not a jacket, limping"
    assert query_description([woman], [Attribute("hair", "long"), Attribute("gender", "man")]) == (
        "a woman, not long hair, not a man"
    )


def test_a_thing_refused_in_every_form_is_absent():
    woman = Attribute("gender", "woman")
    assert query_description([woman], every("hat")) == "a woman with no hat"
    assert query_description([woman], every("hat") + every("hat_colour")) == "a woman with no hat"
    assert query_description([woman, Attribute("hat", "none")]) == "a woman with no hat"
    assert query_description([woman], every("hat")[:2]) == "a woman, not a cap, not a beanie"
    # What is wanted is not overruled by what is refused.
    cap = Attribute("hat", "cap")
    assert "no hat" not in query_description([woman, cap], every("hat"))
