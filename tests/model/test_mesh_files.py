"""Mesh files hold what was given, in their own units, and appear when they are complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.mesh_files import scaled_to_height, write_mesh
from render.errors import UserInputError
from render.mesh import Material, Mesh
from render.readers import read_mesh

CORNERS = np.array([[0, 0, 0], [2, 0, 0], [0, 4, 0], [0, 0, 2]], dtype=np.float64)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def tetrahedron(textured: bool = True) -> Mesh:
    """A tetrahedron with red, green, blue and white corners, and a texture of two colours."""
    texture = np.zeros((4, 4, 3), dtype=np.uint8)
    texture[:, :2], texture[:, 2:] = (250, 10, 10), (10, 10, 250)
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=np.uint8)
    if not textured:
        return Mesh.from_arrays(CORNERS, FACES, vertex_colours=colours)
    return Mesh.from_arrays(
        CORNERS,
        FACES,
        uvs=np.array([[0.1, 0.1], [0.4, 0.1], [0.1, 0.9], [0.9, 0.9]]),
        uv_faces=np.array([[0, 1, 2], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
        vertex_colours=colours,
        materials=(Material("person", np.ones(3), texture),),
    )


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_textured_mesh_is_read_back(tmp_path: Path, suffix: str) -> None:
    mesh, path = tetrahedron(), tmp_path / f"one person{suffix}"
    write_mesh(path, mesh)
    again = read_mesh(path)
    assert np.allclose(again.vertices[again.faces], mesh.vertices[mesh.faces], atol=1e-5)
    assert again.uvs is not None and again.uv_faces is not None
    assert mesh.uvs is not None and mesh.uv_faces is not None
    assert np.allclose(again.uvs[again.uv_faces], mesh.uvs[mesh.uv_faces], atol=1e-5)
    texture = again.materials[int(again.face_materials[0])].texture
    assert texture is not None and (texture == mesh.materials[0].texture).all()
    assert not [name for name in tmp_path.iterdir() if name.name.startswith(".")]


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_vertex_colours_are_read_back(tmp_path: Path, suffix: str) -> None:
    mesh, path = tetrahedron(textured=False), tmp_path / f"person{suffix}"
    write_mesh(path, mesh)
    again = read_mesh(path)
    assert again.vertex_colours is not None and mesh.vertex_colours is not None
    found = again.vertex_colours[again.faces].astype(int)
    assert np.abs(found - mesh.vertex_colours[mesh.faces]).max() <= 1


def test_a_person_of_a_known_height_stands_on_the_ground_in_centimetres() -> None:
    mesh = scaled_to_height(tetrahedron(), 180.0)
    assert mesh.vertices.min(axis=0) == pytest.approx([-45, 0, -45])
    assert mesh.vertices.max(axis=0) == pytest.approx([45, 180, 45])


def test_glb_is_in_metres_and_the_others_keep_the_unit(tmp_path: Path) -> None:
    for suffix, height in ((".glb", 1.8), (".obj", 180.0), (".ply", 180.0)):
        path = tmp_path / f"person{suffix}"
        write_mesh(path, scaled_to_height(tetrahedron(), 180.0), unit_m=0.01)
        assert np.ptp(read_mesh(path).vertices[:, 1]) == pytest.approx(height)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match=r"\.glb, \.obj, \.ply, got \.stl"):
        write_mesh(tmp_path / "person.stl", tetrahedron())


@pytest.mark.parametrize("height", [0.0, -3.0, float("nan")])
def test_a_height_that_is_none_is_refused(height: float) -> None:
    with pytest.raises(ValueError, match="height_cm"):
        scaled_to_height(tetrahedron(), height)
