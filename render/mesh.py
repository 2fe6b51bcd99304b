"""A triangle mesh with its colours, as plain arrays.

UV coordinates have their origin at the bottom left of the texture, as in OBJ; textures are
stored with row 0 at the top, as image files are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_GREY = 0.8

_BLOCK = 16384
"""Faces at a time: what is computed of them stays in the cache of a core."""


@dataclass(frozen=True)
class Material:
    """How the faces of one material are coloured.

    Attributes:
        name: as in the file.
        base_colour: (3,) float64, sRGB 0..1; used where there is neither texture nor vertex colour.
        texture: (H, W, 3) uint8 sRGB with row 0 at the top, or None.
    """

    name: str
    base_colour: NDArray[np.float64]
    texture: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh; faces are counter-clockwise seen from outside.

    Attributes:
        vertices: (V, 3) float64, any unit and frame (the owner says which).
        faces: (F, 3) int32, indices of vertices.
        uvs: (T, 2) float64, origin bottom left, or None.
        uv_faces: (F, 3) int32, indices of uvs per face corner, or None with uvs None.
        vertex_normals: (V, 3) float64 unit vectors out of the body (zero on unused vertices).
        vertex_colours: (V, 3) uint8 sRGB, or None.
        materials: at least one.
        face_materials: (F,) int32, indices of materials.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    uvs: NDArray[np.float64] | None
    uv_faces: NDArray[np.int32] | None
    vertex_normals: NDArray[np.float64]
    vertex_colours: NDArray[np.uint8] | None
    materials: tuple[Material, ...]
    face_materials: NDArray[np.int32]

    @classmethod
    def from_arrays(
        cls,
        vertices: NDArray[np.floating],
        faces: NDArray[np.integer],
        *,
        uvs: NDArray[np.floating] | None = None,
        uv_faces: NDArray[np.integer] | None = None,
        vertex_normals: NDArray[np.floating] | None = None,
        vertex_colours: NDArray[np.uint8] | None = None,
        materials: tuple[Material, ...] = (),
        face_materials: NDArray[np.integer] | None = None,
    ) -> Mesh:
        """Return a mesh with the missing parts filled in and the shapes checked.

        Vertex normals that are missing, zero, or on the inner side of the faces around them
        are replaced by area-weighted ones. UVs without `uv_faces` belong to the vertices.

        Args:
            vertices: (V, 3) float.
            faces: (F, 3) int.
            uvs: (T, 2) float, or None.
            uv_faces: (F, 3) int, or None: the same as faces.
            vertex_normals: (V, 3) float of any length, or None.
            vertex_colours: (V, 3) uint8 sRGB, or None.
            materials: empty for one grey material.
            face_materials: (F,) int, or None: all faces have the first material.

        Raises:
            ValueError: a shape or an index does not fit.
        """
        points = np.array(vertices, dtype=np.float64)
        triangles = np.array(faces, dtype=np.int32)
        _check_rows("vertices", points, 3)
        _check_rows("faces", triangles, 3)
        _check_indices("faces", triangles, len(points))
        coordinates, corners = _checked_uvs(triangles, uvs, uv_faces)
        if vertex_colours is not None:
            vertex_colours = np.array(vertex_colours)
            if vertex_colours.shape != points.shape or vertex_colours.dtype != np.uint8:
                raise ValueError(
                    f"vertex_colours: expected {points.shape} uint8, "
                    f"got {vertex_colours.shape} {vertex_colours.dtype}"
                )
        materials = materials or (Material("default", np.full(3, DEFAULT_GREY)),)
        choice = np.zeros(len(triangles), dtype=np.int32)
        if face_materials is not None:
            choice = np.array(face_materials, dtype=np.int32)
        if choice.shape != (len(triangles),):
            raise ValueError(f"face_materials: expected ({len(triangles)},), got {choice.shape}")
        _check_indices("face_materials", choice, len(materials))
        return cls(
            vertices=points,
            faces=triangles,
            uvs=coordinates,
            uv_faces=corners,
            vertex_normals=_consistent_normals(points, triangles, vertex_normals),
            vertex_colours=vertex_colours,
            materials=tuple(materials),
            face_materials=choice,
        )


def area_vectors(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return (3, F) float64 x, y and z of vectors along the face normals, twice the area long.

    They are zero for faces without area: those that name a vertex twice, or whose corners
    coincide.
    """
    axes = np.ascontiguousarray(np.asarray(vertices, dtype=np.float64).T)
    vectors = np.empty((3, len(faces)))
    for start in range(0, len(faces), _BLOCK):
        part = slice(start, start + _BLOCK)
        first, second, third = np.asarray(faces[part]).T
        a = [axis[second] - axis[first] for axis in axes]
        b = [axis[third] - axis[first] for axis in axes]
        for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            vectors[x, part] = a[y] * b[z] - a[z] * b[y]
    return vectors


def sums_at_vertices(
    corner_vertices: NDArray[np.integer], values: Iterable[NDArray[np.floating]], count: int
) -> NDArray[np.float64]:
    """Return (count, K) float64: at each vertex the sum over the corners there.

    Args:
        corner_vertices: (C,) int.
        values: K arrays of (C,) float.
        count: number of vertices.
    """
    corners = np.asarray(corner_vertices, dtype=np.intp)
    # Without any corner the counts are integers.
    sums = [np.bincount(corners, axis, minlength=count).astype(np.float64) for axis in values]
    return np.stack(sums, axis=1)


def area_weighted_normals(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return (V, 3) float64 unit normals, the mean of the adjacent faces weighted by area.

    Vertices without a face of positive area have a zero normal.
    """
    vectors = area_vectors(vertices, faces)
    sums = np.zeros((len(vertices), 3))
    for column in np.asarray(faces).T:
        sums += sums_at_vertices(column, vectors, len(vertices))
    return _unit(sums)


def normals_across_seams(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return (V, 3) float64 area-weighted normals that vertices of equal position share.

    Files with one texture coordinate a vertex repeat the vertices of a seam; normals of each
    copy alone would show the seam as a crease.
    """
    order = np.lexsort(np.asarray(vertices).T)
    rows = vertices[order]
    is_new = np.ones(len(rows), dtype=bool)
    is_new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    places = np.empty(len(rows), dtype=np.int64)
    places[order] = np.cumsum(is_new) - 1
    return area_weighted_normals(rows[is_new], places[faces])[places]


def transformed(mesh: Mesh, matrix: NDArray[np.floating]) -> Mesh:
    """Return the mesh under a (4, 4) affine matrix; normals follow the inverse transpose.

    Raises:
        ValueError: the matrix is singular, or mirrors the mesh (faces would turn inside out).
    """
    linear = np.asarray(matrix, dtype=np.float64)[:3, :3]
    if not np.linalg.det(linear) > 0.0:
        raise ValueError("matrix: expected a positive determinant, got a mirroring or singular one")
    return Mesh(
        vertices=mesh.vertices @ linear.T + np.asarray(matrix)[:3, 3],
        faces=mesh.faces,
        uvs=mesh.uvs,
        uv_faces=mesh.uv_faces,
        vertex_normals=_unit(mesh.vertex_normals @ np.linalg.inv(linear)),
        vertex_colours=mesh.vertex_colours,
        materials=mesh.materials,
        face_materials=mesh.face_materials,
    )


def _checked_uvs(
    faces: NDArray[np.int32],
    uvs: NDArray[np.floating] | None,
    uv_faces: NDArray[np.integer] | None,
) -> tuple[NDArray[np.float64] | None, NDArray[np.int32] | None]:
    if uvs is None:
        return None, None
    coordinates = np.array(uvs, dtype=np.float64)
    corners = np.array(faces if uv_faces is None else uv_faces, dtype=np.int32)
    _check_rows("uvs", coordinates, 2)
    if corners.shape != faces.shape:
        raise ValueError(f"uv_faces: expected {faces.shape}, got {corners.shape}")
    _check_indices("uv_faces", corners, len(coordinates))
    return coordinates, corners


def _consistent_normals(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    given: NDArray[np.floating] | None,
) -> NDArray[np.float64]:
    computed = area_weighted_normals(vertices, faces)
    if given is None:
        return computed
    normals = np.array(given, dtype=np.float64)
    if normals.shape != vertices.shape:
        raise ValueError(f"vertex_normals: expected {vertices.shape}, got {normals.shape}")
    normals = _unit(np.nan_to_num(normals, nan=0.0, posinf=0.0, neginf=0.0))
    unusable = np.einsum("ij,ij->i", normals, computed) <= 0.0
    return np.where(unusable[:, None], computed, normals)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0.0)


def _check_rows(name: str, array: NDArray[np.generic], width: int) -> None:
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"{name}: expected (N, {width}), got {array.shape}")


def _check_indices(name: str, indices: NDArray[np.integer], count: int) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        raise ValueError(
            f"{name}: expected indices 0..{count - 1}, got {indices.min()}..{indices.max()}"
        )
