"""The 31 joints, their order and their files (one home for the joint order).

"left" and "right" are the person's own. Joints are (31, 3) pixels + confidence or
(31, 4) position + confidence; confidence 0 means missing (the coordinates are then 0),
0.3 means filled from a neighbour. An occluded joint is not missing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.errors import ScanError

JOINT_NAMES: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
    "left_index",
    "left_middle",
    "left_ring",
    "left_pinky",
    "right_index",
    "right_middle",
    "right_ring",
    "right_pinky",
)
"""Joint order; the fingers are hand points 6, 10, 14, 18 (the joint after the knuckle)."""

JOINT_COUNT = len(JOINT_NAMES)
JOINT_INDEX: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}
FILLED_CONFIDENCE = 0.3


def is_measured(joints: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether joints (..., D + 1) are surer than what was filled from a neighbour."""
    # Clear of 0.3 in single precision, which is more than 0.3.
    return np.asarray(joints[..., -1] > FILLED_CONFIDENCE + 1e-6)


def _mirrored_name(name: str) -> str:
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


MIRRORED_JOINTS: tuple[int, ...] = tuple(JOINT_INDEX[_mirrored_name(n)] for n in JOINT_NAMES)
"""Index of the joint that takes each joint's place when the picture is mirrored."""


def write_joints(path: Path, joints: NDArray[np.floating]) -> None:
    """Write (31, 4) positions (scan frame and unit) + confidence as a JSON sidecar."""
    joints = np.asarray(joints, dtype=np.float64)
    if joints.shape != (JOINT_COUNT, 4):
        raise ValueError(f"joints: expected ({JOINT_COUNT}, 4), got {joints.shape}")
    named = {name: [round(float(v), 6) for v in row] for name, row in zip(JOINT_NAMES, joints)}
    path.write_text(json.dumps({"joints": named}, indent=1) + "\n", encoding="utf-8")


def read_joints(path: Path) -> NDArray[np.float64]:
    """Read a JSON sidecar written by `write_joints`.

    Returns:
        (31, 4) float64: x, y, z in the scan frame and unit, confidence 0..1. Joints that
        the file does not name have confidence 0.

    Raises:
        ScanError: the file is not such a sidecar, or holds values that are not finite or a
            confidence that is none.
    """
    try:
        named = json.loads(path.read_text(encoding="utf-8"))["joints"]
        joints = np.zeros((JOINT_COUNT, 4))
        for name, row in named.items():
            x, y, z, confidence = row  # one number alone would fill all four
            joints[JOINT_INDEX[name]] = x, y, z, confidence
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScanError(
            f'{path}: expected joints as {{"joints": {{name: [x, y, z, confidence]}}}}, '
            f"got {type(error).__name__}: {error}"
        ) from error
    if not np.isfinite(joints).all():
        raise ScanError(f"{path}: expected finite joints, got NaN or infinity")
    if ((joints[:, 3] < 0.0) | (joints[:, 3] > 1.0)).any():
        raise ScanError(f"{path}: expected confidences of 0 to 1, got others")
    return joints
