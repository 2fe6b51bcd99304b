"""Small pieces that float around a scanned person: left-overs of the reconstruction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from render.mesh import Mesh

SMALL = 0.01
"""Share of the faces below which a piece may be a left-over."""

MOST = 0.5
"""Share of the faces that the largest piece has at least, or the mesh is not of one piece: its
faces share no vertices, or every garment is a piece."""

APART = 0.03
"""Distance from the largest piece, share of its longest side: 5 cm of a standing person.

Glasses, hair and the tongue of a shoe are nearer.
"""


def without_fragments(mesh: Mesh) -> tuple[Mesh, int]:
    """Return a mesh without small pieces that float apart from its largest, and their number."""
    piece_of_face = _pieces(mesh)
    counts = np.bincount(piece_of_face)
    largest = int(counts.argmax())
    small = np.flatnonzero((counts > 0) & (counts < SMALL * len(mesh.faces)))
    if not len(small) or counts[largest] < MOST * len(mesh.faces):
        return mesh, 0
    body = mesh.vertices[np.unique(mesh.faces[piece_of_face == largest])]
    tree, limit = cKDTree(body), APART * float(np.ptp(body, axis=0).max())
    is_small = np.isin(piece_of_face, small)
    distance, _ = tree.query(mesh.vertices[mesh.faces[is_small]], distance_upper_bound=limit)
    nearest = np.full(len(counts), np.inf)
    np.minimum.at(nearest, piece_of_face[is_small], distance.min(axis=1))
    dropped = small[np.isinf(nearest[small])]
    kept = ~np.isin(piece_of_face, dropped)
    return replace(
        mesh,
        faces=mesh.faces[kept],
        uv_faces=None if mesh.uv_faces is None else mesh.uv_faces[kept],
        face_materials=mesh.face_materials[kept],
    ), len(dropped)


def _pieces(mesh: Mesh) -> NDArray[np.int32]:
    """Return (F,) the number of the connected piece that each face is in."""
    ends = mesh.faces[:, [1, 2]].ravel()
    starts = np.repeat(mesh.faces[:, 0], 2)
    size = len(mesh.vertices)
    joined = coo_array((np.ones(len(ends), np.int8), (starts, ends)), shape=(size, size))
    piece_of_vertex: NDArray[np.int32] = connected_components(joined, directed=False)[1]
    return piece_of_vertex[mesh.faces[:, 0]]
