"""OpenPifPaf's whole-body model, which the paper used: 133 keypoints of COCO-WholeBody.

Its package needs torchvision and an environment of its own, is AGPL-3.0, and fetches its weights
from the web at the first use (docs/joints.md).
"""

from __future__ import annotations

from typing import Any

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
from dataset.sidecars import WHOLE_BODY_ROWS
from render.closing import Closing

CHECKPOINT = "shufflenetv2k30-wholebody"
KEYPOINTS = 133


class OpenPifPafDetector(Closing):
    """The paper's detector; its network is loaded when the first picture comes."""

    name = "openpifpaf"

    def __init__(self, most_people: int = 1) -> None:
        """See that the package is there.

        Args:
            most_people: how many people of a picture are returned.

        Raises:
            DetectorError: the package is missing.
        """
        from importlib.util import find_spec

        if find_spec("openpifpaf") is None:
            raise DetectorError(
                "--pose openpifpaf: expected the package openpifpaf-vita, found none (it needs an "
                "environment of its own: tools/setup/try_openpifpaf.sh)"
            )
        self._most_people = most_people
        self._predictor: Any = None

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the people of a (H, W, 3) uint8 sRGB picture, the largest first.

        Raises:
            DetectorError: the weights cannot be had.
        """
        check_picture(image)
        if self._predictor is None:
            self._predictor = self._load()
        annotations, _, _ = self._predictor.numpy_image(image)
        detections = [from_annotation(a.data, float(a.score)) for a in annotations]
        found = [detection for detection in detections if detection is not None]
        return largest_first(found)[: self._most_people]

    def _load(self) -> Any:
        import openpifpaf

        try:
            return openpifpaf.Predictor(checkpoint=CHECKPOINT)
        except Exception as error:  # no network, no such file, a damaged file
            raise DetectorError(
                f"{CHECKPOINT}: expected weights of OpenPifPaf, which it fetches at the "
                f"first use, found: {type(error).__name__}: {error}"
            ) from error

    def close(self) -> None:
        """Free the network."""
        self._predictor = None


def from_annotation(points: NDArray[np.floating], score: float) -> Detection | None:
    """Return the person of an OpenPifPaf annotation.

    OpenPifPaf counts pixels by their centres; half a pixel is added.

    Args:
        points: (133, 3) x, y, confidence of COCO-WholeBody's keypoints.
        score: of the annotation.

    Raises:
        DetectorError: these are other keypoints.
    """
    if points.shape != (KEYPOINTS, 3):
        raise DetectorError(
            f"openpifpaf: expected a whole-body model with {KEYPOINTS} keypoints, "
            f"found {len(points)}"
        )
    joints = points[list(WHOLE_BODY_ROWS)] + (0.5, 0.5, 0.0)
    joints[joints[:, 2] <= 0.0] = 0.0
    return detection_of(filled(joints), score)
