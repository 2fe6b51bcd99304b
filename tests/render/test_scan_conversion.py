from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from render.coverage import find_coverage
from render.picture_box import Box
from render.scan_conversion import ScreenMesh
from render.visibility import find_visible, project_faces


def flat(points: list[list[float]] | NDArray[np.float64], faces: object) -> ScreenMesh:
    """Return faces over (N, 2) points, x and y, all at one depth."""
    x, y = np.asarray(points, dtype=np.float32).T
    corners = np.ascontiguousarray(np.asarray(faces, dtype=np.intp).T)
    return ScreenMesh(x=x, y=y, depth=np.zeros_like(x), faces=corners)


def counts(mesh: ScreenMesh, box: Box) -> NDArray[np.int64]:
    """Return how many faces cover each centre of a box."""
    covered = np.zeros(box.height * box.width, dtype=np.int64)
    for face in range(mesh.faces.shape[1]):
        alone = replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, face : face + 1]))
        covered[find_visible(alone, box).pixels] += 1
    return covered.reshape(box.height, box.width)


def test_a_triangle_covers_the_centres_inside_of_it() -> None:
    covered = counts(flat([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], [[0, 1, 2]]), Box(0, 0, 5, 5))
    # In row r centres (c + 0.5, r + 0.5) lie inside while c + r + 1 < 4; ends are half open.
    expected = np.add.outer(np.arange(5), np.arange(5)) < 3
    np.testing.assert_array_equal(covered, expected)


@pytest.mark.parametrize("on_a_grid", [False, True])
def test_every_centre_of_a_triangulation_belongs_to_exactly_one_face(on_a_grid: bool) -> None:
    points = np.random.default_rng(0).uniform(0.0, 40.0, (2500, 2))
    if on_a_grid:  # edges and corners that lie on centres
        points = np.unique(np.rint(points * 2.0) / 2.0, axis=0)
    corners = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]])
    points = np.unique(np.concatenate([points, corners]), axis=0)
    faces = Delaunay(points).simplices
    assert (counts(flat(points, faces), Box(0, 0, 40, 40)) == 1).all()
    turned = faces[:, ::-1]
    part = counts(flat(points, turned), Box(7, 9, 11, 5))
    assert part.shape == (5, 11) and (part == 1).all()


def test_a_face_across_a_picture_of_more_columns_than_16_bits_is_not_lost() -> None:
    mesh = flat([[-10.0, 1.0], [70000.0, 1.0], [-10.0, 9.0]], [[0, 1, 2]])
    covered = counts(mesh, Box(0, 0, 65536, 10)).sum(axis=1)
    assert np.flatnonzero(covered).tolist() == list(range(1, 9))
    assert covered[1] == 65536 and covered[8] == round(70010.0 / 16.0 - 10.0)


def test_a_face_down_a_picture_of_more_rows_than_16_bits_is_not_lost() -> None:
    mesh = flat([[1.0, -10.0], [1.0, 70000.0], [9.0, -10.0]], [[0, 1, 2]])
    covered = counts(mesh, Box(0, 0, 10, 65536)).sum(axis=1)
    assert covered[0] == 8 and (covered > 0).sum() > 60000


def test_any_number_of_threads_draws_the_same_faces_and_coverage() -> None:
    rng = np.random.default_rng(3)
    points, faces = rng.uniform(-20.0, 220.0, (300, 2)), rng.integers(0, 300, (3, 400))
    mesh = replace(flat(points, faces.T), depth=rng.random(300, dtype=np.float32))
    box, found, before = Box(10, 3, 180, 190), [], cv2.getNumThreads()
    try:
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            seen = find_visible(mesh, box)
            mask = np.isin(np.arange(180 * 190), seen.pixels[::3]).reshape(190, 180)
            coverage = find_coverage(mesh, mask, box)
            found.append((seen.pixels, seen.nearest, seen.farthest, coverage))
    finally:
        cv2.setNumThreads(before)
    assert len(found[0][0]) > 1000
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_nearest_and_farthest_face_are_found_for_every_pixel_whatever_their_order() -> None:
    square = np.array([[0.0, 0.0], [6.0, 0.0], [6.0, 6.0], [0.0, 6.0]])
    tilted = ScreenMesh(
        x=np.tile(square[:, 0], 2).astype(np.float32),
        y=np.tile(square[:, 1], 2).astype(np.float32),
        # The first square is level; the second goes through it half way across.
        depth=np.array([0.0, 0.0, 0.0, 0.0, -0.6, 0.6, 0.6, -0.6], dtype=np.float32),
        faces=np.array([[0, 0, 4, 4], [1, 2, 5, 6], [2, 3, 6, 7]], dtype=np.intp),
    )
    for numbers in (np.arange(4), np.array([3, 2, 1, 0])):
        mesh = ScreenMesh(tilted.x, tilted.y, tilted.depth, tilted.faces, numbers)
        seen = find_visible(mesh, Box(0, 0, 6, 6))
        assert seen.pixels.tolist() == list(range(36))
        is_tilted = np.isin(seen.nearest, numbers[2:]).reshape(6, 6)
        np.testing.assert_array_equal(is_tilted, np.tile(np.arange(6) < 3, (6, 1)))
        assert (np.isin(seen.farthest, numbers[2:]).reshape(6, 6) == ~is_tilted).all()


@pytest.mark.parametrize("hidden_corners", [1, 2])
def test_faces_are_cut_where_they_pass_the_near_plane(hidden_corners: int) -> None:
    # Clip coordinates are the camera's x, y, and depths d: z = d - 2, w = d, near plane d = 1.
    clip = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, -2.0], [0, 0, 1.0, 0]])
    depths = [3.0, 3.0, -1.0] if hidden_corners == 1 else [-1.0, -1.0, 3.0]
    corners = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    positions = np.column_stack([corners, depths]).T.astype(np.float32)
    screen = project_faces(positions, np.array([[0], [1], [2]], dtype=np.intp), clip, 64)
    assert screen.faces.shape[1] == (2 if hidden_corners == 1 else 1)
    assert screen.numbers is not None and not screen.numbers.any()
    new = np.unique(screen.faces)
    new = new[new >= 3]
    # Half way along both edges: x = +-0.5, y = 0.5 at distance 1.
    places = sorted(zip(screen.x[new].tolist(), screen.y[new].tolist(), strict=True))
    assert places == [(16.0, 48.0), (48.0, 48.0)]
    np.testing.assert_array_equal(screen.depth[new], -1.0)


def test_coverage_is_the_share_of_the_pixel_at_the_rim_and_full_inside() -> None:
    left, right, top, bottom = 2.25, 8.0, 1.0, 7.5
    mesh = flat(
        [[left, top], [right, top], [right, bottom], [left, bottom]], [[0, 1, 2], [0, 2, 3]]
    )
    box = Box(0, 0, 12, 12)
    mask = counts(mesh, box) > 0
    coverage = find_coverage(mesh, mask, box)
    expected = np.zeros((12, 12))
    expected[1:7, 2:8] = 255.0
    expected[7, 2:8] = 255.0 / 2.0
    expected[:, 2] *= 0.75
    assert np.abs(coverage - expected).max() <= 1.0
    np.testing.assert_array_equal(find_coverage(mesh, np.zeros_like(mask), box), 0)


def test_coverage_of_faces_of_all_sizes_is_that_of_a_picture_of_eight_times_the_size() -> None:
    rng = np.random.default_rng(1)
    centres, sizes = rng.uniform(10.0, 50.0, (40, 1, 2)), rng.choice([0.5, 3.0, 12.0], (40, 1, 1))
    points = (centres + sizes * rng.normal(size=(40, 3, 2))).reshape(-1, 2)
    mesh, box = flat(points, np.arange(120).reshape(-1, 3)), Box(5, 8, 50, 44)
    mask = np.zeros(50 * 44, dtype=bool)
    mask[find_visible(mesh, box).pixels] = True
    coverage = find_coverage(mesh, mask.reshape(44, 50), box)
    large = replace(mesh, x=mesh.x * np.float32(8.0), y=mesh.y * np.float32(8.0))
    samples = np.zeros(400 * 352, dtype=bool)
    samples[find_visible(large, Box(40, 64, 400, 352)).pixels] = True
    shares = samples.reshape(44, 8, 50, 8).mean(axis=(1, 3))
    # Amid the mask no sample is looked at, and a gap between faces does not show.
    reached = cv2.dilate(mask.reshape(44, 50).astype(np.uint8), np.ones((7, 7))) > 0
    is_rim = (coverage < 255) & reached
    assert is_rim.mean() > 0.1 and ((coverage > 0) & is_rim).sum() > 100
    np.testing.assert_allclose(coverage[is_rim], 255.0 * shares[is_rim], atol=0.51)
    assert (shares[coverage == 255] > 0.5).all() and not coverage[~reached].any()
