"""What every 2D joint detector takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from dataset.joints import FILLED_CONFIDENCE, JOINT_INDEX
from render.errors import UserInputError

DetectorName = Literal["mediapipe", "openpifpaf"]
DETECTOR_NAMES: tuple[DetectorName, ...] = get_args(DetectorName)


class DetectorError(UserInputError):
    """A detector, its model file or a keypoint file cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One person in a picture.

    Attributes:
        joints: (31, 3) float32 in the order of `dataset.joints`: x, y in pixels of the picture
            (pixel centres at +0.5; they may lie outside of it), confidence 0..1; 0 missing, with
            coordinates 0; 0.3 filled from a neighbour.
        box: (4,) float32 left, top, right, bottom of the joints that were found, pixels.
        score: how sure the detector is that this is a person, 0..1.
        mask: (H, W) float32, 0 background to 1 person, or None where the detector makes none.
    """

    joints: NDArray[np.float32]
    box: NDArray[np.float32]
    score: float
    mask: NDArray[np.float32] | None = None

    @property
    def area(self) -> float:
        """Area of the box, square pixels."""
        left, top, right, bottom = self.box
        return float((right - left) * (bottom - top))


class Detector(Protocol):
    """Finds people and their joints in pictures; holds a network until it is closed."""

    name: str

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the people of a (H, W, 3) uint8 sRGB picture, the largest first."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def check_picture(image: NDArray[np.uint8]) -> None:
    """Raise ValueError unless this is a (H, W, 3) uint8 picture that has pixels."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")


def detection_of(
    joints: NDArray[np.floating], score: float, mask: NDArray[np.float32] | None = None
) -> Detection | None:
    """Make a detection of (31, 3) joints, or None where not one was found.

    Missing joints become zero throughout; the box is that of the joints that are not missing.
    """
    joints = np.where(joints[:, 2:] > 0.0, joints, 0.0).astype(np.float32)
    found = joints[joints[:, 2] > 0.0, :2]
    if not len(found):
        return None
    box = np.concatenate([found.min(axis=0), found.max(axis=0)])
    return Detection(joints=joints, box=box, score=float(np.clip(score, 0.0, 1.0)), mask=mask)


def largest_first(detections: list[Detection]) -> list[Detection]:
    """Return detections by the area of their boxes, the largest first."""
    return sorted(detections, key=lambda detection: -detection.area)


_FILLS: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    ("small_toe", (("big_toe", 1.0),)),
    ("big_toe", (("small_toe", 1.0),)),
    ("middle", (("index", 2.0 / 3.0), ("pinky", 1.0 / 3.0))),
    ("ring", (("index", 1.0 / 3.0), ("pinky", 2.0 / 3.0))),
    ("index", (("middle", 1.0),)),
    ("pinky", (("ring", 1.0),)),
    ("heel", (("ankle", 1.0),)),
    ("ear", (("eye", 1.0),)),
)
"""Joint of one side -> neighbours of that side whose weighted mean stands in for it."""


def filled(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return joints with missing ones put at neighbours that were found, confidence 0.3.

    A neighbour that was itself filled fills nothing; without neighbours a joint stays missing.

    Args:
        joints: (31, D + 1) D coordinates and confidence.
    """
    result = np.array(joints, dtype=np.float64)
    for part, neighbours in _FILLS:
        for side in ("left", "right"):
            target = JOINT_INDEX[f"{side}_{part}"]
            rows = [JOINT_INDEX[f"{side}_{name}"] for name, _ in neighbours]
            if result[target, -1] == 0.0 and (joints[rows, -1] > 0.0).all():
                weights = np.array([weight for _, weight in neighbours])
                result[target, :-1] = weights @ joints[rows, :-1]
                result[target, -1] = FILLED_CONFIDENCE
    return result
