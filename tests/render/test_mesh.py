from __future__ import annotations

import logging

import numpy as np
import pytest

from render.mesh import Mesh, area_weighted_normals, transformed
from render.upload import _within_limit, corner_vertices

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_a_vertex_normal_is_the_mean_of_the_faces_weighted_by_area() -> None:
    # Areas 1/2 (facing +z) and 2/2 (facing +x) meet at the first two vertices' edge.
    vertices = np.array([[0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, -2]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 3, 1]])
    normals = area_weighted_normals(vertices, faces)
    np.testing.assert_allclose(normals[0], np.array([2.0, 0.0, 1.0]) / np.sqrt(5.0))
    np.testing.assert_allclose(normals[[2, 3]], [[0, 0, 1], [1, 0, 0]])


def test_unused_vertices_have_no_normal_and_defaults_are_filled_in() -> None:
    mesh = Mesh.from_arrays(np.concatenate([SQUARE, [[9, 9, 9]]]), FACES)
    assert not mesh.vertex_normals[4].any()
    assert len(mesh.materials) == 1 and mesh.face_materials.tolist() == [0, 0]
    assert mesh.uvs is None and mesh.uv_faces is None and mesh.vertex_colours is None


def test_a_mesh_does_not_share_memory_with_its_input() -> None:
    vertices = SQUARE.copy()
    mesh = Mesh.from_arrays(vertices, FACES)
    vertices[:] = 7.0
    np.testing.assert_array_equal(mesh.vertices, SQUARE)


def test_normals_stay_perpendicular_under_uneven_scaling() -> None:
    mesh = Mesh.from_arrays(SQUARE @ np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]), FACES)
    moved = transformed(mesh, np.diag([3.0, 1.0, 1.0, 1.0]))
    edges = moved.vertices[[1, 3]] - moved.vertices[0]
    np.testing.assert_allclose(edges @ moved.vertex_normals.T, 0.0, atol=1e-12)


def test_a_mirroring_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="determinant"):
        transformed(Mesh.from_arrays(SQUARE, FACES), np.diag([-1.0, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"faces": np.array([[0, 1, 4]])}, "faces: expected indices 0..3"),
        ({"vertices": SQUARE[:, :2]}, r"vertices: expected \(N, 3\)"),
        ({"uvs": np.zeros((2, 2))}, "uv_faces: expected indices 0..1"),
        ({"vertex_colours": np.zeros((4, 3))}, "uint8"),
        ({"face_materials": np.array([0, 1])}, "face_materials: expected indices 0..0"),
        ({"vertex_normals": np.zeros((3, 3))}, "vertex_normals"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    arrays = {"vertices": SQUARE, "faces": FACES, **changes}
    with pytest.raises(ValueError, match=message):
        Mesh.from_arrays(**arrays)


def test_seam_vertices_are_split_once_for_each_uv() -> None:
    mesh = Mesh.from_arrays(
        SQUARE, FACES, uvs=np.linspace(0, 1, 10).reshape(5, 2),
        uv_faces=np.array([[0, 1, 2], [4, 2, 3]]),
    )  # fmt: skip
    positions, uvs, faces = corner_vertices(mesh)
    assert positions.tolist() == [0, 1, 2, 3, 0]
    np.testing.assert_array_equal(positions[faces], mesh.faces)
    np.testing.assert_array_equal(uvs[faces], mesh.uv_faces)


def test_a_texture_beyond_the_limit_is_reduced_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pixels = np.zeros((6, 10, 3), np.uint8)
    pixels[:, ::2] = 100
    with caplog.at_level(logging.WARNING):
        reduced = _within_limit(pixels, 5)
    assert reduced.shape == (3, 5, 3) and (reduced == 50).all()
    assert "expected at most 5 pixels" in caplog.text
    assert _within_limit(np.full((21, 1, 3), 7, np.uint8), 5).tolist() == [[[7, 7, 7]]] * 3
