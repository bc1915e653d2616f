"""World 1's people: what an identity and an outfit are made of, and how both are drawn from a generator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from app.model.vocabulary import COLOURS

# Colours that people take for one another across cameras: a look-alike's coat is likely one of these.
NEAR_COLOURS = {
    "black": ("grey", "blue", "brown"),
    "white": ("beige", "grey"),
    "grey": ("black", "beige", "white"),
    "red": ("orange", "pink", "brown"),
    "orange": ("red", "yellow", "brown"),
    "yellow": ("orange", "beige"),
    "green": ("blue", "grey"),
    "blue": ("purple", "green", "black"),
    "purple": ("blue", "pink"),
    "pink": ("purple", "red"),
    "brown": ("red", "orange", "beige"),
    "beige": ("white", "yellow", "brown"),
}
LOWER_COLOURS = {
    "trousers": ("black", "grey", "blue", "brown", "beige", "green", "white", "red"),
    "jeans": ("blue", "blue", "black", "grey", "white"),
    "shorts": ("black", "grey", "blue", "beige", "green", "red", "white"),
    "skirt": ("black", "red", "blue", "pink", "white", "purple", "green", "grey"),
}


@dataclass(frozen=True)
class Identity:
    """What stays when the clothes change. Fractions are 0..1 unless said otherwise."""

    gender: str
    age: str
    build: str
    hair: str
    hair_colour: str
    beard: str
    wears_glasses: bool
    skin: float  # light to dark
    hair_shade: float
    stature: float  # drawn as proportions only: a crop hides the true height
    leg_share: float
    shoulder: float
    head: float
    stride: float
    swing: float
    stoop: float
    face: float


@dataclass(frozen=True)
class Outfit:
    """What is worn and carried. Tints are offsets of the named colour in RGB levels, -1..1."""

    upper: str
    upper_colour: str
    upper_pattern: str
    lower: str | None  # None under a dress
    lower_colour: str | None
    shoes: str
    shoe_colour: str
    hat: str
    hat_colour: str | None
    bag: str
    bag_colour: str | None
    glasses: str
    umbrella: str
    umbrella_colour: str
    tints: tuple[float, ...]  # nine: upper, lower, and accent, three channels each
    infrared: tuple[float, ...]  # four reflectances under infrared light: upper, lower, hat, bag


def attributes_of(identity: Identity, outfit: Outfit) -> dict[str, str]:
    """Everything that is true of the person in these clothes, by kind of the vocabulary."""
    said = {
        "gender": identity.gender,
        "age": identity.age,
        "build": identity.build,
        "hair": identity.hair,
        "hair_colour": identity.hair_colour,
        "beard": identity.beard,
        "upper": outfit.upper,
        "upper_colour": outfit.upper_colour,
        "upper_pattern": outfit.upper_pattern,
        "lower": outfit.lower,
        "lower_colour": outfit.lower_colour,
        "shoes": outfit.shoes,
        "shoe_colour": outfit.shoe_colour,
        "hat": outfit.hat,
        "hat_colour": outfit.hat_colour,
        "bag": outfit.bag,
        "bag_colour": outfit.bag_colour,
        "glasses": outfit.glasses,
        "umbrella": outfit.umbrella,
    }
    if identity.hair == "bald":
        said["hair_colour"] = None
    return {kind: value for kind, value in said.items() if value is not None}


def pick(rng: np.random.Generator, options: dict[str, float]) -> str:
    """One of the options, each as often as its weight says."""
    names, edges = _edges(tuple(options.items()))
    return names[int(edges.searchsorted(rng.random(), side="right"))]


@lru_cache(maxsize=256)
def _edges(options: tuple[tuple[str, float], ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """The options and, of 0..1, where each ends: as rng.choice has them, at a tenth of its cost."""
    weights = np.array([weight for _, weight in options])
    edges = (weights / weights.sum()).cumsum()
    return tuple(name for name, _ in options), edges / edges[-1]


def one(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    """One of the options, each equally often."""
    return options[int(rng.integers(len(options)))]


def draw_identity(rng: np.random.Generator) -> Identity:
    """Somebody new."""
    gender = one(rng, ("woman", "man"))
    age = pick(rng, {"young": 0.38, "middle-aged": 0.38, "elderly": 0.24})
    if gender == "woman":
        hair = pick(rng, {"long": 0.36, "ponytail": 0.2, "bun": 0.16, "short": 0.14, "curly": 0.14})
    else:
        hair = pick(
            rng, {"short": 0.56, "bald": 0.16, "curly": 0.14, "long": 0.08, "bun": 0.03, "ponytail": 0.03}
        )
    if age == "elderly":
        colour = pick(rng, {"grey": 0.85, "black": 0.05, "brown": 0.05, "blond": 0.05})
    else:
        colour = pick(rng, {"black": 0.34, "brown": 0.3, "blond": 0.2, "red": 0.12, "grey": 0.04})
    bearded = gender == "man" and rng.random() < 0.35
    stoop = rng.uniform(0.5, 1.0) if age == "elderly" else rng.uniform(0.0, 0.2)
    return Identity(
        gender=gender,
        age=age,
        build=pick(rng, {"slim": 0.3, "average": 0.42, "heavy": 0.28}),
        hair=hair,
        hair_colour=colour,
        beard="beard" if bearded else "none",
        wears_glasses=bool(rng.random() < 0.25),
        skin=float(rng.random()),
        hair_shade=float(rng.random()),
        stature=float(rng.random()),
        leg_share=float(rng.random()),
        shoulder=float(rng.random()),
        head=float(rng.random()),
        stride=float(rng.random()),
        swing=float(rng.random()),
        stoop=float(stoop),
        face=float(rng.random()),
    )


def draw_outfit(rng: np.random.Generator, identity: Identity) -> Outfit:
    """Clothes for somebody."""
    uppers = {"t-shirt": 0.17, "shirt": 0.15, "sweater": 0.15, "hoodie": 0.15, "jacket": 0.2, "coat": 0.14}
    if identity.gender == "woman":
        uppers["dress"] = 0.12
    upper = pick(rng, uppers)
    lower = None
    if upper != "dress":
        lowers = {"trousers": 0.4, "jeans": 0.34, "shorts": 0.14}
        if identity.gender == "woman":
            lowers["skirt"] = 0.2
        lower = pick(rng, lowers)
    pattern = pick(rng, {"plain": 0.64, "striped": 0.14, "checked": 0.12, "dotted": 0.1})
    hat = pick(rng, {"none": 0.6, "cap": 0.15, "beanie": 0.13, "hat": 0.12})
    bag = pick(rng, {"none": 0.34, "backpack": 0.24, "handbag": 0.14, "shoulder bag": 0.16, "suitcase": 0.12})
    glasses = "sunglasses" if rng.random() < 0.13 else ("glasses" if identity.wears_glasses else "none")
    return Outfit(
        upper=upper,
        upper_colour=one(rng, COLOURS),
        upper_pattern=pattern,
        lower=lower,
        lower_colour=one(rng, LOWER_COLOURS[lower]) if lower else None,
        shoes=one(rng, ("sneakers", "boots", "shoes")),
        shoe_colour=one(rng, ("black", "white", "brown", "red", "blue")),
        hat=hat,
        hat_colour=one(rng, COLOURS) if hat != "none" else None,
        bag=bag,
        bag_colour=one(rng, COLOURS) if bag != "none" else None,
        glasses=glasses,
        umbrella="umbrella" if rng.random() < 0.07 else "none",
        umbrella_colour=one(rng, COLOURS),
        tints=tuple(float(v) for v in rng.uniform(-1, 1, 9)),
        infrared=tuple(float(v) for v in rng.random(4)),
    )


def jitter(identity: Identity, rng: np.random.Generator) -> Identity:
    """The same person to the eye, with parameters moved by a hair: another draw for the split's hash."""
    return replace(identity, face=float(rng.random()))


def draw_look_alike(base: Identity, rng: np.random.Generator) -> Identity:
    """Another identity that a tired operator would take for the first: most of it near, two things apart."""

    def near(value: float, spread: float = 0.25) -> float:
        return float(np.clip(value + rng.uniform(-spread, spread), 0, 1))

    other = draw_identity(rng)
    changed = {
        str(c) for c in rng.choice(["hair", "glasses", "build", "hair_colour", "age"], 2, replace=False)
    }
    same_gender = other.gender == base.gender
    return replace(
        base,
        hair=other.hair if "hair" in changed and same_gender else base.hair,
        hair_colour=other.hair_colour
        if "hair_colour" in changed and base.age == other.age
        else base.hair_colour,
        wears_glasses=not base.wears_glasses if "glasses" in changed else base.wears_glasses,
        build=other.build if "build" in changed else base.build,
        age=base.age,
        beard=other.beard if same_gender else base.beard,
        skin=near(base.skin, 0.3),
        hair_shade=near(base.hair_shade, 0.5),
        stature=float(rng.random()),
        leg_share=float(rng.random()),
        shoulder=near(base.shoulder, 0.5),
        head=near(base.head, 0.5),
        stride=float(rng.random()),
        swing=float(rng.random()),
        stoop=near(base.stoop, 0.1),
        face=float(rng.random()),
    )


def draw_similar(base: Outfit, identity: Identity, rng: np.random.Generator) -> Outfit:
    """The base's clothes with two or three things another way, and a tint of its own."""
    other = draw_outfit(rng, identity)
    fields = ["upper_colour", "lower_colour", "shoes", "hat", "bag", "upper_pattern", "upper"]
    changed = {str(c) for c in rng.choice(fields, int(rng.integers(2, 4)), replace=False)}
    outfit = replace(base, tints=other.tints, infrared=other.infrared)
    if "upper_colour" in changed:
        outfit = replace(outfit, upper_colour=one(rng, NEAR_COLOURS[base.upper_colour]))
    if "lower_colour" in changed and base.lower:
        outfit = replace(outfit, lower_colour=one(rng, LOWER_COLOURS[base.lower]))
    if "shoes" in changed:
        outfit = replace(outfit, shoes=other.shoes, shoe_colour=other.shoe_colour)
    if "hat" in changed:
        outfit = replace(outfit, hat=other.hat, hat_colour=other.hat_colour)
    if "bag" in changed:
        outfit = replace(outfit, bag=other.bag, bag_colour=other.bag_colour)
    if "upper_pattern" in changed:
        outfit = replace(outfit, upper_pattern=other.upper_pattern)
    if "upper" in changed and base.upper != "dress" and other.upper != "dress":
        outfit = replace(outfit, upper=other.upper)
    if outfit.glasses != "sunglasses":
        outfit = replace(outfit, glasses="glasses" if identity.wears_glasses else "none")
    return outfit
