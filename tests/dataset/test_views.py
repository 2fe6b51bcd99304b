"""Turns, seeds, shrinking and joints of a scan in front of the camera."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from dataset.views import (
    border_shrink,
    joints_in_normalised_frame,
    joints_in_pixels,
    view_seed,
    yaw_angles,
)
from render.camera import Camera, camera_from_normalised, project, transform_points


def test_the_default_turns_are_seven() -> None:
    assert yaw_angles(-30, 30, 10) == (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
    assert yaw_angles(0, 0, 10) == (0.0,)
    assert yaw_angles(0, 0.3, 0.1) == pytest.approx((0.0, 0.1, 0.2, 0.3))
    assert yaw_angles(0, 25, 10) == (0.0, 10.0, 20.0)


@pytest.mark.parametrize("bad", [(0, 10, 0), (10, 0, 1), (0, 10, -1), (0, 1, 1e-3), (0, np.nan, 1)])
def test_turns_that_make_no_sense_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="angles: expected"):
        yaw_angles(*bad)


def test_view_seeds_are_the_digest_of_seed_scan_and_view() -> None:
    assert view_seed(3, "a", 1) == int(hashlib.sha256(b"3/a/1").hexdigest()[:16], 16)
    assert len({view_seed(s, i, v) for s in (0, 1) for i in "ab" for v in range(3)}) == 12


def test_a_scan_that_fits_is_not_shrunk() -> None:
    points = np.array([[0.0, 0.357, 0.1], [0.0, -0.357, 0.1], [0.2, 0.0, 0.0]])
    assert border_shrink(points, (-30.0, 0.0, 30.0), Camera(512)) == 1.0


def test_a_scan_that_touches_the_border_is_shrunk_to_the_margin_and_no_more() -> None:
    # Close to the camera: y / (1 - z) = 0.357 / 0.7 = 0.51 is above tan 25 degrees = 0.466.
    points = np.array([[0.0, 0.357, 0.3], [0.0, -0.3, 0.0], [0.1, 0.0, -0.3]])
    camera, yaws = Camera(512), (-10.0, 0.0, 10.0)
    shrink = border_shrink(points, yaws, camera)
    assert 0.8 < shrink < 1.0
    rows = [
        project(transform_points(camera_from_normalised(yaw), shrink * points), camera)
        for yaw in yaws
    ]
    assert min(view.min() for view in rows) == pytest.approx(256 / 64, abs=1e-6)


def test_a_turn_that_brings_a_point_to_the_border_counts() -> None:
    points = np.array([[0.357, 0.0, -0.1], [-0.357, 0.0, 0.1], [0.0, 0.3, 0.0]])
    assert border_shrink(points, (0.0,), Camera(512)) == 1.0
    assert border_shrink(points, (0.0, -60.0), Camera(512)) == 1.0
    near = points * np.array([1.0, 1.2, 1.0])
    near[2] = [0.0, 0.357, -0.28]
    assert border_shrink(near, (0.0,), Camera(512)) == 1.0
    assert border_shrink(near, (0.0, 180.0), Camera(512)) < 1.0


def test_joints_are_moved_and_projected_and_missing_ones_stay_zero() -> None:
    joints = np.array([[0.0, 2.0, 0.0, 0.9], [5.0, 5.0, 5.0, 0.0]])
    matrix = np.diag([0.1, 0.1, 0.1, 1.0])
    moved = joints_in_normalised_frame(joints, matrix, 2)
    assert moved.tolist() == [[0.0, 0.2, 0.0, 0.9], [0.0, 0.0, 0.0, 0.0]]
    camera = Camera(100)
    pixels = joints_in_pixels(moved, camera_from_normalised(30.0), camera)
    focal = 50 / np.tan(np.radians(25))
    assert pixels[0] == pytest.approx([50.0, 50.0 - 0.2 * focal, 0.9])
    assert pixels[1].tolist() == [0.0, 0.0, 0.0]
    assert joints_in_normalised_frame(None, matrix, 31).sum() == 0.0


def test_joints_turn_with_the_person() -> None:
    nose = np.array([[0.0, 0.0, 0.1, 1.0]])
    pixels = joints_in_pixels(nose, camera_from_normalised(30.0), Camera(100))
    assert pixels[0, 0] > 52.0  # +yaw turns the face towards +x, the right of the image
