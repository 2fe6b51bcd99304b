from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dataset.joints import FILLED_CONFIDENCE, JOINT_COUNT, JOINT_INDEX, MIRRORED_JOINTS
from dataset.triangulation import triangulate
from render.camera import Camera, camera_from_normalised, project, transform_points

RESOLUTION = 512
INLIER_PX = 15.0
YAWS = range(0, 360, 45)


def joints_in_space() -> NDArray[np.float64]:
    return np.random.default_rng(4).uniform(-0.3, 0.3, (JOINT_COUNT, 3))


def projections() -> NDArray[np.float64]:
    camera = Camera(RESOLUTION)
    flip = np.diag([1.0, -1.0, -1.0])
    return np.stack([camera.intrinsics() @ flip @ camera_from_normalised(y)[:3] for y in YAWS])


def seen_joints() -> NDArray[np.float64]:
    camera = Camera(RESOLUTION)
    seen = np.ones((len(YAWS), JOINT_COUNT, 3))
    for view, yaw in enumerate(YAWS):
        points = transform_points(camera_from_normalised(yaw), joints_in_space())
        seen[view, :, :2] = project(points, camera)
    return seen


def test_views_that_agree_give_the_joints_back_exactly() -> None:
    result = triangulate(seen_joints(), projections(), INLIER_PX)
    np.testing.assert_allclose(result.joints[:, :3], joints_in_space(), atol=1e-9)
    np.testing.assert_allclose(result.joints[:, 3], 1.0)
    np.testing.assert_allclose(result.error_px, 0.0, atol=1e-6)
    assert result.views.tolist() == [len(YAWS)] * JOINT_COUNT and result.swapped == 0


def test_views_that_see_a_joint_elsewhere_are_left_out_and_counted() -> None:
    seen = seen_joints()
    nose = JOINT_INDEX["nose"]
    seen[:3, nose, :2] += 60.0
    result = triangulate(seen, projections(), INLIER_PX)
    np.testing.assert_allclose(result.joints[nose, :3], joints_in_space()[nose], atol=1e-9)
    assert result.views[nose] == len(YAWS) - 3


def test_the_error_is_the_distance_in_the_picture() -> None:
    seen = seen_joints()
    nose = JOINT_INDEX["nose"]
    # Up in one half of the views and down in the other: the point between them stays.
    seen[::2, nose, 1] += 4.0
    seen[1::2, nose, 1] -= 4.0
    result = triangulate(seen, projections(), INLIER_PX)
    assert result.error_px[nose] == pytest.approx(4.0, rel=0.03)
    assert np.linalg.norm(result.joints[nose, :3] - joints_in_space()[nose]) < 5e-3


def test_sides_that_a_view_takes_for_each_other_are_exchanged() -> None:
    seen = seen_joints()
    legs = [
        row
        for name, row in JOINT_INDEX.items()
        if name.endswith(("hip", "knee", "ankle", "toe", "heel"))
    ]
    for view in (3, 4):
        seen[view, legs] = seen_joints()[view, [MIRRORED_JOINTS[row] for row in legs]]
    result = triangulate(seen, projections(), INLIER_PX)
    assert result.swapped == 2
    assert result.views.tolist() == [len(YAWS)] * JOINT_COUNT
    np.testing.assert_allclose(result.joints[:, :3], joints_in_space(), atol=1e-9)


def test_surer_views_count_more() -> None:
    seen = seen_joints()
    nose = JOINT_INDEX["nose"]
    seen[::2, nose, 1] += 6.0
    seen[::2, nose, 2] = 0.4
    lifted = triangulate(seen, projections(), INLIER_PX).joints[nose]
    seen[:, nose, 2] = 1.0
    even = triangulate(seen, projections(), INLIER_PX).joints[nose]
    true = joints_in_space()[nose]
    assert np.linalg.norm(lifted[:3] - true) < 0.5 * np.linalg.norm(even[:3] - true)
    assert lifted[3] == pytest.approx(0.7)


def test_filled_joints_and_what_two_views_see_stay_missing() -> None:
    seen = seen_joints()
    nose, left_eye = JOINT_INDEX["nose"], JOINT_INDEX["left_eye"]
    seen[:, nose, 2] = np.float32(FILLED_CONFIDENCE)
    seen[2:, left_eye] = 0.0
    result = triangulate(seen, projections(), INLIER_PX)
    for joint in (nose, left_eye):
        assert result.joints[joint].tolist() == [0.0] * 4
        assert np.isnan(result.error_px[joint]) and result.views[joint] == 0


def test_nothing_seen_is_nothing_found() -> None:
    result = triangulate(np.zeros((8, JOINT_COUNT, 3)), projections(), INLIER_PX)
    assert not result.joints.any() and not result.views.any()
