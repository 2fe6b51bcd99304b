"""A texture that the caller knows better than the OBJ file's MTL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render.errors import ScanError
from render.readers import read_mesh

TRIANGLE = "mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\n"


def test_a_texture_that_is_given_is_laid_on_and_the_mtl_file_is_not_read(tmp_path: Path) -> None:
    red = np.full((2, 5, 3), (200, 10, 20), np.uint8)
    Image.fromarray(red).save(tmp_path / "real skin.png")
    path = tmp_path / "scan.obj"
    path.write_text(TRIANGLE + "vt 0 0\nvt 1 0\nvt 0 1\nusemtl skin\nf 1/1 2/2 3/3\n")
    with pytest.raises(ScanError, match=r"gone\.mtl"):
        read_mesh(path)
    mesh = read_mesh(path, tmp_path / "real skin.png")
    assert np.array_equal(mesh.materials[0].texture, red) and not mesh.face_materials.any()


@pytest.mark.parametrize("named", ["", "comment TextureFile gone.png\n"])
def test_a_texture_that_is_given_is_laid_on_a_ply_too(tmp_path: Path, named: str) -> None:
    Image.new("RGB", (2, 2), (200, 10, 20)).save(tmp_path / "skin.png")
    path = tmp_path / "scan.ply"
    path.write_text(
        f"ply\nformat ascii 1.0\n{named}element vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nproperty float u\nproperty float v\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n"
    )
    (material,) = read_mesh(path, tmp_path / "skin.png").materials
    assert material.texture is not None and material.texture[0, 0].tolist() == [200, 10, 20]


def test_a_texture_needs_texture_coordinates(tmp_path: Path) -> None:
    path = tmp_path / "bare.obj"
    path.write_text(TRIANGLE + "f 1 2 3\n")
    with pytest.raises(ScanError, match=r"bare\.obj: expected texture coordinates to lay skin"):
        read_mesh(path, tmp_path / "skin.png")
