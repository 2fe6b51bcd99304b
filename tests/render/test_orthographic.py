"""Parallel rays: what is drawn, lit and measured is where geometry says."""

from __future__ import annotations

import numpy as np
import pytest

from render.camera import (
    Camera,
    camera_from_normalised,
    project,
    ray_distance_from_z_depth,
    transform_points,
    unproject,
    z_depth_from_ray_distance,
)
from render.lights import LightRig, shade
from render.rasteriser import Rasteriser
from tests.render.shapes import draw, eroded, quad, sphere

CAMERA = Camera(128, projection="orthographic")
RADIUS = 0.3


def test_a_point_keeps_its_pixel_at_every_distance() -> None:
    camera = Camera(100, fov_deg=90.0, projection="orthographic")
    points = np.array([[0.5, 0.5, -1.0], [0.5, 0.5, -2.0], [-1.0, 1.0, -0.3]])
    # f = 50 pixels a unit: at distance 1 a perspective camera of 90 degrees shows -1..1.
    np.testing.assert_allclose(
        project(points, camera), [[75.0, 25.0], [75.0, 25.0], [0.0, 0.0]], atol=1e-9
    )
    homogeneous = np.array([points[2, 0], -points[2, 1], 1.0])
    np.testing.assert_allclose(camera.intrinsics() @ homogeneous, [0.0, 0.0, 1.0], atol=1e-9)


def test_ray_distance_is_the_distance_from_the_camera_plane_and_1_at_the_middle() -> None:
    distances = np.random.default_rng(0).uniform(0.7, 1.3, (128, 128))
    points = unproject(distances, CAMERA)
    np.testing.assert_allclose(-points[..., 2], distances)
    columns, rows = np.meshgrid(np.arange(128) + 0.5, np.arange(128) + 0.5)
    pixels = project(points, CAMERA)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1), atol=1e-9)
    np.testing.assert_array_equal(z_depth_from_ray_distance(distances, CAMERA), distances)
    np.testing.assert_array_equal(ray_distance_from_z_depth(distances, CAMERA), distances)
    middle = transform_points(camera_from_normalised(20.0), np.zeros((1, 3)))
    assert -middle[0, 2] == 1.0


def test_a_part_of_the_rays_is_the_part_of_all_rays() -> None:
    for camera in (CAMERA, Camera(128)):
        rows, columns = slice(3, 9), slice(100, 128)
        np.testing.assert_array_equal(camera.rays(rows, columns), camera.rays()[rows, columns])
        assert camera.rays(rows, columns, np.float32).dtype == np.float32
    origins = CAMERA.ray_origins(slice(3, 9), slice(100, 128))
    np.testing.assert_array_equal(origins, CAMERA.ray_origins()[3:9, 100:128])


def test_a_sphere_has_the_distances_and_normals_of_the_sphere(rasteriser: Rasteriser) -> None:
    g = draw(rasteriser, sphere(RADIUS, 5), CAMERA, camera_from_normalised(0.0))
    origins = CAMERA.ray_origins()
    squares = RADIUS**2 - origins[..., 0] ** 2 - origins[..., 1] ** 2
    np.testing.assert_array_equal((squares > 0.004) <= (g.mask > 0), True)
    np.testing.assert_array_equal((g.mask > 0) <= (squares > 0.0), True)
    inside = eroded(g.mask > 0, 4)
    half = np.sqrt(np.where(inside, squares, 0.0))
    assert np.abs(g.front.ray_distance - (1.0 - half))[inside].max() < 1e-3
    assert np.abs(g.back.ray_distance - (1.0 + half))[inside].max() < 1e-3
    for side, sign in ((g.front, 1.0), (g.back, -1.0)):
        points = unproject(side.ray_distance.astype(float), CAMERA) + [0.0, 0.0, 1.0]
        assert np.abs(side.normal - points / RADIUS)[inside].max() < 0.02
        assert (sign * side.normal[g.mask > 0][:, 2] > 0.0).all()


def test_a_plane_is_exact_in_every_pixel_and_its_texture_too(rasteriser: Rasteriser) -> None:
    corners = np.array([[-0.3, -0.3, 0.1], [0.3, -0.3, -0.2], [0.3, 0.3, -0.2], [-0.3, 0.3, 0.1]])
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[:, 32:] = 255
    g = draw(rasteriser, quad(corners, ramp), CAMERA, camera_from_normalised(0.0))
    inside = eroded(g.mask > 0, 1)
    expected = 1.0 - (-0.05 - 0.5 * CAMERA.ray_origins()[..., 0])
    assert np.abs(g.front.ray_distance - expected)[inside].max() < 1e-6
    normal = np.array([0.5, 0.0, 1.0]) / np.sqrt(1.25)
    assert np.abs(g.front.normal[inside] - normal).max() < 1e-6
    assert (g.front.albedo[inside][:, 0] > 127).mean() == pytest.approx(0.5, abs=0.02)
    columns = np.nonzero((g.front.albedo[..., 0] > 127) & inside)[1]
    assert columns.min() == 64


def test_light_falls_where_parallel_rays_meet_the_surface(rasteriser: Rasteriser) -> None:
    corners = np.array([[-0.3, -0.3, 0.0], [0.3, -0.3, 0.0], [0.3, 0.3, 0.0], [-0.3, 0.3, 0.0]])
    white = np.full((2, 2, 3), 255, np.uint8)
    g = draw(rasteriser, quad(corners, white), CAMERA, camera_from_normalised(0.0))
    # A light straight in front of one point: the cosine there is 1, elsewhere h / distance.
    rig = LightRig(np.zeros(3), np.array([[0.2, 0.1, -0.5]]), np.full((1, 3), 0.5))
    lit = shade(g.front, rig, CAMERA, g.mask)
    offsets = CAMERA.ray_origins()[..., :2] - [0.2, 0.1]
    cosines = 0.5 / np.sqrt(0.25 + (offsets**2).sum(axis=-1))
    linear = 0.5 * cosines
    expected = 255.0 * (1.055 * linear ** (1 / 2.4) - 0.055)
    inside = g.mask > 0
    assert np.abs(lit[..., 0] - expected)[inside].max() <= 1.0


@pytest.mark.parametrize("distance", [0.8, 2.0])
def test_a_camera_farther_away_sees_the_same_picture_with_larger_distances(
    rasteriser: Rasteriser, distance: float
) -> None:
    mesh = sphere(RADIUS, 3)
    near = draw(rasteriser, mesh, CAMERA, camera_from_normalised(10.0))
    far = draw(rasteriser, mesh, CAMERA, camera_from_normalised(10.0, distance=distance))
    np.testing.assert_array_equal(near.mask, far.mask)
    moved = (far.front.ray_distance - near.front.ray_distance)[near.mask > 0]
    assert moved == pytest.approx(distance - 1.0, abs=3e-6)
