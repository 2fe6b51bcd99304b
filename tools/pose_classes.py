"""What the 3D joints say of a person for a report: the pose in a few words, and the face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX

UNKNOWN = ""
_NEEDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_STRAIGHT_KNEE_DEG = 140.0
_ARM_DOWN_DEG = 35.0
_ARM_RAISED_DEG = 110.0


def pose_class(joints: NDArray[np.floating]) -> str:
    """Return the arms of the more raised side, and whether a leg is bent.

    Args:
        joints: (31, 4) position (y up, any unit) and confidence.

    Returns:
        "arms down" (upper arms within 35 degrees of straight down), "arms out" or "arms raised"
        (beyond 110 degrees), with ", legs bent" where a knee is bent by more than 40 degrees;
        "" where a joint of it is missing.
    """
    places: dict[str, NDArray[np.float64]] = {}
    for side in ("left", "right"):
        for name in _NEEDED:
            row = joints[JOINT_INDEX[f"{side}_{name}"]]
            if not row[3] > 0:
                return UNKNOWN
            places[f"{side}_{name}"] = np.asarray(row[:3], dtype=np.float64)
    raised = max(
        _angle_deg(places[f"{side}_elbow"] - places[f"{side}_shoulder"], np.array([0.0, -1.0, 0.0]))
        for side in ("left", "right")
    )
    arms = "arms down" if raised < _ARM_DOWN_DEG else "arms out"
    if raised > _ARM_RAISED_DEG:
        arms = "arms raised"
    knees = min(
        _angle_deg(
            places[f"{side}_hip"] - places[f"{side}_knee"],
            places[f"{side}_ankle"] - places[f"{side}_knee"],
        )
        for side in ("left", "right")
    )
    return f"{arms}, legs bent" if knees < _STRAIGHT_KNEE_DEG else arms


def face_of(joints: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Return the (3,) middle between the ears, in the frame of the joints; None if they miss."""
    ears = joints[[JOINT_INDEX["left_ear"], JOINT_INDEX["right_ear"]]]
    if not (ears[:, 3] > 0).all():
        return None
    return np.asarray(ears[:, :3].astype(np.float64).mean(axis=0))


def _angle_deg(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))
