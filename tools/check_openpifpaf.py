"""Run the OpenPifPaf adapter with the real package and without its downloaded weights.

The network is built with random weights and run on a picture; the decoder gets fields that show a
person in OpenPifPaf's own standing pose, and the annotation it makes is mapped to our joints.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.detectors.pifpaf import KEYPOINTS, OpenPifPafDetector, from_annotation
from dataset.joints import JOINT_NAMES
from dataset.sidecars import FINGER_POINTS, WHOLE_BODY_ROWS

NETWORK = "shufflenetv2k30"
STRIDE = 8
PIXELS_PER_UNIT, MARGIN_PX = 40.0, 60.0
REACH = 1.5
"""Cells around a point in which the fields show it."""

LARGEST_ERROR_PX = 2.0
FINGERS_FROM = 23
FIRST_LEFT, FIRST_RIGHT = 92, 113
"""Numbers in the names of the first points of the hands, counted from 1."""


def main() -> int:
    """Run all three; returns the exit status."""
    import openpifpaf
    from openpifpaf.plugins.wholebody.constants import (
        WHOLEBODY_KEYPOINTS,
        WHOLEBODY_STANDING_POSE,
    )

    _check_names(WHOLEBODY_KEYPOINTS)
    metas = openpifpaf.datasets.factory("wholebody").head_metas
    openpifpaf.network.Factory.base_name = NETWORK
    openpifpaf.network.basenetworks.ShuffleNetV2K.pretrained = False
    predictor = openpifpaf.Predictor(head_metas=metas)
    detector = OpenPifPafDetector()
    detector._predictor = predictor
    picture = np.random.default_rng(0).integers(0, 255, (160, 128, 3), dtype=np.uint8)
    people = detector.detect(picture)
    print(f"{NETWORK} with random weights on noise: ran, {len(people)} people")

    pose = np.asarray(WHOLEBODY_STANDING_POSE, dtype=np.float64)[:, :2]
    points = _in_pixels(pose)
    fields = _fields(points, metas)
    annotations = openpifpaf.decoder.factory(metas)(fields)
    if len(annotations) != 1:
        print(f"decoder: expected 1 annotation, found {len(annotations)}", file=sys.stderr)
        return 1
    found = from_annotation(annotations[0].data, float(annotations[0].score))
    if found is None:
        print("decoder: expected an annotation with keypoints, found none", file=sys.stderr)
        return 1
    expected = points[list(WHOLE_BODY_ROWS)] + 0.5
    error = np.linalg.norm(found.joints[:, :2] - expected, axis=1)
    print(f"decoder: 1 annotation; 31 joints within {error.max():.2f} px of where they were shown")
    for name, joint in zip(JOINT_NAMES, found.joints, strict=True):
        print(f"  {name:18} {joint[0]:7.1f} {joint[1]:7.1f} {joint[2]:5.2f}")
    return 0 if error.max() <= LARGEST_ERROR_PX else 1


def _check_names(names: list[str]) -> None:
    """See that the rows which are taken have the names of our joints."""
    hands = [f"lh_{FIRST_LEFT + point}" for point in FINGER_POINTS]
    hands += [f"rh_{FIRST_RIGHT + point}" for point in FINGER_POINTS]
    expected = [*JOINT_NAMES[:FINGERS_FROM], *hands]
    found = [names[row] for row in WHOLE_BODY_ROWS]
    if len(names) != KEYPOINTS or found != expected:
        raise SystemExit(f"keypoints: expected {expected}, found {found}")


def _in_pixels(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a pose, y up, as (133, 2) pixels."""
    flipped = pose * (1.0, -1.0)
    return (flipped - flipped.min(axis=0)) * PIXELS_PER_UNIT + MARGIN_PX


def _fields(points: NDArray[np.float64], metas: Any) -> list[Any]:
    """Return what a perfect network would: intensities and associations of one person."""
    import torch

    cif, caf = metas
    for meta in metas:
        meta.base_stride, meta.upsample_stride = STRIDE, 1
    width, height = (int(side) for side in np.ceil((points.max(axis=0) + MARGIN_PX) / STRIDE))
    cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    places = points / STRIDE
    intensity = np.zeros((len(cif.keypoints), 5, height, width), dtype=np.float32)
    for row, place in enumerate(places):
        near = np.linalg.norm(cells - place, axis=-1) <= REACH
        intensity[row, 1][near] = 1.0
        intensity[row, 2][near], intensity[row, 3][near] = place
        intensity[row, 4][near] = 0.5
    association = np.zeros((len(caf.skeleton), 8, height, width), dtype=np.float32)
    for row, (first, second) in enumerate(np.array(caf.skeleton) - 1):
        middle = (places[first] + places[second]) / 2.0
        near = np.linalg.norm(cells - middle, axis=-1) <= REACH
        association[row, 1][near] = 1.0
        for channel, value in enumerate((*places[first], *places[second], 0.5, 0.5), start=2):
            association[row, channel][near] = value
    return [torch.from_numpy(intensity), torch.from_numpy(association)]


if __name__ == "__main__":
    sys.exit(main())
