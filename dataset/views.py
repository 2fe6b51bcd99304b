"""One scan in front of the camera: which turns, how large, where its joints are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera, camera_from_normalised, project, transform_points

BORDER_PX = 1.0
"""A silhouette this near to the border touches it: the outermost pixels are partly covered."""

SHRUNK_MARGIN = 1.0 / 64.0
"""Free margin of a scan that was shrunk, share of half the image."""


def yaw_angles(minimum: float, maximum: float, step: float) -> tuple[float, ...]:
    """Return the turns of a scan in degrees, both ends included where the step meets them.

    Raises:
        ValueError: no turn, or more than 360.
    """
    if not (np.isfinite([minimum, maximum, step]).all() and step > 0.0 and maximum >= minimum):
        raise ValueError(
            f"angles: expected MIN <= MAX and a STEP above 0, got {minimum:g} {maximum:g} {step:g}"
        )
    count = int(np.floor((maximum - minimum) / step + 1e-9)) + 1
    if count > 360:
        raise ValueError(f"angles: expected 360 views a scan at most, got {count}")
    return tuple(float(minimum + index * step) for index in range(count))


def view_seed(seed: int, scan_id: str, view: int) -> int:
    """Return the seed of everything random in a view, 0..2^64-1."""
    digest = hashlib.sha256(f"{seed}/{scan_id}/{view}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def border_shrink(points: NDArray[np.floating], yaws_deg: Sequence[float], camera: Camera) -> float:
    """Return the factor by which a scan has to shrink so that no view touches the border.

    A mesh lies in the convex hull of its vertices, and so do their projections; under a
    factor s, |x| / (1 - s z) < t becomes s (|x| + t z) < t.

    Args:
        points: (V, 3) normalised frame; all of the surface's vertices.
        yaws_deg: the turns.
        camera: the camera.

    Returns:
        1.0 where no view touches the border, else below 1.
    """
    half = camera.resolution / 2.0
    slope = half / camera.focal_px
    touching = slope * (1.0 - BORDER_PX / half)
    wanted = slope * (1.0 - max(SHRUNK_MARGIN, 2.0 * BORDER_PX / half))
    touches, factor = False, 1.0
    for yaw_deg in yaws_deg:
        turned = transform_points(camera_from_normalised(yaw_deg), points)
        turned[:, 2] += 1.0  # back to the normalised origin, with the yaw
        reach = np.abs(turned[:, :2]).max(axis=1)
        touches = touches or bool((reach + touching * turned[:, 2] >= touching).any())
        factor = min(factor, float(wanted / (reach + wanted * turned[:, 2]).max()))
    return min(factor, 1.0) if touches else 1.0


def joints_in_normalised_frame(
    joints: NDArray[np.floating] | None, normalised_from_scan: NDArray[np.floating], count: int
) -> NDArray[np.float64]:
    """Return (count, 4) joints in the normalised frame; missing ones are zero throughout."""
    result = np.zeros((count, 4))
    if joints is not None:
        known = joints[:, 3] > 0.0
        result[known, :3] = transform_points(normalised_from_scan, joints[known, :3])
        result[known, 3] = joints[known, 3]
    return result


def joints_in_pixels(
    joints_3d: NDArray[np.floating], pose: NDArray[np.floating], camera: Camera
) -> NDArray[np.float64]:
    """Return (J, 3) pixels + confidence of (J, 4) joints; missing ones are zero throughout."""
    result = np.zeros((len(joints_3d), 3))
    known = joints_3d[:, 3] > 0.0
    result[known, :2] = project(transform_points(pose, joints_3d[known, :3]), camera)
    result[known, 2] = joints_3d[known, 3]
    return result
