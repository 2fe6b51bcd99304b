"""The rasteriser sees what rays see: a whole person, against Embree, for both sides."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from render.camera import (
    CAMERA_DISTANCE,
    Camera,
    camera_from_normalised,
    normalised_from_scan,
    transform_points,
)
from render.mesh import Mesh
from render.rasteriser import Rasteriser
from tests.dataset.people_fixtures import person
from tests.render.shapes import draw

CAMERA = Camera(256)
BEHIND = 2.0 * CAMERA_DISTANCE
"""Ray distance from where rays are sent back to find the farthest surface."""

DEPTH_EDGE = 0.02
"""Step between neighbouring pixels, five pixels wide, where rounding may pick another surface."""


def cast(
    solid: trimesh.Trimesh, origins: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (R, R) distance of the first surface on each ray, infinity where there is none."""
    flat_origins, flat = origins.reshape(-1, 3), directions.reshape(-1, 3)
    triangle = np.asarray(solid.ray.intersects_first(flat_origins, flat))
    hit = triangle >= 0
    # Embree says which triangle, in single precision; where on it is worked out in double.
    corners = solid.triangles[triangle[hit]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    along = ((corners[:, 0] - flat_origins[hit]) * normals).sum(axis=1)
    distance = np.full(len(flat), np.inf)
    distance[hit] = along / (flat[hit] * normals).sum(axis=1)
    return distance.reshape(origins.shape[:-1])


def steepest_step(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per pixel the largest difference to its eight neighbours; no number at the rim."""
    padded = np.pad(distance, 1, mode="edge")
    size = len(distance)
    shifted = [padded[i : i + size, j : j + size] for i in range(3) for j in range(3)]
    with np.errstate(invalid="ignore"):
        return np.max([np.abs(each - distance) for each in shifted], axis=0)


@pytest.mark.parametrize(("seed", "yaw_deg"), [(0, 20.0), (6, -30.0)])
def test_a_person_has_the_distances_and_outline_that_ray_casting_finds(
    rasteriser: Rasteriser, seed: int, yaw_deg: float
) -> None:
    pytest.importorskip("embreex", reason="Embree has no package for this processor")
    made = person(seed)[1].mesh
    matrix = normalised_from_scan(made.vertices, made.faces)
    pose = camera_from_normalised(yaw_deg)
    vertices = transform_points(matrix, made.vertices)
    g = draw(rasteriser, Mesh.from_arrays(vertices, made.faces), CAMERA, pose)

    solid = trimesh.Trimesh(transform_points(pose, vertices), made.faces, process=False)
    assert type(solid.ray).__module__.endswith("ray_pyembree")
    rays = CAMERA.rays()
    front = cast(solid, np.zeros_like(rays), rays)
    back = BEHIND - cast(solid, BEHIND * rays, -rays)
    hit = np.isfinite(front)
    mask = g.mask > 0
    # Pixels are decided at their centres on both sides: only rays that graze an edge can differ.
    assert (hit & mask).sum() / (hit | mask).sum() >= 0.999
    for side, expected in ((g.front, front), (g.back, back)):
        smooth = hit & mask & (steepest_step(expected) < DEPTH_EDGE)
        assert smooth.sum() > 0.75 * hit.sum()
        assert (np.abs(side.ray_distance - expected)[smooth] < 1e-5).mean() >= 0.999
