"""Distances between shapes whose answer is known by hand."""

from __future__ import annotations

import os
import subprocess
import sys

import igl
import numpy as np
import pytest
import trimesh

from eval.distances import (
    chamfer_cm,
    chamfer_squared_cm2,
    f_score,
    hausdorff_cm,
    hausdorff_percentile_cm,
    mean_distance_cm,
    p2s_pred_to_scan_cm,
    p2s_scan_to_pred_cm,
    percentile_cm,
)
from eval.surfaces import MetricError, Surface, space_filling_order
from tests.eval.shapes import rng, sphere, square, surface


def test_concentric_spheres_are_their_radius_difference_apart_in_both_directions() -> None:
    small, large = sphere(9.0), sphere(10.0)
    forth = p2s_pred_to_scan_cm(small, large, rng())
    back = p2s_scan_to_pred_cm(small, large, rng())
    assert forth.value == pytest.approx(1.0, abs=0.01)
    assert back.value == pytest.approx(1.0, abs=0.01)
    assert forth.samples == back.samples == 10_000


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


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "at least one face"),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]]), "finite"),
        (np.eye(3), np.array([[0, 1, 3]]), "indices"),
        (np.ones((3, 3)), np.array([[0, 1, 2]]), "area"),
        (np.eye(3) * 1e200, np.array([[0, 1, 2]]), "area"),
        (np.zeros((3, 2)), np.array([[0, 1, 2]]), "vertices"),
    ],
)
def test_surfaces_that_cannot_be_measured_raise(
    vertices: np.ndarray, faces: np.ndarray, message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        Surface(vertices, faces)


def test_zero_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        p2s_pred_to_scan_cm(square(0), square(1), rng(), 0)


FORTH, BACK = np.array([1.0, 1.0, 1.0, 5.0]), np.array([2.0, 4.0])


def test_both_directions_make_chamfer_hausdorff_and_f_score() -> None:
    # Means 2 and 3; mean squares 7 and 10; largest 5 and 4.
    assert chamfer_cm(FORTH, BACK).value == pytest.approx(2.5)
    assert chamfer_squared_cm2(FORTH, BACK).value == pytest.approx(8.5)
    assert hausdorff_cm(FORTH, BACK).value == 5.0
    # Precision 3/4 and recall 1/2 at 2 cm, where an equal distance counts as within.
    assert f_score(FORTH, BACK, 2.0).value == pytest.approx(2 * 0.75 * 0.5 / 1.25)
    assert f_score(FORTH, BACK, 0.5).value == 0.0
    assert f_score(FORTH, BACK, 9.0).value == 1.0
    assert chamfer_cm(FORTH, BACK).samples == 6


def test_percentiles_interpolate_and_hd95_takes_the_worse_direction() -> None:
    values = np.arange(101.0)
    assert percentile_cm(values, 95.0).value == pytest.approx(95.0)
    assert percentile_cm(values, 50.0).value == pytest.approx(50.0)
    assert hausdorff_percentile_cm(values, values / 2.0).value == pytest.approx(95.0)
    assert hausdorff_percentile_cm(values / 2.0, values).value == pytest.approx(95.0)
    with pytest.raises(ValueError, match="percent"):
        percentile_cm(values, 101.0)
    with pytest.raises(ValueError, match="threshold_cm"):
        f_score(values, values, 0.0)


def test_intervals_hold_the_true_value_in_19_of_20_drawings() -> None:
    generator = np.random.default_rng(3)
    held = {"mean": 0, "median": 0, "f": 0, "chamfer": 0}
    # |N(0, 1)| has the mean sqrt(2/pi), the median 0.6745, and 0.6827 of it below 1.
    mean = np.sqrt(2 / np.pi)
    for _ in range(400):
        forth, back = np.abs(generator.normal(size=(2, 500)))
        for name, measured, truth in (
            ("mean", mean_distance_cm(forth), mean),
            ("median", percentile_cm(forth, 50.0), 0.67449),
            ("f", f_score(forth, back, 1.0), 0.68269),
            ("chamfer", chamfer_cm(forth, back), mean),
        ):
            assert measured.interval is not None
            held[name] += measured.interval[0] <= truth <= measured.interval[1]
    assert all(0.92 < count / 400 < 0.98 for count in held.values()), held


@pytest.mark.parametrize("unit_cm", [0.001, 1.0, 100.0])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_distances_are_exact_in_any_unit_and_at_any_origin(unit_cm: float, offset: float) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    points = np.random.default_rng(0).normal(size=(200, 3))
    expected = _brute_force(points, np.asarray(ball.triangles))
    shift = np.array([offset, -offset, offset]) * unit_cm
    moved = Surface(np.asarray(ball.vertices) * unit_cm + shift, np.asarray(ball.faces))
    distances = moved.distances(points * unit_cm + shift) / unit_cm
    np.testing.assert_allclose(distances, expected, atol=1e-9 if offset else 1e-12)


def _brute_force(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Distances by way of barycentric coordinates and, outside, the three edges."""
    a, b, c = (triangles[None, :, corner] for corner in range(3))
    p = points[:, None]
    normal = np.cross(b - a, c - a)
    area = (normal**2).sum(-1)
    weights = np.stack(
        [(np.cross(v - u, p - u) * normal).sum(-1) / area for u, v in ((b, c), (c, a), (a, b))]
    )
    plane = np.abs(((p - a) * normal).sum(-1)) / np.sqrt(area)
    edges = []
    for u, v in ((a, b), (b, c), (c, a)):
        along = np.clip(((p - u) * (v - u)).sum(-1) / ((v - u) ** 2).sum(-1), 0, 1)
        edges.append(np.linalg.norm(p - u - along[..., None] * (v - u), axis=-1))
    distance = np.where((weights >= 0).all(axis=0), plane, np.min(edges, axis=0))
    return np.asarray(distance.min(axis=1))


def test_nearest_points_lie_on_the_surface_at_their_distance() -> None:
    points = np.random.default_rng(1).normal(size=(50, 3)) * 20
    distances, places = square(0.0).nearest(points)
    expected = np.column_stack([np.clip(points[:, :2], 0, 10), np.zeros(50)])
    np.testing.assert_allclose(places, expected, atol=1e-12)
    np.testing.assert_allclose(distances, np.linalg.norm(points - expected, axis=1))


def test_the_order_of_the_points_does_not_change_their_distances() -> None:
    points = np.random.default_rng(1).normal(size=(500, 3)) * 12
    ball = sphere(10.0)
    order = space_filling_order(points)
    assert sorted(order) == list(range(500))
    np.testing.assert_array_equal(ball.distances(points)[order], ball.distances(points[order]))


@pytest.mark.slow
def test_a_million_vertices_in_metres_far_from_the_origin_agree_with_libigl() -> None:
    ball = trimesh.creation.icosphere(subdivisions=8, radius=0.9)
    generator = np.random.default_rng(0)
    vertices = np.concatenate([np.asarray(ball.vertices), np.asarray(ball.vertices) + 2.0])
    faces = np.concatenate([np.asarray(ball.faces), np.asarray(ball.faces) + len(ball.vertices)])
    noisy = vertices + generator.normal(scale=0.003, size=vertices.shape)
    assert len(vertices) > 1_000_000
    points = Surface(vertices, faces).sample(20_000, generator)
    reference = igl.point_mesh_squared_distance(points, noisy, faces)[0]
    offset = np.array([300.0, -20.0, 1000.0])
    # 1e-3 mm in metres; the scan is read in metres and measured in centimetres.
    measured = Surface((noisy + offset) * 100.0, faces).distances((points + offset) * 100.0)
    np.testing.assert_allclose(measured / 100.0, np.sqrt(reference), atol=1e-6)


@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bytes() -> None:
    program = """
import numpy as np, trimesh
from eval.surfaces import Surface
from eval.volumes import occupancy
mesh = trimesh.creation.icosphere(subdivisions=6, radius=10.0)
ball = Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))
rng = np.random.default_rng(0)
points = ball.sample(20000, rng) + rng.normal(size=(20000, 3))
print(ball.distances(points).tobytes().hex()[:64], float(ball.distances(points).sum()).hex())
print(hash(occupancy(ball, 0.3).inside.tobytes()))
"""
    shown = []
    for threads in ("1", "4"):
        setting = {"IGL_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": "0"}
        run = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | setting,
            capture_output=True,
            text=True,
            check=True,
        )
        shown.append(run.stdout)
    assert shown[0] == shown[1] and shown[0]
