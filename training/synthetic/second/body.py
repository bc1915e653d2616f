"""World 2's bodies: a child's or a grown-up's proportions, in a pose, seen from one side and from above or level.

Lengths are shares of the body's height; x to the right of the picture, y down from the crown, depth towards the
camera. A body faces the camera at yaw 0, the right of the picture at 90, away from it at 180.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.synthetic.second.wardrobe import Outfit2
from training.synthetic.skeleton import Joint, Pose
from training.synthetic.wardrobe import Identity

GIRTHS = {"slim": 0.84, "average": 1.0, "heavy": 1.3}
PHONE_SIDE = "right"  # bags and umbrellas are held with the other hand
HEADS = {
    "child": 0.19,
    "young": 0.134,
    "middle-aged": 0.126,
    "elderly": 0.126,
}  # from chin to crown, at least
SIDES = {"left": 1.0, "right": -1.0}


@dataclass(frozen=True)
class Level:
    """A cross-section of the trunk: its height, its half width from the front and half depth from the side."""

    y: float
    half: float
    deep: float
    ahead: float  # how far its middle stands before the spine


@dataclass(frozen=True)
class Body:
    """Joints by side ("left" and "right" are the person's own), the trunk's levels from the neck down, and measures."""

    head: Joint
    neck: Joint
    shoulders: dict[str, Joint]
    elbows: dict[str, Joint]
    hands: dict[str, Joint]
    hips: dict[str, Joint]
    knees: dict[str, Joint]
    ankles: dict[str, Joint]
    trunk: dict[str, Level]
    cos: float  # 1 facing the camera, -1 from behind
    sin: float  # 1 facing the right of the picture
    girth: float
    head_high: float  # from chin to crown
    limb: float  # thickness of limbs, 1 for a grown-up of average build

    @property
    def near(self) -> str:
        """The side that is towards the camera."""
        return "left" if self.shoulders["left"].depth >= self.shoulders["right"].depth else "right"

    @property
    def far(self) -> str:
        return "right" if self.near == "left" else "left"

    def half(self, level: str) -> float:
        """Half the width of the trunk at a level, as it is seen from here."""
        at = self.trunk[level]
        return math.hypot(at.half * self.cos, at.deep * self.sin)

    def middle(self, level: str) -> float:
        """x of the trunk's middle at a level."""
        return self.trunk[level].ahead * self.sin

    def front(self, level: str, across: float = 0.0) -> float:
        """x of a point of the trunk's front at a level; across: -1 (its right edge) to 1 (its left one)."""
        at = self.trunk[level]
        return (
            at.ahead + at.deep * math.sqrt(max(0.0, 1 - across * across))
        ) * self.sin + at.half * across * self.cos


def body(identity: Identity, outfit: Outfit2, pose: Pose) -> Body:
    """The body of a person, who walks, stands, pushes something or looks at a phone."""
    yaw = math.radians(pose.yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    child, woman, old = identity.age == "child", identity.gender == "woman", identity.age == "elderly"
    girth = GIRTHS[identity.build] * (0.97 + 0.06 * identity.face)
    head_high = HEADS[identity.age] + 0.012 * identity.head
    stoop = 0.05 * identity.stoop
    top = head_high + 0.042 + stoop * 0.35  # of the shoulders
    crotch = (0.592 if child else 0.515) - 0.035 * identity.leg_share
    wide = (0.108 if child else 0.107 if woman else 0.125) + 0.014 * (identity.shoulder - 0.5)
    wide *= 0.72 + 0.28 * girth
    hip = (0.086 if child else 0.096 if woman else 0.087) * (0.3 + 0.7 * girth)
    waist = (0.084 if child else 0.074 if woman else 0.084) * (0.1 + 0.9 * girth)
    deep = (0.062 if child else 0.063) * (0.25 + 0.75 * girth)
    belly = 0.03 * max(0.0, girth - 1.02) / 0.3 + {"child": 0.012, "young": 0.0}.get(identity.age, 0.007)
    bust = 0.016 if woman and not child else 0.004
    at_waist = top + (crotch - top) * 0.56
    lean = stoop * 1.1
    trunk = {
        "neck": Level(head_high + 0.006 + stoop * 0.4, 0.031, 0.033, lean * 1.1),
        "shoulder": Level(top, wide, deep * 0.8, lean),
        "chest": Level(top + (crotch - top) * 0.27, wide * 0.86, deep * 1.06, lean * 0.8 + bust),
        "waist": Level(at_waist, waist, deep * 0.92, lean * 0.4 + belly),
        "hip": Level(crotch - 0.045, hip, deep * 1.1, belly * 0.3 - 0.004),
        "crotch": Level(crotch, hip * 0.98, deep * 1.02, -0.004),
    }

    def seen(x: float, y: float, z: float) -> Joint:
        return Joint(x * cos + z * sin, y, -x * sin + z * cos)

    reach = (0.4 + 0.6 * identity.stride) * (0.55 if old else 1.0)
    stride = 0.56 * reach if pose.moving else 0.05
    swing = (0.18 + 0.45 * identity.swing) if pose.moving else 0.05
    sole = 0.957
    hip_y, thigh = crotch - 0.035, (sole - crotch + 0.035) * 0.5
    upper_arm, forearm = (crotch - top) * 0.475, (crotch - top) * 0.43
    shoulders, elbows, hands, hips, knees, ankles = {}, {}, {}, {}, {}, {}
    for name, way in SIDES.items():
        phase = pose.phase + (0 if way > 0 else math.pi)
        step = math.sin(phase)
        leg, bend = stride * step, max(0.0, -math.cos(phase)) * stride * 1.1
        hips[name] = seen(way * hip * 0.54, hip_y, 0)
        kz, ky = thigh * math.sin(leg), hip_y + thigh * math.cos(leg)
        knees[name] = seen(way * hip * 0.58, ky, kz)
        ankles[name] = seen(
            way * hip * 0.55, ky + thigh * math.cos(leg - bend), kz + thigh * math.sin(leg - bend)
        )
        pitch, elbow, splay = _arm(name, outfit, -swing * step, identity.swing)
        x, y, z = way * (wide - 0.022), top + 0.03, lean
        shoulders[name] = seen(x, y, z)
        x += way * upper_arm * math.sin(splay)
        y += upper_arm * math.cos(pitch) * math.cos(splay)
        z += upper_arm * math.sin(pitch)
        elbows[name] = seen(x, y, z)
        inward = way * forearm * (0.05 - 0.35 * math.sin(min(elbow, 1.6))) if elbow > 0.6 else 0.0
        hands[name] = seen(
            x + inward, y + forearm * math.cos(pitch + elbow), z + forearm * math.sin(pitch + elbow)
        )
    return Body(
        head=seen(0, head_high * 0.5 + stoop * 0.45, lean * 1.5 + 0.006),
        neck=seen(0, head_high + stoop * 0.4, lean * 1.15),
        shoulders=shoulders,
        elbows=elbows,
        hands=hands,
        hips=hips,
        knees=knees,
        ankles=ankles,
        trunk=trunk,
        cos=cos,
        sin=sin,
        girth=girth,
        head_high=head_high,
        limb=(0.6 + 0.4 * girth) * (0.92 if woman else 1.0) * (0.97 if child else 1.0),
    )


def _arm(side: str, outfit: Outfit2, swing: float, own: float) -> tuple[float, float, float]:
    """(pitch of the upper arm, bend of the elbow, splay), radians: what the arm does."""
    if outfit.pushing != "none":
        return 0.5, 0.75, 0.08
    if outfit.phone == "phone" and side == PHONE_SIDE:
        return 0.35, 1.85, 0.12
    if outfit.umbrella == "umbrella" and side == "left":
        return 0.45, 1.95, 0.1
    if side == "left" and outfit.bag in ("suitcase", "shopping bag", "handbag"):
        return (-0.22 if outfit.bag == "suitcase" else swing * 0.3), 0.08, 0.13
    return swing, 0.12 + 0.4 * own + max(0.0, swing) * 0.5, 0.07 + 0.05 * own
