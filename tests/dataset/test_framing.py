"""Photographs are framed as training views are."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.framing import Framing, frame_person, silhouette_of_joints
from dataset.views import View
from render.camera import Camera, normalised_from_scan, transform_points
from render.errors import UserInputError
from render.mesh import Mesh
from render.rasteriser import render_gbuffer
from tests.model.conftest import standing_joints
from tests.scenes import body


def test_a_training_view_is_framed_as_it_is() -> None:
    vertices, _, faces = body()
    mesh = Mesh.from_arrays(
        transform_points(normalised_from_scan(vertices, faces), vertices), faces
    )
    view = View(camera=Camera(256))
    mask = render_gbuffer(mesh, view.camera, view.pose, "front").mask > 0
    whole = frame_person(mask, 256)
    assert whole.side == pytest.approx(256, rel=0.06)
    assert abs(whole.left) < 8 and abs(whole.top) < 10

    # In a photograph twice as large and elsewhere, the frame is the same picture again.
    large = np.zeros((900, 700), dtype=bool)
    large[300:812, 100:612] = mask.repeat(2, axis=0).repeat(2, axis=1)
    framing = frame_person(large, 256)
    assert framing.side == pytest.approx(2 * whole.side, abs=1)
    assert framing.left - 100 == pytest.approx(2 * whole.left, abs=2)
    assert framing.top - 300 == pytest.approx(2 * whole.top, abs=2)


def test_cutting_by_hand_reduces_exactly_and_carries_edges_on() -> None:
    picture = 2 * np.arange(48, dtype=np.uint8).reshape(6, 8)
    framing = Framing(left=2, top=1, side=4, resolution=2)
    assert framing.cut(picture).tolist() == [[29, 33], [61, 65]]  # means of 2 x 2 pixels
    beyond = Framing(left=-2, top=0, side=4, resolution=4)
    assert beyond.cut(picture)[0].tolist() == [0, 0, 0, 2]
    assert beyond.cut(picture + np.uint8(1), fill=0)[0].tolist() == [0, 0, 1, 3]
    points = framing.points(np.array([[2.0, 1.0], [6.0, 5.0], [3.0, 4.0]]))
    assert points.tolist() == [[0.0, 0.0], [2.0, 2.0], [0.5, 1.5]]


def test_joints_move_with_the_frame_and_missing_ones_stay_zero() -> None:
    joints = np.zeros((31, 3))
    joints[4] = 10.0, 20.0, 0.5
    moved = Framing(left=4, top=8, side=12, resolution=6).joints(joints)
    assert moved[4].tolist() == [3.0, 6.0, 0.5] and not moved[:4].any()


def test_joints_at_one_point_have_no_silhouette() -> None:
    joints = np.ones((31, 3))
    with pytest.raises(UserInputError, match="all joints at one point"):
        silhouette_of_joints(joints, (64, 64))
    with pytest.raises(ValueError, match="expected a person, got none"):
        frame_person(np.zeros((8, 8), dtype=bool), 128)


def test_a_silhouette_of_joints_is_a_body_around_them() -> None:
    joints = standing_joints(400)
    inside = silhouette_of_joints(joints, (400, 400))
    rows, columns = joints[:, 1].astype(int), joints[:, 0].astype(int)
    assert inside[rows, columns].mean() > 0.9
    assert not inside[:40].any() and not inside[360:].any() and not inside[:, :80].any()
    assert 0.05 < inside.mean() < 0.2
