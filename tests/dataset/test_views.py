"""Turns, seeds, shrinking and joints of a scan in front of the camera."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from dataset.shard_codec import ShardError, encode_depth
from dataset.views import (
    CameraRanges,
    View,
    border_shrink,
    depth_shrink,
    joints_in_normalised_frame,
    joints_in_pixels,
    view_seed,
    yaw_angles,
)
from render.camera import Camera, Projection, project, transform_points
from render.errors import UserInputError


def seen_from(*yaws_deg: float, resolution: int = 512) -> list[View]:
    return [View(camera=Camera(resolution), yaw_deg=yaw) for yaw in yaws_deg]


def test_the_default_turns_are_seven() -> None:
    assert yaw_angles(-30, 30, 10) == (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
    assert yaw_angles(0, 0, 10) == (0.0,)
    assert yaw_angles(0, 0.3, 0.1) == pytest.approx((0.0, 0.1, 0.2, 0.3))
    assert yaw_angles(0, 25, 10) == (0.0, 10.0, 20.0)


def test_a_turn_that_shows_what_an_earlier_one_shows_is_left_out() -> None:
    assert yaw_angles(0, 360, 90) == (0.0, 90.0, 180.0, 270.0)
    assert yaw_angles(-180, 180, 120) == (-180.0, -60.0, 60.0)
    assert len(yaw_angles(0, 720, 1)) == 360


@pytest.mark.parametrize("bad", [(0, 10, 0), (10, 0, 1), (0, 10, -1), (0, 1, 1e-3), (0, np.nan, 1)])
def test_turns_that_make_no_sense_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="angles: expected"):
        yaw_angles(*bad)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_corners_that_a_turn_takes_too_far_behind_for_the_depth_code_come_nearer(
    projection: Projection,
) -> None:
    points = np.array([[0.35, 0.0, 0.35], [-0.35, 0.1, -0.35], [0.0, -0.35, 0.0]])
    view = View(camera=Camera(512, projection=projection), yaw_deg=-45.0)

    def depths(factor: float) -> NDArray[np.float64]:
        seen = transform_points(view.pose, points * factor)
        return -seen[:, 2] if view.camera.is_orthographic else np.linalg.norm(seen, axis=1)

    with pytest.raises(ShardError, match="expected ray distances"):
        encode_depth(depths(1.0))
    shrink = depth_shrink(points, [view])
    assert 0.9 < shrink < 0.95
    encode_depth(depths(shrink))
    assert depth_shrink(points, seen_from(0.0)) == 1.0


def test_view_seeds_are_the_digest_of_seed_scan_and_view() -> None:
    assert view_seed(3, "a", 1) == int(hashlib.sha256(b"3/a/1").hexdigest()[:16], 16)
    assert len({view_seed(s, i, v) for s in (0, 1) for i in "ab" for v in range(3)}) == 12


def test_a_scan_that_fits_is_not_shrunk() -> None:
    points = np.array([[0.0, 0.357, 0.1], [0.0, -0.357, 0.1], [0.2, 0.0, 0.0]])
    assert border_shrink(points, seen_from(-30.0, 0.0, 30.0)) == 1.0


def test_a_scan_that_touches_the_border_is_shrunk_to_the_margin_and_no_more() -> None:
    # Close to the camera: y / (1 - z) = 0.357 / 0.7 = 0.51 is above tan 25 degrees = 0.466.
    points = np.array([[0.0, 0.357, 0.3], [0.0, -0.3, 0.0], [0.1, 0.0, -0.3]])
    views = seen_from(-10.0, 0.0, 10.0)
    shrink = border_shrink(points, views)
    assert 0.8 < shrink < 1.0
    rows = [project(transform_points(view.pose, shrink * points), view.camera) for view in views]
    assert min(view.min() for view in rows) == pytest.approx(256 / 64, abs=1e-6)


def test_a_turn_that_brings_a_point_to_the_border_counts() -> None:
    points = np.array([[0.357, 0.0, -0.1], [-0.357, 0.0, 0.1], [0.0, 0.3, 0.0]])
    assert border_shrink(points, seen_from(0.0)) == 1.0
    assert border_shrink(points, seen_from(0.0, -60.0)) == 1.0
    near = points * np.array([1.0, 1.2, 1.0])
    near[2] = [0.0, 0.357, -0.28]
    assert border_shrink(near, seen_from(0.0)) == 1.0
    assert border_shrink(near, seen_from(0.0, 180.0)) < 1.0


@pytest.mark.parametrize(
    ("view", "touching"),
    [
        (View(camera=Camera(512), distance=0.8), True),
        (View(camera=Camera(512), distance=1.2), False),
        (View(camera=Camera(512, fov_deg=40.0)), True),
        (View(camera=Camera(512), pitch_deg=-60.0), False),
        (View(camera=Camera(512), roll_deg=45.0), True),
        (View(camera=Camera(512, projection="orthographic")), False),
        (View(camera=Camera(512, 38.0, "orthographic")), True),
    ],
)
def test_every_camera_has_the_whole_scan_in_its_picture(view: View, touching: bool) -> None:
    # In front of the middle, 0.36 up and to the side: 0.36 / 0.9 is 0.4 of the 0.466 there are.
    points = np.array([[0.36, 0.36, 0.1], [-0.36, 0.36, 0.1], [0.0, -0.3, 0.0]])
    shrink = border_shrink(points, seen_from(0.0) + [view])
    assert (shrink < 1.0) == touching
    pixels = project(transform_points(view.pose, shrink * points), view.camera)
    assert pixels.min() > 1.0 and pixels.max() < 511.0
    if touching:
        assert np.abs(pixels - 256.0).max() == pytest.approx(252.0, abs=1e-6)


def test_cameras_are_drawn_between_the_ends_and_the_default_is_todays() -> None:
    rng = np.random.default_rng(0)
    assert CameraRanges().draw(rng, 64, 20.0) == View(camera=Camera(64), yaw_deg=20.0)
    ranges = CameraRanges(
        pitch_deg=(-10.0, 30.0), roll_deg=(5.0, 5.0), fov_deg=(40.0, 60.0), distance=(0.9, 1.4)
    )
    views = [ranges.draw(rng, 64, 0.0) for _ in range(200)]
    for name, low, high in (("pitch_deg", -10.0, 30.0), ("distance", 0.9, 1.4)):
        drawn = np.array([getattr(view, name) for view in views])
        assert low <= drawn.min() < low + 0.05 * (high - low)
        assert high >= drawn.max() > high - 0.05 * (high - low)
    assert {view.roll_deg for view in views} == {5.0}
    assert 40.0 <= min(view.camera.fov_deg for view in views) < 41.0


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"pitch_deg": (0.0, 91.0)}, "pitch: expected LOW <= HIGH within -90 and 90, got 0 91"),
        ({"roll_deg": (10.0, -10.0)}, "roll: expected LOW <= HIGH"),
        ({"fov_deg": (0.0, 50.0)}, "fov: expected"),
        ({"distance": (0.5, 1.0)}, "distance: expected"),
        ({"distance": (1.0, np.nan)}, "distance: expected"),
        ({"projection": "orthographic", "distance": (1.0, 2.0)}, "orthographic camera"),
    ],
)
def test_camera_ranges_that_make_no_sense_are_refused(bad: dict[str, object], said: str) -> None:
    with pytest.raises(UserInputError, match=said):
        CameraRanges(**bad)  # type: ignore[arg-type]


def test_joints_are_moved_and_projected_and_missing_ones_stay_zero() -> None:
    joints = np.array([[0.0, 2.0, 0.0, 0.9], [5.0, 5.0, 5.0, 0.0]])
    matrix = np.diag([0.1, 0.1, 0.1, 1.0])
    moved = joints_in_normalised_frame(joints, matrix, 2)
    assert moved.tolist() == [[0.0, 0.2, 0.0, 0.9], [0.0, 0.0, 0.0, 0.0]]
    view = View(camera=Camera(100), yaw_deg=30.0)
    pixels = joints_in_pixels(moved, view)
    pair = joints_in_pixels(np.stack([moved, np.zeros((2, 4))]), view)
    assert pair.shape == (2, 2, 3) and np.array_equal(pair[0], pixels) and not pair[1].any()
    focal = 50 / np.tan(np.radians(25))
    assert pixels[0] == pytest.approx([50.0, 50.0 - 0.2 * focal, 0.9])
    assert pixels[1].tolist() == [0.0, 0.0, 0.0]
    assert joints_in_normalised_frame(None, matrix, 31).sum() == 0.0


def test_joints_turn_with_the_person() -> None:
    nose = np.array([[0.0, 0.0, 0.1, 1.0]])
    pixels = joints_in_pixels(nose, View(camera=Camera(100), yaw_deg=30.0))
    assert pixels[0, 0] > 52.0  # +yaw turns the face towards +x, the right of the image
