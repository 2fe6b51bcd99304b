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

`ray_distance` (r) is the distance along the ray from where the ray starts: the camera centre,
or the camera plane (z = 0 of the camera frame) for the parallel rays of an orthographic camera.
`z_depth` is the distance to the camera plane; orthographic, it equals r. Both are in normalised
units and 0 on the background. The middle of the scan has r = z_depth = the camera's distance,
1 unless another is given, with either camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from render.mesh import area_vectors

FloatArray = NDArray[np.floating]
Projection = Literal["perspective", "orthographic"]

PROJECTIONS: tuple[Projection, ...] = ("perspective", "orthographic")
FOV_DEG = 50.0
CAMERA_DISTANCE = 1.0
NORMALISATION_DIVISOR = 2.8
RELEASED_SCALE = 1.0367394227574303
"""By what the released 2K2K code divides its points (test_02_model.py:356). Unexplained:
presumably the bodies of its training images were that much larger."""

_ALL = slice(None)


@dataclass(frozen=True)
class Camera:
    """A square camera.

    Attributes:
        resolution: image width and height, pixels.
        fov_deg: field of view of both axes, degrees. An orthographic camera shows, of every
            plane, what a perspective one of this field of view shows of the plane at
            distance 1.
        projection: "perspective" (a pinhole) or "orthographic" (rays along -z).
    """

    resolution: int
    fov_deg: float = FOV_DEG
    projection: Projection = "perspective"

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise ValueError(f"resolution: expected at least 1 pixel, got {self.resolution}")
        if not 0.0 < self.fov_deg < 180.0:
            raise ValueError(f"fov_deg: expected 0..180 degrees, got {self.fov_deg}")
        if self.projection not in PROJECTIONS:
            raise ValueError(
                f"projection: expected {' or '.join(PROJECTIONS)}, got {self.projection!r}"
            )

    @property
    def is_orthographic(self) -> bool:
        """Whether rays are parallel."""
        return self.projection == "orthographic"

    @property
    def focal_px(self) -> float:
        """Focal length f = R / (2 tan(fov / 2)), pixels; orthographic: pixels per unit."""
        return self.resolution / (2.0 * np.tan(np.radians(self.fov_deg) / 2.0))

    def pixels_per_unit(self, z_depth: FloatArray) -> FloatArray:
        """Return how many pixels a unit across the picture takes at a distance (same shape)."""
        if self.is_orthographic:
            return np.full_like(z_depth, self.focal_px)
        return float(self.focal_px) / z_depth

    def intrinsics(self) -> FloatArray:
        """Return the (3, 3) float64 matrix K of the camera.

        Perspective: K (x, -y, -z) of the camera frame are homogeneous pixel coordinates.
        Orthographic: K (x, -y, 1) are pixel coordinates.
        """
        centre = self.resolution / 2.0
        return np.array(
            [[self.focal_px, 0.0, centre], [0.0, self.focal_px, centre], [0.0, 0.0, 1.0]]
        )

    def rays(
        self, rows: slice = _ALL, columns: slice = _ALL, dtype: DTypeLike = np.float64
    ) -> NDArray[Any]:
        """Return the unit rays through the pixel centres, camera frame.

        Args:
            rows: which rows of pixels.
            columns: which columns of pixels.
            dtype: float type of the result, and of the normalisation.

        Returns:
            (R, R, 3), or (rows, columns, 3) of the part.
        """
        x, y = self._grid(rows, columns, dtype)
        if self.is_orthographic:
            return np.stack([np.zeros_like(x), np.zeros_like(x), np.full_like(x, -1.0)], axis=-1)
        directions = np.stack([x, y, np.full_like(x, -1.0)], axis=-1)
        directions /= np.sqrt(1.0 + x**2 + y**2)[..., None]
        return directions

    def ray_origins(
        self, rows: slice = _ALL, columns: slice = _ALL, dtype: DTypeLike = np.float64
    ) -> NDArray[Any]:
        """Return where the rays start, camera frame.

        Returns:
            (R, R, 3), or (rows, columns, 3) of the part; (1, 1, 3) of zeros for a
            perspective camera, whose rays all start in its centre.
        """
        if not self.is_orthographic:
            return np.zeros((1, 1, 3), dtype=dtype)
        x, y = self._grid(rows, columns, dtype)
        return np.stack([x, y, np.zeros_like(x)], axis=-1)

    def pixel_slopes(self, dtype: DTypeLike = np.float64) -> tuple[FloatArray, FloatArray]:
        """Return (R,) x of the columns and (R,) y of the rows on the plane at distance 1."""
        steps = (np.arange(self.resolution) + 0.5 - self.resolution / 2.0) / self.focal_px
        return steps.astype(dtype), -steps.astype(dtype)

    def _grid(self, rows: slice, columns: slice, dtype: DTypeLike) -> tuple[FloatArray, FloatArray]:
        """Return x and y of the pixel centres on the plane at distance 1."""
        across, down = self.pixel_slopes(dtype)
        x, y = np.meshgrid(across[columns], down[rows])
        return x, y


def yaw_rotation(yaw_deg: float) -> FloatArray:
    """Return the (4, 4) rotation by +yaw about +y; the person's front turns towards +x."""
    angle = np.radians(yaw_deg)
    matrix = np.eye(4)
    matrix[0, 0] = matrix[2, 2] = np.cos(angle)
    matrix[0, 2] = np.sin(angle)
    matrix[2, 0] = -np.sin(angle)
    return matrix


def camera_from_normalised(
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    distance: float = CAMERA_DISTANCE,
) -> FloatArray:
    """Return the (4, 4) matrix that turns the scan and moves it in front of the camera.

    Args:
        yaw_deg: turn about +y, first; the person's front turns towards +x.
        pitch_deg: turn about +x, second; the head comes nearer, as seen from above.
        roll_deg: turn about +z, last; counter-clockwise in the picture.
        distance: of the camera from the middle of the scan, normalised units.
    """
    matrix = yaw_rotation(yaw_deg)
    # Left out where they do nothing: a product with the identity loses the sign of zeros.
    if pitch_deg:
        matrix = _axis_rotation(pitch_deg, 1, 2) @ matrix
    if roll_deg:
        matrix = _axis_rotation(roll_deg, 0, 1) @ matrix
    matrix[2, 3] = -distance
    return matrix


def _axis_rotation(angle_deg: float, first: int, second: int) -> FloatArray:
    """Return the (4, 4) rotation that turns the first axis towards the second."""
    angle = np.radians(angle_deg)
    matrix = np.eye(4)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
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
    points = np.asarray(vertices, dtype=np.float64)
    areas = np.sqrt((area_vectors(points, faces) ** 2).sum(axis=0))
    total = areas.sum()
    if not total > 0.0:
        raise ValueError("faces: expected a surface with an area, got none")
    # The centre of a face is the mean of its corners, so that each has a third of its weight.
    shares = np.zeros(len(points))
    for corners in np.asarray(faces).T:
        shares += np.bincount(corners, areas, len(points))
    # No matrix product: its sums depend on the number of threads.
    centroid = (shares[:, None] * points).sum(axis=0) / (3.0 * total)
    is_used = np.zeros(len(points), dtype=bool)
    is_used[np.asarray(faces).ravel()] = True
    scale = shrink / (NORMALISATION_DIVISOR * np.abs(points[is_used] - centroid).max())
    matrix = np.eye(4) * scale
    matrix[:3, 3] = -scale * centroid
    matrix[3, 3] = 1.0
    return matrix


def transform_points(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Apply a (4, 4) affine matrix to (..., 3) points."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def project(points: FloatArray, camera: Camera) -> FloatArray:
    """Project (..., 3) camera-frame points to (..., 2) pixel coordinates."""
    flipped = points[..., :2] * np.array([1.0, -1.0])
    return flipped * camera.pixels_per_unit(-points[..., 2:3]) + camera.resolution / 2.0


def unproject(ray_distance: FloatArray, camera: Camera) -> FloatArray:
    """Return the (R, R, 3) camera-frame points of a (R, R) ray-distance map."""
    return np.asarray(ray_distance)[..., None] * camera.rays() + camera.ray_origins()


def z_depth_from_ray_distance(ray_distance: FloatArray, camera: Camera) -> FloatArray:
    """Convert a (R, R) ray-distance map to the distance from the camera plane."""
    return np.asarray(ray_distance) * -camera.rays()[..., 2]


def ray_distance_from_z_depth(z_depth: FloatArray, camera: Camera) -> FloatArray:
    """Convert a (R, R) map of distances from the camera plane to ray distances."""
    return np.asarray(z_depth) / -camera.rays()[..., 2]
