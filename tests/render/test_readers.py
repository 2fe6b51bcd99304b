from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from render.errors import ScanError
from render.readers import read_mesh

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _textured(folder: Path, mtl: str = "newmtl skin\nKd 1 1 1\nmap_Kd skin.png\n") -> Path:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(folder / "skin.png")
    _write(folder / "scan.mtl", mtl)
    text = f"mtllib scan.mtl\n{TRIANGLE}vt 0 0\nvt 1 0\nvt 0 1\nusemtl skin\nf 1/1 2/2 3/3\n"
    return _write(folder / "scan.obj", text)


def test_an_obj_gives_its_vertices_faces_uvs_and_texture(tmp_path: Path) -> None:
    mesh = read_mesh(_textured(tmp_path))
    np.testing.assert_array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])
    assert mesh.uvs is not None
    np.testing.assert_array_equal(mesh.uvs, [[0, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(mesh.vertex_normals, [[0, 0, 1]] * 3)
    texture = mesh.materials[0].texture
    assert texture is not None
    np.testing.assert_array_equal(texture, np.arange(48).reshape(4, 4, 3))


def test_materials_that_share_a_texture_hold_it_once(tmp_path: Path) -> None:
    path = _textured(tmp_path, "newmtl skin\nmap_Kd skin.png\nnewmtl arm\nmap_Kd ./skin.png\n")
    _write(path, path.read_text() + "usemtl arm\nf 1/3 2/2 3/1\n")
    first, second = read_mesh(path).materials
    assert first.texture is not None and first.texture is second.texture


@pytest.mark.parametrize("jpeg_name", ["a photo 2.jpg", "-s 1 1 1 photo.jpg", "sub\\photo.jpg"])
def test_texture_names_may_have_blanks_options_and_backslashes(
    tmp_path: Path, jpeg_name: str
) -> None:
    path = _textured(tmp_path, f"newmtl skin\nmap_Kd {jpeg_name}\n")
    (tmp_path / "sub").mkdir()
    real = jpeg_name.replace("-s 1 1 1 ", "").replace("\\", "/")
    Image.new("RGB", (8, 6), (9, 200, 40)).save(tmp_path / real)
    texture = read_mesh(path).materials[0].texture
    assert texture is not None and texture.shape == (6, 8, 3)


@pytest.mark.parametrize(
    "mtl",
    [
        "newmtl\tskin\nmap_Kd\tskin.png\n",
        "newmtl skin\n\tmap_Kd \t skin.png \n",
        "\ufeffnewmtl skin\r\nmap_Kd skin.png\r\n",
        "newmtl skin\nmap_Kd -s\t1 1 1\tskin.png\n",
    ],
)
def test_tabs_and_a_byte_order_mark_do_not_cost_the_texture(tmp_path: Path, mtl: str) -> None:
    path = _textured(tmp_path, mtl)
    assert read_mesh(path).materials[0].texture is not None
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_mesh(path).materials[0].texture is not None


def test_a_byte_order_mark_does_not_cost_the_first_vertex(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.obj", "\ufeff" + TRIANGLE + "f 1 2 3\n")
    np.testing.assert_array_equal(read_mesh(path).vertices[0], [0, 0, 0])


def test_a_textured_scan_whose_material_is_nowhere_is_refused(tmp_path: Path) -> None:
    path = _textured(tmp_path, "newmtl cloth\nmap_Kd skin.png\n")
    with pytest.raises(ScanError, match=r"scan\.obj: expected the material 'skin' in scan\.mtl"):
        read_mesh(path)
    text = path.read_text()
    _write(path, text.replace("mtllib scan.mtl\n", ""))
    with pytest.raises(ScanError, match="'skin' in an MTL file, which no mtllib line names"):
        read_mesh(path)
    # Where nothing is named, or there is nothing to lay a texture on with, grey is all there is.
    for plain in (text.replace("usemtl skin\n", ""), f"{TRIANGLE}usemtl skin\nf 1 2 3\n"):
        (material,) = read_mesh(_write(path, plain)).materials
        assert material.texture is None and len(set(material.base_colour)) == 1


def test_polygons_negative_indices_comments_and_line_ends_are_understood(tmp_path: Path) -> None:
    text = (
        "# a comment\r\n  v 0 0 0\r\nv\t1 0 0 # here\r\nv 1 1 0\r\nv 0 1 0\r\n"
        "f 1 2 \\\r\n3 4\r\nv 0 0 5\r\nf -1 -5 -4\r\nf 1//1 2//1 5//1\r\nvn 0 0 1\r\no name\r\n"
    )
    mesh = read_mesh(_write(tmp_path / "a.obj", text))
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [4, 0, 1], [0, 1, 4]])


def test_mixed_corner_forms_keep_the_order_and_material_of_the_faces(tmp_path: Path) -> None:
    text = (
        "mtllib ab.mtl\n" + TRIANGLE + "v 1 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1 2 4\nf 1 2 4 3\nusemtl a\nf 2/2 4/1 3/3\n"
    )
    _write(tmp_path / "ab.mtl", "newmtl a\nnewmtl b\n")
    mesh = read_mesh(_write(tmp_path / "a.obj", text))
    np.testing.assert_array_equal(
        mesh.faces, [[0, 1, 2], [0, 1, 3], [0, 1, 3], [0, 3, 2], [1, 3, 2]]
    )
    names = [mesh.materials[index].name for index in mesh.face_materials]
    assert names == ["a", "b", "b", "b", "a"]


def test_vertex_colours_of_an_obj_are_read_from_unit_range(tmp_path: Path) -> None:
    text = "v 0 0 0 1 0 0.2\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\nf 1 2 3\n"
    colours = read_mesh(_write(tmp_path / "a.obj", text)).vertex_colours
    np.testing.assert_array_equal(colours, [[255, 0, 51], [0, 255, 0], [0, 0, 255]])


def test_given_normals_that_point_inwards_are_replaced(tmp_path: Path) -> None:
    text = TRIANGLE + "vn 0 0 -1\nvn 0 0.6 0.8\nf 1//1 2//2 3//2\n"
    normals = read_mesh(_write(tmp_path / "a.obj", text)).vertex_normals
    np.testing.assert_allclose(normals, [[0, 0, 1], [0, 0.6, 0.8], [0, 0.6, 0.8]])


def test_faces_without_area_are_dropped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path / "ab.mtl", "newmtl a\nnewmtl b\n")
    text = (
        f"mtllib ab.mtl\n{TRIANGLE}v 0 0 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "usemtl a\nf 1/1 1/2 2/3\nf 1/1 4/2 2/3\nusemtl b\nf 1/1 2/2 3/3\n"
    )
    mesh = read_mesh(_write(tmp_path / "a.obj", text))
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])
    np.testing.assert_array_equal(mesh.uv_faces, [[0, 1, 2]])
    assert mesh.materials[mesh.face_materials[0]].name == "b"
    assert "a.obj: 2 of 3 faces have no area; they are dropped" in caplog.text


def test_corners_without_texture_coordinates_may_stand_beside_ones_with(tmp_path: Path) -> None:
    text = f"{TRIANGLE}vt 0.25 0.5\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\nf 1 3 2\n"
    mesh = read_mesh(_write(tmp_path / "a.obj", text))
    assert mesh.uvs is not None and mesh.uv_faces is not None
    expected = [[[0.25, 0.5], [1, 0], [0, 1]], [[0, 0]] * 3]
    np.testing.assert_array_equal(mesh.uvs[mesh.uv_faces], np.array(expected))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.obj", "", "empty file"),
        ("a.obj", TRIANGLE, "faces, got none"),
        ("a.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "1 with NaN"),
        ("a.obj", "v 0 0 inf\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "infinity"),
        ("a.obj", TRIANGLE + "f 1 2 4\n", "3 vertex rows, got number 4"),
        ("a.obj", TRIANGLE + "f 0 1 2\n", "from 1 on, got 0"),
        ("a.obj", TRIANGLE + "f -9 -2 -1\n", "vertex rows"),
        ("a.obj", TRIANGLE + "vt 0 0\nf 1/1 2/1 3/2\n", "1 texture coordinate rows, got number 2"),
        ("a.obj", TRIANGLE + "vt 0 nan\nf 1/1 2/1 3/1\n", "finite texture coordinates, got 1"),
        ("a.obj", TRIANGLE + "vt 0 0\nf 1/1 2/-2 3/1\n", "1 texture coordinate rows"),
        ("a.obj", TRIANGLE + "vn 0 0 1\nf 1//1 2//2 3//1\n", "1 normal rows, got number 2"),
        ("a.obj", TRIANGLE + "f 1 1 2\nf 3 2 3\n", "faces with an area, got 2 without any"),
        ("a.obj", TRIANGLE + "f 1 2\n", "three corners"),
        ("a.obj", TRIANGLE + "v one two three\nf 1 2 3\n", "'v' lines"),
        ("a.obj", "v 0 0\nf 1 1 1\n", "3 values or more, got 2"),
        ("a.obj", "mtllib gone.mtl\n" + TRIANGLE + "f 1 2 3\n", "gone.mtl.*MTL"),
        ("a.obj", "mtllib ../b.mtl\n" + TRIANGLE + "f 1 2 3\n", "within"),
        ("a.stl", "solid", "OBJ, PLY, GLB or glTF"),
    ],
)
def test_a_broken_mesh_file_is_one_sentence_with_its_name(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = _write(tmp_path / name, text)
    with pytest.raises(ScanError, match=message) as raised:
        read_mesh(path)
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_ply_of_points_alone_has_no_faces(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    trimesh.PointCloud(np.eye(3)).export(path)
    with pytest.raises(ScanError, match="a.ply"):
        read_mesh(path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ScanError, match="gone.obj.*readable"):
        read_mesh(Path("gone.obj"))


def test_a_missing_texture_is_named_with_the_scan(tmp_path: Path) -> None:
    path = _textured(tmp_path)
    (tmp_path / "skin.png").unlink()
    with pytest.raises(ScanError, match=r"scan\.obj.*skin\.png"):
        read_mesh(path)


@pytest.mark.parametrize("kept_bytes", [0, 40, 6000])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_texture_that_cannot_be_decoded_is_named(
    tmp_path: Path, kept_bytes: int, kind: str
) -> None:
    path = _textured(tmp_path)
    texture = tmp_path / "skin.png"
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(texture, format=kind)
    assert texture.stat().st_size > kept_bytes
    texture.write_bytes(texture.read_bytes()[:kept_bytes])
    with pytest.raises(ScanError, match=r"skin\.png"):
        read_mesh(path)


@pytest.mark.parametrize("outside", ["../secret.png", "sub/../../secret.png", "{root}/secret.png"])
def test_a_texture_outside_the_folder_of_the_scan_is_refused(tmp_path: Path, outside: str) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    name = outside.format(root=tmp_path)
    path = _textured(folder, f"newmtl skin\nmap_Kd {name}\n")
    shutil.copy(folder / "skin.png", tmp_path / "secret.png")
    with pytest.raises(ScanError, match="within"):
        read_mesh(path)
