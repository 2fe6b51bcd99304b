"""Stitched meshes are closed, outward and where the depth says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from model.meshing import DepthMaps, largest_component, mesh_in_scan_frame, stitch
from render.camera import Camera, camera_from_normalised, normalised_from_scan, transform_points
from tests.model.sphere_maps import sphere_maps


def test_a_sphere_comes_back_closed_with_its_volume_and_outward_faces() -> None:
    mesh = stitch(sphere_maps(0.3, 256), Camera(256))
    assert mesh.is_watertight and mesh.is_winding_consistent
    # Pixels beyond the last centre are cut off, so the volume is a little under 4/3 pi r^3.
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.01)
    distances = np.linalg.norm(mesh.vertices - [0, 0, -1], axis=1)
    assert np.abs(distances - 0.3).max() < 1e-5


def test_points_are_scaled_about_the_origin_of_the_normalised_frame() -> None:
    maps = dataclasses.replace(sphere_maps(0.3, 64), point_scale=0.5)
    # The origin lies one unit before the camera, which a sphere of half the size surrounds.
    distances = np.linalg.norm(stitch(maps, Camera(64)).vertices - [0, 0, -1], axis=1)
    assert np.abs(distances - 0.15).max() < 1e-5


@pytest.mark.parametrize("pattern", [["110", "110", "001"], ["011", "011", "100"]])
def test_pixels_that_touch_in_a_corner_stay_manifold(pattern: list[str]) -> None:
    small = np.array([[int(c) for c in row] for row in pattern], dtype=bool)
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:10, 4:10] = np.kron(small, np.ones((2, 2), dtype=bool))
    # Make the two blocks share exactly one pixel centre.
    mask[7:9, 7:9] = True
    mask[6, 6:9] = mask[6:9, 6] = True
    maps = DepthMaps(np.where(mask, 0.9, 0).astype("f4"), np.where(mask, 1.1, 0).astype("f4"), mask)
    assert stitch(maps, Camera(16)).is_watertight


def test_ragged_masks_stay_watertight() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        noisy = random.random((24, 24)) < 0.75
        noisy[10:13, 10:13] = True
        maps = DepthMaps(
            np.where(noisy, 0.9, 0).astype("f4"), np.where(noisy, 1.1, 0).astype("f4"), noisy
        )
        assert stitch(maps, Camera(24)).is_watertight


def test_crossed_sides_are_given_the_least_thickness() -> None:
    mask = np.ones((4, 4), dtype=bool)
    maps = DepthMaps(np.full((4, 4), 1.2, "f4"), np.full((4, 4), 1.0, "f4"), mask)
    assert stitch(maps, Camera(4)).volume > 0


def test_a_mesh_returns_to_the_scan_it_came_from() -> None:
    mesh = stitch(sphere_maps(0.3, 64), Camera(64))
    vertices = np.array([[10.0, 0, 0], [12.0, 4, 0], [10.0, 4, 3]])
    to_normalised = normalised_from_scan(vertices, np.array([[0, 1, 2]]))
    pose = camera_from_normalised(30)
    restored = mesh_in_scan_frame(mesh, pose, to_normalised)
    again = transform_points(pose @ to_normalised, np.asarray(restored.vertices))
    assert np.allclose(again, mesh.vertices)


def test_only_the_largest_component_is_kept() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, 0] = True
    mask[2:5, 2:5] = True
    assert largest_component(mask).sum() == 9


@pytest.mark.parametrize(
    ("front", "mask", "message"),
    [(1.0, 0, "2x2 pixels"), (0.0, 1, "positive finite"), (np.nan, 1, "positive finite")],
)
def test_unusable_maps_are_refused(front: float, mask: int, message: str) -> None:
    maps = DepthMaps(
        np.full((4, 4), front, "f4"), np.full((4, 4), 1.2, "f4"), np.full((4, 4), mask, bool)
    )
    with pytest.raises(ValueError, match=message):
        stitch(maps, Camera(4))
