"""World 2's colours: every colour of cloth in three shades, of hair and of skin; and as infrared light sees them."""

from __future__ import annotations

from training.synthetic.brush import Rgb, mix, shade
from training.synthetic.second.wardrobe import Outfit2
from training.synthetic.wardrobe import Identity

SHADES = ("dark", "medium", "light")
CLOTH: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "black": ((36, 37, 42),) * 3,
    "white": ((240, 239, 234),) * 3,
    "grey": ((80, 83, 90), (134, 138, 144), (194, 197, 200)),
    "red": ((112, 22, 32), (198, 38, 44), (232, 100, 92)),
    "orange": ((178, 82, 18), (238, 124, 34), (250, 172, 100)),
    "yellow": ((188, 148, 26), (242, 202, 58), (250, 231, 146)),
    "green": ((26, 76, 50), (52, 138, 78), (146, 198, 146)),
    "blue": ((26, 42, 90), (42, 92, 182), (136, 182, 226)),
    "purple": ((68, 34, 98), (124, 70, 162), (184, 150, 212)),
    "pink": ((198, 70, 124), (238, 130, 172), (250, 194, 212)),
    "brown": ((70, 44, 28), (120, 78, 48), (170, 126, 90)),
    "beige": ((178, 152, 112), (214, 190, 150), (238, 224, 198)),
}
JEANS: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "blue": ((38, 54, 92), (66, 98, 148), (140, 170, 204)),
    "black": ((42, 43, 50),) * 3,
    "grey": ((84, 88, 96), (126, 132, 142), (182, 186, 192)),
    "white": ((228, 229, 230),) * 3,
}
HAIR: dict[str, tuple[Rgb, Rgb]] = {
    "black": ((26, 23, 25), (46, 40, 40)),
    "brown": ((78, 50, 32), (126, 86, 54)),
    "blond": ((196, 154, 78), (236, 206, 124)),
    "red": ((146, 64, 28), (194, 96, 44)),
    "grey": ((148, 148, 152), (212, 212, 212)),
}
SKIN: tuple[Rgb, ...] = ((250, 216, 190), (232, 184, 146), (188, 134, 96), (124, 82, 58), (88, 58, 44))
REFLECTING: Rgb = (226, 230, 228)
METAL: Rgb = (118, 122, 128)


def skin_of(tone: float) -> Rgb:
    """tone: 0 (light) to 1 (dark)."""
    place = tone * (len(SKIN) - 1.001)
    return mix(SKIN[int(place)], SKIN[int(place) + 1], place - int(place))


def light_of(colour: Rgb) -> float:
    """How light a colour is to the eye, 0..255."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def contrast_to(colour: Rgb) -> Rgb:
    """White on what is dark, near black on what is light."""
    return (244, 243, 238) if light_of(colour) < 140 else (34, 34, 42)


class Palette2:
    """The colours of one person in one outfit. Under infrared, cloth reflects by its own measure."""

    def __init__(self, identity: Identity, outfit: Outfit2, infrared: bool) -> None:
        t = outfit.tints
        self.infrared = infrared
        self.skin = skin_of(identity.skin)
        self.hair = mix(*HAIR[identity.hair_colour], identity.hair_shade)
        self.upper = _tinted(_cloth(outfit.upper_colour, outfit.upper_shade), t[0:3])
        jeans = JEANS.get(outfit.lower_colour or "") if outfit.lower == "jeans" else None
        lower = jeans or CLOTH[outfit.lower_colour or "blue"]
        self.lower = _tinted(lower[SHADES.index(outfit.lower_shade or "medium")], t[3:6])
        if outfit.upper == "suit":
            self.lower = self.upper
        self.shoes = CLOTH[outfit.shoe_colour][1]
        self.hat = (
            self.upper if outfit.hat == "hood" else _tinted(CLOTH[outfit.hat_colour or "black"][1], t[6:9])
        )
        self.bag = _tinted(CLOTH[outfit.bag_colour or "black"][1], t[6:9])
        self.umbrella = CLOTH[outfit.umbrella_colour][1]
        self.accent = CLOTH[outfit.accent_colour][1]  # of scarf, tie and what is pushed
        self.inner = (238, 237, 233) if light_of(self.upper) < 190 else (104, 116, 140)
        if outfit.upper_second_colour != "none":
            self.second = CLOTH[outfit.upper_second_colour][1]
        elif outfit.upper in ("vest", "high-vis"):
            self.second = _tinted(CLOTH[outfit.inner_colour][1], t[3:6])
        else:
            light = light_of(self.upper) > 80
            self.second = shade(self.upper, 0.6) if light else mix(self.upper, (255, 255, 255), 0.32)
        if infrared:
            self._to_infrared(outfit)

    def _to_infrared(self, outfit: Outfit2) -> None:
        upper, lower, hat, bag = outfit.infrared
        self.upper, self.lower = _in_infrared(self.upper, upper), _in_infrared(self.lower, lower)
        self.hat = self.upper if outfit.hat == "hood" else _in_infrared(self.hat, hat)
        self.bag, self.umbrella = _in_infrared(self.bag, bag), _in_infrared(self.umbrella, bag)
        self.accent = _in_infrared(self.accent, hat)
        self.second = shade(self.upper, 0.62) if self.upper[0] > 140 else shade(self.upper, 1.5)
        self.inner = _in_infrared(self.inner, 0.8)
        self.shoes = _in_infrared(self.shoes, 0.3)
        self.skin = _in_infrared(self.skin, 0.95)
        self.hair = _in_infrared(self.hair, 0.14)


def _cloth(colour: str, depth: str) -> Rgb:
    return CLOTH[colour][SHADES.index(depth)]


def _tinted(colour: Rgb, tints: tuple[float, ...]) -> Rgb:
    r, g, b = (max(0, min(255, int(v + 10 * t))) for v, t in zip(colour, tints, strict=True))
    return r, g, b


def _in_infrared(colour: Rgb, own: float) -> Rgb:
    level = int(60 + 170 * (0.3 * light_of(colour) / 255 + 0.7 * own))
    return level, level, level
