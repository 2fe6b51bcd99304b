"""MediaPipe's pose landmarker (BlazePose): 33 landmarks and a person's outline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.detectors.interface import (
    Detection,
    DetectorError,
    check_picture,
    detection_of,
    filled,
    largest_first,
)
from dataset.detectors.mediapipe_setup import SETUP_COMMAND, bundle_path
from dataset.joints import JOINT_COUNT, JOINT_INDEX
from render.closing import Closing

LANDMARK_OF: dict[str, int] = {
    "nose": 0,
    "left_eye": 2, "right_eye": 5,
    "left_ear": 7, "right_ear": 8,
    "left_shoulder": 11, "right_shoulder": 12,
    "left_elbow": 13, "right_elbow": 14,
    "left_wrist": 15, "right_wrist": 16,
    "left_pinky": 17, "right_pinky": 18,
    "left_index": 19, "right_index": 20,
    "left_hip": 23, "right_hip": 24,
    "left_knee": 25, "right_knee": 26,
    "left_ankle": 27, "right_ankle": 28,
    "left_heel": 29, "right_heel": 30,
    "left_big_toe": 31, "right_big_toe": 32,
}  # fmt: skip
"""Landmark of each joint that BlazePose knows; the others are filled.

Its hand landmarks, pinky and index, are the knuckles of these fingers; see `FINGER_REACH`. Its
foot index is the tip of the foot, our big toe.
"""

FINGER_REACH = 1.5
"""How far from the wrist the joints after the knuckles are, in distances of the knuckles."""

LANDMARKS = 33
LEAST_PRESENCE = 0.5
LARGEST_SIDE = 1024
"""Pictures are reduced to it; the networks see 224 and 256 pixels of them."""


class MediaPipeDetector(Closing):
    """The default detector: small, runs on any machine, offline after its set-up."""

    name = "mediapipe"

    def __init__(self, most_people: int = 1) -> None:
        """Load the networks.

        Args:
            most_people: how many people of a picture are looked for.

        Raises:
            DetectorError: the package or the bundle is missing, or cannot be read.
        """
        bundle = bundle_path()
        for what, is_there in ((bundle, bundle.is_file()), ("mediapipe", find_spec("mediapipe"))):
            if not is_there:
                raise DetectorError(
                    f"--pose mediapipe: expected {what} of its set-up, found none "
                    f"(run once: {SETUP_COMMAND})"
                )
        with _quiet():
            try:
                from mediapipe.tasks.python import BaseOptions, vision

                options = vision.PoseLandmarkerOptions(
                    base_options=BaseOptions(model_asset_path=str(bundle)),
                    num_poses=most_people,
                    output_segmentation_masks=True,
                )
                self._landmarker: Any = vision.PoseLandmarker.create_from_options(options)
            except (ImportError, OSError, RuntimeError, ValueError) as error:
                raise DetectorError(
                    f"{bundle}: expected networks that mediapipe can load, found: "
                    f"{' '.join(str(error).split())} (delete it and run: {SETUP_COMMAND})"
                ) from error

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the people of a (H, W, 3) uint8 sRGB picture, the largest first.

        Confidences are MediaPipe's visibility. Landmarks outside the picture, which it guesses,
        are missing.
        """
        check_picture(image)
        from mediapipe import Image, ImageFormat

        height, width = image.shape[:2]
        side = max(height, width)
        picture = Image(image_format=ImageFormat.SRGB, data=_square(image))
        with _quiet():
            result = self._landmarker.detect(picture)
        detections = []
        # Without people there is no list of masks at all.
        masks = result.segmentation_masks or []
        for landmarks, mask in zip(result.pose_landmarks, masks, strict=True):
            points = np.array([[p.x * side, p.y * side, p.visibility] for p in landmarks])
            present = np.array([p.presence for p in landmarks]) >= LEAST_PRESENCE
            inside = ((points[:, :2] >= 0.0) & (points[:, :2] < (width, height))).all(axis=1)
            points[~(present & inside)] = 0.0
            outline = cv2.resize(np.squeeze(mask.numpy_view()), (side, side))[:height, :width]
            joints = joints_from_landmarks(points)
            detection = detection_of(joints, float(present.mean()), np.ascontiguousarray(outline))
            if detection is not None:
                detections.append(detection)
        return largest_first(detections)

    def close(self) -> None:
        """Free the networks."""
        self._landmarker.close()


def joints_from_landmarks(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (31, 3) joints of (33, 3) landmarks: pixels and confidence, 0 where missing.

    Small toes, middle and ring fingers, which BlazePose does not know, are filled.
    """
    if points.shape != (LANDMARKS, 3):
        raise ValueError(f"points: expected ({LANDMARKS}, 3), got {points.shape}")
    joints = np.zeros((JOINT_COUNT, 3))
    for name, landmark in LANDMARK_OF.items():
        joints[JOINT_INDEX[name]] = points[landmark]
    for side in ("left", "right"):
        wrist = joints[JOINT_INDEX[f"{side}_wrist"]]
        for finger in ("index", "pinky"):
            knuckle = joints[JOINT_INDEX[f"{side}_{finger}"]]
            if wrist[2] > 0.0 and knuckle[2] > 0.0:
                knuckle[:2] = wrist[:2] + FINGER_REACH * (knuckle[:2] - wrist[:2])
    return filled(joints)


def _square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture reduced to `LARGEST_SIDE` and made square below or to the right.

    MediaPipe turns its regions of interest as if the picture were square.
    """
    height, width = image.shape[:2]
    side = max(height, width)
    if side > LARGEST_SIDE:
        scale = LARGEST_SIDE / side
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        side = LARGEST_SIDE
    square = np.zeros((side, side, 3), dtype=np.uint8)
    square[: image.shape[0], : image.shape[1]] = image
    return square


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing through that native code writes to the standard error of the process."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
