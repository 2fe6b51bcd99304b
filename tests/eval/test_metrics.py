"""Metrics against shapes whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from eval.metrics import (
    chamfer_cm,
    normal_error_rad,
    normal_l2,
    occupancy,
    p2s_pred_to_scan_cm,
    p2s_scan_to_pred_cm,
    volumetric_iou,
    voxel_pitch_cm,
)
from eval.surfaces import MetricError, Surface


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def surface(mesh: trimesh.Trimesh) -> Surface:
    return Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def sphere(radius_cm: float) -> Surface:
    return surface(trimesh.creation.icosphere(subdivisions=5, radius=radius_cm))


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Surface:
    return surface(trimesh.creation.box(bounds=[low, high]))


def square(height: float) -> Surface:
    corners = np.array([[0, 0, height], [10, 0, height], [10, 10, height], [0, 10, height]])
    return Surface(corners, np.array([[0, 1, 2], [0, 2, 3]]))


def test_concentric_spheres_are_their_radius_difference_apart_in_both_directions() -> None:
    small, large = sphere(9.0), sphere(10.0)
    forth = p2s_pred_to_scan_cm(small, large, rng())
    back = p2s_scan_to_pred_cm(small, large, rng())
    assert forth.value == pytest.approx(1.0, abs=0.01)
    assert back.value == pytest.approx(1.0, abs=0.01)
    assert chamfer_cm(forth, back).value == (forth.value + back.value) / 2
    assert forth.samples == 10_000


def test_shifted_planes_are_their_shift_apart() -> None:
    assert p2s_pred_to_scan_cm(square(0.0), square(2.5), rng(), 100).value == pytest.approx(2.5)


def test_distance_goes_to_the_surface_and_not_to_the_nearest_vertex_or_sample() -> None:
    centre = np.array([[5.0, 5.0, 1.0]])
    assert square(0.0).distances(centre)[0] == pytest.approx(1.0, abs=1e-12)


def test_p2s_of_half_a_sphere_is_zero_and_the_other_direction_is_not() -> None:
    whole = trimesh.creation.icosphere(subdivisions=5, radius=10.0)
    half = whole.copy()
    half.update_faces(whole.triangles_center[:, 2] > 0)
    scan, prediction = surface(whole), surface(half)
    assert p2s_pred_to_scan_cm(prediction, scan, rng()).value < 1e-9
    # Distance from a point at polar angle t below the rim to the rim is 2 r sin((t - 90) / 2);
    # its mean over the lower half is r * integral_0^1 sqrt(2 - 2 sqrt(1 - u^2)) du = 0.552 r,
    # and the upper half is 0.
    u = (np.arange(100_000) + 0.5) / 100_000
    expected = 10.0 * np.sqrt(2 - 2 * np.sqrt(1 - u**2)).mean() / 2
    assert p2s_scan_to_pred_cm(prediction, scan, rng()).value == pytest.approx(expected, rel=0.03)


def test_samples_are_uniform_over_area_whatever_the_triangles() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [10, 0, 0], [10, 1, 0.0]])
    strip = Surface(corners, np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]]))
    points = strip.sample(40_000, rng())
    assert points[:, 0].mean() == pytest.approx(5.0, abs=0.05)
    assert (points[:, 0] < 1).mean() == pytest.approx(0.1, abs=0.01)
    assert points[:, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_same_seed_gives_the_same_distance_and_inputs_stay_as_they_were() -> None:
    small, large = sphere(9.0), sphere(10.0)
    before = small.vertices.copy()
    first = p2s_pred_to_scan_cm(small, large, rng(), 50)
    assert p2s_pred_to_scan_cm(small, large, rng(), 50) == first
    np.testing.assert_array_equal(small.vertices, before)


def test_iou_of_boxes_shifted_by_half_is_one_third() -> None:
    scan, shifted = box((0, 0, 0), (8, 8, 8)), box((4, 0, 0), (12, 8, 8))
    measured = volumetric_iou(shifted, scan, voxels=16)
    assert measured.value == pytest.approx(1 / 3, abs=1e-12)
    assert measured.samples == 16**3 * 3 // 2


def test_iou_of_a_box_inside_a_box_is_the_ratio_of_volumes() -> None:
    inner, outer = box((-2, -2, -2), (2, 2, 2)), box((-4, -4, -4), (4, 4, 4))
    assert volumetric_iou(inner, outer, voxels=32).value == pytest.approx(1 / 8)
    assert volumetric_iou(outer, inner, voxels=32).value == pytest.approx(1 / 8)


def test_iou_is_zero_for_disjoint_and_one_for_equal_boxes() -> None:
    scan = box((0, 0, 0), (2, 2, 2))
    assert volumetric_iou(box((50, 50, 50), (52, 52, 52)), scan, voxels=16).value == 0.0
    assert volumetric_iou(scan, scan, voxels=16).value == 1.0


def test_iou_hardly_changes_when_the_scan_has_holes() -> None:
    whole = trimesh.creation.icosphere(subdivisions=4, radius=10.0)
    holed = whole.copy()
    holes = np.array([[10.0, 0, 0], [0, -10.0, 0]])
    distance = np.linalg.norm(whole.triangles_center[:, None] - holes, axis=-1).min(axis=1)
    holed.update_faces(distance > 2.5)
    assert 0.01 < 1 - len(holed.faces) / len(whole.faces) < 0.1
    assert volumetric_iou(surface(whole), surface(holed), voxels=48).value > 0.98


def test_a_surface_turned_inside_out_has_the_same_volume() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=10.0)
    turned = Surface(np.asarray(ball.vertices), np.asarray(ball.faces)[:, ::-1])
    assert volumetric_iou(turned, surface(ball), voxels=32).value == 1.0


def test_volume_of_a_sphere_is_found_by_the_voxels() -> None:
    ball = sphere(10.0)
    pitch = voxel_pitch_cm(ball, 64)
    volume = occupancy(ball, pitch).inside.sum() * pitch**3
    assert volume == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)


def test_a_known_voxel_cache_gives_the_same_iou_and_a_wrong_one_is_refused() -> None:
    scan, shifted = box((0, 0, 0), (8, 8, 8)), box((4, 0, 0), (12, 8, 8))
    cached = occupancy(scan, voxel_pitch_cm(scan, 16))
    assert volumetric_iou(shifted, scan, 16, cached) == volumetric_iou(shifted, scan, 16)
    with pytest.raises(ValueError, match="pitch"):
        volumetric_iou(shifted, scan, 8, cached)


def maps(normal: tuple[float, float, float], columns: slice) -> tuple[np.ndarray, np.ndarray]:
    masks = np.zeros((1, 4, 8), dtype=bool)
    masks[:, :, columns] = True
    return masks[..., None] * np.array(normal), masks


def test_normal_error_of_identical_maps_is_exactly_zero() -> None:
    normals, masks = maps((0.6, 0.0, 0.8), slice(0, 5))
    error = normal_error_rad(normals, masks, normals, masks)
    assert (error.mean_rad, error.l2, error.pixels) == (0.0, 0.0, 20)


def test_normal_error_of_disjoint_silhouettes_is_a_right_angle() -> None:
    error = normal_error_rad(*maps((0, 0, 1), slice(0, 4)), *maps((0, 0, 1), slice(4, 8)))
    assert error.mean_rad == pytest.approx(np.pi / 2)
    assert error.l2 == 1.0
    assert error.pixels == 32


@pytest.mark.parametrize("tilt_deg", [0.001, 10.0, 90.0, 179.0])
def test_normal_error_is_the_tilt_between_two_planes(tilt_deg: float) -> None:
    tilt = np.radians(tilt_deg)
    error = normal_error_rad(
        *maps((0, 0, 1), slice(0, 8)), *maps((np.sin(tilt), 0, np.cos(tilt)), slice(0, 8))
    )
    assert error.mean_rad == pytest.approx(tilt, rel=1e-6)
    assert normal_l2(error).value == pytest.approx(4 * np.sin(tilt / 2) ** 2, rel=1e-6)


def test_one_sided_pixels_and_opposite_normals_average_over_the_union() -> None:
    # 4 columns of the union: one agrees (0), two are opposite (pi), one is one-sided (pi/2).
    normals, masks = maps((0, 0, 1), slice(0, 4))
    other = normals.copy()
    other[:, :, 1:3] *= -1
    cut = masks.copy()
    cut[:, :, 3] = False
    error = normal_error_rad(normals, masks, other, cut)
    assert error.mean_rad == pytest.approx((0 + 2 * np.pi + np.pi / 2) / 4)
    assert error.l2 == pytest.approx((0 + 2 * 4 + 1) / 4)


def test_views_with_more_pixels_weigh_more_and_are_listed_one_by_one() -> None:
    flat, wide = maps((0, 0, 1), slice(0, 6))
    side, narrow = maps((1, 0, 0), slice(0, 2))
    normals, masks = np.concatenate([flat, side]), np.concatenate([wide, narrow])
    error = normal_error_rad(normals, masks, masks[..., None] * np.array([0, 0, 1.0]), masks)
    assert error.per_view_rad == pytest.approx((0.0, np.pi / 2))
    assert error.mean_rad == pytest.approx(np.pi / 2 * 8 / 32)


def test_normals_without_length_or_without_silhouette_raise() -> None:
    normals, masks = maps((0, 0, 1), slice(0, 4))
    for bad in (np.nan, 0.0):
        with pytest.raises(MetricError, match="normals"):
            normal_error_rad(normals * bad, masks, normals, masks)
    with pytest.raises(MetricError, match="silhouettes"):
        normal_error_rad(normals, masks & False, normals, masks & False)
    with pytest.raises(ValueError, match="expected one"):
        normal_error_rad(normals[:, :2], masks, normals, masks)


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "at least one face"),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]]), "finite"),
        (np.eye(3), np.array([[0, 1, 3]]), "indices"),
        (np.ones((3, 3)), np.array([[0, 1, 2]]), "area"),
        (np.zeros((3, 2)), np.array([[0, 1, 2]]), "vertices"),
    ],
)
def test_surfaces_that_cannot_be_measured_raise(
    vertices: np.ndarray, faces: np.ndarray, message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        Surface(vertices, faces)


def test_volumes_that_no_voxel_sees_raise_instead_of_scoring() -> None:
    flat = square(0.3)
    with pytest.raises(MetricError, match="volumes"):
        volumetric_iou(flat, flat, voxels=4)


def test_zero_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        p2s_pred_to_scan_cm(square(0), square(1), rng(), 0)
