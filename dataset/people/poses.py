"""The named poses of the demo people: joint angles in degrees, and their jitter.

Zero is standing upright with straight limbs hanging down and the thumbs forward.

- Arm: `elevation` 0 down, 90 level, 180 up, towards `azimuth` (0 forward, 90 outward,
  negative across the body); `twist` turns the upper arm about itself, positive inward;
  `elbow` 0 straight; `pronation` turns the palm from facing the body to facing back;
  `wrist` bends the hand towards the palm; `hand` names a row of `HAND_SHAPES`.
- Leg: `flexion` forward, `abduction` outward, `twist` outward about itself, `knee` bent
  backward, `foot_pitch` toes down (0: sole level).
- Spine: `bend` forward, `side` to the person's left shoulder up, `twist` and `turn` (whole
  body) to the left, `pelvis_tilt` forward; `head_nod` down, `head_turn` left, `head_tilt`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

HAND_SHAPES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "relaxed": ((0, 0, 0), (8, 10, 6), (12, 14, 8), (14, 16, 10), (16, 18, 12)),
    "open": ((-8, -10, -8), (-14, -16, -10), (-14, -16, -10), (-14, -16, -10), (-14, -16, -10)),
    "fist": ((12, 20, 20), (55, 65, 45), (55, 68, 45), (55, 68, 45), (55, 65, 45)),
    "point": ((12, 20, 20), (-14, -14, -8), (50, 65, 45), (52, 68, 45), (52, 65, 45)),
}
"""Curl of thumb to little finger, three joints each, degrees beyond the rest pose."""


@dataclass(frozen=True, kw_only=True)
class ArmAngles:
    """One arm, degrees; see the module for zero and sign."""

    elevation: float = 11.0
    azimuth: float = 80.0
    twist: float = 5.0
    elbow: float = 14.0
    pronation: float = 15.0
    wrist: float = 0.0
    hand: str = "relaxed"


@dataclass(frozen=True, kw_only=True)
class LegAngles:
    """One leg, degrees; see the module for zero and sign."""

    flexion: float = 0.0
    abduction: float = 3.0
    twist: float = 2.0
    knee: float = 3.0
    foot_pitch: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SpineAngles:
    """Trunk, neck and head, degrees; see the module for zero and sign."""

    bend: float = 0.0
    side: float = 0.0
    twist: float = 0.0
    turn: float = 0.0
    pelvis_tilt: float = 0.0
    head_nod: float = 0.0
    head_turn: float = 0.0
    head_tilt: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A whole-body pose."""

    name: str
    left_arm: ArmAngles = ArmAngles()
    right_arm: ArmAngles = ArmAngles()
    left_leg: LegAngles = LegAngles()
    right_leg: LegAngles = LegAngles()
    spine: SpineAngles = SpineAngles()


# Angles that a natural joint keeps to, degrees; the jitter is cut off here.
_LIMITS: dict[str, tuple[float, float]] = {
    "elevation": (10.0, 172.0),
    "azimuth": (-35.0, 120.0),
    "twist": (-70.0, 80.0),
    "elbow": (0.0, 138.0),
    "pronation": (-70.0, 85.0),
    "wrist": (-50.0, 55.0),
    "flexion": (-30.0, 110.0),
    "abduction": (0.0, 45.0),
    "knee": (0.0, 125.0),
    "foot_pitch": (-20.0, 45.0),
    "bend": (-15.0, 60.0),
    "side": (-20.0, 20.0),
    "turn": (-30.0, 30.0),
    "pelvis_tilt": (-20.0, 50.0),
    "head_nod": (-25.0, 30.0),
    "head_turn": (-45.0, 45.0),
    "head_tilt": (-18.0, 18.0),
}
_JITTER_DEG: dict[str, float] = {
    "elevation": 3.0, "azimuth": 5.0, "twist": 3.0, "elbow": 5.0, "pronation": 8.0, "wrist": 5.0,
    "flexion": 1.5, "abduction": 1.2, "knee": 1.5, "foot_pitch": 1.0, "bend": 2.0, "side": 1.5,
    "turn": 3.0, "pelvis_tilt": 1.0, "head_nod": 4.0, "head_turn": 8.0, "head_tilt": 3.0,
}  # fmt: skip

_SHRUG_ARM = ArmAngles(elevation=26, azimuth=78, elbow=88, pronation=-60, twist=-25, hand="open")
_SIT = LegAngles(flexion=84, abduction=9, twist=4, knee=86)
_HIP_HAND = ArmAngles(
    elevation=42, azimuth=113, twist=46, elbow=94, pronation=40, wrist=-10, hand="relaxed"
)

POSES: tuple[Pose, ...] = (
    Pose(name="stand"),
    Pose(
        name="a_pose",
        left_arm=ArmAngles(elevation=38, azimuth=90, elbow=8),
        right_arm=ArmAngles(elevation=38, azimuth=90, elbow=8),
        left_leg=LegAngles(abduction=8),
        right_leg=LegAngles(abduction=8),
    ),
    Pose(
        name="walk_left",
        left_arm=ArmAngles(elevation=24, azimuth=110, twist=5, elbow=16),
        right_arm=ArmAngles(elevation=28, azimuth=25, elbow=26),
        left_leg=LegAngles(flexion=24, knee=6, foot_pitch=-12),
        right_leg=LegAngles(flexion=-16, knee=22, foot_pitch=32),
        spine=SpineAngles(bend=3, twist=-6, head_nod=2),
    ),
    Pose(
        name="wave_right",
        right_arm=ArmAngles(
            elevation=78, azimuth=88, twist=-62, elbow=98, pronation=55, wrist=0, hand="open"
        ),
        spine=SpineAngles(side=2, head_tilt=-4),
        left_leg=LegAngles(abduction=5),
    ),
    Pose(
        name="hands_on_hips",
        left_arm=_HIP_HAND,
        right_arm=_HIP_HAND,
        left_leg=LegAngles(abduction=7),
        right_leg=LegAngles(abduction=7),
    ),
    Pose(
        name="arms_up",
        left_arm=ArmAngles(elevation=152, azimuth=84, elbow=14, hand="open"),
        right_arm=ArmAngles(elevation=152, azimuth=84, elbow=14, hand="open"),
        spine=SpineAngles(bend=-4, head_nod=-8),
        left_leg=LegAngles(abduction=6),
        right_leg=LegAngles(abduction=6),
    ),
    Pose(
        name="sit",
        left_leg=_SIT,
        right_leg=_SIT,
        left_arm=ArmAngles(elevation=34, azimuth=22, twist=10, elbow=48, pronation=55),
        right_arm=ArmAngles(elevation=34, azimuth=22, twist=10, elbow=48, pronation=55),
        spine=SpineAngles(bend=8, pelvis_tilt=-4, head_nod=2),
    ),
    Pose(
        name="point_left",
        left_arm=ArmAngles(elevation=84, azimuth=42, elbow=6, pronation=60, hand="point"),
        spine=SpineAngles(twist=-8, head_turn=26),
        right_leg=LegAngles(abduction=5),
    ),
    Pose(
        name="explain",
        left_arm=ArmAngles(elevation=26, azimuth=55, twist=8, elbow=82, pronation=-35, hand="open"),
        right_arm=ArmAngles(
            elevation=24, azimuth=52, twist=2, elbow=70, pronation=-40, hand="open"
        ),
        spine=SpineAngles(bend=3, head_nod=5),
    ),
    Pose(
        name="squat",
        left_leg=LegAngles(flexion=62, abduction=20, twist=14, knee=72),
        right_leg=LegAngles(flexion=62, abduction=20, twist=14, knee=72),
        left_arm=ArmAngles(elevation=72, azimuth=14, elbow=14, pronation=50),
        right_arm=ArmAngles(elevation=72, azimuth=14, elbow=14, pronation=50),
        spine=SpineAngles(bend=18, pelvis_tilt=22, head_nod=-14),
    ),
    Pose(
        name="step_right",
        right_leg=LegAngles(flexion=52, knee=62, foot_pitch=6, abduction=5),
        left_leg=LegAngles(flexion=-6, knee=6, foot_pitch=4),
        left_arm=ArmAngles(elevation=36, azimuth=20, elbow=52),
        right_arm=ArmAngles(elevation=26, azimuth=112, elbow=26),
        spine=SpineAngles(bend=5),
    ),
    Pose(
        name="lunge",
        left_leg=LegAngles(flexion=48, knee=56, abduction=6),
        right_leg=LegAngles(flexion=-22, knee=24, foot_pitch=36, abduction=6),
        left_arm=ArmAngles(elevation=30, azimuth=95, elbow=34),
        right_arm=ArmAngles(elevation=42, azimuth=40, elbow=52, hand="fist"),
        spine=SpineAngles(bend=8, twist=6),
    ),
    Pose(
        name="contrapposto",
        left_leg=LegAngles(flexion=14, knee=24, abduction=8, twist=8, foot_pitch=10),
        right_leg=LegAngles(abduction=2, knee=1),
        right_arm=_HIP_HAND,
        left_arm=ArmAngles(elevation=16, azimuth=70, elbow=20),
        spine=SpineAngles(side=5, twist=6, head_turn=-12, head_tilt=4),
    ),
    Pose(
        name="t_pose_relaxed",
        left_arm=ArmAngles(elevation=78, azimuth=84, elbow=12, pronation=50),
        right_arm=ArmAngles(elevation=78, azimuth=84, elbow=12, pronation=50),
        left_leg=LegAngles(abduction=6),
        right_leg=LegAngles(abduction=6),
    ),
    Pose(
        name="stand_easy",
        left_arm=ArmAngles(elevation=17, azimuth=58, elbow=26, pronation=30),
        right_arm=ArmAngles(elevation=21, azimuth=88, elbow=10, pronation=5),
        left_leg=LegAngles(abduction=7, twist=8),
        right_leg=LegAngles(abduction=5),
        spine=SpineAngles(twist=5, head_turn=14),
    ),
    Pose(
        name="walk_right",
        right_arm=ArmAngles(elevation=20, azimuth=108, elbow=14),
        left_arm=ArmAngles(elevation=24, azimuth=30, elbow=32),
        right_leg=LegAngles(flexion=19, knee=4, foot_pitch=-8),
        left_leg=LegAngles(flexion=-13, knee=17, foot_pitch=26),
        spine=SpineAngles(bend=2, twist=6),
    ),
    Pose(
        name="greet_left",
        left_arm=ArmAngles(
            elevation=52, azimuth=52, twist=-12, elbow=72, pronation=25, hand="open"
        ),
        right_arm=ArmAngles(elevation=16, azimuth=76, elbow=16),
        left_leg=LegAngles(abduction=4, flexion=6, knee=10, foot_pitch=2),
        spine=SpineAngles(bend=2, head_nod=3, head_tilt=3),
    ),
    Pose(
        name="look_aside",
        left_arm=ArmAngles(elevation=22, azimuth=96, elbow=18),
        right_arm=ArmAngles(elevation=15, azimuth=60, elbow=34, pronation=30),
        spine=SpineAngles(twist=14, head_turn=30, turn=-6),
    ),
    Pose(
        name="reach_up_left",
        left_arm=ArmAngles(elevation=148, azimuth=50, elbow=16, hand="open"),
        right_arm=ArmAngles(elevation=20, azimuth=92, elbow=18),
        spine=SpineAngles(side=5, head_nod=-12, head_turn=12),
        right_leg=LegAngles(abduction=6),
    ),
    Pose(
        name="shrug",
        left_arm=_SHRUG_ARM,
        right_arm=_SHRUG_ARM,
        spine=SpineAngles(head_tilt=6, head_nod=3),
    ),
)
"""Pose number i is taken by the people whose seed is i modulo the length of this table."""


def jittered(pose: Pose, generator: np.random.Generator, arm_clearance_deg: float = 0.0) -> Pose:
    """Return a pose with every angle moved a little, within natural limits.

    Args:
        pose: base pose.
        generator: source of the jitter.
        arm_clearance_deg: least extra elevation of arms that hang down (broad people).
    """

    def moved(part: object) -> dict[str, float]:
        changes = {}
        for field in fields(part):  # type: ignore[arg-type]
            value = getattr(part, field.name)
            if isinstance(value, str):
                continue
            sigma = _JITTER_DEG[field.name]
            value += float(np.clip(generator.normal(0.0, sigma), -2 * sigma, 2 * sigma))
            changes[field.name] = round(float(np.clip(value, *_LIMITS[field.name])), 3)
        return changes

    arms, legs = {}, {}
    for side in ("left", "right"):
        arm: ArmAngles = getattr(pose, f"{side}_arm")
        arm = replace(arm, **moved(arm))  # type: ignore[arg-type]
        extra = arm_clearance_deg * float(np.clip((60.0 - arm.elevation) / 30.0, 0.0, 1.0))
        arms[side] = replace(arm, elevation=round(arm.elevation + extra, 3))
        leg: LegAngles = getattr(pose, f"{side}_leg")
        legs[side] = replace(leg, **moved(leg))
    return Pose(
        name=pose.name,
        left_arm=arms["left"],
        right_arm=arms["right"],
        left_leg=legs["left"],
        right_leg=legs["right"],
        spine=replace(pose.spine, **moved(pose.spine)),
    )
