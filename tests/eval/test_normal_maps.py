"""Rendered normals: known turns, known tilts, identical and disjoint bodies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import trimesh

from eval.metrics import normal_error_rad
from eval.normal_maps import NormalRenderer, NormalViews, normalised_from_cm, turned_poses
from eval.surfaces import Surface
from render.camera import camera_from_normalised

TO_NORMALISED = normalised_from_cm(np.diag([0.25, 0.25, 0.25, 1.0]), unit_cm=100.0)
FACING = camera_from_normalised(0.0)


@pytest.fixture(scope="module")
def renderer() -> Iterator[NormalRenderer]:
    with NormalRenderer(96) as shared:
        yield shared


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Surface:
    mesh = trimesh.creation.box(bounds=[low, high])
    mesh.unmerge_vertices()
    return Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def four_sides(renderer: NormalRenderer, surface: Surface) -> NormalViews:
    with renderer.loaded(surface, TO_NORMALISED) as body:
        return renderer.four_sides(body, FACING)


def error(first: NormalViews, second: NormalViews) -> float:
    return normal_error_rad(first.normals, first.masks, second.normals, second.masks).mean_rad


def test_a_metre_scan_unit_becomes_centimetres_first() -> None:
    point = TO_NORMALISED @ np.array([100.0, 0, 0, 1])
    np.testing.assert_allclose(point, [0.25, 0, 0, 1])


def test_the_four_turns_show_front_left_back_and_right_of_the_person() -> None:
    # +yaw turns the front towards +x; a camera at +z then sees the person's right side (-x).
    camera = np.array([0, 0, 1.0])
    seen = [pose[:3, :3].T @ camera for pose in turned_poses(FACING)]
    expected = [[0, 0, 1], [-1, 0, 0], [0, 0, -1], [1, 0, 0]]
    np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_turns_start_at_the_yaw_of_the_input_view() -> None:
    np.testing.assert_allclose(
        turned_poses(camera_from_normalised(-20.0))[1], camera_from_normalised(70.0), atol=1e-12
    )


def test_every_face_of_a_box_faces_the_camera_in_its_own_turn(renderer: NormalRenderer) -> None:
    views = four_sides(renderer, box((-20, -50, -20), (20, 50, 20)))
    middle = views.normals[:, 48, 48]
    np.testing.assert_allclose(middle, np.tile([0, 0, 1], (4, 1)), atol=1e-3)


def test_the_same_body_scores_exactly_zero(renderer: NormalRenderer) -> None:
    body = box((-20, -50, -20), (20, 50, 20))
    first = four_sides(renderer, body)
    assert error(first, four_sides(renderer, body)) == 0.0


def test_bodies_beside_each_other_score_a_right_angle(renderer: NormalRenderer) -> None:
    above, below = box((-20, 20, -20), (20, 60, 20)), box((-20, -60, -20), (20, -20, 20))
    views = [four_sides(renderer, body) for body in (above, below)]
    assert error(*views) == pytest.approx(np.pi / 2)


def test_a_tilted_card_scores_its_tilt(renderer: NormalRenderer) -> None:
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


def test_both_sides_point_out_of_the_body(renderer: NormalRenderer) -> None:
    with renderer.loaded(box((-20, -50, -20), (20, 50, 20)), TO_NORMALISED) as body:
        sides = renderer.both_sides(body, FACING)
    assert sides.mask[48, 48] and not sides.mask[0, 0]
    np.testing.assert_allclose(sides.front[48, 48], [0, 0, 1], atol=1e-3)
    np.testing.assert_allclose(sides.back[48, 48], [0, 0, -1], atol=1e-3)
