"""Files with a scan's 3D joints: ours, the authors' `Joint3D`, and 2K2K's `kp3ds.json`.

Rows of the authors' files are those of COCO-WholeBody (2K2K `render_keypoint.py`); rows of
`kp3ds.json` are known by report only (118 of x, y, z, confidence): the 25 of OpenPose's body,
21 of either hand and 51 of the face are taken, and the joints have to lie at the scan.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_COUNT, read_joints
from render.errors import ScanError

FINGER_POINTS = (6, 10, 14, 18)
"""Points of a hand of 21 that our finger joints are: the joint after the knuckle."""

WHOLE_BODY_ROWS = (
    *range(23),
    *(91 + point for point in FINGER_POINTS),
    *(112 + point for point in FINGER_POINTS),
)
OPENPOSE_ROWS = (
    0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 19, 20, 21, 22, 23, 24,
    *(25 + point for point in FINGER_POINTS),
    *(46 + point for point in FINGER_POINTS),
)  # fmt: skip
"""Row of each of our 31 joints."""

WHOLE_BODY_LEAST = 130
OPENPOSE_SHAPE = (118, 4)
MARGIN = 0.15
"""How far a joint may lie outside the scan's box, share of its largest side."""


def read_sidecar(path: Path, box: NDArray[np.floating]) -> NDArray[np.float64]:
    """Read the 3D joints of a scan.

    Args:
        path: JSON file.
        box: (2, 3) least and largest coordinate of the scan, in the frame of the joints.

    Returns:
        (31, 4) float64: position in the frame and unit of the mesh file, confidence 0..1.

    Raises:
        ScanError: the file is none of the three, or joints are not at the scan.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ScanError(f"{path}: expected joints as JSON, got: {error}") from error
    if isinstance(content, dict) and "joint3d" in content:
        joints = _whole_body(path, content)
    elif path.name.lower().endswith("kp3ds.json"):
        joints = _openpose(path, content)
    else:
        joints = read_joints(path)
    if not np.isfinite(joints).all():
        raise ScanError(f"{path}: expected finite joints, got NaN or infinity")
    known = joints[joints[:, 3] > 0.0, :3]
    margin = MARGIN * float(np.ptp(box, axis=0).max())
    # In another unit or frame than the scan's they would be wrong without a word.
    outside = int(((known < box[0] - margin) | (known > box[1] + margin)).any(axis=1).sum())
    if outside:
        raise ScanError(f"{path}: expected joints at the scan, got {outside} far outside of it")
    return joints


def _whole_body(path: Path, content: dict[str, Any]) -> NDArray[np.float64]:
    points = _array(path, content["joint3d"])
    if points.ndim != 2 or points.shape[0] < WHOLE_BODY_LEAST or points.shape[1] != 3:
        raise ScanError(
            f"{path}: expected joint3d of {WHOLE_BODY_LEAST} rows or more of 3, got {points.shape}"
        )
    visible = _array(path, content.get("visible", np.ones(len(points)))).ravel()
    if len(visible) != len(points):
        raise ScanError(f"{path}: expected {len(points)} flags in visible, got {len(visible)}")
    return _rows(np.column_stack([points, visible > 0.0]), WHOLE_BODY_ROWS)


def _openpose(path: Path, content: Any) -> NDArray[np.float64]:
    if isinstance(content, dict) and len(content) == 1:
        content = next(iter(content.values()))
    points = _array(path, content)
    if points.shape != OPENPOSE_SHAPE:
        raise ScanError(f"{path}: expected {OPENPOSE_SHAPE} joints, got {points.shape}")
    points[:, 3] = np.clip(points[:, 3], 0.0, 1.0)
    return _rows(points, OPENPOSE_ROWS)


def _rows(points: NDArray[np.float64], rows: tuple[int, ...]) -> NDArray[np.float64]:
    """Return (31, 4) joints; rows that are not there, or not seen, are zero throughout."""
    joints = np.zeros((JOINT_COUNT, 4))
    for joint, row in enumerate(rows):
        if row < len(points) and points[row, 3] > 0.0:
            joints[joint] = points[row]
    return joints


def _array(path: Path, values: Any) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ScanError(f"{path}: expected rows of numbers, got: {error}") from error
