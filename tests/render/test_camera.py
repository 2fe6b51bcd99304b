from __future__ import annotations

import numpy as np
import pytest

from render.camera import (
    Camera,
    camera_from_normalised,
    normalised_from_scan,
    project,
    ray_distance_from_z_depth,
    transform_points,
    unproject,
    yaw_rotation,
    z_depth_from_ray_distance,
)


def test_a_point_on_the_axis_projects_to_the_middle_and_up_is_a_smaller_row() -> None:
    camera = Camera(100, fov_deg=90.0)
    points = np.array([[0.0, 0.0, -1.0], [0.5, 0.5, -1.0]])
    # f = 100 / (2 tan 45) = 50.
    np.testing.assert_allclose(project(points, camera), [[50.0, 50.0], [75.0, 25.0]])


def test_projecting_what_was_unprojected_returns_to_the_pixel_centres() -> None:
    camera = Camera(16)
    distances = np.random.default_rng(0).uniform(0.7, 1.3, (16, 16))
    pixels = project(unproject(distances, camera), camera)
    columns, rows = np.meshgrid(np.arange(16) + 0.5, np.arange(16) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1), atol=1e-9)


def test_z_depth_and_ray_distance_convert_both_ways() -> None:
    camera = Camera(9)
    distances = np.random.default_rng(1).uniform(0.7, 1.3, (9, 9))
    z_depths = z_depth_from_ray_distance(distances, camera)
    np.testing.assert_allclose(z_depths, -unproject(distances, camera)[..., 2])
    np.testing.assert_allclose(ray_distance_from_z_depth(z_depths, camera), distances)


def test_positive_yaw_turns_the_front_of_the_person_towards_plus_x() -> None:
    turned = transform_points(yaw_rotation(30.0), np.array([[0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(turned, [[0.5, 0.0, np.sqrt(0.75)]], atol=1e-12)


def test_the_centre_of_the_scan_stands_one_unit_in_front_of_the_camera() -> None:
    moved = transform_points(camera_from_normalised(20.0), np.zeros((1, 3)))
    np.testing.assert_allclose(moved, [[0.0, 0.0, -1.0]])


def test_pitch_brings_the_head_nearer_and_roll_turns_the_picture_counter_clockwise() -> None:
    head = np.array([[0.0, 0.3, 0.0]])
    from_above = transform_points(camera_from_normalised(pitch_deg=30.0), head)
    np.testing.assert_allclose(from_above, [[0.0, 0.3 * np.sqrt(0.75), -0.85]], atol=1e-12)
    rolled = transform_points(camera_from_normalised(roll_deg=90.0), head)
    np.testing.assert_allclose(rolled, [[-0.3, 0.0, -1.0]], atol=1e-12)


def test_the_scan_turns_by_yaw_then_pitch_then_roll_and_stands_at_the_distance() -> None:
    # The nose at +z: yaw 90 to +x, pitch about x leaves it there, roll 90 to +y.
    nose = np.array([[0.0, 0.0, 0.1]])
    pose = camera_from_normalised(90.0, 40.0, 90.0, distance=1.5)
    np.testing.assert_allclose(transform_points(pose, nose), [[0.0, 0.1, -1.5]], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [{"fov_deg": 180.0}, {"projection": "fisheye"}, {"resolution": 0}])
def test_cameras_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(bad))}: expected"):
        Camera(**{"resolution": 8, **bad})  # type: ignore[arg-type]


def test_normalisation_centres_on_area_and_makes_the_largest_coordinate_1_over_2_8() -> None:
    # A 2 x 1 rectangle, one half of it cut into many triangles: area counts, vertices do not.
    vertices = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0], [0.5, 0, 0]], dtype=float)
    faces = np.array([[0, 4, 3], [4, 2, 3], [4, 1, 2]])
    matrix = normalised_from_scan(vertices, faces)
    moved = transform_points(matrix, vertices)
    assert np.abs(moved).max() == pytest.approx(1.0 / 2.8)
    np.testing.assert_allclose(moved[0], [-1 / 2.8, -0.5 / 2.8, 0.0], atol=1e-12)


def test_a_shrunk_scan_is_smaller_about_the_same_centre() -> None:
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 1, 0]], dtype=float)
    faces = np.array([[0, 1, 2]])
    whole = transform_points(normalised_from_scan(vertices, faces), vertices)
    small = transform_points(normalised_from_scan(vertices, faces, shrink=0.9), vertices)
    np.testing.assert_allclose(small, whole * 0.9, atol=1e-12)


def test_a_surface_without_area_has_no_normalisation() -> None:
    with pytest.raises(ValueError, match="area"):
        normalised_from_scan(np.zeros((3, 3)), np.array([[0, 1, 2]]))
