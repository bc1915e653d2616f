"""What two pictures have in common, and what each alone, in the vocabulary's attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.model.vocabulary import Attribute

if TYPE_CHECKING:
    from app.model.answers import AttributeReading

SURE_ENOUGH = 0.5  # readings less sure than this are not compared


@dataclass(frozen=True)
class Comparison:
    """Attributes that the model reads in both pictures, in the first alone, and in the second alone."""

    common: tuple[Attribute, ...] = ()
    only_first: tuple[Attribute, ...] = ()
    only_second: tuple[Attribute, ...] = ()


def compare_readings(
    first: Sequence[AttributeReading], second: Sequence[AttributeReading], *, sure: float = SURE_ENOUGH
) -> Comparison:
    """Compare what was read with at least this confidence; order is the readings' own."""
    one = [reading.attribute for reading in first if reading.confidence >= sure]
    other = [reading.attribute for reading in second if reading.confidence >= sure]
    return Comparison(
        common=tuple(attribute for attribute in one if attribute in other),
        only_first=tuple(attribute for attribute in one if attribute not in other),
        only_second=tuple(attribute for attribute in other if attribute not in one),
    )
