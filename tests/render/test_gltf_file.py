from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from render.errors import ScanError
from render.readers import read_mesh

POSITIONS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype="<f4")
UVS = np.array([[0, 0], [1.5, 0], [0, 1], [0.25, 0.75]], dtype="<f4")
FACES = np.array([[0, 1, 2], [1, 3, 0]], dtype="<u2")


def _picture(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), colour).save(file, format="PNG")
    return file.getvalue()


def _accessor(view: int, data: np.ndarray, kind: str) -> dict[str, Any]:
    component = {"<f4": 5126, "<u2": 5123, "|u1": 5121}[data.dtype.str]
    count = data.size if kind == "SCALAR" else len(data)
    return {"bufferView": view, "componentType": component, "count": count, "type": kind}


def _document(nodes: list[dict[str, Any]], **changes: Any) -> tuple[dict[str, Any], bytes]:
    """A textured primitive (texture * factor) and one with vertex colours, in one mesh."""
    colours = np.array([[255, 0, 0, 255], [0, 51, 0, 255]] * 2, dtype="<u1")
    pieces = [
        POSITIONS.tobytes(), UVS.tobytes(), FACES.tobytes(), colours.tobytes(),
        _picture((255, 188, 0)),
    ]  # fmt: skip
    offsets = np.cumsum([0] + [len(piece) for piece in pieces])
    scene = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "TEXCOORD_0": 1},
                        "indices": 2,
                        "material": 0,
                    },
                    {"attributes": {"POSITION": 0, "COLOR_0": 3}, "indices": 2, "material": 1},
                ]
            }
        ],
        "materials": [
            {
                "name": "skin",
                "pbrMetallicRoughness": {
                    "baseColorFactor": [0.5, 0.5, 1, 1],
                    "baseColorTexture": {"index": 0},
                },
            },
            {"name": "cloth"},
        ],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 4, "mimeType": "image/png"}],
        "accessors": [
            _accessor(0, POSITIONS, "VEC3"),
            _accessor(1, UVS, "VEC2"),
            _accessor(2, FACES, "SCALAR"),
            {**_accessor(3, colours, "VEC4"), "normalized": True},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": int(offset), "byteLength": len(piece)}
            for offset, piece in zip(offsets, pieces)
        ],
        "buffers": [{"byteLength": int(offsets[-1])}],
    }
    return {**scene, **changes}, b"".join(pieces)


def _glb(scene: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _written(folder: Path, data: bytes, name: str = "scan.glb") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


TURNED: list[dict[str, Any]] = [
    # A quarter turn about z takes +x to +y; then it is doubled, and moved by the parent.
    {"children": [1], "translation": [0, 0, 5]},
    {"mesh": 0, "rotation": [0, 0, 0.5**0.5, 0.5**0.5], "scale": [2, 2, 2]},
]


def test_primitives_are_joined_where_their_nodes_put_them(tmp_path: Path) -> None:
    mesh = read_mesh(_written(tmp_path, _glb(*_document(TURNED))))
    corners = [[0, 0, 5], [0, 2, 5], [-2, 0, 5], [-2, 0, 5]]
    np.testing.assert_allclose(mesh.vertices, np.array(corners * 2), atol=1e-7)
    np.testing.assert_array_equal(mesh.faces, np.concatenate([FACES, FACES + 4]))
    np.testing.assert_allclose(mesh.vertex_normals[0], [0, 0, 1], atol=1e-7)


def test_texture_coordinates_are_turned_to_begin_at_the_bottom(tmp_path: Path) -> None:
    mesh = read_mesh(_written(tmp_path, _glb(*_document(TURNED))))
    assert mesh.uvs is not None
    np.testing.assert_array_equal(mesh.uv_faces, mesh.faces)
    np.testing.assert_allclose(mesh.uvs[:4], np.array([[0, 1], [1.5, 1], [0, 0], [0.25, 0.25]]))


def test_a_texture_may_be_scaled_and_shifted(tmp_path: Path) -> None:
    scene, binary = _document(TURNED)
    reference = scene["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
    transform = {"scale": [2, 0.5], "offset": [0.25, -1]}
    reference["extensions"] = {"KHR_texture_transform": transform}
    mesh = read_mesh(_written(tmp_path, _glb(scene, binary)))
    assert mesh.uvs is not None
    # From the top (1.5, 0) comes to (3.25, -1), and (0.25, 0.75) to (0.75, -0.625).
    np.testing.assert_allclose(mesh.uvs[[1, 3]], np.array([[3.25, 2.0], [0.75, 1.625]]))
    reference["extensions"]["KHR_texture_transform"] = {"rotation": 0.5}
    with pytest.raises(ScanError, match="a rotation by KHR_texture_transform"):
        read_mesh(_written(tmp_path, _glb(scene, binary)))


def test_colours_are_linear_in_the_file_and_srgb_in_the_mesh(tmp_path: Path) -> None:
    mesh = read_mesh(_written(tmp_path, _glb(*_document(TURNED))))
    names = [mesh.materials[index].name for index in mesh.face_materials]
    assert names == ["skin", "skin", "cloth", "cloth"]
    texture = mesh.materials[0].texture
    # Half the light of 255 is 188, of 188 it is 137; blue has factor 1.
    assert texture is not None and texture[1, 1].tolist() == [188, 137, 0]
    np.testing.assert_allclose(mesh.materials[0].base_colour, [0.7354, 0.7354, 1.0], atol=1e-4)
    assert mesh.vertex_colours is not None
    # 51 of 255 is 0.2 in linear light, which is 124 in sRGB.
    np.testing.assert_array_equal(mesh.vertex_colours[4:6], [[255, 0, 0], [0, 124, 0]])


def test_materials_that_share_a_texture_hold_it_once_but_for_their_factor(tmp_path: Path) -> None:
    scene, binary = _document(TURNED)
    texture = {"baseColorTexture": {"index": 0}}
    scene["materials"] = [
        {"pbrMetallicRoughness": {**texture, "baseColorFactor": [0.5, 0.5, 1, 1]}},
        {"pbrMetallicRoughness": texture},
        {"pbrMetallicRoughness": texture},
    ]
    primitives = scene["meshes"][0]["primitives"]
    primitives.append({**primitives[0], "material": 2})
    dark, first, second = read_mesh(_written(tmp_path, _glb(scene, binary))).materials
    assert dark.texture is not None and dark.texture[0, 0].tolist() == [188, 137, 0]
    assert first.texture is not None and first.texture[0, 0].tolist() == [255, 188, 0]
    assert first.texture is second.texture


def test_a_mirrored_node_does_not_turn_the_mesh_inside_out(tmp_path: Path) -> None:
    scene, binary = _document([{"mesh": 0, "matrix": np.diag([-1, 1, 1, 1]).ravel().tolist()}])
    mesh = read_mesh(_written(tmp_path, _glb(scene, binary)))
    np.testing.assert_allclose(mesh.vertices[1], [-1, 0, 0])
    np.testing.assert_array_equal(mesh.faces[0], [2, 1, 0])
    np.testing.assert_allclose(mesh.vertex_normals[0], [0, 0, 1])


def test_missing_normals_are_smooth_across_a_seam(tmp_path: Path) -> None:
    """Two squares at a right angle; the vertices of their edge are there once for each."""
    first = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    corners = np.concatenate([first, [[1, 0, 0], [1, 0, -1], [1, 1, -1], [1, 1, 0]]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    visual = trimesh.visual.TextureVisuals(
        uv=np.linspace(0, 1, 16).reshape(8, 2),
        material=trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (2, 2))),
    )
    made = trimesh.Trimesh(corners, faces, visual=visual, process=False)
    data = trimesh.exchange.gltf.export_glb(trimesh.Scene(made), include_normals=False)
    mesh = read_mesh(_written(tmp_path, data))
    assert len(mesh.vertices) == 8
    # At (1, 0, 0) half of the first square meets the whole second one; at (1, 1, 0) it is turned.
    across = np.array([[2, 0, 1], [1, 0, 2]]) / 5**0.5
    np.testing.assert_allclose(mesh.vertex_normals[[1, 2, 4, 7]], across[[0, 1, 0, 1]], atol=1e-7)
    np.testing.assert_allclose(mesh.vertex_normals[0], [0, 0, 1], atol=1e-7)


def test_a_gltf_reads_buffers_from_uris_within_its_folder(tmp_path: Path) -> None:
    scene, binary = _document(TURNED)
    expected = read_mesh(_written(tmp_path, _glb(scene, binary)))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "the data.bin").write_bytes(binary)
    inline = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    for uri in ("parts/the%20data.bin", inline):
        scene["buffers"] = [{"byteLength": len(binary), "uri": uri}]
        mesh = read_mesh(_written(tmp_path, json.dumps(scene).encode(), "scan.gltf"))
        np.testing.assert_array_equal(mesh.vertices, expected.vertices)
        np.testing.assert_array_equal(mesh.uvs, expected.uvs)


def test_a_file_of_another_writer_reads_the_same(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    uv = np.random.default_rng(0).random((8, 2))
    picture = Image.new("RGB", (4, 4), (10, 200, 30))
    visual = trimesh.visual.TextureVisuals(
        uv=uv, material=trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    )
    made = trimesh.Trimesh(box.vertices, box.faces, visual=visual, process=False)
    scene = trimesh.Scene()
    scene.add_geometry(made, transform=trimesh.transformations.translation_matrix([1, 2, 3]))
    mesh = read_mesh(_written(tmp_path, scene.export(file_type="glb")))
    np.testing.assert_allclose(mesh.vertices, np.array(box.vertices) + [1, 2, 3])
    np.testing.assert_array_equal(mesh.faces, box.faces)
    assert mesh.uvs is not None
    np.testing.assert_allclose(mesh.uvs, uv, atol=1e-6)
    texture = mesh.materials[0].texture
    assert texture is not None and texture[0, 0].tolist() == [10, 200, 30]


def _broken(nodes: list[dict[str, Any]] = TURNED, **changes: Any) -> bytes:
    return _glb(*_document(nodes, **changes))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "glTF 2.0 file, got no 'asset'"),
        (b"not json", "glTF 2.0 file, got"),
        (_broken()[:10], "glTF 2.0 file, got"),
        (_broken()[:-9], "bytes"),
        (_broken(asset={"version": "1.0"}), "version 1.0 instead of 2.0"),
        (_broken(extensionsRequired=["KHR_draco_mesh_compression"]), "KHR_draco.*requires it"),
        (_broken(nodes=[{"children": [0]}]), "node 0 below more than one other"),
        (_broken(nodes=[{"name": "empty"}]), "faces, got none"),
        (_broken(nodes=[{"mesh": 7}]), "glTF 2.0 file, got list index"),
        (_broken(nodes=[{"mesh": 0, "skin": 0}]), "without a skeleton"),
        (_broken(nodes=[{"mesh": 0, "scale": [0, 1, 1]}]), "ingular|without any"),
        (_broken(nodes=[{"mesh": 0, "translation": [0, 0, float("nan")]}]), "finite vertices"),
        (_broken(images=[{"uri": "../secret.png"}]), "within"),
        (_broken(images=[{"uri": "gone.png"}]), "gone.png, got: No such file"),
        (_broken(images=[{"bufferView": 0}]), "image 0: expected an image"),
        (_broken(bufferViews=[{"buffer": 0, "byteLength": 9999}]), "ends too early"),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_name(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = _written(tmp_path, data)
    with pytest.raises(ScanError, match=message) as raised:
        read_mesh(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_an_index_past_the_last_vertex_is_named(tmp_path: Path) -> None:
    scene, binary = _document(TURNED)
    wrong = binary.replace(FACES.tobytes(), (FACES + 2).tobytes())
    with pytest.raises(ScanError, match="4 vertex rows, got number 6"):
        read_mesh(_written(tmp_path, _glb(scene, wrong)))
