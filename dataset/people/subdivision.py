"""Smooth subdivision of a closed triangle mesh to an exact number of vertices, keeping uvs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FineMesh:
    """A closed mesh with uvs and per-vertex fields.

    Attributes:
        vertices: (V, 3) float64; faces: (F, 3) int64 into them.
        uvs: (T, 2) float64; uv_faces: (F, 3) int64 into them.
        fields: (V, C) float64, anything that is interpolated linearly.
    """

    vertices: FloatArray
    faces: IntArray
    uvs: FloatArray
    uv_faces: IntArray
    fields: FloatArray


@dataclass(frozen=True, kw_only=True)
class _Edges:
    """(E, 2) sorted edges, and (F, 3) the edge opposite to no corner: of corners k and k + 1."""

    pairs: IntArray
    of_face: IntArray


def subdivide_to(mesh: FineMesh, vertex_count: int) -> FineMesh:
    """Subdivide by Loop's rules until the mesh has exactly `vertex_count` vertices.

    Whole levels first; the last level splits the longest edges only.

    Raises:
        ValueError: the mesh has more vertices already.
    """
    if vertex_count < len(mesh.vertices):
        raise ValueError(f"vertex_count: expected >= {len(mesh.vertices)}, got {vertex_count}")
    while len(mesh.vertices) < vertex_count:
        edges = _edges(mesh.faces, len(mesh.vertices))
        room = vertex_count - len(mesh.vertices)
        chosen = np.zeros(len(edges.pairs), dtype=bool)
        if room >= len(chosen):
            chosen[:] = True
        else:
            ends = mesh.vertices[edges.pairs]
            # Rounded, so that mirrored edges tie alike everywhere and fall to their number.
            length = np.round(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), 7)
            chosen[np.argsort(-length, kind="stable")[:room]] = True
        mesh = _split(mesh, edges, chosen)
    return mesh


def _edges(faces: IntArray, count: int) -> _Edges:
    a, b = faces, np.roll(faces, -1, axis=1)
    keys = np.minimum(a, b) * count + np.maximum(a, b)
    unique, inverse = np.unique(keys.ravel(), return_inverse=True)
    pairs = np.stack([unique // count, unique % count], axis=1)
    return _Edges(pairs=pairs, of_face=inverse.reshape(faces.shape))


def _split(mesh: FineMesh, edges: _Edges, chosen: NDArray[np.bool_]) -> FineMesh:
    old, middles = _loop_positions(mesh, edges)
    number = np.full(len(chosen), -1)
    number[chosen] = len(old) + np.arange(int(chosen.sum()))
    marks = number[edges.of_face]
    pairs = edges.pairs[chosen]
    fields = np.concatenate([mesh.fields, mesh.fields[pairs].mean(axis=1)])
    uv_marks, uv_new = _split_uvs(mesh, marks >= 0)
    return FineMesh(
        vertices=np.concatenate([old, middles[chosen]]),
        faces=_retriangulate(mesh.faces, marks),
        uvs=np.concatenate([mesh.uvs, uv_new]),
        uv_faces=_retriangulate(mesh.uv_faces, uv_marks),
        fields=fields,
    )


def _loop_positions(mesh: FineMesh, edges: _Edges) -> tuple[FloatArray, FloatArray]:
    """Loop's rules for a closed mesh: (V, 3) moved vertices, (E, 3) edge vertices."""
    from scipy.sparse import coo_matrix

    points, count = mesh.vertices, len(mesh.vertices)
    ends = points[edges.pairs]
    opposite = points[np.roll(mesh.faces, -2, axis=1)]
    wing = np.zeros((len(edges.pairs), 3))
    for axis in range(3):
        wing[:, axis] = np.bincount(
            edges.of_face.ravel(), opposite[..., axis].ravel(), minlength=len(wing)
        )
    middles = 0.375 * ends.sum(axis=1) + 0.125 * wing
    rows = np.concatenate([edges.pairs[:, 0], edges.pairs[:, 1]])
    columns = np.concatenate([edges.pairs[:, 1], edges.pairs[:, 0]])
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    valence = np.maximum(np.bincount(rows, minlength=count), 1)
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * valence))
    moved = points * (1 - valence * beta)[:, None] + beta[:, None] * (graph @ points)
    return moved, middles


def _split_uvs(mesh: FineMesh, split: NDArray[np.bool_]) -> tuple[IntArray, FloatArray]:
    """Number the new uvs: (F, 3) per face edge (-1 unsplit), and their (S, 2) coordinates."""
    count = len(mesh.uvs)
    a, b = mesh.uv_faces, np.roll(mesh.uv_faces, -1, axis=1)
    keys = (np.minimum(a, b) * count + np.maximum(a, b))[split]
    unique, inverse = np.unique(keys, return_inverse=True)
    marks = np.full(mesh.uv_faces.shape, -1)
    marks[split] = count + inverse
    return marks, (mesh.uvs[unique // count] + mesh.uvs[unique % count]) / 2


def _retriangulate(faces: IntArray, marks: IntArray) -> IntArray:
    """Cut each triangle by its split edges (`marks`: vertex on edge k, k + 1, or -1)."""
    pattern = ((marks >= 0) * np.array([1, 2, 4])).sum(axis=1)
    out = [faces[pattern == 0]]
    for turn in range(3):
        f, m = np.roll(faces, -turn, axis=1), np.roll(marks, -turn, axis=1)
        one = ((1, 2, 4)[turn],)
        two = ((1 | 2, 2 | 4, 4 | 1)[turn],)
        rows = pattern == one[0]
        (a, b, c), p = f[rows].T, m[rows, 0]
        out += [np.stack([a, p, c], 1), np.stack([p, b, c], 1)]
        rows = pattern == two[0]
        (a, b, c), p, q = f[rows].T, m[rows, 0], m[rows, 1]
        out += [np.stack([p, b, q], 1), np.stack([a, p, q], 1), np.stack([a, q, c], 1)]
    rows = pattern == 7
    (a, b, c), (p, q, r) = faces[rows].T, marks[rows].T
    out += [np.stack(t, 1) for t in ((a, p, r), (p, b, q), (r, q, c), (p, q, r))]
    return np.concatenate(out)


def vertex_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Return (V, 3) unit vertex normals, area-weighted; zero where no face has an area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for axis in range(3):
        for corner in range(3):
            normals[:, axis] += np.bincount(
                faces[:, corner], cross[:, axis], minlength=len(vertices)
            )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
