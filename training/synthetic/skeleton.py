"""A walking body in three dimensions, seen from one side.

Lengths are shares of the body's height; x points to the person's left as the camera sees a front view's
right, y down from the crown, z towards where the person walks. Orthographic: x' = x cos yaw + z sin yaw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.synthetic.wardrobe import Identity

WIDTHS = {"slim": 0.79, "average": 1.0, "heavy": 1.36}


@dataclass(frozen=True)
class Pose:
    """yaw in degrees (0: towards the camera); phase in radians of the gait; standing people have stride 0."""

    yaw: float
    phase: float
    moving: bool


@dataclass(frozen=True)
class Joint:
    """A point of the body after projection. depth grows towards the camera."""

    x: float
    y: float
    depth: float

    @property
    def xy(self) -> tuple[float, float]:
        return self.x, self.y


@dataclass(frozen=True)
class Skeleton:
    """Projected joints, side by side ("left" and "right" are the person's own)."""

    head: Joint
    neck: Joint
    shoulders: dict[str, Joint]
    elbows: dict[str, Joint]
    hands: dict[str, Joint]
    hips: dict[str, Joint]
    knees: dict[str, Joint]
    ankles: dict[str, Joint]
    back: Joint
    front: float  # 1 facing the camera, 0 from the side, -1 from behind
    side: float  # 1 walking to the right of the picture, -1 to the left
    girth: float
    head_size: float
    shoulder_half: float
    hip_half: float
    hip_y: float


def skeleton(identity: Identity, pose: Pose) -> Skeleton:
    """The body of a person in a pose."""
    yaw = math.radians(pose.yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    girth = WIDTHS[identity.build]
    woman = identity.gender == "woman"
    young = identity.age == "young"
    head_size = (1.1 if young else 1.0) * (0.93 + 0.14 * identity.head)
    shoulder = (0.098 if woman else 0.119) * (0.93 + 0.14 * identity.shoulder) * (0.75 + 0.25 * girth)
    hip = (0.083 if woman else 0.077) * girth
    hip_y = 0.525 - 0.05 * identity.leg_share
    stoop = 0.055 * identity.stoop
    reach = (0.35 + 0.65 * identity.stride) * (0.5 if identity.age == "elderly" else 1.0)
    stride = 0.62 * reach if pose.moving else 0.05
    swing = (0.2 + 0.5 * identity.swing) if pose.moving else 0.06

    def at(x: float, y: float, z: float) -> Joint:
        return Joint(x * cos + z * sin, y, -x * sin + z * cos)

    sides = {"left": 1.0, "right": -1.0}
    shoulders, elbows, hands, hips, knees, ankles = {}, {}, {}, {}, {}, {}
    thigh, shin = (0.95 - hip_y) * 0.5, (0.95 - hip_y) * 0.5
    for name, way in sides.items():
        step = math.sin(pose.phase + (0 if way > 0 else math.pi))
        leg = stride * step
        bend = max(0.0, -math.cos(pose.phase + (0 if way > 0 else math.pi))) * stride * 0.9
        hips[name] = at(way * hip * 0.62, hip_y, 0)
        kz, ky = thigh * math.sin(leg), hip_y + thigh * math.cos(leg)
        knees[name] = at(way * hip * 0.66, ky, kz)
        az = kz + shin * math.sin(leg - bend)
        ankles[name] = at(way * hip * 0.62, ky + shin * math.cos(leg - bend), az)
        arm = -swing * step
        sz = stoop * 0.7
        shoulders[name] = at(way * shoulder, 0.186 + stoop * 0.3, sz)
        ez, ey = sz + 0.155 * math.sin(arm), 0.186 + stoop * 0.3 + 0.155 * math.cos(arm)
        elbows[name] = at(way * (shoulder + 0.018 * girth), ey, ez)
        hz = ez + 0.145 * math.sin(arm + 0.28)
        hands[name] = at(way * (shoulder + 0.014 * girth), ey + 0.145 * math.cos(arm + 0.28), hz)
    return Skeleton(
        head=at(0, 0.077 + stoop * 0.5, stoop * 1.3),
        neck=at(0, 0.15 + stoop * 0.4, stoop),
        shoulders=shoulders,
        elbows=elbows,
        hands=hands,
        hips=hips,
        knees=knees,
        ankles=ankles,
        back=at(0, 0.31, -0.075 * girth),
        front=cos,
        side=sin,
        girth=girth,
        head_size=head_size,
        shoulder_half=max(shoulder * abs(cos), 0.062 * girth),
        hip_half=max(hip * abs(cos), 0.064 * girth),
        hip_y=hip_y,
    )
