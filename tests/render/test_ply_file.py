from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from render.errors import ScanError
from render.readers import read_mesh

HEAD = """ply
format {format} 1.0
comment made by hand
comment TextureFile skin one.png
comment TextureFile two.png
element vertex 4
property float x
property float y
property double z
element face 2
property list uchar int vertex_indices
property list uchar float texcoord
property int texnumber
end_header
"""
VERTICES = [(0, 0, 0.25), (1, 0, 0.25), (1, 1, 0.25), (0, 1, 0.25)]
# A quad and a triangle that share an edge, along which their texture coordinates differ.
FACES = [
    ((0, 1, 2, 3), (0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5), 0),
    ((2, 1, 0), (1.25, -0.5, 1, 0, 0, 0.5), 1),
]


def _ascii() -> bytes:
    lines = [" ".join(map(str, vertex)) for vertex in VERTICES]
    for corners, uvs, texture in FACES:
        values = [len(corners), *corners, len(uvs), *uvs, texture]
        lines.append(" ".join(map(str, values)))
    return (HEAD.format(format="ascii") + "\n".join(lines) + "\n").encode()


def _binary(order: str) -> bytes:
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    rows = [struct.pack(order + "ffd", *vertex) for vertex in VERTICES]
    for corners, uvs, texture in FACES:
        rows.append(struct.pack(f"{order}B{len(corners)}i", len(corners), *corners))
        rows.append(struct.pack(f"{order}B{len(uvs)}fi", len(uvs), *uvs, texture))
    return HEAD.format(format=name).encode() + b"".join(rows)


def _written(folder: Path, data: bytes) -> Path:
    for name, colour in (("skin one.png", (200, 10, 10)), ("two.png", (10, 10, 200))):
        Image.new("RGB", (4, 4), colour).save(folder / name)
    path = folder / "scan.ply"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [_ascii(), _binary("<"), _binary(">")])
def test_faces_of_any_size_keep_the_texture_coordinates_of_their_corners(
    tmp_path: Path, data: bytes
) -> None:
    mesh = read_mesh(_written(tmp_path, data))
    np.testing.assert_array_equal(mesh.vertices, np.array(VERTICES))
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [2, 1, 0]])
    assert mesh.uvs is not None and mesh.uv_faces is not None
    expected = [
        [[0, 0], [0.5, 0], [0.5, 0.5]],
        [[0, 0], [0.5, 0.5], [0, 0.5]],
        [[1.25, -0.5], [1, 0], [0, 0.5]],
    ]
    np.testing.assert_array_equal(mesh.uvs[mesh.uv_faces], expected)
    assert len(mesh.uvs) == 6  # equal ones are one row: (0, 0.5) of both faces
    textures = [mesh.materials[index].texture for index in mesh.face_materials]
    assert [None if texture is None else texture[0, 0, 0] for texture in textures] == [200, 200, 10]


def test_texture_coordinates_of_vertices_belong_to_them(tmp_path: Path) -> None:
    text = (
        "ply\r\nformat ascii 1.0\r\ncomment TextureFile two.png\r\nelement vertex 3\r\n"
        "property float x\r\nproperty float y\r\nproperty float z\r\nproperty float s\r\n"
        "property float t\r\nelement face 1\r\nproperty list uchar uint vertex_index\r\n"
        "end_header\r\n0 0 0 0.5 1\r\n1 0 0 2 0\r\n0 1 0 -1 1e-1\r\n3 0 1 2\r\n"
    )
    mesh = read_mesh(_written(tmp_path, text.encode()))
    assert mesh.uvs is not None
    np.testing.assert_allclose(mesh.uvs, np.array([[0.5, 1], [2, 0], [-1, 0.1]]), atol=1e-7)
    np.testing.assert_array_equal(mesh.uv_faces, mesh.faces)
    assert mesh.materials[0].texture is not None


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_a_mesh_of_another_writer_reads_the_same(tmp_path: Path, encoding: str) -> None:
    box = trimesh.creation.box()
    colours = np.random.default_rng(0).integers(0, 255, (8, 4)).astype(np.uint8)
    made = trimesh.Trimesh(
        box.vertices, box.faces, vertex_normals=box.vertices * 2.0, vertex_colors=colours,
        process=False,
    )  # fmt: skip
    path = tmp_path / "a.ply"
    path.write_bytes(trimesh.exchange.ply.export_ply(made, encoding=encoding, vertex_normal=True))
    mesh = read_mesh(path)
    np.testing.assert_allclose(mesh.vertices, np.array(box.vertices))
    np.testing.assert_array_equal(mesh.faces, box.faces)
    np.testing.assert_array_equal(mesh.vertex_colours, colours[:, :3])
    np.testing.assert_allclose(mesh.vertex_normals, box.vertices * 2 / np.sqrt(3), atol=1e-6)


def _coloured(kind: str, values: str) -> bytes:
    rows = zip(("0 0 0", "1 0 0", "0 1 0"), values.split(","))
    text = "ply\nformat ascii 1.0\nelement vertex 3\n"
    text += "".join(f"property float {axis}\n" for axis in "xyz")
    text += "".join(f"property {kind} {name}\n" for name in ("red", "green", "blue"))
    text += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    return (text + "".join(f"{place} {colour}\n" for place, colour in rows) + "3 0 1 2\n").encode()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uchar", "1 0 0,0 1 0,0 0 1"),
        ("ushort", "257 0 0,0 257 0,0 0 257"),
        ("float", "0.004 0 0,0 0.004 0,0 0 0.004"),
    ],
)
def test_colours_have_the_range_of_their_type(tmp_path: Path, kind: str, values: str) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(_coloured(kind, values))
    np.testing.assert_array_equal(read_mesh(path).vertex_colours, np.eye(3))


def _changed(old: str, new: str) -> bytes:
    text = _ascii().decode()
    assert old in text
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ply\nformat ascii 1.0\n", "PLY header, got none that ends"),
        (b"ply\nelement vertex 1\nend_header\n", "without a format"),
        (b"no such thing", "expected a PLY file"),
        (_changed("property double z", "property quadruple z"), "'property quadruple z'"),
        (_changed("property double z\n", ""), "vertices with x, y and z"),
        (_changed("face 2", "face 0"), "faces, got none"),
        (_changed("face 2", "face 3"), "3 rows of 'face', got the end of the file after 2"),
        (_changed("vertex 4", "vertex 999999999"), "999999999 rows of 'vertex', got the end"),
        (_changed("4 0 1 2 3", "-4 0 1 2 3"), "rows of 'face'"),
        (_changed("1 0 0.25", "1 zero 0.25"), "'zero'"),
        (_changed("1 0 0.25", "1 nan 0.25"), "finite vertices, got 1"),
        (_changed("3 2 1 0 ", "3 2 1 4 "), "4 vertex rows, got number 5"),
        (_changed("3 2 1 0 ", "3 2 1 0.5 "), "whole numbers.*'vertex_indices'"),
        (_changed("3 2 1 0 6", "2 2 1 6"), "three corners or more, got one of 2"),
        (_changed("6 1.25 -0.5 1 0 0 0.5 1", "4 1.25 -0.5 1 0 1"), "two texture coordinates"),
        (_changed("1.25", "inf"), "finite texture coordinates"),
        (_changed("0.5 1\n", "0.5 2\n"), "texnumber below 2, the number of textures, got 2"),
        (_changed("two.png", "three.png"), "three.png, found no such file"),
        (_changed("two.png", "../two.png"), "within"),
        (_binary("<")[:-1], "expected 2 rows of 'face', got the end of the file after 1"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_sentence_with_its_name(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = _written(tmp_path, data)
    with pytest.raises(ScanError, match=message) as raised:
        read_mesh(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
