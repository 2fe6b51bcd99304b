"""Winding numbers on a lattice: whole for closed surfaces, those of libigl for open ones."""

from __future__ import annotations

import igl
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from eval.surfaces import Surface
from eval.winding import Lattice, winding_numbers
from tests.eval.shapes import box, sphere, surface

BALL = trimesh.creation.icosphere(subdivisions=3, radius=5.0)
LATTICE = Lattice(np.array([-8, -8, -8]), (16, 16, 16), 1.0)


def centres(lattice: Lattice) -> NDArray[np.float64]:
    indices = np.indices(lattice.shape).reshape(3, -1).T
    return np.asarray((indices + lattice.first + 0.5) * lattice.pitch_cm, dtype=np.float64)


def by_libigl(shape: Surface, lattice: Lattice) -> NDArray[np.float64]:
    """The exact sum over all faces, not the fast one."""
    exact = igl.winding_number(shape.vertices, shape.faces, centres(lattice))
    return np.asarray(exact, dtype=np.float64).reshape(lattice.shape)


def test_a_box_is_wound_around_once_and_twice_where_a_second_one_is_inside() -> None:
    outer, inner = box((0, 0, 0), (4, 4, 4)), box((1, 1, 1), (3, 3, 2))
    both = Surface(
        np.concatenate([outer.vertices, inner.vertices]),
        np.concatenate([outer.faces, inner.faces + len(outer.vertices)]),
    )
    expected = np.zeros((6, 6, 6))
    expected[1:5, 1:5, 1:5] = 1
    expected[2:4, 2:4, 2] = 2
    lattice = Lattice(np.array([-1, -1, -1]), (6, 6, 6), 1.0)
    assert np.array_equal(winding_numbers(both, lattice), expected)
    turned = Surface(both.vertices, both.faces[:, ::-1])
    assert np.array_equal(winding_numbers(turned, lattice), -expected)


def test_faces_whose_corners_and_edges_lie_on_columns_are_counted_once() -> None:
    """Edges through voxel centres, along both axes and the diagonal of the box's sides."""
    shape = box((-2.5, -2.5, -2.25), (2.5, 2.5, 2.25))
    assert np.array_equal(
        winding_numbers(shape, LATTICE)[6:10, 6:10, 6:10], np.ones((4, 4, 4), dtype=np.float32)
    )
    # No column is left with a count: above and below the box nothing is wound around.
    assert not winding_numbers(shape, LATTICE)[..., [0, -1]].any()


def test_vertices_that_a_texture_seam_splits_are_no_hole() -> None:
    soup = Surface(
        np.asarray(BALL.triangles).reshape(-1, 3), np.arange(3 * len(BALL.faces)).reshape(-1, 3)
    )
    found = winding_numbers(soup, LATTICE)
    assert np.array_equal(found, winding_numbers(surface(BALL), LATTICE))
    assert set(np.unique(found)) == {0.0, 1.0}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holes_and_turned_faces_give_the_generalised_winding_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    faces = np.asarray(BALL.faces).copy()
    chosen = rng.permutation(len(faces))
    faces[chosen[:20]] = faces[chosen[:20], ::-1]
    shape = Surface(np.asarray(BALL.vertices), faces[np.sort(chosen[:-60])])
    assert np.allclose(winding_numbers(shape, LATTICE), by_libigl(shape, LATTICE), atol=0.02)


def test_a_large_opening_is_closed_for_the_count_and_opened_again() -> None:
    bowl = Surface(np.asarray(BALL.vertices), BALL.faces[BALL.triangles_center[:, 1] < 1.0])
    found = winding_numbers(bowl, LATTICE)
    assert np.allclose(found, by_libigl(bowl, LATTICE), atol=0.02)
    assert 0.2 < found[8, 8, 8] < 0.8


def test_triangles_that_hang_together_nowhere_are_summed_one_by_one() -> None:
    rng = np.random.default_rng(0)
    soup = Surface(rng.uniform(-5, 5, (60, 3)), np.arange(60).reshape(-1, 3))
    assert np.allclose(winding_numbers(soup, LATTICE), by_libigl(soup, LATTICE), atol=0.05)


def test_part_of_a_surface_outside_the_lattice_counts_too() -> None:
    small = Lattice(np.array([-1, -1, -1]), (2, 2, 2), 1.0)
    assert np.array_equal(winding_numbers(sphere(5.0), small), np.ones((2, 2, 2)))
