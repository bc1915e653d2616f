"""A candidate against the query, attribute by attribute, from what the model reads in the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.model.vocabulary import Attribute
from app.retrieval.query import Query

SURE_ENOUGH = 0.5  # readings less sure than this are not compared


@dataclass(frozen=True)
class Comparison:
    """Attributes that both have, that the query alone (first) has, and that the candidate alone (second) has."""

    common: tuple[Attribute, ...] = ()
    only_first: tuple[Attribute, ...] = ()
    only_second: tuple[Attribute, ...] = ()


def compare(
    query: Query, references: Sequence[Sequence[Attribute]], candidate: Sequence[Attribute]
) -> Comparison:
    """What both have, what only the query (first) has, what only the candidate (second) has.

    references: what the model reads in each of the query's pictures; most say. candidate: what it reads in
    the candidate. The operator's words overrule the pictures. That something is absent counts only where it
    was asked for.
    """
    if not candidate:
        return Comparison()  # the model read nothing: that is no difference
    asked = {attribute.kind: attribute.value for attribute in query.wanted}
    sought = {**_majority(references), **asked}
    seen = {attribute.kind: attribute.value for attribute in candidate}
    return Comparison(
        common=_attributes({k: v for k, v in sought.items() if seen.get(k) == v}, asked),
        only_first=_attributes({k: v for k, v in sought.items() if seen.get(k) != v}, asked),
        only_second=_attributes({k: v for k, v in seen.items() if sought.get(k) != v}, asked),
    )


def _majority(references: Sequence[Sequence[Attribute]]) -> dict[str, str]:
    """kind -> the value that most pictures show; of equals, the one of the earliest picture."""
    votes: dict[str, dict[str, int]] = {}
    for attributes in references:
        for attribute in attributes:
            counted = votes.setdefault(attribute.kind, {})
            counted[attribute.value] = counted.get(attribute.value, 0) + 1
    return {kind: max(counted, key=lambda value: counted[value]) for kind, counted in votes.items()}


def _attributes(values: dict[str, str], asked: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(kind, value)
        for kind, value in values.items()
        if value != "none" or asked.get(kind) == "none"
    )
