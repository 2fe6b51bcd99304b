"""Loop subdivision to an exact vertex count, on an octahedron with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dataset.people.subdivision import FineMesh, subdivide_to, vertex_normals


def _octahedron() -> FineMesh:
    vertices = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]])
    faces = np.array(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    )
    # One uv island per half, so that the edges of the equator are seams.
    upper, lower = faces[:4], faces[4:] + 6
    uvs = np.concatenate([vertices[:, :2], vertices[:, :2] + 10.0])
    return FineMesh(
        vertices=vertices,
        faces=faces,
        uvs=uvs,
        uv_faces=np.concatenate([upper, lower]),
        fields=vertices[:, :1].copy(),
    )


def test_one_full_level_puts_vertices_where_loops_rules_say() -> None:
    fine = subdivide_to(_octahedron(), 6 + 12)
    # Valence 4: beta = 3/32; the four neighbours of (1, 0, 0) cancel.
    assert fine.vertices[0] == pytest.approx([1 - 4 * 3 / 32, 0, 0])
    # Edge (1,0,0)-(0,1,0): 3/8 of the ends + 1/8 of (0,0,1) and (0,0,-1).
    distance = np.linalg.norm(fine.vertices - [0.375, 0.375, 0], axis=1)
    assert distance.min() == pytest.approx(0.0, abs=1e-12)
    assert len(fine.faces) == 32


@pytest.mark.parametrize("count", [7, 9, 13, 18, 50, 101, 500])
def test_any_vertex_count_is_met_exactly_and_the_surface_stays_closed(count: int) -> None:
    fine = subdivide_to(_octahedron(), count)
    mesh = trimesh.Trimesh(fine.vertices, fine.faces, process=False)
    assert len(fine.vertices) == count == len(np.unique(fine.faces))
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    assert len(fine.faces) == 2 * count - 4  # Euler, genus 0


def test_uvs_stay_on_their_side_of_a_seam() -> None:
    fine = subdivide_to(_octahedron(), 101)
    corners = fine.uvs[fine.uv_faces]
    lower = corners[..., 0] > 5
    assert (lower.all(axis=1) | (~lower).all(axis=1)).all()
    assert lower[:, 0].any() and not lower[:, 0].all()


def test_fields_are_interpolated_linearly() -> None:
    fine = subdivide_to(_octahedron(), 18)
    assert set(np.round(fine.fields[:, 0], 9)) == {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_inputs_are_left_alone_and_fewer_vertices_are_refused() -> None:
    mesh = _octahedron()
    before = mesh.vertices.copy()
    subdivide_to(mesh, 40)
    assert (mesh.vertices == before).all()
    with pytest.raises(ValueError, match="expected >= 6, got 5"):
        subdivide_to(mesh, 5)


def test_vertex_normals_of_an_octahedron_point_along_the_axes() -> None:
    mesh = _octahedron()
    assert vertex_normals(mesh.vertices, mesh.faces) == pytest.approx(mesh.vertices)
