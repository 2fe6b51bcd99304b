"""Gaps behind depth edges are cut out of the stitched mesh.

Only the cells around the gaps go through the solid difference (manifold3d); the result takes
their place in the mesh, so that the time depends on the gaps and all else stays as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import manifold3d
import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import sparse

from model.depth_edges import find_gaps
from model.meshing import DepthMaps, PixelGrid
from render.camera import Camera

LOGGER = logging.getLogger(__name__)

_BAND = 3
"""Width of the strip inside the rim of a gap that is cut, pixels."""

_LARGEST_LOSS = 0.01
"""Share of the faces that may come off: more is a limb that hung on a wall alone."""

Faces = NDArray[np.int64]
Mask = NDArray[np.bool_]


def stitch_with_gaps(maps: DepthMaps, camera: Camera) -> trimesh.Trimesh:
    """Stitch both sides (`model.meshing.stitch`) and open the gaps behind depth edges.

    Where a gap would cut off a part of the person, or the cut cannot be put back into the
    mesh, the walls along the rays stay.

    Args:
        maps: depth maps of one person; of the mask the largest part is kept.
        camera: the camera of the maps.

    Returns:
        A watertight mesh of one component; camera frame, normalised units, faces outwards.

    Raises:
        ValueError: as `stitch`.
    """
    grid = PixelGrid.of(maps.mask, whole=True)
    vertices = grid.points(maps, camera)
    gaps = find_gaps(maps, 1.0 / float(camera.focal_px))
    if gaps:
        person = _Shape(grid, vertices, 0)
        carved = _carved(person, gaps, camera)
        if carved is not None:
            whole = largest_part(carved)
            if len(whole.faces) >= (1.0 - _LARGEST_LOSS) * len(carved.faces):
                return whole
        LOGGER.info("gaps behind depth edges stay closed: they would cut the person in two")
    faces = np.concatenate(grid.closed_faces(grid.cells))
    return trimesh.Trimesh(vertices=vertices, faces=faces, process=False)


def largest_part(surface: trimesh.Trimesh) -> trimesh.Trimesh:
    """Return the component with the most faces, without unused vertices."""
    faces = np.asarray(surface.faces)
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    size = len(surface.vertices)
    graph = sparse.coo_array((np.ones(len(edges), dtype=np.int8), edges.T), shape=(size, size))
    _, labels = sparse.csgraph.connected_components(graph, directed=False)
    face_labels = labels[faces[:, 0]]
    kept = faces[face_labels == np.bincount(face_labels).argmax()]
    used = np.zeros(size, dtype=bool)
    used[kept] = True
    numbers = np.cumsum(used) - 1
    return trimesh.Trimesh(
        vertices=np.asarray(surface.vertices)[used], faces=numbers[kept], process=False
    )


@dataclass(frozen=True)
class _Shape:
    """A solid between two pixel grids, its vertices numbered from `first` on."""

    grid: PixelGrid
    vertices: NDArray[np.float64]
    first: int

    def split(self, part: Mask) -> tuple[Faces, Faces, Faces]:
        """Return the faces of a part, of its walls towards the rest, and of the rest."""
        sides, walls, inner = self.grid.closed_faces(part)
        rest = self.grid.closed_faces(self.grid.cells & ~part)[:2]
        faces = np.concatenate([sides, walls]), inner, np.concatenate(rest)
        return faces[0] + self.first, faces[1] + self.first, faces[2] + self.first


def _carved(person: _Shape, gaps: list[DepthMaps], camera: Camera) -> trimesh.Trimesh | None:
    """Return the person without the gaps, or None where the cut part does not fit the rest.

    Gaps touch the surface at their rims alone. Those go through the solid difference; inside,
    the sides of a gap become the person's surface as they are.
    """
    shapes, end = [person], len(person.vertices)
    for gap in gaps:
        grid = PixelGrid.of(gap.mask)
        shapes.append(_Shape(grid, grid.points(gap, camera), end))
        end += len(shapes[-1].vertices)
    vertices = np.concatenate([shape.vertices for shape in shapes])
    band = _band([gap.mask for gap in gaps])
    # The person's strip is wider: where both ended together, their walls would coincide.
    bands = [_widened(band, 2 * _BAND), *(band for _ in gaps)]
    cut_faces, inner_walls, kept = [], [], []
    for shape, near in zip(shapes, bands, strict=True):
        sides, inner, rest = shape.split(_unpinched(near[:-1, :-1] & shape.grid.cells, shape.grid))
        cut_faces.append(np.concatenate([sides, inner]))
        inner_walls.append(inner)
        kept.append(rest if shape is person else rest[:, ::-1])
    solids = [_solid(vertices, faces) for faces in cut_faces]
    solid = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Subtract)
    if solid.status() != manifold3d.Error.NoError or solid.is_empty():
        return None
    result = solid.to_mesh64()
    points = np.asarray(result.vert_properties)
    used = np.unique(np.concatenate(cut_faces))
    places = _places(points, vertices[used])
    numbers = np.where(places >= 0, used[places], len(vertices) + np.arange(len(points)))
    cut = numbers[np.asarray(result.tri_verts, dtype=np.int64)]
    inner = np.concatenate(inner_walls)
    is_inner = _in_both(cut, inner)
    if is_inner.sum() != len(inner):
        return None
    return trimesh.Trimesh(
        vertices=np.concatenate([vertices, points]),
        faces=np.concatenate([*kept, cut[~is_inner]]),
        process=False,
    )


def _band(masks: list[Mask]) -> Mask:
    """Return the pixels along the rims of gaps, and where two of them meet."""
    band = np.sum(masks, axis=0) > 1
    for mask in masks:
        band |= _widened(mask, 1) & _widened(~mask, _BAND)
    return band


def _widened(mask: Mask, pixels: int) -> Mask:
    kernel = np.ones((2 * pixels + 1,) * 2, dtype=np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def _unpinched(part: Mask, grid: PixelGrid) -> Mask:
    """Return cells with more of the grid's, so that none touch in one corner alone."""
    while True:
        a, b, c, d = part[:-1, :-1], part[:-1, 1:], part[1:, :-1], part[1:, 1:]
        touching = np.pad((a & d & ~b & ~c) | (b & c & ~a & ~d), 1)
        more = touching[:-1, :-1] | touching[1:, :-1] | touching[:-1, 1:] | touching[1:, 1:]
        filled = part | (more & grid.cells)
        if (filled == part).all():
            return part
        part = filled


def _solid(vertices: NDArray[np.float64], faces: Faces) -> manifold3d.Manifold:
    used, own = np.unique(faces, return_inverse=True)
    mesh = manifold3d.Mesh64(
        np.ascontiguousarray(vertices[used]),
        np.ascontiguousarray(own.reshape(-1, 3), dtype=np.uint64),
    )
    return manifold3d.Manifold(mesh)


def _places(points: NDArray[np.float64], known: NDArray[np.float64]) -> Faces:
    """Return for each of (N, 3) points the row of the same one among (M, 3), or -1."""
    both = np.ascontiguousarray(np.concatenate([known, points])) + 0.0
    _, first, inverse = np.unique(
        both.view([("", both.dtype)] * 3).reshape(-1), return_index=True, return_inverse=True
    )
    rows = first[inverse[len(known) :]]
    return np.where(rows < len(known), rows, -1)


def _in_both(faces: Faces, wanted: Faces) -> NDArray[np.bool_]:
    """Return (F,) bool: which faces have the same three vertices as one of the wanted."""
    both = np.ascontiguousarray(np.sort(np.concatenate([wanted, faces]), axis=1))
    _, inverse = np.unique(both.view([("", both.dtype)] * 3).reshape(-1), return_inverse=True)
    found = np.zeros(len(both), dtype=bool)
    found[inverse[: len(wanted)]] = True
    return found[inverse[len(wanted) :]]
