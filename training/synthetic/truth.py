"""What is true of a drawn person, as numbers: which crops a description fits, and what a change of clothes tells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.model.vocabulary import KINDS

KIND_NAMES = tuple(KINDS)
VALUE_INDEX = {kind: {value: i for i, value in enumerate(values)} for kind, values in KINDS.items()}
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
)


def value_indices(attributes: Mapping[str, str]) -> np.ndarray:
    """int8 (kinds,): the index of each kind's value in KINDS, -1 where nothing is said."""
    return np.array([VALUE_INDEX[kind].get(attributes.get(kind, ""), -1) for kind in KIND_NAMES], np.int8)


def satisfies(
    fragments: np.ndarray, attributes: np.ndarray, visible: np.ndarray, refused: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which crops fit which descriptions.

    Args:
        fragments: int8 (T, kinds), -1 where a description says nothing.
        attributes, visible: int8 (B, kinds), as value_indices gives them of what a crop is and shows.
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
