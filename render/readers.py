"""Reading scans: OBJ, PLY and glTF files with their textures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.errors import ScanError
from render.gltf_file import read_gltf
from render.materials import MaterialLines, given_material, inside, read_mtl, read_texture
from render.mesh import DEFAULT_GREY, Material, Mesh, sums_at_vertices
from render.obj_text import ObjArrays, parse_obj
from render.ply_file import read_ply
from render.scan_arrays import ScanArrays, check_range, checked_mesh, colour_bytes

LOGGER = logging.getLogger(__name__)


def read_mesh(path: Path, texture: Path | None = None) -> Mesh:
    """Read a scan in its own frame and unit.

    Polygons are cut into triangles that share their first corner, faces without area are left
    out with a warning, and normals that are missing or point inwards are those of the faces.

    Args:
        path: an OBJ file (several materials, textures of map_Kd, vertex colours), a PLY file
            (ASCII or binary; vertex colours, or a texture by vertex or by corner), or a GLB or
            glTF file (base colours, textures and vertex colours of all its triangles).
        texture: picture to lay on an OBJ or PLY file instead of those that it names.

    Raises:
        ScanError: the file is missing or of another kind, has no faces, holds NaN or
            infinity, an index out of range, or names a file that is missing or undecodable.
    """
    path = Path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ScanError(f"{path}: expected an {MESH_KINDS} file, got the suffix {path.suffix!r}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScanError(f"{path}: expected a readable file, got: {error.strerror}") from error
    if not data:
        raise ScanError(f"{path}: expected a mesh, got an empty file")
    return checked_mesh(path, read(path, data, texture))


def _read_obj(path: Path, data: bytes, texture: Path | None) -> ScanArrays:
    try:
        arrays = parse_obj(data)
    except ValueError as error:
        raise ScanError(f"{path}: {error}") from error
    uvs, uv_faces = arrays.uvs, arrays.uv_faces
    has_uvs = len(uvs) > 0 and bool((uv_faces != -1).any())
    if has_uvs and (uv_faces == -1).any():
        # Corners without texture coordinates get those of a row of zeros behind the others.
        check_range(path, "texture coordinate", np.maximum(uv_faces, 0), len(uvs))
        uv_faces = np.where(uv_faces == -1, len(uvs), uv_faces)
        uvs = np.concatenate([uvs, np.zeros((1, 2))])
    materials: tuple[Material, ...]
    face_materials: NDArray[np.int64] | None
    if texture is None:
        materials, face_materials = _obj_materials(path, arrays, has_uvs)
    else:
        materials, face_materials = (given_material(texture, path, has_uvs),), None
    return ScanArrays(
        vertices=arrays.vertices,
        faces=arrays.faces,
        uvs=uvs if has_uvs else None,
        uv_faces=uv_faces if has_uvs else None,
        vertex_normals=_mean_normals(path, arrays),
        vertex_colours=None if arrays.colours is None else colour_bytes(path, arrays.colours),
        materials=materials,
        face_materials=face_materials,
    )


def _obj_materials(
    path: Path, arrays: ObjArrays, has_uvs: bool
) -> tuple[tuple[Material, ...], NDArray[np.int64]]:
    """Return the materials that faces use (with a grey one where none is named) and their faces.

    Raises:
        ScanError: an MTL file or texture cannot be used, or a material that is to be laid on
            by texture coordinates is in no MTL file.
    """
    blocks: dict[str, MaterialLines] = {}
    for library in arrays.libraries:
        blocks.update(read_mtl(inside(path.parent, path.parent, library, path), path.parent))
    # From -1 on, the faces before the first usemtl.
    counts = np.bincount(arrays.face_materials + 1, minlength=1)
    used = np.flatnonzero(counts) - 1
    materials = []
    textures: dict[Path, NDArray[np.uint8]] = {}  # several materials may share one of 200 MB
    for index in used:
        name = arrays.material_names[index] if index >= 0 else ""
        block = blocks.get(name)
        if block is None:
            if name and has_uvs and arrays.colours is None:
                where = ", ".join(arrays.libraries) or "an MTL file, which no mtllib line names"
                raise ScanError(f"{path}: expected the material {name!r} in {where}, found none")
            if name and arrays.libraries:
                LOGGER.warning("%s: material %r is in no MTL file; its faces are grey", path, name)
            materials.append(Material(name or "default", np.full(3, DEFAULT_GREY)))
            continue
        if block.texture is not None and block.texture not in textures:
            textures[block.texture] = read_texture(block.texture, path)
        texture = None if block.texture is None else textures[block.texture]
        materials.append(Material(name, block.colour, texture))
    if textures and not has_uvs:
        LOGGER.warning("%s: has a texture but no texture coordinates to lay it on", path)
    return tuple(materials), np.searchsorted(used, arrays.face_materials)


def _mean_normals(path: Path, arrays: ObjArrays) -> NDArray[np.float64] | None:
    """Return per-vertex sums of the corner normals, or None where the file has none."""
    normal_faces = arrays.normal_faces.ravel()
    if not len(arrays.normals) or not len(normal_faces) or (normal_faces == -1).any():
        return None
    check_range(path, "vertex", arrays.faces, len(arrays.vertices))
    check_range(path, "normal", normal_faces, len(arrays.normals))
    corner_normals = (axis[normal_faces] for axis in np.ascontiguousarray(arrays.normals.T))
    return sums_at_vertices(arrays.faces.ravel(), corner_normals, len(arrays.vertices))


_READERS: dict[str, Callable[[Path, bytes, Path | None], ScanArrays]] = {
    ".obj": _read_obj,
    ".ply": read_ply,
    ".glb": read_gltf,
    ".gltf": read_gltf,
}

MESH_SUFFIXES = tuple(_READERS)
MESH_KINDS = "OBJ, PLY, GLB or glTF"
