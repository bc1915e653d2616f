"""Typing errors: "bakpack" is a backpack, while "hate" is not a hat."""

from __future__ import annotations

from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from app.chat.ordinary import ORDINARY
from app.chat.tables import listed
from app.chat.words import (
    COLOURS,
    FUNCTION,
    GROUPS,
    NUMBER_WORDS,
    ORIGINS,
    PERSONS,
    PHRASES,
    SHADES,
    UNJUDGED,
)
from app.model import vocabulary

SHORTEST = 4  # letters; shorter words are near to too many others

# Words of the sentence whose loss would change its meaning; others need no mending.
_STEERING = listed(
    """
    without wearing wears carrying camera cameras between before after until yesterday today morning
    afternoon evening around forget person someone
    """
)


@cache
def _targets() -> tuple[str, ...]:
    """Words that say something alone; those that only stand inside phrases would catch too much."""
    words = {word for word in (*PHRASES, *vocabulary.PHRASES, *GROUPS, *vocabulary.GROUPS) if word.isalpha()}
    words.update(COLOURS, vocabulary.COLOUR_WORDS, _STEERING)
    return tuple(sorted(word for word in words if len(word) >= SHORTEST and word not in _NEVER))


# So near to ordinary words that a slip proves nothing.
_NEVER = frozenset(
    listed(
        """
    their legs dots tees tank sand gold lime teal rose lean knit male males hers gent gents chap
    """
    )
)


@cache
def known_words() -> frozenset[str]:
    """Every word that needs no mending: the vocabulary, the steering words, and ordinary English near to
    them.
    """
    words = {
        word
        for entry in (*PHRASES, *GROUPS, *vocabulary.COLOUR_WORDS)
        for word in entry.replace("-", " ").split()
    }
    words.update(word for entry in vocabulary.attribute_words() for word in entry.replace("-", " ").split())
    return frozenset(
        words | set(COLOURS) | FUNCTION | SHADES | PERSONS | ORIGINS | UNJUDGED | ORDINARY | set(NUMBER_WORDS)
    )


def is_known(word: str) -> bool:
    """True for a word of `known_words`, also as a plural or with an ordinary ending."""
    known = known_words()
    if word in known:
        return True
    for ending in ("s", "es", "ed", "ing", "er", "ly"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and stem in known:
            return True
    return False


def correct(word: str) -> str | None:
    """The vocabulary's word that a lower-case word was meant to be, or None.

    One slip (a letter lost, added, changed, or two swapped) from five letters on, two from eight on; in
    four letters only a swap or a letter lost. The first letter stays, except where the first two swapped.

    >>> correct("bakpack"), correct("jaket"), correct("oragne"), correct("hate"), correct("skateboard")
    ('backpack', 'jacket', 'orange', None, None)
    """
    if len(word) < SHORTEST or len(word) > 20 or not word.isalpha() or is_known(word):
        return None
    limit = 2 if len(word) >= 8 else 1
    near = process.extract(word, _targets(), scorer=OSA.distance, score_cutoff=limit, limit=None)
    fit = [(distance, target) for target, distance, _ in near if _plausible(word, target, int(distance))]
    return min(fit)[1] if fit else None


def _plausible(word: str, target: str, distance: int) -> bool:
    if word[0] != target[0] and sorted(word[:2]) != sorted(target[:2]):
        return False
    if len(word) == SHORTEST:
        return sorted(word) == sorted(target) or len(target) == len(word) + 1
    return distance <= (2 if len(target) >= 7 else 1)
