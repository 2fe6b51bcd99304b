"""Detectors: where the joints of people are in a picture.

MediaPipe is the default; OpenPifPaf is what the paper used (an extra of its own); OpenPose gives
files. All of them come back as the 31 joints of `dataset.joints`; docs/joints.md has the tables.
"""

from __future__ import annotations

from dataset.detectors.interface import (
    DETECTOR_NAMES,
    Detection,
    Detector,
    DetectorError,
    DetectorName,
)
from dataset.detectors.mediapipe_setup import setup_pose
from dataset.detectors.openpose import read_openpose_json

__all__ = [
    "DETECTOR_NAMES",
    "Detection",
    "Detector",
    "DetectorError",
    "DetectorName",
    "make_detector",
    "read_openpose_json",
    "setup_pose",
]


def make_detector(name: DetectorName = "mediapipe", most_people: int = 1) -> Detector:
    """Make a detector; it is to be closed, or used in a `with` statement.

    Args:
        name: which.
        most_people: how many people of a picture are looked for.

    Raises:
        DetectorError: its package or its model file is missing; the message says how to get it.
    """
    if most_people < 1:
        raise ValueError(f"most_people: expected at least 1, got {most_people}")
    if name == "mediapipe":
        from dataset.detectors.blazepose import MediaPipeDetector

        return MediaPipeDetector(most_people)
    if name == "openpifpaf":
        from dataset.detectors.pifpaf import OpenPifPafDetector

        return OpenPifPafDetector(most_people)
    raise ValueError(f"name: expected {' or '.join(DETECTOR_NAMES)}, got {name!r}")
