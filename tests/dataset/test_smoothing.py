"""Joints are smoothed over time, without lag, by confidence."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.smoothing import smooth_joints


def track(values: list[float], confidence: float = 1.0) -> np.ndarray:
    joints = np.zeros((len(values), 31, 3))
    joints[:, 5, 0], joints[:, 5, 2] = values, confidence
    return joints


def test_a_jump_of_one_frame_is_spread_as_the_gaussian_says() -> None:
    made = smooth_joints(track([0, 0, 0, 0, 9, 0, 0, 0, 0]), 1.0)
    weights = np.exp(-(np.arange(-4, 5) ** 2) / 2.0)
    assert made[4, 5, 0] == pytest.approx(9 * weights[4] / weights.sum(), rel=1e-6)
    assert np.allclose(made[:, 5, 0], made[::-1, 5, 0]), "neither side lags"


def test_even_motion_and_confidences_stay_as_they_are() -> None:
    joints = track([float(number) for number in range(21)], confidence=0.7)
    made = smooth_joints(joints, 1.0)
    assert np.allclose(made[5:-5], joints[5:-5])
    assert np.array_equal(made[..., 2], joints[..., 2])


def test_missing_joints_stay_missing_and_pull_nothing() -> None:
    joints = track([5.0] * 7)
    joints[3, 5] = 0.0
    made = smooth_joints(joints, 1.5)
    assert np.allclose(made[[0, 1, 2, 4, 5, 6], 5, 0], 5.0)
    assert not made[3, 5].any() and not made[:, 6].any()


def test_little_confidence_follows_its_neighbours() -> None:
    joints = track([0.0, 0.0, 10.0, 0.0, 0.0])
    joints[2, 5, 2] = 0.01
    assert smooth_joints(joints, 1.0)[2, 5, 0] < 0.1
    assert smooth_joints(joints, 0.0)[2, 5, 0] == 10.0
