"""From the points that BlazePose marks on a person to the joints themselves.

BlazePose learnt from points that people had set in photographs, on what can be seen; joints are
where bones turn, inside the body. From twelve sides the marks are consistent with each other and
off the joints in the same direction on everybody:

- shoulder: its bony top, above the centre of the head of the upper arm, and nearer to the neck;
- hip: the crease of the groin, before the head of the thigh bone and nearer to the middle;
- knee: the lower end of the kneecap, below the axis and before it.

The offsets below are medians over both sides of 20 demo people (seeds 100 to 119); nothing else
was fitted. What they are worth on others is in docs/joints.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX

_TORSO_OFFSETS: dict[str, tuple[float, float, float]] = {
    "shoulder": (0.040, -0.063, -0.006),
    "hip": (0.046, 0.007, -0.050),
}
_SHANK_OFFSETS: dict[str, tuple[float, float, float]] = {"knee": (0.009, 0.053, -0.014)}
"""Outwards, upwards, forwards, in lengths of the torso (middle of the hips to middle of the
shoulders), in the frame of the torso, and in that of the lower leg."""


def to_joint_centres(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Move the marks of shoulders, hips and knees to where the bones turn.

    Args:
        joints: (31, 4) position in any right-handed frame and unit + confidence, as triangulated
            from BlazePose's landmarks. Left as they are where the torso's four are not known.
    """
    result = np.array(joints, dtype=np.float64)
    known, place = result[:, 3] > 0.0, result[:, :3].copy()
    corners = [
        JOINT_INDEX[name] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    ]
    if not known[corners].all():
        return result
    shoulders, hips = place[corners[:2]], place[corners[2:]]
    up = shoulders.mean(axis=0) - hips.mean(axis=0)
    across = shoulders[0] - shoulders[1] + hips[0] - hips[1]
    length = float(np.linalg.norm(up))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        outwards = np.array([sign, 1.0, 1.0])
        for part, offset in _TORSO_OFFSETS.items():
            result[JOINT_INDEX[f"{side}_{part}"], :3] += (
                outwards * offset * length @ _frame(across, up)
            )
        knee, ankle = JOINT_INDEX[f"{side}_knee"], JOINT_INDEX[f"{side}_ankle"]
        if known[[knee, ankle]].all():
            frame = _frame(across, place[knee] - place[ankle])
            result[knee, :3] += outwards * _SHANK_OFFSETS["knee"] * length @ frame
    return result


def _frame(across: NDArray[np.floating], up: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (3, 3) rows left, up, forward: up as given, left as near to `across` as can be."""
    upwards = up / max(float(np.linalg.norm(up)), np.finfo(float).tiny)
    left = across - upwards * (across @ upwards)
    left = left / max(float(np.linalg.norm(left)), np.finfo(float).tiny)
    return np.stack([left, upwards, np.cross(left, upwards)])
