"""Errors of two-sided depth and normal maps in the input view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics import Measured
from eval.surfaces import MetricError


def map_depth_error_cm(
    predicted: NDArray[np.floating], true: NDArray[np.floating], both: NDArray[np.bool_]
) -> Measured:
    """Return the mean absolute difference of depth along the rays.

    Pixels that one map alone covers have no difference; `eval.normals.silhouette_iou` of the
    masks belongs beside this number. Every pixel is counted: no interval of drawing.

    Args:
        predicted: (S, H, W) ray distances of S sides, cm.
        true: (S, H, W), cm.
        both: (H, W) bool, True where both maps have the person.

    Raises:
        ValueError: shapes differ.
        MetricError: no pixel in both, or values that are not finite.
    """
    if predicted.shape != true.shape or predicted.shape[1:] != both.shape:
        raise ValueError(
            f"maps: expected one (S, H, W), got {predicted.shape}, {true.shape}, {both.shape}"
        )
    if not both.any():
        raise MetricError("masks: expected pixels in both maps, got none")
    difference = np.abs(predicted[:, both].astype(np.float64) - true[:, both].astype(np.float64))
    if not np.isfinite(difference).all():
        raise MetricError("depth: expected finite values, got NaN or infinity")
    return Measured(float(difference.mean()), int(difference.size))
