"""PLY files: vertex colours, and textures by vertex or by corner, as MeshLab writes them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import ScanError
from render.materials import given_material, inside, read_texture
from render.mesh import DEFAULT_GREY, Material
from render.obj_faces import fans
from render.ply_records import Column, read_header, read_records
from render.scan_arrays import ScanArrays, check_finite, colour_bytes

LOGGER = logging.getLogger(__name__)

_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
_COLOUR_NAMES = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_FACE_NAMES = ("vertex_indices", "vertex_index")


def read_ply(path: Path, data: bytes, texture: Path | None) -> ScanArrays:
    """Read the content of a PLY file; its textures lie in the folder of `path`.

    Texture coordinates are those of corners (lists called texcoord) where there are any, else
    of vertices (s and t, or u and v); both have their origin at the bottom left. The lines
    "comment TextureFile NAME" name the textures, which texnumber of a face counts from 0. A
    given texture is laid on all faces instead; a scan with vertex colours may lack coordinates.

    Raises:
        ScanError: it is not a PLY file, ends too early, or names a texture that is unusable.
    """
    try:
        return _scan(path, data, texture)
    except ScanError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise ScanError(f"{path}: {error}") from error


def _scan(path: Path, data: bytes, texture: Path | None) -> ScanArrays:
    header = read_header(data)
    records = read_records(data, header)
    vertex, face = records.get("vertex", {}), records.get("face", {})
    vertices = _table(vertex, ("x", "y", "z"))
    if vertices is None:
        raise ValueError("expected vertices with x, y and z, got none")
    corners = next((face[name] for name in _FACE_NAMES if name in face), None)
    if corners is None or not len(corners.counts):
        raise ValueError("expected a mesh with faces, got none")
    triangles, polygons = _triangles(corners)
    uvs, uv_faces = _uvs(path, vertex, face, corners, triangles)
    colours = _colours(path, vertex)
    names = [
        comment.partition(" ")[2].strip()
        for comment in header.comments
        if comment.lower().startswith("texturefile ")
    ]
    materials: tuple[Material, ...]
    if texture is None or (uvs is None and colours is not None):
        if names and uvs is None:
            LOGGER.warning("%s: has a texture but no texture coordinates to lay it on", path)
        materials, choices = _materials(path, names, face.get("texnumber"), len(corners.counts))
    else:
        materials, choices = (given_material(texture, path, uvs is not None),), None
    return ScanArrays(
        vertices=vertices,
        faces=corners.values[triangles].astype(np.int64),
        uvs=uvs,
        uv_faces=uv_faces,
        vertex_normals=_table(vertex, ("nx", "ny", "nz")),
        vertex_colours=colours,
        materials=materials,
        face_materials=None if choices is None else choices[polygons],
    )


def _table(columns: dict[str, Column], names: tuple[str, ...]) -> NDArray[Any] | None:
    """Return (rows, K) values of the named columns, or None where one is missing."""
    if not all(name in columns for name in names):
        return None
    return np.stack([columns[name].values for name in names], axis=1)


def _triangles(corners: Column) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (F, 3) places in the values, and the face that each triangle is a part of."""
    if (corners.counts < 3).any():
        raise ValueError(
            f"expected faces of three corners or more, got one of {corners.counts.min()}"
        )
    return fans(corners.counts)


def _uvs(
    path: Path,
    vertex: dict[str, Column],
    face: dict[str, Column],
    corners: Column,
    triangles: NDArray[np.int64],
) -> tuple[NDArray[np.floating] | None, NDArray[np.integer] | None]:
    """Return coordinates and, where they are those of corners, (F, 3) indices of them."""
    if "texcoord" not in face:
        tables = (_table(vertex, names) for names in _UV_NAMES)
        return next((table for table in tables if table is not None), None), None
    texcoord = face["texcoord"]
    is_bare = texcoord.counts == 0
    if (~is_bare & (texcoord.counts != 2 * corners.counts)).any():
        raise ValueError("expected two texture coordinates a corner, got other numbers")
    rows = np.zeros((len(corners.values), 2), dtype=np.float32)
    rows[np.repeat(~is_bare, corners.counts)] = texcoord.values.reshape(-1, 2)
    check_finite(path, "texture coordinates", rows)
    # Equal ones are put together, or every corner would become a vertex of its own.
    pairs = (rows + np.float32(0.0)).view(np.uint64).ravel()
    unique, inverse = np.unique(pairs, return_inverse=True)
    return unique.view(np.float32).reshape(-1, 2), inverse[triangles]


def _colours(path: Path, vertex: dict[str, Column]) -> NDArray[np.uint8] | None:
    tables = (_table(vertex, names) for names in _COLOUR_NAMES)
    colours = next((table for table in tables if table is not None), None)
    if colours is None or colours.dtype == np.uint8:
        return colours
    if colours.dtype.kind == "f":
        return colour_bytes(path, colours)
    most = np.iinfo(colours.dtype).max
    return np.rint(np.clip(colours / most, 0.0, 1.0) * 255.0).astype(np.uint8)


def _materials(
    path: Path, names: list[str], texnumber: Column | None, face_count: int
) -> tuple[tuple[Material, ...], NDArray[np.int64] | None]:
    """Return one material for each texture and a grey one, and which each face has."""
    if not names:
        return (), None
    numbers = np.zeros(face_count, dtype=np.int64)
    if texnumber is not None:
        numbers = texnumber.values.astype(np.int64)
        if numbers.max() >= len(names):
            raise ScanError(
                f"{path}: expected texnumber below {len(names)}, the number of textures, "
                f"got {numbers.max()}"
            )
    white, grey = np.ones(3), Material("default", np.full(3, DEFAULT_GREY))
    textures = [read_texture(inside(path.parent, path.parent, name, path), path) for name in names]
    pairs = zip(names, textures, strict=True)
    materials = [Material(name, white, texture) for name, texture in pairs]
    return (*materials, grey), np.where(numbers < 0, len(names), numbers)
