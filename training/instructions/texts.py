"""What is said of a crop: a caption that people wrote where there is one, otherwise one made of its attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from app.model.vocabulary import KINDS
from training.instructions.chance import Chance
from training.instructions.columns import KIND_NAMES
from training.instructions.source import Source
from training.instructions.stated import DENIED_BY, UNKNOWN, stated
from training.synthetic.captions import caption

_VALUES = tuple(tuple(values) for values in KINDS.values())
_WIDTH = len(KIND_NAMES)
# What an operator would mention first counts three times; what goes without saying is left out of fragments.
_FIRST = frozenset(map(KIND_NAMES.index, ("upper_colour", "lower_colour", "upper", "gender", "bag")))
_PLAIN = frozenset(
    (number, place)
    for number, values in enumerate(_VALUES)
    for place, value in enumerate(values)
    if value in ("average", "plain")
)
_NONE = frozenset((number, values.index("none")) for number, values in enumerate(_VALUES) if "none" in values)
# Without its thing the colour of these would say another thing: "a brown hat" is no beanie, "white shoes" no boots.
_WITH_THING = {
    KIND_NAMES.index(colour): KIND_NAMES.index(thing)
    for colour, thing in (("hat_colour", "hat"), ("shoe_colour", "shoes"))
}
_SAID_NONE = 0.18  # of the absent things that could be mentioned ("no hat")


@dataclass(frozen=True)
class Text:
    """text: one line. said: (kind, value) places of KINDS that it states, () for a caption that people wrote."""

    text: str
    said: tuple[tuple[int, int], ...] = ()


class Teller:
    """Texts about the crops of a source."""

    def __init__(self, source: Source, canonical: float) -> None:
        self.source, self.canonical = source, canonical

    def known(self, row: int) -> list[tuple[int, int]]:
        """(kind, value) places of all that is known of a crop."""
        values = self.source.attributes[row * _WIDTH : (row + 1) * _WIDTH]
        return [(kind, value) for kind, value in enumerate(values) if value != UNKNOWN]

    def seen(self, row: int) -> dict[str, str]:
        """The known attributes in words, by kind."""
        return named(self.known(row))

    def whole(self, row: int, chance: Chance) -> str:
        """All that is known: a caption that people wrote, or one of every attribute."""
        texts = self.source.columns.captions[row]
        return chance.one(texts) if texts else self.compose(self.known(row), chance)

    def some(self, row: int, fewest: int, most: int, chance: Chance) -> Text:
        """A caption that people wrote, or `fewest` to `most` of the attributes."""
        texts = self.source.columns.captions[row]
        if texts:
            return Text(chance.one(texts))
        return self.fragment(row, chance.between(fewest, most), chance)

    def fragment(self, row: int, count: int, chance: Chance, first: Iterable[tuple[int, int]] = ()) -> Text:
        """Up to `count` of the attributes, as somebody would remember them, with one of `first` among them."""
        must = list(first)
        said = [chance.one(must)] if must else []
        keys = []
        for kind, value in self.known(row):
            pair = (kind, value)
            if pair in said or pair in _PLAIN or (pair in _NONE and not chance.happens(_SAID_NONE)):
                continue
            # Weighted sampling without replacement: the largest u^(1/w) (Efraimidis and Spirakis, 2006).
            draw = chance.random()
            keys.append((draw ** (1 / 3) if kind in _FIRST else draw, pair))
        keys.sort(reverse=True)
        said += [pair for _, pair in keys[: max(0, count - len(said))]]
        whole = self.with_things(row, said or self.known(row)[:count])
        return Text(self.compose(whole, chance), tuple(whole))

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

    def compose(self, said: Iterable[tuple[int, int]], chance: Chance) -> str:
        # A Chance has all of a NumPy generator that the composer calls.
        return caption(named(said), cast(Any, chance), self.canonical)

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
        return own.count(UNKNOWN) < _WIDTH and not stated(text.text).denies(own)

    def untrue(self, row: int, other: int, fewest: int, most: int, chance: Chance) -> Text | None:
        """A text about `other` that is not true of `row`, or None where every text about it might be."""
        texts = self.source.columns.captions[other]
        if texts:
            text = Text(chance.one(texts))
            return None if self.about(text, row) else text
        parts = self.parts(row, other)
        return self.fragment(other, chance.between(fewest, most), chance, parts) if parts else None


def named(said: Iterable[tuple[int, int]]) -> dict[str, str]:
    """(kind, value) places -> kind: value, in words."""
    return {KIND_NAMES[kind]: _VALUES[kind][value] for kind, value in said}
