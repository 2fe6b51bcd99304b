"""Joints of a video, smoothed over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d


def smooth_joints(joints: NDArray[np.floating], frames: float) -> NDArray[np.float64]:
    """Return joints smoothed by a Gaussian over time, symmetric, so that nothing lags behind.

    Each position is a mean weighted by the Gaussian and by confidence: a joint that was found
    with little confidence follows its neighbours in time. A joint that is missing in a frame
    stays missing there, and has no weight in the others.

    Args:
        joints: (T, 31, 3) pixels and confidence of consecutive frames; confidence 0 = missing.
        frames: standard deviation, frames; 0 changes nothing.

    Raises:
        ValueError: another shape, or a negative deviation.
    """
    smoothed: NDArray[np.float64] = np.array(joints, dtype=np.float64)
    if joints.ndim != 3 or joints.shape[2] != 3 or frames < 0:
        raise ValueError(
            f"joints, frames: expected (T, 31, 3) and 0 or more, got {joints.shape} and {frames}"
        )
    if frames == 0 or len(joints) < 2:
        return smoothed
    weight = np.where(joints[..., 2:] > 0, joints[..., 2:], 0.0)
    positions = np.where(weight > 0, joints[..., :2], 0.0)
    spread = {"sigma": frames, "axis": 0, "mode": "constant", "truncate": 4.0}
    total = gaussian_filter1d(weight, **spread)
    moved = gaussian_filter1d(positions * weight, **spread)
    known = weight[..., 0] > 0
    smoothed[known, :2] = moved[known] / total[known]
    return smoothed
