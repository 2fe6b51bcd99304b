"""Depth, normals and joints follow the picture into another framing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dataset.augment import Geometry
from dataset.augment.reframing import (
    Similarity,
    draw_similarity,
    mirror_geometry,
    reframe_geometry,
    reframe_image,
)
from dataset.joints import JOINT_COUNT
from render.camera import Camera, project, ray_distance_from_z_depth, z_depth_from_ray_distance

SIZE = 128
CAMERA = Camera(SIZE)
CHANGE = Similarity(scale=1.1, turn_deg=4.0, shift=(0.03, -0.02))


def sphere(centre: tuple[float, float, float], radius: float) -> tuple[NDArray, NDArray]:
    """Return (2, R, R) ray distances and (2, R, R, 3) outward normals of a sphere."""
    rays = CAMERA.rays()
    along = rays @ np.array(centre)
    inside = along**2 - (np.dot(centre, centre) - radius**2)
    root = np.sqrt(np.maximum(inside, 0.0))
    distance = np.stack([along - root, along + root]) * (inside > 0)
    normals = (distance[..., None] * rays - np.array(centre)) / radius
    return distance, normals * (inside > 0)[..., None]


def geometry(distance: NDArray, normals: NDArray | None = None) -> Geometry:
    joints = np.zeros((JOINT_COUNT, 3), dtype=np.float32)
    joints[3] = 70.0, 50.0, 1.0
    window = slice(16, 112), slice(20, 100)
    cut = (slice(None), *window)
    return Geometry(
        resolution=SIZE,
        window=window,
        ray_distance=distance[cut].astype(np.float32),
        reliable=distance[cut][0] > 0,
        joints=joints,
        normals=None if normals is None else normals[cut].astype(np.float32),
    )


def whole(part: NDArray, window: tuple[slice, slice]) -> NDArray:
    frame = np.zeros((part.shape[0], SIZE, SIZE, *part.shape[3:]))
    frame[(slice(None), *window)] = part
    return frame


def test_a_plane_through_the_middle_that_faces_the_camera_stays_where_it_is() -> None:
    plane = ray_distance_from_z_depth(np.ones((SIZE, SIZE)), CAMERA)
    moved = reframe_geometry(geometry(np.stack([plane, plane])), CHANGE)
    z_depth = z_depth_from_ray_distance(whole(moved.ray_distance, moved.window)[0], CAMERA)
    assert (z_depth > 0).sum() > 0.9 * 96 * 80
    assert z_depth[z_depth > 0] == pytest.approx(1.0, abs=1e-6)


def test_relief_grows_with_the_size_and_a_shift_alone_keeps_z_depth() -> None:
    plane = ray_distance_from_z_depth(np.full((SIZE, SIZE), 0.9), CAMERA)
    for scale, expected in ((1.1, 0.89), (0.9, 0.91), (1.0, 0.9)):
        moved = reframe_geometry(
            geometry(np.stack([plane, plane])), Similarity(scale=scale, shift=(0.02, 0.03))
        )
        z_depth = z_depth_from_ray_distance(whole(moved.ray_distance, moved.window)[0], CAMERA)
        assert z_depth[z_depth > 0] == pytest.approx(expected, abs=1e-6)


def test_an_enlarged_moved_sphere_is_nearly_that_sphere_enlarged_and_moved() -> None:
    distance, normals = sphere((0.0, 0.0, -1.0), 0.2)
    moved = reframe_geometry(geometry(distance, normals), Similarity(scale=1.1, shift=(0.03, 0.0)))
    width = SIZE / CAMERA.focal_px
    expected, _ = sphere((0.03 * width, 0.0, -1.0), 0.22)
    found = whole(moved.ray_distance, moved.window)
    both = (found[0] > 0) & (expected[0] > 0)
    assert both.sum() > 0.93 * (expected[0] > 0).sum()
    inner = sphere((0.03 * width, 0.0, -1.0), 0.15)[0][0] > 0
    error = np.abs(found - expected)[:, inner]
    # Unchanged depth would be 0.02 off; what is left is the distortion of second order.
    assert error.max() < 0.007 and error.mean() < 0.003


def test_normals_stay_perpendicular_to_the_surface() -> None:
    distance, normals = sphere((0.02, 0.05, -1.02), 0.2)
    moved = reframe_geometry(geometry(distance, normals), CHANGE)
    assert moved.normals is not None
    points = whole(moved.ray_distance, moved.window)[..., None] * CAMERA.rays()
    found = whole(moved.normals, moved.window)
    known = found.any(axis=-1)
    inner = known.copy()
    for axis in (1, 2):
        for step in (-6, 6):
            inner &= np.roll(known, step, axis=axis)
    assert inner[0].sum() > 800
    across = np.roll(points, -1, axis=2) - np.roll(points, 1, axis=2)
    down = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    perpendicular = np.cross(down, across)
    perpendicular /= np.maximum(np.linalg.norm(perpendicular, axis=-1, keepdims=True), 1e-9)
    perpendicular[1] *= -1.0  # out of the body, on the back away from the camera
    angles = np.degrees(np.arccos(np.clip((perpendicular * found).sum(-1), -1, 1)))[inner]
    assert np.median(angles) < 0.3 and np.percentile(angles, 99) < 2.0
    assert np.linalg.norm(found[known], axis=-1) == pytest.approx(1.0, abs=1e-5)


def test_joints_move_with_the_picture() -> None:
    distance, _ = sphere((0.0, 0.0, -1.0), 0.2)
    before = geometry(distance)
    moved = reframe_geometry(before, CHANGE)
    # (70, 50) is (6, 14 up) from the middle; turned by 4 degrees, times 1.1, shifted.
    angle = np.radians(4.0)
    right = 6 * np.cos(angle) - 14 * np.sin(angle)
    up = 6 * np.sin(angle) + 14 * np.cos(angle)
    expected = [64 + 1.1 * right + 0.03 * 128, 64 - 1.1 * up - 0.02 * 128]
    assert moved.joints[3].tolist() == pytest.approx([*expected, 1.0], abs=1e-4)
    assert not np.delete(moved.joints, 3, axis=0).any()
    dot = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    dot[48:52, 68:72] = 255  # centred on (70, 50)
    rows, columns = np.nonzero(reframe_image(dot, CHANGE)[..., 0] > 100)
    assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx(expected, abs=0.2)


def test_a_point_in_the_middle_plane_is_seen_where_the_picture_shows_it() -> None:
    point = np.array([0.1, 0.2, -1.0])
    turned = np.eye(3)
    turned[:2, :2] = CHANGE.rotation
    width = SIZE / CAMERA.focal_px
    moved = turned @ (point * [1.1, 1.1, 1.0]) + [0.03 * width, 0.02 * width, 0.0]
    matrix = CHANGE.matrix(SIZE)
    expected = matrix[:, :2] @ project(point, CAMERA) + matrix[:, 2]
    assert project(moved, CAMERA) == pytest.approx(expected, abs=1e-9)


def test_depth_is_not_mixed_across_the_edge_of_a_near_limb() -> None:
    distance = ray_distance_from_z_depth(np.full((SIZE, SIZE), 1.05), CAMERA)
    limb = ray_distance_from_z_depth(np.full((SIZE, SIZE), 0.9), CAMERA)
    distance[:, 60:70] = limb[:, 60:70]
    moved = reframe_geometry(geometry(np.stack([distance, distance])), CHANGE)
    z_depth = z_depth_from_ray_distance(whole(moved.ray_distance, moved.window)[0], CAMERA)
    levels = z_depth[z_depth > 0]
    near, far = np.abs(levels - (1 - 0.11)) < 1e-5, np.abs(levels - (1 + 0.055)) < 1e-5
    assert near.any() and far.any()
    assert (near | far).mean() > 0.97


def test_draws_stay_within_their_limits_and_fill_them() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_similarity(0.1, 0.03, 5.0, rng) for _ in range(400)]
    for values, limit in (
        ([each.scale - 1.0 for each in drawn], 0.1),
        ([each.turn_deg for each in drawn], 5.0),
        ([each.shift[0] for each in drawn], 0.03),
        ([each.shift[1] for each in drawn], 0.03),
    ):
        assert -limit <= min(values) < -0.9 * limit and 0.9 * limit < max(values) <= limit


def test_mirrored_twice_is_as_before_and_once_turns_normals_to_the_other_side() -> None:
    distance, normals = sphere((0.02, 0.05, -1.02), 0.2)
    before = geometry(distance, normals)
    once = mirror_geometry(before)
    assert once.normals is not None and before.normals is not None
    other, turned = sphere((-0.02, 0.05, -1.02), 0.2)
    assert whole(once.ray_distance, once.window) == pytest.approx(other, abs=1e-6)
    assert whole(once.normals, once.window) == pytest.approx(turned, abs=1e-5)
    twice = mirror_geometry(once)
    assert np.array_equal(twice.normals, before.normals)  # type: ignore[arg-type]
    assert np.array_equal(twice.joints, before.joints) and twice.window == before.window
