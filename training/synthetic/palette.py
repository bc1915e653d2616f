"""Colours of cloth, hair and skin, in visible light and in infrared."""

from __future__ import annotations

from training.synthetic.people import Identity, Outfit

Rgb = tuple[int, int, int]

CLOTH: dict[str, Rgb] = {
    "black": (40, 40, 46),
    "white": (240, 240, 236),
    "grey": (140, 143, 148),
    "red": (204, 42, 44),
    "orange": (240, 128, 34),
    "yellow": (243, 208, 62),
    "green": (50, 140, 74),
    "blue": (44, 88, 178),
    "purple": (122, 64, 156),
    "pink": (243, 146, 178),
    "brown": (116, 74, 46),
    "beige": (216, 194, 156),
}
JEANS: dict[str, Rgb] = {
    "blue": (62, 94, 142),
    "black": (48, 50, 58),
    "grey": (124, 130, 140),
    "white": (226, 228, 230),
}
HAIR: dict[str, tuple[Rgb, Rgb]] = {
    "black": ((24, 22, 24), (48, 42, 42)),
    "brown": ((84, 54, 34), (122, 82, 52)),
    "blond": ((204, 160, 62), (236, 202, 104)),
    "red": ((150, 66, 28), (190, 92, 42)),
    "grey": ((150, 150, 154), (208, 208, 210)),
}
SKIN: tuple[Rgb, Rgb] = ((246, 212, 184), (104, 68, 48))


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """share 0 gives the first colour, 1 the second."""
    r, g, b = (int(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return r, g, b


def shade(colour: Rgb, factor: float) -> Rgb:
    """Darker below 1, lighter above."""
    r, g, b = (max(0, min(255, int(v * factor))) for v in colour)
    return r, g, b


def _tinted(colour: Rgb, tints: tuple[float, ...]) -> Rgb:
    r, g, b = (max(0, min(255, int(v + 13 * t))) for v, t in zip(colour, tints, strict=True))
    return r, g, b


class Palette:
    """The colours of one person in one outfit. Under infrared, cloth reflects by its own measure."""

    def __init__(self, identity: Identity, outfit: Outfit, infrared: bool) -> None:
        t = outfit.tints
        self.infrared = infrared
        self.skin = mix(*SKIN, identity.skin)
        self.hair = mix(*HAIR[identity.hair_colour], identity.hair_shade)
        self.upper = _tinted(CLOTH[outfit.upper_colour], t[0:3])
        lower = (JEANS if outfit.lower == "jeans" else CLOTH).get(
            outfit.lower_colour or "blue", CLOTH["blue"]
        )
        self.lower = _tinted(lower, t[3:6])
        self.shoes = CLOTH[outfit.shoe_colour]
        self.hat = _tinted(CLOTH[outfit.hat_colour or "black"], t[6:9])
        self.bag = _tinted(CLOTH[outfit.bag_colour or "black"], t[6:9])
        self.umbrella = CLOTH[outfit.umbrella_colour]
        self.inner = (236, 234, 230) if outfit.upper_colour != "white" else (120, 126, 140)
        light = sum(self.upper) > 3 * 150
        self.pattern = shade(self.upper, 0.5) if light else mix(self.upper, (255, 255, 255), 0.72)
        if infrared:
            self._to_infrared(outfit)

    def _to_infrared(self, outfit: Outfit) -> None:
        def seen(colour: Rgb, own: float) -> Rgb:
            luma = (0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]) / 255
            level = int(60 + 170 * (0.3 * luma + 0.7 * own))
            return level, level, level

        upper, lower, hat, bag = outfit.infrared
        self.upper, self.lower = seen(self.upper, upper), seen(self.lower, lower)
        self.hat, self.bag = seen(self.hat, hat), seen(self.bag, bag)
        self.umbrella = seen(self.umbrella, bag)
        self.pattern = shade(self.upper, 0.62) if self.upper[0] > 140 else shade(self.upper, 1.55)
        self.inner = seen(self.inner, 0.8)
        self.shoes = seen(self.shoes, 0.3)
        self.skin = seen(self.skin, 0.95)
        self.hair = seen(self.hair, 0.12 if outfit.hat == "none" else 0.2)
