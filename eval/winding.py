"""Generalised winding numbers on a lattice, from crossings of its columns and caps over holes.

A closed surface winds around a point as often as a ray from there leaves it more than enters
it: a whole number, counted along each column of the lattice. An open surface is closed by caps,
one fan of triangles over each part of its boundary, and its winding number (Jacobson et al.
2013) is that of the closed one less that of the caps. Few triangles are caps, so only a few
solid angles are summed (Barill et al. 2018, through libigl).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import igl
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from eval.surfaces import MetricError, Surface

_BOUNDARY_SHARE = 0.25
"""With more boundary edges per face than that, caps cost more than they save."""
_CHUNK = 2_000_000
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Lattice:
    """Cubic voxels; voxel (i, j, k) has its centre at (first + index + 0.5) * pitch_cm.

    Attributes:
        first: (3,) int64, index of the lowest voxel in the lattice through the origin.
        shape: voxels along each axis.
        pitch_cm: edge of a voxel.
    """

    first: NDArray[np.int64]
    shape: tuple[int, int, int]
    pitch_cm: float

    def indices_of(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 3) fractional voxel indices of (N, 3) points, cm; whole at centres."""
        return points / self.pitch_cm - (self.first + 0.5)


def winding_numbers(surface: Surface, lattice: Lattice) -> NDArray[np.float32]:
    """Return the generalised winding number of a surface around each voxel centre.

    Args:
        surface: cm; may be open, and may have faces that are turned.
        lattice: where to look.

    Returns:
        `lattice.shape` float32; +1 inside a closed surface whose faces point outwards. Whole
        numbers where the surface is closed, else within libigl's approximation, about 1e-3.

    Raises:
        MetricError: a winding number is not finite.
    """
    vertices = lattice.indices_of(surface.vertices)
    boundary = _boundary(vertices, surface.faces)
    if len(boundary) > _BOUNDARY_SHARE * len(surface.faces):
        return _solid_angles(vertices, surface.faces, lattice.shape)
    winding = _crossings(vertices, surface.faces, lattice.shape)
    if len(boundary):
        vertices, caps = _caps(vertices, boundary)
        winding += _crossings(vertices, caps, lattice.shape)
        winding -= _solid_angles(vertices, caps, lattice.shape)
    return winding


def _solid_angles(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return the winding numbers around all voxels by libigl; vertices in voxel indices."""
    # libigl computes in float32: near zero it keeps the most digits.
    middle = (np.array(shape) - 1) / 2.0
    centres = np.indices(shape).reshape(3, -1).T - middle
    winding = np.asarray(igl.fast_winding_number(vertices - middle, faces, centres))
    if not np.isfinite(winding).all():
        raise MetricError("winding numbers: expected finite values, got NaN or infinity")
    return winding.reshape(shape).astype(np.float32)


def _boundary(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (E, 2) directed edges that opposite ones do not cancel, as often as they count.

    Vertices in the same place are one, so that seams of a texture are no boundary.
    """
    edges = np.concatenate([faces[:, (0, 1)], faces[:, (1, 2)], faces[:, (2, 0)]])
    left = _uncancelled(edges, len(vertices))
    if not len(left):
        return left
    used, index = np.unique(left, return_inverse=True)
    _, first, place = np.unique(vertices[used], axis=0, return_index=True, return_inverse=True)
    return _uncancelled(used[first][place.reshape(-1)[index.reshape(-1, 2)]], len(vertices))


def _uncancelled(edges: NDArray[np.int64], vertex_count: int) -> NDArray[np.int64]:
    """Return the sum of directed edges: (E, 2), an edge that counts n times n times."""
    start, end = edges[:, 0].copy(), edges[:, 1].copy()
    keys = np.minimum(start, end) * vertex_count + np.maximum(start, end)
    keys = (2 * keys + (start < end))[start != end]
    keys.sort()
    if not len(keys):
        return np.empty((0, 2), dtype=np.int64)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(keys >> 1)) + 1])
    counts = np.add.reduceat(2 * (keys & 1) - 1, starts)
    kept = np.flatnonzero(counts)
    pairs = np.stack(np.divmod(keys[starts[kept]] >> 1, vertex_count), axis=1)
    pairs = np.where(counts[kept, None] > 0, pairs, pairs[:, ::-1])
    return np.repeat(pairs, np.abs(counts[kept]), axis=0)


def _caps(
    vertices: NDArray[np.float64], boundary: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices and faces of fans that close each connected part of a boundary."""
    used, index = np.unique(boundary, return_inverse=True)
    index = index.reshape(-1, 2)
    graph = coo_array((np.ones(len(index)), (index[:, 0], index[:, 1])), shape=(len(used),) * 2)
    count, part = connected_components(graph, directed=False)
    sums = np.stack([np.bincount(part, vertices[used, axis], count) for axis in range(3)], axis=1)
    tips = sums / np.bincount(part, minlength=count)[:, None]
    faces = np.column_stack([index[:, ::-1], len(used) + part[index[:, 0]]])
    return np.concatenate([vertices[used], tips]), faces


def _crossings(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return how often faces above each voxel centre, along the last axis, point up less down.

    Args:
        vertices: (V, 3), voxel indices.
        faces: (F, 3).
        shape: voxels along each axis.
    """
    steps = np.zeros(shape, dtype=np.int32)
    for face, column in _faces_over_columns(vertices, faces, shape):
        corners = vertices[faces[face]]
        turns = _turns(corners[..., :2], column)
        hit = np.flatnonzero(turns)
        height = _heights(corners[hit], column[hit])
        # The highest voxel centre below the face, and all below that one, see it.
        below = np.minimum(np.ceil(height).astype(np.int64) - 1, shape[2] - 1)
        seen = below >= 0
        i, j = column[hit][seen].T
        np.add.at(steps, (i, j, below[seen]), turns[hit][seen])
    return np.cumsum(steps[..., ::-1], axis=2)[..., ::-1].astype(np.float32)


def _faces_over_columns(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], shape: tuple[int, int, int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (N,) faces and the (N, 2) columns of voxels in their bounding boxes, in chunks."""
    lows, highs = [], []
    for axis in range(2):
        a, b, c = (vertices[faces[:, corner], axis] for corner in range(3))
        lowest, highest = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        lows.append(np.maximum(np.ceil(lowest - _ROUNDING), 0))
        highs.append(np.minimum(np.floor(highest + _ROUNDING), shape[axis] - 1))
    face = np.flatnonzero((lows[0] <= highs[0]) & (lows[1] <= highs[1]))
    low = np.stack([bound[face] for bound in lows], axis=1).astype(np.int64)
    size = np.stack([bound[face] for bound in highs], axis=1).astype(np.int64) - low + 1
    counts = size.prod(axis=1)
    chunks = np.cumsum(counts) // _CHUNK
    for part in np.split(np.arange(len(face)), np.flatnonzero(np.diff(chunks)) + 1):
        owner = np.repeat(part, counts[part])
        starts = np.cumsum(counts[part]) - counts[part]
        place = np.arange(len(owner)) - np.repeat(starts, counts[part])
        inside = np.stack(np.divmod(place, size[owner, 1]), axis=1)
        yield face[owner], low[owner] + inside


def _turns(corners: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return (N,) how often (N, 3, 2) triangles turn around (N, 2) points: 1, 0 or -1.

    Counted by the edges that a ray to the right of the point crosses. Every edge is looked at
    from its lower end, so two faces that share one cancel there exactly, whatever the rounding,
    and the columns of a closed surface sum to 0.
    """
    x, y = columns.T.astype(np.float64)
    turns = np.zeros(len(columns), dtype=np.int32)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        a, b = corners[:, start], corners[:, end]
        upward = (a[:, 1] <= y) & (b[:, 1] > y)
        downward = (b[:, 1] <= y) & (a[:, 1] > y)
        low, high = np.where(upward[:, None], a, b), np.where(upward[:, None], b, a)
        along = high - low
        side = along[:, 0] * (y - low[:, 1]) - along[:, 1] * (x - low[:, 0])
        turns += (upward.astype(np.int32) - downward) * (side > 0)
    return turns


def _heights(corners: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (N,) where columns meet (N, 3, 3) triangles, within the height of each."""
    a, b, c = corners.transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    offset = columns - a[:, :2]
    slope = -(normal[:, :2] * offset).sum(axis=1)
    rise = np.divide(slope, normal[:, 2], out=np.zeros(len(slope)), where=normal[:, 2] != 0)
    heights: NDArray[np.float64] = np.clip(
        a[:, 2] + rise, corners[..., 2].min(axis=1), corners[..., 2].max(axis=1)
    )
    return heights
