"""What two pictures have in common, and what each alone."""

from app.model.annotation import AttributeReading as Read
from app.model.vocabulary import Attribute
from app.retrieval.comparison import Comparison, compare_readings

RED, BLUE = Attribute("upper_colour", "red"), Attribute("upper_colour", "blue")
CAP, BAG = Attribute("hat", "cap"), Attribute("bag", "backpack")


def test_attributes_fall_into_three():
    first = [Read(RED, 0.9), Read(CAP, 0.8), Read(BAG, 0.2)]
    second = [Read(BLUE, 0.9), Read(CAP, 0.7)]
    assert compare_readings(first, second) == Comparison((CAP,), (RED,), (BLUE,))
    assert compare_readings(first, second, sure=0.1).only_first == (RED, BAG)
    assert compare_readings([], second) == Comparison((), (), (BLUE, CAP))
    assert compare_readings([], []) == Comparison()
