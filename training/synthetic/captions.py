"""Says what can be seen of a person, in varied wording."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.model.vocabulary import PHRASES, Attribute, article, describe

_SPOKEN: dict[tuple[str, str], list[str]] = {}
for _phrase, _stated in PHRASES.items():
    if len(_stated) == 1:
        _SPOKEN.setdefault((_stated[0].kind, _stated[0].value), []).append(_phrase)

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
UNMENTIONED = ("average", "plain")
SAID_NONE = 0.18  # the share of the absent things that are mentioned: "no hat"

_OPENINGS = ("{}", "there is {}", "the picture shows {}", "i am looking for {}", "we see {}", "find {}")


def fragment(seen: Mapping[str, str], rng: np.random.Generator, count: int) -> dict[str, str]:
    """A few of the attributes, as an operator would remember them; a colour comes with its thing."""
    kinds = [
        kind
        for kind in seen
        if seen[kind] not in UNMENTIONED and (seen[kind] != "none" or rng.random() < SAID_NONE)
    ]
    if not kinds:
        kinds = list(seen)
    weights = np.array([FIRST_WEIGHT if kind in FIRST_MENTIONED else 1.0 for kind in kinds])
    count = min(count, len(kinds))
    chosen = rng.choice(len(kinds), count, replace=False, p=weights / weights.sum())
    return {kinds[i]: seen[kinds[i]] for i in sorted(chosen)}


def refusal(said: Mapping[str, str], other: Mapping[str, str], rng: np.random.Generator) -> Attribute | None:
    """Something that another crop shows and this one does not: what an operator would rule out ("not a backpack")."""
    kinds = [k for k in other if k in _REFUSABLE and other[k] != "none" and said.get(k, other[k]) != other[k]]
    if not kinds:
        return None
    kind = kinds[int(rng.integers(len(kinds)))]
    return Attribute(kind, other[kind])


def caption(said: Mapping[str, str], rng: np.random.Generator, canonical: float = 0.5) -> str:
    """The attributes as one sentence; with probability `canonical` in the product's own wording."""
    attributes = [Attribute(kind, value) for kind, value in said.items()]
    if rng.random() < canonical:
        return describe(attributes)
    parts = []
    person = said.get("gender", "person")
    noun = _word(rng, "gender", person) if person != "person" else "person"
    adjectives = [said[kind] for kind in ("age", "build") if said.get(kind, "average") != "average"]
    words = " ".join([*adjectives, noun])
    for kind, colour in (("upper", "upper_colour"), ("lower", "lower_colour"), ("shoes", "shoe_colour")):
        parts.append(_worn(rng, said, kind, colour, "upper_pattern" if kind == "upper" else None))
    rest = [
        _worn(rng, said, "hat", "hat_colour", None),
        _worn(rng, said, "bag", "bag_colour", None),
        _hair(said),
    ]
    for kind in ("glasses", "umbrella", "beard"):
        if kind in said:
            value = said[kind]
            noun = _word(rng, kind, value)
            rest.append(f"no {kind}" if value == "none" else article(noun) + noun)
    worn, rest = [p for p in parts if p], [p for p in rest if p]
    rng.shuffle(worn)
    rng.shuffle(rest)
    text = article(words) + words
    if worn:
        text += (" wearing " if rng.random() < 0.5 else " in ") + " and ".join(worn)
    if rest:
        text += " with " + ", ".join(rest)
    return _OPENINGS[int(rng.integers(len(_OPENINGS)))].format(text)


def _word(rng: np.random.Generator, kind: str, value: str) -> str:
    words = [word for word in _SPOKEN.get((kind, value), []) if word not in _NO_NOUNS] or [value]
    return words[0] if rng.random() < 0.5 else words[int(rng.integers(len(words)))]


def _worn(
    rng: np.random.Generator, said: Mapping[str, str], kind: str, colour: str, pattern: str | None
) -> str:
    value, tone = said.get(kind), said.get(colour)
    if value == "none":
        return f"no {kind}"
    look = said.get(pattern) if pattern else None
    if value is None and tone is None and look is None:
        return ""
    plain = {"upper": "top", "lower": "bottoms", "shoes": "shoes", "hat": "hat", "bag": "bag"}
    noun = _word(rng, kind, value) if value else plain[kind]
    words = " ".join(word for word in (tone, look, noun) if word)
    return article(words) + words


def _hair(said: Mapping[str, str]) -> str:
    return " ".join(
        describe([Attribute(k, said[k]) for k in ("hair", "hair_colour") if k in said]).split()[3:]
    )
