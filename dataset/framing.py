"""How a person of a photograph is placed in the square frame of the networks.

Training views show scans that were centred and scaled by `render.camera.normalised_from_scan`;
here the same place and size are found from a silhouette alone. Every part of the toolkit that
brings a photograph to the networks does it by `frame_person`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX
from render.errors import UserInputError
from render.picture_box import bounds

PERSON_SHARE = 0.79
"""Longer side of a person's box as a share of the frame, in training views: mean of 119 views
of 17 demo people; their standard deviation is 0.024."""

CENTROID_HEIGHT = 0.0105
"""How far above the middle of the frame a silhouette's centroid lies there, as a share of the
frame; the deviation is 0.01 upwards and 0.005 sideways."""

_STATURE: tuple[tuple[str, str, float], ...] = (
    ("shoulder", "hip", 0.288),
    ("hip", "knee", 0.245),
    ("knee", "ankle", 0.246),
    ("shoulder", "elbow", 0.186),
    ("elbow", "wrist", 0.146),
)
"""Length of limbs as shares of a person's height (Winter, Biomechanics, 2009, table 4.1)."""

_LIMBS: tuple[tuple[str, str, float], ...] = (
    ("shoulder", "elbow", 0.065),
    ("elbow", "wrist", 0.05),
    ("wrist", "middle", 0.05),
    ("hip", "knee", 0.1),
    ("knee", "ankle", 0.07),
    ("ankle", "big_toe", 0.05),
    ("heel", "big_toe", 0.05),
)
"""Limbs of one side and how thick they are drawn, as a share of the height."""

_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_HEAD_RADIUS, _CROWN = 0.065, 0.025
_TORSO_MARGIN = 0.06
_DRAWN = 512


@dataclass(frozen=True)
class Framing:
    """The square of a photograph that becomes the frame; it may reach beyond the photograph.

    Attributes:
        left, top: of the square, whole pixels of the photograph.
        side: width of the square, whole pixels of the photograph.
        resolution: R, width of the frame, pixels.
    """

    left: int
    top: int
    side: int
    resolution: int

    def points(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (..., 2) pixels of the frame of pixels of the photograph."""
        corner = np.array([self.left, self.top])
        return (np.asarray(points, np.float64) - corner) * (self.resolution / self.side)

    def joints(self, joints: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (31, 3) joints in pixels of the frame; missing ones stay zero."""
        moved = np.array(joints, dtype=np.float64)
        known = moved[:, 2] > 0.0
        moved[known, :2] = self.points(moved[known, :2])
        return moved

    def cut(self, picture: NDArray[np.uint8], fill: int | None = None) -> NDArray[np.uint8]:
        """Return the frame out of a photograph, or out of a map of its size.

        Args:
            picture: (H, W) or (H, W, 3) uint8.
            fill: what is beyond the photograph; None carries its edges on, as the authors'
                preparation does.

        Returns:
            (R, R) or (R, R, 3) uint8.

        Raises:
            ValueError: the square does not reach the picture.
        """
        height, width = picture.shape[:2]
        bottom, right = self.top + self.side, self.left + self.side
        part = picture[max(0, self.top) : max(0, bottom), max(0, self.left) : max(0, right)]
        if not part.size:
            raise ValueError(f"picture: expected one that {self} reaches, got {width} x {height}")
        square = cv2.copyMakeBorder(
            part,
            top=max(0, -self.top),
            bottom=max(0, bottom - height),
            left=max(0, -self.left),
            right=max(0, right - width),
            borderType=cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT,
            value=(fill or 0,) * 3,
        )
        shrinks = self.side >= self.resolution
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        size = (self.resolution, self.resolution)
        return np.asarray(cv2.resize(square, size, interpolation=method), dtype=np.uint8)


def frame_person(silhouette: NDArray[np.bool_], resolution: int) -> Framing:
    """Return the square in which a person has the place and size that training views have.

    Args:
        silhouette: (H, W) bool, True = the person.
        resolution: R of the frame, pixels.

    Raises:
        ValueError: the silhouette is empty.
    """
    rows, columns = bounds(silhouette)
    longest = max(rows.stop - rows.start, columns.stop - columns.start)
    if longest == 0:
        raise ValueError("silhouette: expected a person, got none")
    inside = silhouette[rows, columns]
    total = inside.sum()
    x = columns.start + inside.sum(axis=0) @ (np.arange(inside.shape[1]) + 0.5) / total
    y = rows.start + inside.sum(axis=1) @ (np.arange(inside.shape[0]) + 0.5) / total
    side = max(1, round(longest / PERSON_SHARE))
    left = round(float(x) - side / 2.0)
    top = round(float(y) + (CENTROID_HEIGHT - 0.5) * side)
    return Framing(left, top, side, resolution)


def silhouette_of_joints(joints: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return roughly where a person is, by joints alone: torso, head and limbs as capsules.

    Args:
        joints: (31, 3) pixels and confidence; confidence 0 = missing.
        shape: (H, W) of the photograph; what lies outside of it is left out.

    Raises:
        UserInputError: no two joints that are limbs of a body lie apart.
    """
    points = {
        name: np.asarray(joints[row, :2], dtype=np.float64)
        for name, row in JOINT_INDEX.items()
        if joints[row, 2] > 0.0
    }
    height = _stature(points)
    # Drawn small: the outline is rough at any size.
    scale = min(1.0, _DRAWN / max(shape))
    small = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    canvas = np.zeros(small, dtype=np.uint8)

    def pixel(point: NDArray[np.float64]) -> tuple[int, int]:
        x, y = np.clip(np.floor(point * scale), -8 * _DRAWN, 8 * _DRAWN).astype(int)
        return int(x), int(y)

    def thick(share: float) -> int:
        return max(1, round(share * height * scale))

    corners = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
    torso = [points[name] for name in corners if name in points]
    lines = [(a, b, _TORSO_MARGIN) for a in torso for b in torso]
    lines += [
        (points[f"{side}_{start}"], points[f"{side}_{end}"], share)
        for side in ("left", "right")
        for start, end, share in _LIMBS
        if {f"{side}_{start}", f"{side}_{end}"} <= points.keys()
    ]
    for a, b, share in lines:
        cv2.line(canvas, pixel(a), pixel(b), 1, thick(share))
    if torso:
        cv2.fillConvexPoly(canvas, cv2.convexHull(np.array([pixel(p) for p in torso])), 1)
    head = [points[name] for name in _HEAD if name in points]
    if head:
        middle = np.mean(head, axis=0)
        up = middle - np.mean(torso, axis=0) if torso else np.array([0.0, -1.0])
        crown = middle + up / max(float(np.linalg.norm(up)), 1e-9) * _CROWN * height
        cv2.circle(canvas, pixel(crown), thick(_HEAD_RADIUS), 1, -1)
        if torso:
            cv2.line(canvas, pixel(middle), pixel(np.mean(torso[:2], axis=0)), 1, thick(0.05))
    whole = cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(whole > 0)


def _stature(points: dict[str, NDArray[np.float64]]) -> float:
    """Return a person's height in pixels, by the limb that is foreshortened least."""
    heights = [
        float(np.linalg.norm(points[f"{side}_{start}"] - points[f"{side}_{end}"])) / share
        for side in ("left", "right")
        for start, end, share in _STATURE
        if {f"{side}_{start}", f"{side}_{end}"} <= points.keys()
    ]
    if not heights or max(heights) < 1.0:
        raise UserInputError(
            "joints: expected arms, legs or a torso whose ends lie apart, found all joints at "
            "one point or too few of them"
        )
    return max(heights)
