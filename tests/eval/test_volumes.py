"""Volumes that are known by hand, with holes and flipped faces too."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from eval.surfaces import MetricError, Surface
from eval.volumes import (
    Occupancy,
    occupancy,
    self_occluded_share,
    volumetric_iou,
    voxel_pitch_cm,
)
from tests.eval.shapes import box, sphere, square, surface


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


def test_volumes_that_no_voxel_sees_raise_instead_of_scoring() -> None:
    flat = square(0.3)
    with pytest.raises(MetricError, match="volumes"):
        volumetric_iou(flat, flat, voxels=4)


def test_iou_of_concentric_spheres_is_the_ratio_of_their_volumes() -> None:
    assert volumetric_iou(sphere(8.0), sphere(10.0), voxels=48).value == pytest.approx(
        0.8**3, abs=0.006
    )


def test_iou_is_the_same_far_from_the_origin() -> None:
    small, large = sphere(8.0), sphere(10.0)
    far = [Surface(ball.vertices + 2e7, ball.faces) for ball in (small, large)]
    near = volumetric_iou(small, large, voxels=24).value
    assert volumetric_iou(*far, voxels=24).value == pytest.approx(near, abs=0.01)


def test_flipped_faces_and_holes_leave_the_known_ratio() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=10.0)
    faces = np.asarray(ball.faces).copy()
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(faces))
    faces[chosen[:40]] = faces[chosen[:40], ::-1]
    broken = Surface(
        np.asarray(ball.vertices), faces[np.delete(np.arange(len(faces)), chosen[-100:])]
    )
    assert volumetric_iou(sphere(8.0), broken, voxels=48).value == pytest.approx(0.512, abs=0.01)


def test_a_prediction_in_another_unit_is_refused_and_not_voxelised() -> None:
    with pytest.raises(MetricError, match="voxels of"):
        volumetric_iou(box((0, 0, 0), (1e4, 1e4, 1e4)), box((0, 0, 0), (1, 1, 1)), voxels=64)


def test_what_hides_behind_another_part_is_counted_once_per_ray() -> None:
    # Two slabs one behind the other, the far one half as wide: half of the rays enter twice.
    inside = np.zeros((8, 4, 9), dtype=bool)
    inside[:, :, 6:8] = True
    inside[:4, :, 1:3] = True
    voxels = Occupancy(1.0, np.zeros(3, dtype=np.int64), inside)
    assert self_occluded_share(voxels, np.eye(3)) == 0.5
    sideways = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    assert self_occluded_share(voxels, sideways) == 0.0
    with pytest.raises(MetricError, match="inside"):
        self_occluded_share(Occupancy(1.0, voxels.first, inside & False), np.eye(3))
