"""Pose classes of stick figures."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.joints import JOINT_INDEX
from tools.pose_classes import face_of, pose_class


def figure(arm: tuple[float, float] = (0.05, -1.0), knee_forward: float = 0.0) -> np.ndarray:
    """A person whose left upper arm points along (x, y), with knees pushed forward."""
    joints = np.zeros((31, 4))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rows = {
            "shoulder": (0.2 * sign, 1.4, 0),
            "elbow": (0.2 * sign, 1.1, 0),
            "wrist": (0.2 * sign, 0.85, 0),
            "hip": (0.1 * sign, 0.9, 0),
            "knee": (0.1 * sign, 0.5, knee_forward),
            "ankle": (0.1 * sign, 0.1, 0),
        }
        if side == "left":
            rows["elbow"] = (0.2 + arm[0], 1.4 + arm[1], 0)
        for name, place in rows.items():
            joints[JOINT_INDEX[f"{side}_{name}"]] = (*place, 1.0)
    return joints


@pytest.mark.parametrize(
    ("arm", "knee_forward", "expected"),
    [
        ((0.05, -1.0), 0.0, "arms down"),
        ((1.0, 0.0), 0.0, "arms out"),
        ((0.2, 1.0), 0.0, "arms raised"),
        ((0.05, -1.0), 0.4, "arms down, legs bent"),
    ],
)
def test_poses_are_told_by_the_raised_arm_and_the_bent_leg(
    arm: tuple[float, float], knee_forward: float, expected: str
) -> None:
    assert pose_class(figure(arm, knee_forward)) == expected


def test_a_missing_joint_leaves_the_pose_unknown() -> None:
    joints = figure()
    joints[JOINT_INDEX["right_knee"], 3] = 0.0
    assert pose_class(joints) == ""


def test_the_face_is_between_the_ears() -> None:
    joints = figure()
    assert face_of(joints) is None
    joints[JOINT_INDEX["left_ear"]] = (0.1, 1.6, 0.02, 1.0)
    joints[JOINT_INDEX["right_ear"]] = (-0.06, 1.62, 0.0, 0.3)
    np.testing.assert_allclose(face_of(joints), (0.02, 1.61, 0.01))
