"""Says what can be seen of a person, in varied wording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.model.vocabulary import (
    PHRASES_OF_VERSION,
    QUALITIES_OF,
    VOCABULARY_VERSION,
    Attribute,
    Phrases,
    absence_words,
    article,
    describe,
    kinds_of,
    noun_of,
    phrase,
    thing_words,
)

Words = Mapping[tuple[str, str], Sequence[str]]  # (kind, value) -> the words for it


def _spoken(phrases: Phrases) -> Words:
    words: dict[tuple[str, str], list[str]] = {}
    for entry, stated in phrases.items():
        if len(stated) == 1:
            words.setdefault((stated[0].kind, stated[0].value), []).append(entry)
    return words


_SPOKEN = {version: _spoken(phrases) for version, phrases in PHRASES_OF_VERSION.items()}

# Words that state an attribute but do not stand where a noun does.
_NO_NOUNS = {
    "bearded",
    "bespectacled",
    "with a beard",
    "facial hair",
    "she",
    "her",
    "he",
    "him",
    "his",
    "male",
    "female",
}

_REFUSABLE = (
    "upper",
    "upper_colour",
    "lower",
    "lower_colour",
    "hat",
    "bag",
    "glasses",
    "shoes",
    "gender",
    "hair",
)

# Fragments, also those of training.instructions.texts: what an operator would mention first counts three times,
# what goes without saying is left out.
FIRST_MENTIONED = ("upper_colour", "lower_colour", "upper", "gender", "bag")
FIRST_WEIGHT = 3.0
UNMENTIONED = ("average", "plain", "medium")
SAID_NONE = 0.18  # the share of the absent things that are mentioned: "no hat"
# Of these it is seldom said that they are not there, and of some things not that they are as always.
_SELDOM_NONE = {"upper_second_colour", "upper_print", "scarf", "tie", "mask", "phone", "pushing"}
_SAID_SELDOM_NONE = 0.04
_OWN_SHADE = ("black", "white")  # always dark, always light

_OPENINGS = ("{}", "there is {}", "the picture shows {}", "i am looking for {}", "we see {}", "find {}")


def fragment(seen: Mapping[str, str], rng: np.random.Generator, count: int) -> dict[str, str]:
    """A few of the attributes, as an operator would remember them; a colour comes with its thing."""
    kinds = [
        kind
        for kind in seen
        if not _goes_without_saying(kind, seen) and (seen[kind] != "none" or rng.random() < _said_none(kind))
    ]
    if not kinds:
        kinds = list(seen)
    weights = np.array([FIRST_WEIGHT if kind in FIRST_MENTIONED else 1.0 for kind in kinds])
    count = min(count, len(kinds))
    chosen = rng.choice(len(kinds), count, replace=False, p=weights / weights.sum())
    return _once({kinds[i]: seen[kinds[i]] for i in sorted(chosen)})


def _once(said: Mapping[str, str]) -> dict[str, str]:
    """Without the shade of what is black or white."""
    own = {f"{thing}_shade" for thing in QUALITIES_OF if said.get(f"{thing}_colour") in _OWN_SHADE}
    return {kind: value for kind, value in said.items() if kind not in own}


def _goes_without_saying(kind: str, seen: Mapping[str, str]) -> bool:
    value = seen[kind]
    if kind == "sleeves":
        return value == "long" and seen.get("upper") not in ("t-shirt", "dress")
    if kind == "lower_length":
        return value == "long" and seen.get("lower") != "skirt"
    return value in UNMENTIONED


def _said_none(kind: str) -> float:
    return _SAID_SELDOM_NONE if kind in _SELDOM_NONE else SAID_NONE


def refusal(said: Mapping[str, str], other: Mapping[str, str], rng: np.random.Generator) -> Attribute | None:
    """Something that another crop shows and this one does not: what an operator would rule out ("not a backpack")."""
    kinds = [k for k in other if k in _REFUSABLE and other[k] != "none" and said.get(k, other[k]) != other[k]]
    if not kinds:
        return None
    kind = kinds[int(rng.integers(len(kinds)))]
    return Attribute(kind, other[kind])


def caption(
    said: Mapping[str, str],
    rng: np.random.Generator,
    canonical: float = 0.5,
    version: int = VOCABULARY_VERSION,
) -> str:
    """The attributes as one sentence; with probability `canonical` in the product's own wording, otherwise in the
    words of a version of the vocabulary.
    """
    said = _once(said)
    attributes = [Attribute(kind, value) for kind, value in said.items()]
    if rng.random() < canonical:
        return describe(attributes)
    spoken = _SPOKEN[version]
    words = _person(rng, said, spoken)
    worn = [_worn(rng, said, thing, spoken) for thing in ("upper", "lower", "shoes")]
    rest = [_worn(rng, said, "hat", spoken), _worn(rng, said, "bag", spoken), _hair(said)]
    for kind in ("glasses", "umbrella", "beard", "scarf", "tie", "mask", "phone", "upper_print"):
        if kind in said:
            value = said[kind]
            noun = _word(rng, kind, value, spoken)
            rest.append(absence_words(kind) if value == "none" else article(noun) + noun)
    worn, rest = [p for p in worn if p], [p for p in rest if p]
    rng.shuffle(worn)
    rng.shuffle(rest)
    text = article(words) + words
    if worn:
        text += (" wearing " if rng.random() < 0.5 else " in ") + " and ".join(worn)
    if rest:
        text += " with " + ", ".join(rest)
    if "pushing" in said:
        text += (", " if rest else " ") + phrase(Attribute("pushing", said["pushing"]))
    return _OPENINGS[int(rng.integers(len(_OPENINGS)))].format(text)


def _person(rng: np.random.Generator, said: Mapping[str, str], spoken: Words) -> str:
    person, child = said.get("gender", "person"), said.get("age") == "child"
    if child:
        noun = {"man": "little boy", "woman": "little girl"}.get(person) or _word(rng, "age", "child", spoken)
    else:
        noun = _word(rng, "gender", person, spoken) if person != "person" else "person"
    age = "average" if child else said.get("age", "average")
    return " ".join([*(word for word in (age, said.get("build", "average")) if word != "average"), noun])


def words_for(kind: str, value: str, version: int = VOCABULARY_VERSION) -> list[str]:
    """The nouns that captions in a version of the vocabulary have for a value."""
    return [word for word in _SPOKEN[version].get((kind, value), []) if word not in _NO_NOUNS]


def _word(rng: np.random.Generator, kind: str, value: str, spoken: Words) -> str:
    words = [word for word in spoken.get((kind, value), []) if word not in _NO_NOUNS] or [value]
    return words[0] if rng.random() < 0.5 else words[int(rng.integers(len(words)))]


def _worn(rng: np.random.Generator, said: Mapping[str, str], thing: str, spoken: Words) -> str:
    """A garment with all that is said of it, as the product words it but for its name."""
    if said.get(thing) == "none":
        return absence_words(thing)
    of_it = {kind: said[kind] for kind in kinds_of(thing) if kind in said and kind != thing}
    noun = _word(rng, thing, said[thing], spoken) if thing in said else ""
    qualities = thing_words(thing, of_it).removesuffix(noun_of(thing)).strip()
    if not noun and not qualities:
        return ""
    words = f"{qualities} {noun or noun_of(thing)}".strip()
    return article(words) + words


def _hair(said: Mapping[str, str]) -> str:
    return " ".join(
        describe([Attribute(k, said[k]) for k in ("hair", "hair_colour") if k in said]).split()[3:]
    )
