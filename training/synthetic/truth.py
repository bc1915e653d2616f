"""What is true of a drawn person, as numbers: which crops a description fits, and what a change of clothes tells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.model.vocabulary import ALL_KINDS, KINDS, KINDS_OF_VERSION, Kinds

KIND_NAMES = tuple(KINDS)
# A value has one index, whichever version of the vocabulary it is looked up in.
VALUE_INDEX = {kind: {value: i for i, value in enumerate(values)} for kind, values in ALL_KINDS.items()}
# What can be told to have changed between two crops of a person.
TOLD_CHANGES = (
    "upper_colour",
    "upper",
    "upper_pattern",
    "lower_colour",
    "lower",
    "bag",
    "hat",
    "shoe_colour",
    "sleeves",  # from here on of world 2 alone
    "upper_shade",
    "upper_second_colour",
    "upper_print",
    "upper_length",
    "lower_shade",
    "lower_length",
    "scarf",
    "tie",
    "mask",
    "phone",
    "pushing",
)


def kinds_of_world(world: int) -> Kinds:
    """What there is to be said of a world's people: each world has the vocabulary of its own number."""
    return KINDS_OF_VERSION[world]


def value_indices(attributes: Mapping[str, str], kinds: Kinds = KINDS) -> np.ndarray:
    """int8 (kinds,): the index of each kind's value in it, -1 where nothing is said."""
    return np.array([VALUE_INDEX[kind].get(attributes.get(kind, ""), -1) for kind in kinds], np.int8)


def satisfies(
    fragments: np.ndarray, attributes: np.ndarray, visible: np.ndarray, refused: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which crops fit which descriptions.

    Args:
        fragments: int8 (T, kinds), -1 where a description says nothing.
        attributes, visible: int8 (B, kinds), as value_indices gives them: what a crop is and what it shows.
        refused: int8 (T, kinds): what must not be true, -1 where nothing is ruled out.

    Returns:
        fits bool (B, T): everything said is true of the crop; unsure bool (B, T): it is true, but part of it
        does not show in the crop, so it is neither a right nor a wrong answer.
    """
    said = fragments[None] >= 0
    fits = (~said | (attributes[:, None] == fragments[None])).all(2)
    shown = (~said | (visible[:, None] == fragments[None])).all(2)
    if refused is not None:
        fits &= ((refused[None] < 0) | (attributes[:, None] != refused[None])).all(2)
    return fits, fits & ~shown
