"""What a caption that people wrote says in the vocabulary's terms: enough to tell that it is not true of a crop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from app.model.vocabulary import COLOUR_WORDS, COLOURS, GROUPS, KINDS, PHRASES
from training.instructions.columns import KIND_NAMES

_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
_LONGEST = max(len(phrase.split()) for phrase in PHRASES)
_VALUES = tuple(KINDS.values())
_COLOUR_KINDS = tuple(number for number, kind in enumerate(KIND_NAMES) if kind.endswith("_colour"))
_NO = frozenset(("no", "without"))
UNKNOWN = 255


def _place(kind: str, value: str) -> tuple[int, int]:
    return KIND_NAMES.index(kind), KINDS[kind].index(value)


_PHRASES = {
    tuple(phrase.split()): tuple(_place(a.kind, a.value) for a in stated)
    for phrase, stated in PHRASES.items()
    if phrase not in ("solid", "old", "older", "dress shoes")  # said of other things too
}
_ABSENT = {
    word: _place(kind, "none") for word, kind in GROUPS.items() if kind in KINDS and "none" in KINDS[kind]
}


# A wider word is also true of what it takes in: sneakers are shoes, a cap is a hat, jeans are trousers.
_WIDER = {
    _place("shoes", "shoes"): ("sneakers", "boots"),
    _place("hat", "hat"): ("cap", "beanie"),
    _place("glasses", "glasses"): ("sunglasses",),
    _place("lower", "trousers"): ("jeans",),
}

# DENIED_BY[kind][value]: the values of a crop of which saying `value` is not true; never UNKNOWN.
DENIED_BY: tuple[tuple[frozenset[int], ...], ...] = tuple(
    tuple(
        frozenset(
            own
            for own in range(len(values))
            if own != value and values[own] not in _WIDER.get((kind, value), ())
        )
        for value in range(len(values))
    )
    for kind, values in enumerate(_VALUES)
)


@dataclass(frozen=True)
class Stated:
    """values: (kind, value) places of the vocabulary; colours: named of whatever thing."""

    values: frozenset[tuple[int, int]]
    colours: frozenset[str]

    def denies(self, known: bytes) -> bool:
        """Whether this says something that is otherwise of a crop.

        known: the crop's value of each kind, UNKNOWN (255) where it is not known. A colour is otherwise where
        the crop's upper and lower colours are known and none of its things has it.
        """
        if any(known[kind] in DENIED_BY[kind][value] for kind, value in self.values):
            return True
        if not self.colours or UNKNOWN in (known[_UPPER], known[_LOWER]):
            return False
        shown = {_VALUES[kind][known[kind]] for kind in _COLOUR_KINDS if known[kind] != UNKNOWN}
        return not self.colours <= shown


_UPPER, _LOWER = KIND_NAMES.index("upper_colour"), KIND_NAMES.index("lower_colour")


@lru_cache(1 << 14)
def stated(text: str) -> Stated:
    """Phrases of the vocabulary, longest first at each place; "no bag" is said of the bag. Opposite values of
    one kind ("a man behind a woman") cancel out."""
    words = tuple(_WORD.findall(text.lower()))
    values: set[tuple[int, int]] = set()
    colours: set[str] = set()
    place = 0
    while place < len(words):
        denied = place > 0 and words[place - 1] in _NO
        denied |= place > 1 and words[place - 1] in ("a", "an", "any") and words[place - 2] in _NO
        for size in range(min(_LONGEST, len(words) - place), 0, -1):
            found = _PHRASES.get(words[place : place + size])
            if found is not None:
                if not denied:
                    values.update(found)
                else:
                    values.update(_place(KIND_NAMES[k], "none") for k, _ in found if "none" in _VALUES[k])
                place += size
                break
        else:
            if denied and words[place] in _ABSENT:
                values.add(_ABSENT[words[place]])
            elif (colour := COLOUR_WORDS.get(words[place])) in COLOURS:
                colours.add(str(colour))
            place += 1
    kinds = [kind for kind, _ in values]
    return Stated(frozenset(pair for pair in values if kinds.count(pair[0]) == 1), frozenset(colours))
