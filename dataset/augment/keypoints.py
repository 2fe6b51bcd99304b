"""Joints as a detector would find them in the picture: a little off, some not at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_COUNT, JOINT_NAMES

_FOUND_TOGETHER = ("index", "middle", "ring", "pinky"), ("big_toe", "small_toe", "heel")


def _groups() -> NDArray[np.intp]:
    """Return the number of each joint's group: a hand's fingers are found or lost as one."""
    names = []
    for name in JOINT_NAMES:
        side, _, rest = name.partition("_")
        members = next((group for group in _FOUND_TOGETHER if rest in group), (rest,))
        names.append((side, members))
    return np.array([names.index(name) for name in names])


DETECTED_TOGETHER = _groups()
"""(31,) number of the first joint of each joint's group."""


def detect_roughly(
    joints: NDArray[np.float32], deviation_px: float, dropout: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return joints moved at random, some of them missing.

    Args:
        joints: (31, 3) float32 pixels and confidence; missing ones stay as they are.
        deviation_px: standard deviation of x and of y; twice that for a joint of confidence 0,
            falling evenly to the given one at confidence 1.
        dropout: probability that a joint, or a group that is found together, is missing.
        rng: draws both.

    Returns:
        (31, 3) float32; a missing joint is all zeros.
    """
    moved = joints.copy()
    steps = rng.standard_normal((JOINT_COUNT, 2), dtype=np.float32)
    lost = (rng.random(JOINT_COUNT) < dropout)[DETECTED_TOGETHER]
    known = joints[:, 2] > 0.0
    spread = np.float32(deviation_px) * (2.0 - joints[known, 2:])
    moved[known, :2] += steps[known] * spread
    moved[lost] = 0.0
    return moved
