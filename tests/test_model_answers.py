"""The attribute answers: written and read back, and a looser model's answers understood."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.answers import annotation_answer, locate_annotation, parse_annotation
from app.model.vocabulary import KINDS, Attribute

people = st.fixed_dictionaries({}, optional={kind: st.sampled_from(values) for kind, values in KINDS.items()})


def read(text):
    return {attribute.kind: attribute.value for attribute in parse_annotation(text)}


@settings(max_examples=300)
@given(people)
def test_what_is_written_is_read_back(person):
    answer = annotation_answer(person)
    visible = {
        kind: value
        for kind, value in person.items()
        if not (kind in ("hat_colour", "bag_colour") and person.get(kind.removesuffix("_colour")) == "none")
    }
    assert read(answer) == visible
    assert annotation_answer([Attribute(kind, value) for kind, value in person.items()]) == answer
    for attribute, start, end in locate_annotation(answer):
        assert answer[start:end] == attribute.value


def test_the_format_letter_by_letter():
    person = {
        "gender": "woman",
        "hair": "long",
        "hair_colour": "brown",
        "upper": "jacket",
        "upper_colour": "red",
        "upper_pattern": "striped",
        "bag": "none",
        "glasses": "none",
    }
    assert annotation_answer(person) == (
        "gender: woman; age: unseen; build: unseen; hair: brown long; beard: unseen;"
        " upper: red"
        " striped jacket; lower: unseen; shoes: unseen; hat: unseen; bag: none; glasses: none; umbrella: unseen"
    )


def test_looser_answers_are_understood():
    assert read(
        "**Gender:** Female\n- Age range: young adult\n- Hair: long black hair, tied back\n"
        "- Upper body: wearing a red jacket with stripes\n- Pants: Blue Jeans\n- Footwear: white sneakers\n"
        "- Bag: no bag visible"
    ) == {
        "gender": "woman",
        "age": "young",
        "hair": "long",
        "hair_colour": "black",
        "upper": "jacket",
        "upper_colour": "red",
        "upper_pattern": "striped",
        "lower": "jeans",
        "lower_colour": "blue",
        "shoes": "sneakers",
        "shoe_colour": "white",
        "bag": "none",
    }
    assert read(
        "The pedestrian is a middle-aged man in a red jacket and blue jeans, with no hat,"
        " carrying a backpack."
    ) == {
        "gender": "man",
        "age": "middle-aged",
        "upper": "jacket",
        "upper_colour": "red",
        "lower": "jeans",
        "lower_colour": "blue",
        "hat": "none",
        "bag": "backpack",
    }
    assert read("") == read("I cannot see a person here: sorry!") == {}


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_no_answer_breaks_the_parser(text):
    kinds = [attribute.kind for attribute in parse_annotation(text)]
    assert len(kinds) == len(set(kinds))
