"""One scan in front of the camera: from where, how large, where its joints are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.shard_codec import DEPTH_MAX
from render.camera import (
    CAMERA_DISTANCE,
    FOV_DEG,
    PROJECTIONS,
    Camera,
    Projection,
    camera_from_normalised,
    project,
    transform_points,
)
from render.errors import UserInputError

Range = tuple[float, float]

BORDER_PX = 1.0
"""A silhouette this near to the border touches it: the outermost pixels are partly covered."""

SHRUNK_MARGIN = 1.0 / 64.0
"""Free margin of a scan that was shrunk, share of half the image, or of `DEPTH_REACH`."""

DEPTH_REACH = DEPTH_MAX - CAMERA_DISTANCE
"""How much nearer or farther than the middle of the scan a surface may be in a shard."""

MOST_YAWS = 360
_LIMITS: dict[str, Range] = {
    "pitch_deg": (-90.0, 90.0),
    "roll_deg": (-180.0, 180.0),
    "fov_deg": (5.0, 120.0),
    # Nearer than this a corner of the normalised cube would be behind the camera.
    "distance": (0.65, 20.0),
}


@dataclass(frozen=True, kw_only=True)
class View:
    """Where a scan is seen from.

    Attributes:
        camera: resolution, field of view, projection.
        yaw_deg: turn of the scan about +y, degrees.
        pitch_deg: then about +x; the head comes nearer.
        roll_deg: then about +z; counter-clockwise in the picture.
        distance: of the camera from the middle of the scan, normalised units.
    """

    camera: Camera
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    distance: float = CAMERA_DISTANCE

    @property
    def pose(self) -> NDArray[np.floating]:
        """(4, 4) camera-from-normalised."""
        return camera_from_normalised(self.yaw_deg, self.pitch_deg, self.roll_deg, self.distance)


@dataclass(frozen=True, kw_only=True)
class CameraRanges:
    """What the cameras of views are drawn from, evenly between the two ends.

    Attributes:
        projection: "perspective" or "orthographic".
        pitch_deg: as in `View`.
        roll_deg: as in `View`.
        fov_deg: field of view, degrees.
        distance: as in `View`.
    """

    projection: Projection = "perspective"
    pitch_deg: Range = (0.0, 0.0)
    roll_deg: Range = (0.0, 0.0)
    fov_deg: Range = (FOV_DEG, FOV_DEG)
    distance: Range = (CAMERA_DISTANCE, CAMERA_DISTANCE)

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise ValueError(
                f"projection: expected {' or '.join(PROJECTIONS)}, got {self.projection!r}"
            )
        for name, (least, most) in _LIMITS.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise UserInputError(
                    f"{name.removesuffix('_deg')}: expected LOW <= HIGH within {least:g} and "
                    f"{most:g}, got {low:g} {high:g}"
                )
        if self.projection == "orthographic" and self.distance != (CAMERA_DISTANCE,) * 2:
            raise UserInputError(
                "distance: expected 1 1 with an orthographic camera, which sees the same from "
                f"everywhere, got {self.distance[0]:g} {self.distance[1]:g}"
            )

    def draw(self, rng: np.random.Generator, resolution: int, yaw_deg: float) -> View:
        """Draw a view with the given turn."""
        pitch, roll, fov, distance = (
            float(rng.uniform(*ends))
            for ends in (self.pitch_deg, self.roll_deg, self.fov_deg, self.distance)
        )
        return View(
            camera=Camera(resolution, fov, self.projection),
            yaw_deg=yaw_deg,
            pitch_deg=pitch,
            roll_deg=roll,
            distance=distance,
        )

    def identity(self) -> dict[str, Any]:
        """Return the ranges as JSON values."""
        return {"camera": self.projection} | {name: list(getattr(self, name)) for name in _LIMITS}


def yaw_angles(start: float, end: float, step: float) -> tuple[float, ...]:
    """Return the turns of a scan in degrees, both ends included where the step meets them.

    A turn that shows what an earlier one shows is left out: 0 360 90 are four turns.

    Raises:
        ValueError: no turn, or more than 360.
    """
    if not (np.isfinite([start, end, step]).all() and step > 0.0 and end >= start):
        raise ValueError(
            f"angles: expected START <= END and a STEP above 0, got {start:g} {end:g} {step:g}"
        )
    count = np.floor((end - start) / step + 1e-9) + 1
    if count <= 10 * MOST_YAWS:
        turns = (float(start + index * step) for index in range(int(count)))
        distinct: dict[float, float] = {}
        for turn in turns:
            distinct.setdefault(round(turn % 360.0, 6) % 360.0, turn)
        count = len(distinct)
    if count > MOST_YAWS:
        raise ValueError(f"angles: expected {MOST_YAWS} views a scan at most, got {count:g}")
    return tuple(distinct.values())


def view_seed(seed: int, scan_id: str, view: int) -> int:
    """Return the seed of everything random in a view, 0..2^64-1."""
    digest = hashlib.sha256(f"{seed}/{scan_id}/{view}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def border_shrink(points: NDArray[np.floating], views: Sequence[View]) -> float:
    """Return the factor by which a scan has to shrink so that no view touches the border.

    A mesh lies in the convex hull of its vertices, and so do their projections. Under a
    factor s a perspective camera at distance d has |x| s / (d - s z) < t, which is
    s (|x| + t z) < t d; an orthographic one has s |x| < t.

    Args:
        points: (V, 3) normalised frame; all of the surface's vertices.
        views: all views of the scan.

    Returns:
        1.0 where no view touches the border, else below 1.
    """
    touches, factor = False, 1.0
    axes = np.ascontiguousarray(points.T)
    for view in views:
        half = view.camera.resolution / 2.0
        slope = half / view.camera.focal_px
        x, y, z = view.pose[:3, :3] @ axes
        reach = np.maximum(np.abs(x), np.abs(y))
        nearer = np.zeros_like(z) if view.camera.is_orthographic else z
        distance = 1.0 if view.camera.is_orthographic else view.distance
        touching = slope * (1.0 - BORDER_PX / half)
        wanted = slope * (1.0 - max(SHRUNK_MARGIN, 2.0 * BORDER_PX / half))
        touches = touches or bool((reach + touching * nearer >= touching * distance).any())
        factor = min(factor, wanted * distance / float((reach + wanted * nearer).max()))
    return min(factor, 1.0) if touches else 1.0


def depth_shrink(points: NDArray[np.floating], views: Sequence[View]) -> float:
    """Return the factor by which a scan has to shrink so that shards can hold its depths.

    Only the corners of the cube that scans are normalised to are too far away, and only where
    a turn takes them before or behind the middle: somebody at the side of a large group.

    Args:
        points: (V, 3) normalised frame.
        views: all views of the scan.

    Returns:
        1.0 where all views can be held, else below 1.
    """
    reach = np.linalg.norm(points, axis=1)
    far = points[reach > DEPTH_REACH]
    for view in views if len(far) else ():
        seen = transform_points(view.pose, far)
        distance = -seen[:, 2] if view.camera.is_orthographic else np.linalg.norm(seen, axis=1)
        if (np.abs(distance - view.distance) >= DEPTH_REACH).any():
            # Nothing is nearer or farther than the middle by more than it is away from it.
            return DEPTH_REACH * (1.0 - SHRUNK_MARGIN) / float(reach.max())
    return 1.0


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


def joints_in_pixels(joints_3d: NDArray[np.floating], view: View) -> NDArray[np.float64]:
    """Return (..., 3) pixels + confidence of (..., 4) joints; missing ones are zero throughout."""
    result = np.zeros((*joints_3d.shape[:-1], 3))
    known = joints_3d[..., 3] > 0.0
    result[known, :2] = project(transform_points(view.pose, joints_3d[known, :3]), view.camera)
    result[known, 2] = joints_3d[known, 3]
    return result
