"""Camera maths: frames, rays, projection and depth conversions (their one home).

Frames (all right-handed, metres or any unit):

* scan frame: x to the person's left, y up, the person faces +z;
* normalised frame: scan frame, centred and scaled so that the largest absolute
  coordinate is 1 / 2.8 = 0.357;
* camera frame: OpenGL axes (x right, y up, z towards the camera). The camera stands
  at (0, 0, 1) of the normalised frame and looks along -z.

The paper (section 5.1) writes the same view as a camera at [0, 0, -1] in a y-down frame.

Pixel coordinates (u, v) are continuous, u to the right and v down, with the centre of
the pixel in row i and column j at (j + 0.5, i + 0.5).

`ray_distance` (r) is the distance along the ray from the camera centre; `z_depth` is the
distance to the camera plane. Both are in normalised units and 0 on the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

FOV_DEG = 50.0
CAMERA_DISTANCE = 1.0
NORMALISATION_DIVISOR = 2.8


@dataclass(frozen=True)
class Camera:
    """A square pinhole camera.

    Attributes:
        resolution: image width and height, pixels.
        fov_deg: field of view of both axes, degrees.
    """

    resolution: int
    fov_deg: float = FOV_DEG

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise ValueError(f"resolution: expected at least 1 pixel, got {self.resolution}")
        if not 0.0 < self.fov_deg < 180.0:
            raise ValueError(f"fov_deg: expected 0..180 degrees, got {self.fov_deg}")

    @property
    def focal_px(self) -> float:
        """Focal length f = R / (2 tan(fov / 2)), pixels."""
        return self.resolution / (2.0 * np.tan(np.radians(self.fov_deg) / 2.0))

    def intrinsics(self) -> FloatArray:
        """Return the (3, 3) float64 matrix from (x, -y, -z) of the camera frame to pixels."""
        centre = self.resolution / 2.0
        return np.array(
            [[self.focal_px, 0.0, centre], [0.0, self.focal_px, centre], [0.0, 0.0, 1.0]]
        )

    def rays(self) -> FloatArray:
        """Return the (R, R, 3) float64 unit rays through the pixel centres, camera frame."""
        steps = (np.arange(self.resolution) + 0.5 - self.resolution / 2.0) / self.focal_px
        x, y = np.meshgrid(steps, -steps)
        directions = np.stack([x, y, -np.ones_like(x)], axis=-1)
        return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def yaw_rotation(yaw_deg: float) -> FloatArray:
    """Return the (4, 4) rotation by +yaw about +y; the person's front turns towards +x."""
    angle = np.radians(yaw_deg)
    matrix = np.eye(4)
    matrix[0, 0] = matrix[2, 2] = np.cos(angle)
    matrix[0, 2] = np.sin(angle)
    matrix[2, 0] = -np.sin(angle)
    return matrix


def camera_from_normalised(yaw_deg: float = 0.0) -> FloatArray:
    """Return the (4, 4) matrix that turns the scan by yaw and moves it in front of the camera."""
    matrix = yaw_rotation(yaw_deg)
    matrix[2, 3] = -CAMERA_DISTANCE
    return matrix


def normalised_from_scan(
    vertices: FloatArray, faces: NDArray[np.integer], shrink: float = 1.0
) -> FloatArray:
    """Return the (4, 4) matrix from the scan frame to the normalised frame.

    Centred on the area-weighted centroid of the surface, divided by 2.8 x the largest
    absolute coordinate, as in the released renderer.

    Args:
        vertices: (V, 3) float, scan units.
        faces: (F, 3) int.
        shrink: factor below 1 for scans whose views would touch the image border.

    Raises:
        ValueError: the surface has no area.
    """
    corners = np.asarray(vertices, dtype=np.float64)[faces]
    edge_a, edge_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.linalg.norm(np.cross(edge_a, edge_b), axis=1)
    total = areas.sum()
    if not total > 0.0:
        raise ValueError("faces: expected a surface with an area, got none")
    centroid = (corners.mean(axis=1) * areas[:, None]).sum(axis=0) / total
    used = corners.reshape(-1, 3)
    scale = shrink / (NORMALISATION_DIVISOR * np.abs(used - centroid).max())
    matrix = np.eye(4) * scale
    matrix[:3, 3] = -scale * centroid
    matrix[3, 3] = 1.0
    return matrix


def transform_points(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Apply a (4, 4) affine matrix to (..., 3) points."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def project(points: FloatArray, camera: Camera) -> FloatArray:
    """Project (..., 3) camera-frame points to (..., 2) pixel coordinates."""
    depth = -points[..., 2:3]
    pixels = points[..., :2] * np.array([1.0, -1.0]) / depth
    return pixels * camera.focal_px + camera.resolution / 2.0


def unproject(ray_distance: FloatArray, camera: Camera) -> FloatArray:
    """Return the (R, R, 3) camera-frame points of a (R, R) ray-distance map."""
    return np.asarray(ray_distance)[..., None] * camera.rays()


def z_depth_from_ray_distance(ray_distance: FloatArray, camera: Camera) -> FloatArray:
    """Convert a (R, R) ray-distance map to the distance from the camera plane."""
    return np.asarray(ray_distance) * -camera.rays()[..., 2]


def ray_distance_from_z_depth(z_depth: FloatArray, camera: Camera) -> FloatArray:
    """Convert a (R, R) map of distances from the camera plane to ray distances."""
    return np.asarray(z_depth) / -camera.rays()[..., 2]
