"""Keypoint files of OpenPose: BODY_25 with both hands, as the authors' demo reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.detectors.interface import (
    Detection,
    DetectorError,
    detection_of,
    filled,
    largest_first,
)
from dataset.sidecars import OPENPOSE_ROWS

MOST_BYTES = 50_000_000
"""A crowd of thousands is still far smaller."""

_POINTS = {"pose_keypoints_2d": 25, "hand_left_keypoints_2d": 21, "hand_right_keypoints_2d": 21}
_BODY = "pose_keypoints_2d"
_HALF_PIXEL = 0.5
_FARTHEST_PIXEL = 1e6


def read_openpose_json(path: Path) -> list[Detection]:
    """Read the people of an OpenPose file, the largest first.

    OpenPose counts pixels by their centres; half a pixel is added. An ear that is missing takes
    the place of the eye, as in the authors' reader; other missing joints are filled as
    `filled` says. Hands may be left out of the file, or be empty.

    Args:
        path: JSON file with `people`, each with `pose_keypoints_2d` (75 numbers) and, if there,
            `hand_left_keypoints_2d` and `hand_right_keypoints_2d` (63 each).

    Raises:
        DetectorError: the file is no such file, or it has no people.
    """
    people = _content(path).get("people")
    if not isinstance(people, list):
        raise DetectorError(f"{path}: expected people as OpenPose writes them, found none")
    detections = [
        detection
        for number, person in enumerate(people)
        if (detection := _person(f"{path}: person {number}", person)) is not None
    ]
    if not detections:
        raise DetectorError(f"{path}: expected keypoints of at least one person, found none")
    return largest_first(detections)


def _content(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DetectorError(
                f"{path}: expected a keypoint file of at most {MOST_BYTES / 1e6:g} MB, "
                f"found {size / 1e6:.3g} MB"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DetectorError(
            f"{path}: expected a keypoint file, found: {error.strerror or error}"
        ) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, DetectorError):
            raise
        raise DetectorError(f"{path}: expected keypoints as JSON, found: {error}") from error
    if not isinstance(content, dict):
        raise DetectorError(f"{path}: expected an object as JSON, found {type(content).__name__}")
    return content


def _person(where: str, person: Any) -> Detection | None:
    if not isinstance(person, dict):
        raise DetectorError(f"{where}: expected an object, found {type(person).__name__}")
    points = np.concatenate([_points(where, person, name) for name in _POINTS])
    joints = filled(points[list(OPENPOSE_ROWS)])
    seen = joints[:, 2] > 0.0
    return detection_of(joints, float(joints[seen, 2].mean()) if seen.any() else 0.0)


def _points(where: str, person: dict[str, Any], name: str) -> NDArray[np.float64]:
    """Return (K, 3) pixels + confidence of one of the lists, zero where it is left out."""
    count, values = _POINTS[name], person.get(name, [])
    if name != _BODY and values == []:
        return np.zeros((count, 3))
    try:
        points = np.array(values, dtype=np.float64)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise DetectorError(f"{where}: expected numbers in {name}, found: {error}") from error
    if points.shape != (3 * count,):
        found = points.size if points.ndim == 1 else "no plain list"
        raise DetectorError(f"{where}: expected {3 * count} numbers in {name}, found {found}")
    wrong = ~(np.abs(points) <= _FARTHEST_PIXEL)
    if wrong.any():
        raise DetectorError(
            f"{where}: expected pixels and confidences in {name}, found {points[wrong][0]:g}"
        )
    points = points.reshape(count, 3)
    points[:, 2] = np.clip(points[:, 2], 0.0, 1.0)
    points[:, :2] += _HALF_PIXEL
    return np.where(points[:, 2:] > 0.0, points, 0.0)
