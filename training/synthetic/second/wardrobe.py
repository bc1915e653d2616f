"""World 2's people: children among them, and clothes in the words of the second vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from app.model.vocabulary import COLOURS
from training.synthetic.wardrobe import NEAR_COLOURS, Identity, draw_identity, one, pick

SHADES = {"dark": 0.38, "medium": 0.38, "light": 0.24}
LOWER_COLOURS = {
    "trousers": ("black", "black", "grey", "blue", "brown", "beige", "green", "white", "red"),
    "jeans": ("blue", "blue", "blue", "black", "grey", "white"),
    "shorts": ("black", "grey", "blue", "beige", "green", "red", "white", "orange"),
    "skirt": ("black", "red", "blue", "pink", "white", "purple", "green", "grey", "yellow"),
}
SLEEVES = {
    "t-shirt": {"short": 0.7, "sleeveless": 0.2, "long": 0.1},
    "shirt": {"long": 0.65, "short": 0.35},
    "dress": {"short": 0.45, "sleeveless": 0.3, "long": 0.25},
    "vest": {"long": 0.6, "short": 0.2, "sleeveless": 0.2},
    "high-vis": {"long": 0.6, "short": 0.3, "sleeveless": 0.1},
}
ALWAYS_LONG = {"long": 1.0}
LENGTHS = {"shorts": ("short", "knee-length"), "skirt": ("short", "knee-length", "long")}
PRINTABLE = ("t-shirt", "sweater", "hoodie")
HOODED = ("hoodie", "jacket", "coat")
WITH_LENGTH = ("coat", "dress")
ONE_COLOUR = ("suit", "high-vis", "vest")
HIGH_VIS_COLOURS = ("yellow", "yellow", "orange")
TWO_HANDS = ("handbag", "suitcase", "shopping bag")  # bags that a hand must hold


@dataclass(frozen=True)
class Outfit2:
    """What is worn and carried, in the vocabulary's values. None: there is nothing of which it could be said.

    accent_colour: of scarf, tie and what is pushed; inner_colour: of the sleeves under a vest; neither has a kind.
    print_behind: whether a print is on the back too. Tints are offsets of the named colours, -1..1: upper, lower
    and accent, three channels each. infrared: four reflectances under infrared light: upper, lower, hat, bag.
    """

    upper: str
    upper_colour: str
    upper_shade: str
    upper_second_colour: str
    upper_pattern: str
    upper_print: str
    upper_length: str | None
    sleeves: str
    lower: str | None  # None under a dress
    lower_colour: str | None
    lower_shade: str | None
    lower_length: str | None
    shoes: str
    shoe_colour: str
    hat: str
    hat_colour: str | None
    bag: str
    bag_colour: str | None
    pushing: str
    scarf: str
    tie: str
    mask: str
    phone: str
    glasses: str
    umbrella: str
    umbrella_colour: str
    accent_colour: str
    inner_colour: str
    print_behind: bool
    tints: tuple[float, ...]
    infrared: tuple[float, ...]


def attributes2_of(identity: Identity, outfit: Outfit2) -> dict[str, str]:
    """Everything that is true of the person in these clothes, by kind of the second vocabulary."""
    said: dict[str, str | None] = {
        kind: getattr(identity, kind) for kind in ("gender", "age", "build", "hair", "hair_colour", "beard")
    }
    if identity.hair == "bald":
        said["hair_colour"] = None
    unspoken = ("umbrella_colour", "accent_colour", "inner_colour", "print_behind", "tints", "infrared")
    said |= {kind: value for kind, value in vars(outfit).items() if kind not in unspoken}
    return {kind: value for kind, value in said.items() if value is not None}


def draw_identity2(rng: np.random.Generator) -> Identity:
    """Somebody new; one in seven is a child."""
    identity = draw_identity(rng)
    if rng.random() >= 0.14:
        return identity
    hair = identity.hair if identity.hair != "bald" else "short"
    colour = identity.hair_colour if identity.hair_colour != "grey" else "brown"
    return replace(
        identity, age="child", hair=hair, hair_colour=colour, beard="none", stoop=float(rng.uniform(0, 0.1))
    )


def draw_outfit2(rng: np.random.Generator, identity: Identity) -> Outfit2:
    """Clothes for somebody."""
    woman, child = identity.gender == "woman", identity.age == "child"
    uppers = {
        "t-shirt": 0.17,
        "shirt": 0.13,
        "sweater": 0.13,
        "hoodie": 0.13,
        "jacket": 0.15,
        "coat": 0.12,
        "suit": 0.0 if child else 0.07,
        "vest": 0.06,
        "high-vis": 0.01 if child else 0.06,
        "dress": 0.12 if woman else 0.0,
    }
    lowers = {"trousers": 0.4, "jeans": 0.32, "shorts": 0.16, "skirt": 0.2 if woman else 0.0}
    lower, upper = pick(rng, lowers), pick(rng, uppers)
    shoes = {
        "sneakers": 0.34,
        "boots": 0.2,
        "shoes": 0.2,
        "sandals": 0.13,
        "heels": 0.2 if woman and not child else 0.0,
    }
    hats = {
        "none": 0.56,
        "cap": 0.11,
        "beanie": 0.09,
        "hat": 0.07,
        "helmet": 0.06,
        "headscarf": 0.09 if woman and not child else 0.0,
        "hood": 0.1,
    }
    bags = {
        "none": 0.34,
        "backpack": 0.22,
        "handbag": 0.12,
        "shoulder bag": 0.13,
        "suitcase": 0.08,
        "shopping bag": 0.13,
    }
    patterns = {
        "plain": 0.6,
        "striped": 0.12,
        "checked": 0.09,
        "dotted": 0.06,
        "floral": 0.07,
        "camouflage": 0.06,
    }
    second = pick(rng, {"none": 0.68, "some": 0.32}) == "some"
    outfit = Outfit2(
        upper=upper,
        upper_colour=one(rng, COLOURS),
        upper_shade=pick(rng, SHADES),
        upper_second_colour=one(rng, COLOURS) if second else "none",
        upper_pattern=pick(rng, patterns),
        upper_print=pick(rng, {"none": 0.5, "logo": 0.25, "writing": 0.25}),
        upper_length=pick(rng, {"short": 0.5, "long": 0.5}),
        sleeves=pick(rng, SLEEVES.get(upper, ALWAYS_LONG)),
        lower=lower,
        lower_colour=one(rng, LOWER_COLOURS[lower]),
        lower_shade=pick(rng, SHADES),
        lower_length=one(rng, LENGTHS.get(lower, ("long",))),
        shoes=pick(rng, shoes),
        shoe_colour=one(rng, COLOURS),
        hat=pick(rng, hats),
        hat_colour=one(rng, COLOURS),
        bag=pick(rng, bags),
        bag_colour=one(rng, COLOURS),
        pushing=pick(rng, {"none": 0.9, "stroller": 0.0 if child else 0.05, "trolley": 0.05}),
        scarf="scarf" if rng.random() < (0.04 if upper in ("t-shirt", "dress") else 0.13) else "none",
        tie="tie" if rng.random() < 0.5 else "none",
        mask="face mask" if rng.random() < 0.08 else "none",
        phone="phone" if rng.random() < (0.03 if child else 0.1) else "none",
        glasses="sunglasses" if rng.random() < 0.1 else ("glasses" if identity.wears_glasses else "none"),
        umbrella="umbrella" if rng.random() < 0.06 else "none",
        umbrella_colour=one(rng, COLOURS),
        accent_colour=one(rng, COLOURS),
        inner_colour=one(rng, COLOURS),
        print_behind=bool(rng.random() < 0.4),
        tints=tuple(float(v) for v in rng.uniform(-1, 1, 9)),
        infrared=tuple(float(v) for v in rng.random(4)),
    )
    return fitting(outfit, identity, rng)


def fitting(outfit: Outfit2, identity: Identity, rng: np.random.Generator) -> Outfit2:
    """The outfit with what cannot be worn together taken off: a tie needs a shirt, a hood something to be sewn to."""
    upper, o = outfit.upper, outfit
    if o.sleeves not in SLEEVES.get(upper, ALWAYS_LONG):
        o = replace(o, sleeves=pick(rng, SLEEVES.get(upper, ALWAYS_LONG)))
    if upper == "high-vis":
        colour = o.upper_colour if o.upper_colour in HIGH_VIS_COLOURS else one(rng, HIGH_VIS_COLOURS)
        o = replace(o, upper_colour=colour, upper_shade="medium")
    if upper in ONE_COLOUR:
        o = replace(o, upper_pattern="plain", upper_second_colour="none")
    if o.upper_second_colour == o.upper_colour or o.upper_pattern == "camouflage":
        o = replace(o, upper_second_colour="none")
    if o.upper_pattern == "camouflage":
        o = replace(
            o,
            upper_colour=o.upper_colour if o.upper_colour in ("green", "brown", "grey", "beige") else "green",
        )
    if upper not in PRINTABLE or o.upper_pattern != "plain":
        o = replace(o, upper_print="none")
    o = replace(o, upper_shade=_only_shade(o.upper_colour) or o.upper_shade)
    o = replace(o, upper_length=(o.upper_length or "long") if upper in WITH_LENGTH else None)
    if upper == "dress":
        o = replace(o, lower=None, lower_colour=None, lower_shade=None, lower_length=None)
    elif upper == "suit":
        o = replace(o, lower="trousers", lower_colour=o.upper_colour, lower_shade=o.upper_shade)
    elif o.lower is None:
        lower = pick(rng, {"trousers": 0.5, "jeans": 0.5})
        o = replace(
            o, lower=lower, lower_colour=one(rng, LOWER_COLOURS[lower]), lower_shade=pick(rng, SHADES)
        )
    if o.lower is not None:
        o = replace(o, lower_shade=_only_shade(o.lower_colour or "") or o.lower_shade or "medium")
        lengths = LENGTHS.get(o.lower or "", ("long",))
        if o.lower_length not in lengths:
            o = replace(o, lower_length=one(rng, lengths))
    if upper not in ("shirt", "suit") or o.scarf != "none" or identity.age == "child":
        o = replace(o, tie="none")
    if o.hat == "hood" and upper not in HOODED:
        o = replace(o, hat="none")
    if o.hat == "hood":
        o = replace(o, hat_colour=o.upper_colour)
    if o.hat == "none":
        o = replace(o, hat_colour=None)
    if o.pushing != "none":
        o = replace(o, phone="none", umbrella="none", bag="none" if o.bag in TWO_HANDS else o.bag)
    if o.umbrella != "none":
        o = replace(o, phone="none")
    if o.bag == "none":
        o = replace(o, bag_colour=None)
    return o


def draw_look_alike2(base: Identity, rng: np.random.Generator) -> Identity:
    """Another identity that a tired operator would take for the first: most of it near, two things apart."""

    def near(value: float, spread: float = 0.25) -> float:
        return float(np.clip(value + rng.uniform(-spread, spread), 0, 1))

    other = draw_identity2(rng)
    changed = {str(c) for c in rng.choice(["hair", "glasses", "build", "hair_colour"], 2, replace=False)}
    alike = other.gender == base.gender and (other.age == "child") == (base.age == "child")
    return replace(
        base,
        hair=other.hair if "hair" in changed and alike else base.hair,
        hair_colour=other.hair_colour
        if "hair_colour" in changed and base.age == other.age
        else base.hair_colour,
        wears_glasses=not base.wears_glasses if "glasses" in changed else base.wears_glasses,
        build=other.build if "build" in changed else base.build,
        beard=other.beard if alike else base.beard,
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


def draw_similar2(base: Outfit2, identity: Identity, rng: np.random.Generator) -> Outfit2:
    """The base's clothes with two or three things another way, and a tint of its own."""
    other = draw_outfit2(rng, identity)
    changes: dict[str, dict[str, object]] = {
        "upper_colour": {"upper_colour": one(rng, NEAR_COLOURS[base.upper_colour])},
        "upper_shade": {"upper_shade": other.upper_shade},
        "upper_second_colour": {"upper_second_colour": other.upper_second_colour},
        "lower_colour": {"lower_colour": one(rng, LOWER_COLOURS[base.lower])} if base.lower else {},
        "lower_length": {"lower_length": other.lower_length},
        "shoes": {"shoes": other.shoes, "shoe_colour": other.shoe_colour},
        "hat": {"hat": other.hat, "hat_colour": other.hat_colour},
        "bag": {"bag": other.bag, "bag_colour": other.bag_colour},
        "upper_pattern": {"upper_pattern": other.upper_pattern},
        "upper_print": {"upper_print": other.upper_print},
        "sleeves": {"sleeves": other.sleeves},
        "scarf": {"scarf": other.scarf, "accent_colour": other.accent_colour},
        "upper": {"upper": other.upper, "upper_length": other.upper_length} if other.upper != "dress" else {},
    }
    wanted = rng.choice(sorted(changes), int(rng.integers(2, 4)), replace=False)
    parts: dict[str, object] = {"tints": other.tints, "infrared": other.infrared}
    for name in wanted:
        parts |= changes[str(name)]
    if base.glasses != "sunglasses":
        parts["glasses"] = "glasses" if identity.wears_glasses else "none"
    return fitting(replace(base, **parts), identity, rng)  # type: ignore[arg-type]


def _only_shade(colour: str) -> str | None:
    """Black is dark and white is light, whatever was drawn."""
    return {"black": "dark", "white": "light"}.get(colour)
