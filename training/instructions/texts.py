"""What is said of a crop: a caption that people wrote where there is one, otherwise one made of its attributes.

And what such a caption says in the vocabulary's terms: enough to tell that it is not true of another crop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from app.model.vocabulary import ALL_GROUPS, ALL_KINDS, ALL_PHRASES, COLOUR_WORDS, COLOURS, VOCABULARY_VERSION
from training.instructions.columns import KIND_NAMES
from training.instructions.crop_index import CropIndex
from training.instructions.rng import SampleRng
from training.synthetic.captions import FIRST_MENTIONED, FIRST_WEIGHT, SAID_NONE, UNMENTIONED, caption

_VALUES = tuple(tuple(values) for values in ALL_KINDS.values())
_WIDTH = len(KIND_NAMES)
_FIRST = frozenset(map(KIND_NAMES.index, FIRST_MENTIONED))
_FIRST_POWER = 1 / FIRST_WEIGHT
_PLAIN = frozenset(
    (number, place)
    for number, values in enumerate(_VALUES)
    for place, value in enumerate(values)
    if value in UNMENTIONED
)
_NONE = frozenset((number, values.index("none")) for number, values in enumerate(_VALUES) if "none" in values)
# Without its thing the colour of these would say another thing: "a brown hat" is no beanie, "white shoes" no boots.
_WITH_THING = {
    KIND_NAMES.index(colour): KIND_NAMES.index(thing)
    for colour, thing in (("hat_colour", "hat"), ("shoe_colour", "shoes"))
}


_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
_LONGEST = max(len(phrase.split()) for phrase in ALL_PHRASES)
_COLOUR_KINDS = tuple(number for number, kind in enumerate(KIND_NAMES) if kind.endswith("_colour"))
_NO = frozenset(("no", "without"))
UNKNOWN = 255


def _place(kind: str, value: str) -> tuple[int, int]:
    return KIND_NAMES.index(kind), ALL_KINDS[kind].index(value)


_PHRASES = {
    tuple(phrase.split()): tuple(_place(a.kind, a.value) for a in attributes)
    for phrase, attributes in ALL_PHRASES.items()
    if phrase not in ("solid", "old", "older", "dress shoes")  # said of other things too
}
_ABSENT = {
    word: _place(kind, "none")
    for word, kind in ALL_GROUPS.items()
    if kind in ALL_KINDS and "none" in ALL_KINDS[kind]
}


# A wider word is also true of what it takes in: sneakers are shoes, a cap is a hat, jeans are trousers. And a word of
# version 2 may be true of what a data set of version 1 had to call otherwise: heels are among its shoes.
_WIDER = {
    _place("shoes", "shoes"): ("sneakers", "boots", "sandals", "heels"),
    _place("shoes", "sandals"): ("shoes",),
    _place("shoes", "heels"): ("shoes",),
    _place("hat", "hat"): ("cap", "beanie", "helmet"),
    _place("hat", "helmet"): ("hat", "cap"),
    _place("hat", "headscarf"): ("hat",),
    _place("hat", "hood"): ("none", "hat", "beanie"),
    _place("age", "child"): ("young",),
    _place("age", "young"): ("child",),
    _place("upper", "suit"): ("jacket", "shirt"),
    _place("upper", "jacket"): ("suit", "vest", "high-vis"),
    _place("upper", "vest"): ("jacket", "sweater", "shirt", "t-shirt"),
    _place("upper", "high-vis"): ("jacket", "vest", "coat"),
    _place("upper_pattern", "floral"): ("dotted", "plain"),
    _place("upper_pattern", "camouflage"): ("plain",),
    _place("bag", "shopping bag"): ("handbag", "none"),
    _place("upper_shade", "dark"): ("medium",),
    _place("upper_shade", "light"): ("medium",),
    _place("lower_shade", "dark"): ("medium",),
    _place("lower_shade", "light"): ("medium",),
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
class ParsedCaption:
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
def parse_caption(text: str) -> ParsedCaption:
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
    return ParsedCaption(frozenset(pair for pair in values if kinds.count(pair[0]) == 1), frozenset(colours))


@dataclass(frozen=True)
class Text:
    """text: one line. said: (kind, value) places of ALL_KINDS that it states, () for a caption that people wrote."""

    text: str
    said: tuple[tuple[int, int], ...] = ()


class CaptionSampler:
    """Texts about the crops of an index. canonical: the share (0..1) in the product's own wording; the others are in
    the words of a version of the vocabulary.
    """

    def __init__(self, source: CropIndex, canonical: float, vocabulary: int = VOCABULARY_VERSION) -> None:
        self.source, self.canonical, self.vocabulary = source, canonical, vocabulary

    def known(self, row: int) -> list[tuple[int, int]]:
        """(kind, value) places of all that is known of a crop."""
        values = self.source.attributes[row * _WIDTH : (row + 1) * _WIDTH]
        return [(kind, value) for kind, value in enumerate(values) if value != UNKNOWN]

    def seen(self, row: int) -> dict[str, str]:
        """The known attributes in words, by kind."""
        return named(self.known(row))

    def whole(self, row: int, rng: SampleRng) -> str:
        """All that is known: a caption that people wrote, or one of every attribute."""
        texts = self.source.columns.captions[row]
        return rng.one(texts) if texts else self.compose(self.known(row), rng)

    def some(self, row: int, fewest: int, most: int, rng: SampleRng) -> Text:
        """A caption that people wrote, or `fewest` to `most` of the attributes."""
        texts = self.source.columns.captions[row]
        if texts:
            return Text(rng.one(texts))
        return self.fragment(row, rng.between(fewest, most), rng)

    def fragment(self, row: int, count: int, rng: SampleRng, first: Iterable[tuple[int, int]] = ()) -> Text:
        """Up to `count` of the attributes, as somebody would remember them, with one of `first` among them."""
        must = list(first)
        said = [rng.one(must)] if must else []
        keys = []
        for kind, value in self.known(row):
            pair = (kind, value)
            if pair in said or pair in _PLAIN or (pair in _NONE and not rng.happens(SAID_NONE)):
                continue
            # Weighted sampling without replacement: the largest u^(1/w) (Efraimidis and Spirakis, 2006).
            u = rng.random()
            keys.append((u**_FIRST_POWER if kind in _FIRST else u, pair))
        keys.sort(reverse=True)
        said += [pair for _, pair in keys[: max(0, count - len(said))]]
        whole = self.with_things(row, said or self.known(row)[:count])
        return Text(self.compose(whole, rng), tuple(whole))

    def with_things(self, row: int, said: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """What is said, in the vocabulary's order; the colour of a hat or of shoes comes with what they are."""
        whole = set(said)
        for pair in sorted(whole):
            if pair[0] in _WITH_THING:
                thing = _WITH_THING[pair[0]]
                value = self.source.value(row, thing)
                if value == UNKNOWN:
                    whole.discard(pair)
                else:
                    whole.add((thing, value))
        return sorted(whole or said)

    def compose(self, said: Iterable[tuple[int, int]], rng: SampleRng) -> str:
        # A SampleRng has all of a NumPy generator that the composer calls.
        return caption(named(said), cast(Any, rng), self.canonical, self.vocabulary)

    def parts(self, row: int, other: int) -> list[tuple[int, int]]:
        """What is known of `other` and known to be otherwise of `row`."""
        value = self.source.value
        return [(kind, own) for kind, own in self.known(other) if value(row, kind) in DENIED_BY[kind][own]]

    def about(self, text: Text, row: int) -> bool:
        """Whether a text may be true of a crop that it was not written about.

        It may be, unless it says something that is known to be otherwise of the crop. Where nothing is known of
        the crop, a caption that people wrote of somebody else counts as untrue, unless somebody wrote the same
        of the crop too.
        """
        own = self.source.attributes[row * _WIDTH : (row + 1) * _WIDTH]
        if text.said:
            return not any(own[kind] in DENIED_BY[kind][value] for kind, value in text.said)
        if text.text in self.source.columns.captions[row]:
            return True
        return own.count(UNKNOWN) < _WIDTH and not parse_caption(text.text).denies(own)

    def untrue(self, row: int, other: int, fewest: int, most: int, rng: SampleRng) -> Text | None:
        """A text about `other` that is not true of `row`, or None where every text about it might be."""
        texts = self.source.columns.captions[other]
        if texts:
            text = Text(rng.one(texts))
            return None if self.about(text, row) else text
        parts = self.parts(row, other)
        return self.fragment(other, rng.between(fewest, most), rng, parts) if parts else None


def named(said: Iterable[tuple[int, int]]) -> dict[str, str]:
    """(kind, value) places -> kind: value, in words."""
    return {KIND_NAMES[kind]: _VALUES[kind][value] for kind, value in said}
