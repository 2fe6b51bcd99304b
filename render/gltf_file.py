"""Scans as GLB or glTF 2.0: triangles under the transforms of their nodes, and base colours."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.colour import linear_from_srgb, srgb_bytes_from_linear, srgb_from_linear
from render.errors import ScanError
from render.gltf_buffers import Document, Json
from render.materials import decode_texture
from render.mesh import Material
from render.scan_arrays import ScanArrays, check_finite, check_range

_TRIANGLES = 4
_TEXTURE_TRANSFORM = "KHR_texture_transform"
_READ_EXTENSIONS = (
    "KHR_mesh_quantization", _TEXTURE_TRANSFORM, "KHR_materials_", "EXT_materials_", "KHR_lights_",
)  # fmt: skip
_SPECULAR = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The triangles of one primitive, in the frame of the scene.

    Attributes:
        vertices: (V, 3) float64.
        faces: (F, 3) int64.
        normals: (V, 3) float64, zero where the file has none.
        uvs: (V, 2) float64, origin bottom left, or None.
        colours: (V, 3) float64 linear light, or None.
        material: index, or -1 for the default.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    normals: NDArray[np.float64]
    uvs: NDArray[np.float64] | None
    colours: NDArray[np.float64] | None
    material: int


def read_gltf(path: Path, data: bytes, texture: Path | None) -> ScanArrays:
    """Read the content of a GLB or glTF file; files it names lie in the folder of `path`.

    All triangles of the scene are one mesh; points and lines are left out. Base colours and
    vertex colours, linear light in the file, become sRGB; a factor is multiplied into its
    texture. Where a primitive has a texture its vertex colours are left out.

    Raises:
        ScanError: it is not such a file, needs an extension that is not read, or a texture is
            given: its own are laid on by its materials.
    """
    if texture is not None:
        raise ScanError(f"{path}: expected an OBJ or PLY file to lay {texture.name} on, got glTF")
    try:
        document = Document(path, data)
        _check_extensions(document)
        parts = [
            part
            for node, matrix in _nodes(document.json)
            for part in _parts(document, node, matrix)
        ]
        if not parts:
            raise ScanError(f"{path}: expected a mesh with faces, got none")
        return _joined(document, parts)
    except ScanError:
        raise
    except (
        ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
        RecursionError, struct.error, np.linalg.LinAlgError,
    ) as error:  # fmt: skip
        what = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise ScanError(f"{path}: expected a glTF 2.0 file, got {what}") from error


def _check_extensions(document: Document) -> None:
    needed = document.json.get("extensionsRequired", [])
    unread = [name for name in needed if not name.startswith(_READ_EXTENSIONS)]
    if unread:
        raise ScanError(
            f"{document.path}: expected a glTF file without {', '.join(unread)}, "
            "got one that requires it"
        )


def _nodes(scene_file: Json) -> Iterator[tuple[Json, NDArray[np.float64]]]:
    """Yield the nodes of the scene with (4, 4) matrices from their frame to that of the scene."""
    nodes = scene_file.get("nodes", [])
    if scene_file.get("scenes"):
        roots = scene_file["scenes"][scene_file.get("scene", 0)].get("nodes", [])
    else:
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in children]
    waiting = [(index, np.eye(4)) for index in reversed(roots)]
    seen: set[int] = set()
    while waiting:
        index, parent = waiting.pop()
        if index in seen:
            raise ValueError(f"node {index} below more than one other")
        seen.add(index)
        node = nodes[index]
        matrix = parent @ _matrix(node)
        yield node, matrix
        waiting.extend((child, matrix) for child in reversed(node.get("children", [])))


def _matrix(node: Json) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
    matrix = np.eye(4)
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] = np.array(rotation) * np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _parts(document: Document, node: Json, matrix: NDArray[np.float64]) -> Iterator[_Part]:
    if "mesh" not in node:
        return
    if "skin" in node:
        raise ScanError(f"{document.path}: expected a mesh without a skeleton, got a skinned one")
    for primitive in document.json["meshes"][node["mesh"]]["primitives"]:
        mode = primitive.get("mode", _TRIANGLES)
        if mode > _TRIANGLES:
            raise ValueError("a strip or fan of triangles, which is not read")
        if mode == _TRIANGLES:
            yield _part(document, primitive, matrix)


def _part(document: Document, primitive: Json, matrix: NDArray[np.float64]) -> _Part:
    attributes: dict[str, int] = primitive["attributes"]
    material = int(primitive.get("material", -1))
    linear = matrix[:3, :3]
    vertices = _attribute(document, attributes, "POSITION", 3)
    if vertices is None:
        raise ValueError("a primitive without positions")
    if "indices" in primitive:
        indices = document.array(primitive["indices"]).astype(np.int64)
    else:
        indices = np.arange(len(vertices) // 3 * 3)
    faces = indices.reshape(-1, 3)
    if len(faces):
        check_range(document.path, "vertex", faces, len(vertices))
    if np.linalg.det(linear) < 0.0:
        faces = faces[:, ::-1]
    normals = _attribute(document, attributes, "NORMAL", 3)
    uvs = _texture_coordinates(document, attributes, _base_colour(document, material)[1])
    for name, values in (("normals", normals), ("texture coordinates", uvs)):
        if values is not None and len(values) != len(vertices):
            raise ValueError(f"{len(values)} {name} for {len(vertices)} vertices")
    return _Part(
        vertices=vertices @ linear.T + matrix[:3, 3],
        faces=faces,
        normals=np.zeros_like(vertices) if normals is None else normals @ np.linalg.inv(linear),
        uvs=uvs,
        colours=_attribute(document, attributes, "COLOR_0", 3),
        material=material,
    )


def _attribute(
    document: Document, attributes: dict[str, int], name: str, width: int
) -> NDArray[np.float64] | None:
    """Return (N, width) float64, or None where the primitive has no such attribute."""
    if name not in attributes:
        return None
    values = document.array(attributes[name])
    if values.shape[1] < width:
        raise ValueError(f"{name} of {values.shape[1]} numbers")
    return values[:, :width].astype(np.float64)


def _texture_coordinates(
    document: Document, attributes: dict[str, int], reference: Json
) -> NDArray[np.float64] | None:
    """Return (N, 2) coordinates for a reference to a texture, origin bottom left."""
    moved = reference.get("extensions", {}).get(_TEXTURE_TRANSFORM, {})
    if moved.get("rotation", 0.0) != 0.0:
        raise ValueError(f"a rotation by {_TEXTURE_TRANSFORM}, which is not read")
    number = moved.get("texCoord", reference.get("texCoord", 0))
    uvs = _attribute(document, attributes, f"TEXCOORD_{number}", 2)
    if uvs is None:
        return None
    # In the file the origin is at the top left.
    u, v = (uvs * moved.get("scale", (1, 1)) + moved.get("offset", (0, 0))).T
    return np.stack([u, 1.0 - v], axis=1)


def _base_colour(document: Document, material: int) -> tuple[NDArray[np.float64], Json]:
    """Return the (3,) linear factor and the texture reference (empty for none) of a material."""
    block: Json = document.json["materials"][material] if material >= 0 else {}
    old = block.get("extensions", {}).get(_SPECULAR)
    shading: Json = block.get("pbrMetallicRoughness", {}) if old is None else old
    factor_name, texture_name = (
        ("baseColorFactor", "baseColorTexture")
        if old is None
        else ("diffuseFactor", "diffuseTexture")
    )
    factor = np.array(shading.get(factor_name, (1, 1, 1, 1)), dtype=np.float64)[:3]
    if factor.shape != (3,) or not np.isfinite(factor).all():
        raise ValueError(f"{factor_name} {shading[factor_name]!r}")
    return np.clip(factor, 0.0, 1.0), shading.get(texture_name, {})


def _material(document: Document, index: int, pictures: dict[int, NDArray[np.uint8]]) -> Material:
    """Return a material; `pictures` holds the textures that were decoded for others before."""
    factor, reference = _base_colour(document, index)
    name = "default" if index < 0 else document.json["materials"][index].get("name", str(index))
    texture = None
    if "index" in reference:
        number = int(reference["index"])
        if number not in pictures:
            pictures[number] = _texture(document, number)
        texture = pictures[number]
        if (factor < 1.0).any():
            linear = linear_from_srgb(np.arange(256) / 255.0)
            tables = srgb_bytes_from_linear(linear[:, None] * factor)
            texture = np.stack([tables[texture[..., i], i] for i in range(3)], axis=-1)
    return Material(str(name), srgb_from_linear(factor).astype(np.float64), texture)


def _texture(document: Document, index: int) -> NDArray[np.uint8]:
    number = document.json["textures"][index]["source"]
    image = document.json["images"][number]
    name = f"{document.path}, image {number}"
    if "bufferView" in image:
        data = document.view(image["bufferView"])
    else:
        data = document.resource(image["uri"])
    return decode_texture(io.BytesIO(data), name)


def _joined(document: Document, parts: list[_Part]) -> ScanArrays:
    """Return the parts as one mesh."""
    for part in parts:
        if part.colours is not None:
            check_finite(document.path, "vertex colours", part.colours)
    used = sorted({part.material for part in parts})
    pictures: dict[int, NDArray[np.uint8]] = {}
    materials = [_material(document, index, pictures) for index in used]
    places = {index: place for place, index in enumerate(used)}
    counts = [len(part.vertices) for part in parts]
    firsts = np.cumsum([0, *counts[:-1]])
    normals = np.concatenate([part.normals for part in parts])
    has_uvs = any(part.uvs is not None for part in parts)
    has_colours = any(part.colours is not None for part in parts)
    return ScanArrays(
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate(
            [part.faces + first for part, first in zip(parts, firsts, strict=True)]
        ),
        uvs=_stacked([part.uvs for part in parts], counts) if has_uvs else None,
        vertex_normals=normals if normals.any() else None,
        vertex_colours=_colours(document, parts) if has_colours else None,
        materials=tuple(materials),
        face_materials=np.repeat(
            [places[part.material] for part in parts], [len(part.faces) for part in parts]
        ),
    )


def _stacked(tables: list[NDArray[np.float64] | None], counts: list[int]) -> NDArray[np.float64]:
    """Return (N, 2) rows of all parts, zeros for parts without any."""
    pairs = zip(tables, counts, strict=True)
    return np.concatenate([np.zeros((n, 2)) if table is None else table for table, n in pairs])


def _colours(document: Document, parts: list[_Part]) -> NDArray[np.uint8]:
    """Return (V, 3) sRGB: the vertex colours times the factor, or the factor alone."""
    rows = []
    for part in parts:
        factor, _ = _base_colour(document, part.material)
        linear = np.ones_like(part.vertices) if part.colours is None else part.colours
        if linear.shape != part.vertices.shape:
            raise ValueError(f"{len(linear)} vertex colours for {len(part.vertices)} vertices")
        rows.append(srgb_bytes_from_linear(linear * factor))
    return np.concatenate(rows)
