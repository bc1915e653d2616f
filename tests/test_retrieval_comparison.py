"""A candidate against the query: words overrule pictures, most pictures say, absence counts where asked."""

from __future__ import annotations

from app.model.vocabulary import Attribute
from app.retrieval.comparison import Comparison, compare
from app.retrieval.query import Query, Reference


def attributes(**pairs: str) -> list[Attribute]:
    return [Attribute(kind, value) for kind, value in pairs.items()]


def test_comparing_with_words() -> None:
    query = Query(wanted=tuple(attributes(gender="woman", upper="jacket", hat="none")))
    compared = compare(
        query, [], attributes(gender="woman", upper="coat", hat="none", bag="none", lower="jeans")
    )
    assert compared.common == (Attribute("gender", "woman"), Attribute("hat", "none"))
    assert compared.only_first == (Attribute("upper", "jacket"),)
    assert compared.only_second == (Attribute("upper", "coat"), Attribute("lower", "jeans"))


def test_words_overrule_the_pictures_and_most_pictures_say() -> None:
    query = Query(
        wanted=(Attribute("upper", "coat"),), references=(Reference(image_id=1), Reference(image_id=2))
    )
    pictures = [
        attributes(gender="man", upper="shirt"),
        attributes(gender="woman"),
        attributes(gender="woman"),
    ]
    compared = compare(query, pictures, attributes(gender="woman", upper="coat"))
    assert compared == Comparison(common=(Attribute("gender", "woman"), Attribute("upper", "coat")))


def test_a_picture_in_which_nothing_was_read_differs_in_nothing() -> None:
    assert compare(Query(wanted=tuple(attributes(gender="man"))), [], []) == Comparison()
