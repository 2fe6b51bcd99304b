"""Reading scans: OBJ with MTL and textures, PLY with vertex colours."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.errors import ScanError
from render.materials import MaterialLines, inside, read_mtl, read_texture
from render.mesh import DEFAULT_GREY, Material, Mesh
from render.obj_text import ObjArrays, parse_obj

LOGGER = logging.getLogger(__name__)

MESH_SUFFIXES = (".obj", ".ply")


def read_mesh(path: Path) -> Mesh:
    """Read a scan in its own frame and unit.

    Args:
        path: an OBJ file (polygons are cut into triangles, normals averaged per vertex,
            textures are those of map_Kd) or a PLY file (ASCII or binary, vertex colours).

    Raises:
        ScanError: the file is missing or of another kind, has no faces, holds NaN or
            infinity, an index out of range, or names a file that is missing or undecodable.
    """
    path = Path(path)
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise ScanError(f"{path}: expected an OBJ or PLY file, got the suffix {path.suffix!r}")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ScanError(f"{path}: expected a readable file, got: {error.strerror}") from error
    if size == 0:
        raise ScanError(f"{path}: expected a mesh, got an empty file")
    return _read_obj(path) if path.suffix.lower() == ".obj" else _read_ply(path)


def _read_obj(path: Path) -> Mesh:
    try:
        arrays = parse_obj(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ScanError(f"{path}: {error}") from error
    corners = arrays.faces
    _check_surface(path, arrays.vertices, corners[..., 0])
    _check_finite(path, "texture coordinates", arrays.uvs)
    has_uvs = len(arrays.uvs) > 0 and bool((corners[..., 1] >= 0).any())
    uvs, uv_faces = arrays.uvs, corners[..., 1]
    if has_uvs:
        _check_range(path, "texture coordinate", uv_faces, len(uvs), least=-1)
        if (uv_faces < 0).any():
            uvs = np.concatenate([uvs, np.zeros((1, 2))])
            uv_faces = np.where(uv_faces < 0, len(uvs) - 1, uv_faces)
    materials, face_materials = _obj_materials(path, arrays, has_uvs)
    return Mesh.from_arrays(
        arrays.vertices,
        corners[..., 0],
        uvs=uvs if has_uvs else None,
        uv_faces=uv_faces if has_uvs else None,
        vertex_normals=_mean_normals(path, arrays),
        vertex_colours=None if arrays.colours is None else _colour_bytes(path, arrays.colours),
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
    used = np.unique(arrays.face_materials)
    materials = []
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
        texture = None if block.texture is None else read_texture(block.texture, path)
        if texture is not None and not has_uvs:
            LOGGER.warning("%s: has a texture but no texture coordinates to lay it on", path)
        materials.append(Material(name, block.colour, texture))
    return tuple(materials), np.searchsorted(used, arrays.face_materials)


def _mean_normals(path: Path, arrays: ObjArrays) -> NDArray[np.float64] | None:
    """Return per-vertex sums of the corner normals, or None where the file has none."""
    normal_faces = arrays.faces[..., 2]
    if not len(arrays.normals) or not (normal_faces >= 0).all():
        return None
    _check_range(path, "normal", normal_faces, len(arrays.normals))
    flat, rows = arrays.faces[..., 0].ravel(), arrays.normals[normal_faces.ravel()]
    count = len(arrays.vertices)
    return np.stack([np.bincount(flat, rows[:, axis], minlength=count) for axis in range(3)], 1)


def _read_ply(path: Path) -> Mesh:
    import trimesh
    from trimesh.visual import ColorVisuals

    try:
        loaded = trimesh.load(path, file_type="ply", process=False)
    except Exception as error:  # trimesh meets damaged files with errors of many types
        raise ScanError(
            f"{path}: expected a PLY mesh, got {type(error).__name__}: {error}"
        ) from error
    if not isinstance(loaded, trimesh.Trimesh):
        raise ScanError(f"{path}: expected a mesh with faces, got none")
    vertices, faces = np.asarray(loaded.vertices), np.asarray(loaded.faces)
    _check_surface(path, vertices, faces)
    colours = None
    visual = loaded.visual
    if isinstance(visual, ColorVisuals) and visual.kind == "vertex":
        colours = np.asarray(visual.vertex_colors)[:, :3].astype(np.uint8)
    return Mesh.from_arrays(vertices, faces, vertex_colours=colours)


def _check_surface(path: Path, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> None:
    if not len(faces):
        raise ScanError(f"{path}: expected a mesh with faces, got none")
    _check_finite(path, "vertices", vertices)
    _check_range(path, "vertex", faces, len(vertices))


def _check_finite(path: Path, what: str, values: NDArray[np.floating]) -> None:
    bad = int((~np.isfinite(values)).any(axis=-1).sum())
    if bad:
        raise ScanError(f"{path}: expected finite {what}, got {bad} with NaN or infinity")


def _check_range(
    path: Path, what: str, indices: NDArray[np.integer], count: int, least: int = 0
) -> None:
    low, high = int(indices.min()), int(indices.max())
    if low < least or high >= count:
        wrong = high + 1 if high >= count else low + 1
        raise ScanError(
            f"{path}: expected faces to name one of {count} {what} rows, got number {wrong}"
        )


def _colour_bytes(path: Path, colours: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return uint8 colours; files hold them either from 0 to 1 or from 0 to 255."""
    _check_finite(path, "vertex colours", colours)
    scale = 255.0 if colours.max() <= 1.0 else 1.0
    return np.clip(np.rint(colours * scale), 0, 255).astype(np.uint8)
