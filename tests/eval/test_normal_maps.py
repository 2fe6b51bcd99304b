"""Rendered normals: known turns, known tilts, identical and disjoint bodies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import trimesh

from eval.normal_maps import (
    NormalViews,
    SurfaceRenderer,
    framed_from_cm,
    normalised_from_cm,
    turned_cameras,
)
from eval.normals import normal_error_rad
from eval.surfaces import Surface
from render.camera import Camera, camera_from_normalised, transform_points, yaw_rotation

TO_NORMALISED = normalised_from_cm(np.diag([0.25, 0.25, 0.25, 1.0]), unit_cm=100.0)
FRAME = np.diag([0.01, 0.01, 0.01, 1.0])
FACING = np.eye(3)


@pytest.fixture(scope="module")
def renderer() -> Iterator[SurfaceRenderer]:
    with SurfaceRenderer(96) as shared:
        yield shared


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Surface:
    mesh = trimesh.creation.box(bounds=[low, high])
    mesh.unmerge_vertices()
    return Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def four_sides(renderer: SurfaceRenderer, surface: Surface) -> NormalViews:
    with renderer.loaded(surface, FRAME) as body:
        return renderer.four_sides(body, FACING)


def error(first: NormalViews, second: NormalViews) -> float:
    return normal_error_rad(first.normals, first.masks, second.normals, second.masks).mean_rad


def test_a_metre_scan_unit_becomes_centimetres_first() -> None:
    point = TO_NORMALISED @ np.array([100.0, 0, 0, 1])
    np.testing.assert_allclose(point, [0.25, 0, 0, 1])


def test_the_four_turns_show_front_left_back_and_right_of_the_person() -> None:
    # +yaw turns the front towards +x; a camera at +z then sees the person's right side (-x).
    camera = np.array([0, 0, 1.0])
    seen = [pose[:3, :3].T @ camera for pose in turned_cameras(FACING)]
    expected = [[0, 0, 1], [-1, 0, 0], [0, 0, -1], [1, 0, 0]]
    np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_turns_start_at_the_yaw_of_the_input_view() -> None:
    turned = turned_cameras(yaw_rotation(-20.0)[:3, :3])[1]
    np.testing.assert_allclose(turned[:3, :3], yaw_rotation(70.0)[:3, :3], atol=1e-12)


def test_a_scan_is_framed_as_icon_renders_it_wherever_it_stands() -> None:
    # 180 cm fill 1.8 / 1.024 of 2, from the feet to the head.
    scan = box((10, 0, 30), (60, 180, 50))
    framed = transform_points(framed_from_cm(scan), scan.vertices)
    np.testing.assert_allclose(np.ptp(framed, axis=0)[1], 1.8 / 1.024)
    np.testing.assert_allclose((framed.min(axis=0) + framed.max(axis=0)) / 2, 0, atol=1e-12)


def test_a_body_wider_than_tall_fits_into_every_turn(renderer: SurfaceRenderer) -> None:
    lying = box((-100, 0, -20), (100, 30, 20))
    with renderer.loaded(lying, framed_from_cm(lying)) as body:
        masks = renderer.four_sides(body, yaw_rotation(11.0)[:3, :3]).masks
    assert masks.any(axis=(1, 2)).all()
    assert not masks[:, :, [0, -1]].any() and not masks[:, [0, -1]].any()


def test_views_are_orthographic(renderer: SurfaceRenderer) -> None:
    # A pinhole would show the near end of the bar wider than the far one behind it.
    views = four_sides(renderer, box((-20, -50, -80), (20, 50, 80)))
    assert views.masks[0, 48].sum() == pytest.approx(0.4 / 2 * 96, abs=1)


def test_a_close_up_enlarges_around_its_centre(renderer: SurfaceRenderer) -> None:
    small = box((28, 58, -2), (32, 62, 2))
    with renderer.loaded(small, FRAME) as body:
        near = renderer.close_up(body, FACING, np.array([30.0, 60.0, 0.0]), 8.0)
    assert near.masks.shape[0] == 1
    rows, columns = np.nonzero(near.masks[0])
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(48, abs=1)
    assert columns.max() - columns.min() + 1 == pytest.approx(96 * 4 / 16, abs=1)


def test_paint_is_seen_from_its_own_side(renderer: SurfaceRenderer) -> None:
    body_box = box((-20, -50, -20), (20, 50, 20))
    red = np.zeros((len(body_box.vertices), 3), dtype=np.uint8)
    red[body_box.vertices[:, 2] > 0] = (255, 0, 0)
    with renderer.loaded(body_box, FRAME, red) as body:
        painted = renderer.painted_sides(body, FACING)
    assert tuple(painted.colours[0, 48, 48]) == (255, 0, 0)
    assert tuple(painted.colours[2, 48, 48]) == (0, 0, 0)
    assert painted.views.masks[0, 48, 48]


def test_every_face_of_a_box_faces_the_camera_in_its_own_turn(renderer: SurfaceRenderer) -> None:
    views = four_sides(renderer, box((-20, -50, -20), (20, 50, 20)))
    middle = views.normals[:, 48, 48]
    np.testing.assert_allclose(middle, np.tile([0, 0, 1], (4, 1)), atol=1e-3)


def test_the_same_body_scores_exactly_zero(renderer: SurfaceRenderer) -> None:
    body = box((-20, -50, -20), (20, 50, 20))
    first = four_sides(renderer, body)
    assert error(first, four_sides(renderer, body)) == 0.0


def test_bodies_beside_each_other_score_a_right_angle(renderer: SurfaceRenderer) -> None:
    above, below = box((-20, 20, -20), (20, 60, 20)), box((-20, -60, -20), (20, -20, 20))
    views = [four_sides(renderer, body) for body in (above, below)]
    assert error(*views) == pytest.approx(np.pi / 2)


def test_a_tilted_card_scores_its_tilt(renderer: SurfaceRenderer) -> None:
    # A thin card tilted by 15 degrees about x, seen from the front and from behind only.
    card = trimesh.creation.box(bounds=[(-60, -60, -0.5), (60, 60, 0.5)])
    tilted = card.copy()
    tilted.apply_transform(trimesh.transformations.rotation_matrix(np.radians(15), [1, 0, 0]))
    views = []
    for mesh in (card, tilted):
        mesh.unmerge_vertices()
        surface = Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))
        views.append(four_sides(renderer, surface))
    for turn in (0, 2):
        np.testing.assert_allclose(
            (views[0].normals[turn, 48, 48] * views[1].normals[turn, 48, 48]).sum(),
            np.cos(np.radians(15)),
            atol=1e-3,
        )
    inside = (slice(0, None, 2), slice(40, 56), slice(40, 56))
    measured = normal_error_rad(
        views[0].normals[inside],
        views[0].masks[inside],
        views[1].normals[inside],
        views[1].masks[inside],
    )
    assert measured.mean_rad == pytest.approx(np.radians(15), abs=1e-3)


def test_a_cube_turned_by_half_a_right_angle_scores_its_turn_and_its_corners(
    renderer: SurfaceRenderer,
) -> None:
    cube = trimesh.creation.box(bounds=[(-30, -30, -30), (30, 30, 30)])
    turned = cube.copy()
    turned.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 4, [0, 1, 0]))
    views = []
    for mesh in (cube, turned):
        mesh.unmerge_vertices()
        surface = Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))
        views.append(four_sides(renderer, surface))
    # Of the turned cube's width, sqrt(2) sides, one side shows 45 degrees in every view, and
    # what sticks out counts a right angle.
    expected = (np.pi / 4 + (np.sqrt(2) - 1) * np.pi / 2) / np.sqrt(2)
    assert error(*views) == pytest.approx(expected, abs=0.01)


def test_both_sides_point_out_of_the_body(renderer: SurfaceRenderer) -> None:
    with renderer.loaded(box((-20, -50, -20), (20, 50, 20)), FRAME) as body:
        camera_from_cm = camera_from_normalised(0.0) @ TO_NORMALISED
        sides = renderer.both_sides(body, camera_from_cm, Camera(96))
    assert sides.mask[48, 48] and not sides.mask[0, 0]
    np.testing.assert_allclose(sides.front[48, 48], [0, 0, 1], atol=1e-3)
    np.testing.assert_allclose(sides.back[48, 48], [0, 0, -1], atol=1e-3)
