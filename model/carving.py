"""Both pixel grids are stitched, and gaps behind depth edges are opened.

A cell of the grid where a gap lies has four layers of faces instead of two: the front, the
surface before the gap, the one behind it, and the back. Layers of neighbouring cells that go on
in each other share vertices. Along a depth edge of the front the nearer part goes round into
the surface before the gap, and the farther part goes on as the surface behind it; along one of
the back the other way round; elsewhere the gap closes. No face is cut, so that the mesh is
watertight by the way its layers are joined.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import sparse

from model.depth_edges import Gap, find_gap
from model.meshing import DepthMaps, PixelGrid, front_faces, person_cells, points_on_rays
from render.camera import Camera

LOGGER = logging.getLogger(__name__)

_LARGEST_LOSS = 0.01
"""Share of the faces that may come off: more is a limb that hung on a wall alone."""

_MOST_ROUNDS = 20

_FRONT, _BEGIN, _END, _BACK = range(4)

_CORNERS = (3, 2, 0, 1)
"""Corner of the four cells around a pixel, clockwise from the upper left one, that it is."""

Faces = NDArray[np.int64]
Mask = NDArray[np.bool_]


def stitch_with_gaps(maps: DepthMaps, camera: Camera) -> trimesh.Trimesh:
    """Stitch both sides (`model.meshing.stitch`) and open the gaps behind depth edges.

    Where gaps would cut off a part of the person, the walls along the rays stay.

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
    gap = find_gap(maps, 1.0 / float(camera.focal_px))
    layers = None if gap is None else _without_faults(grid, gap)
    if layers is not None:
        added = points_on_rays(layers.pixels, layers.depths(maps), camera, maps.point_scale)
        opened = trimesh.Trimesh(np.concatenate([vertices, added]), layers.faces(), process=False)
        whole = largest_part(opened)
        if len(whole.faces) >= (1.0 - _LARGEST_LOSS) * len(opened.faces):
            return whole
        LOGGER.info("gaps behind depth edges stay closed: they would cut the person in two")
    faces = grid.closed_faces(grid.corners, grid.back_corners)
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
class _Layers:
    """The layers of all cells, joined where they go on in each other.

    Attributes:
        grid: the cells, C of them.
        gap: what is opened.
        opened: (C,) bool, cells with four layers.
        corners: (4, C, 4) int64 vertices by layer, cell and corner; those from
            2 * len(grid.pixels) on are new, -1 where a cell has no such layer.
        pixels: (N, 2) int64 row and column of the new vertices.
        members: (4, N) bool, whether a layer passes through a new vertex, where the front and
            the back count if their own pixel says where they are.
    """

    grid: PixelGrid
    gap: Gap
    opened: Mask
    corners: NDArray[np.int64]
    pixels: NDArray[np.int64]
    members: Mask

    @property
    def first(self) -> int:
        """Number of the first new vertex."""
        return 2 * len(self.grid.pixels)

    def depths(self, maps: DepthMaps) -> NDArray[np.float64]:
        """Return (N,) where the new vertices are on their rays."""
        rows, columns = self.pixels.T
        front, begin, end, back = (
            side[rows, columns].astype(np.float64)
            for side in (maps.front, self.gap.begin, self.gap.end, maps.back)
        )
        at_front, at_begin, at_end, at_back = self.members
        middle = np.where(at_begin & at_end, (begin + end) / 2.0, np.where(at_begin, begin, end))
        return np.where(at_front, front, np.where(at_back, back, middle))

    def faces(self, chosen: Mask | None = None) -> Faces:
        """Return (F, 3), without those whose corners fell together.

        Args:
            chosen: (C,) bool, cells whose faces are wanted, all opened ones among them; None
                for all cells.
        """
        own = self.corners[:, self.opened]
        # A diagonal belongs to one layer alone, also where layers share both its ends.
        shared = own[1:] == own[:-1]
        turned = (shared[..., 1] & shared[..., 2]).any(axis=0)
        faces = np.concatenate(
            [
                self.grid.closed_faces(self.corners[_FRONT], self.corners[_BACK], chosen),
                front_faces(own[_BEGIN], turned)[:, ::-1],
                front_faces(own[_END], turned),
            ]
        )
        a, b, c = faces.T
        return faces[(a != b) & (b != c) & (c != a)]

    def faulty(self) -> Mask:
        """Return (C,) opened cells at vertices and edges where the surface would touch itself."""
        touched: Mask = np.asarray((self.corners >= self.first).any(axis=(0, 2)))
        faces = self.faces(touched)
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        edges = edges[edges[:, 1] >= self.first]
        size = self.first + len(self.pixels)
        keys, counts = np.unique(edges[:, 0] * size + edges[:, 1], return_counts=True)
        is_bad = np.zeros(size + 1, dtype=bool)
        is_bad[np.stack(np.divmod(keys[counts != 2], size))] = True
        is_bad[self.first : size] |= self.members[_FRONT] & self.members[_BACK]
        # The last entry stands for the missing layers, which are numbered -1.
        return self.opened & is_bad[self.corners].any(axis=(0, 2))


def _without_faults(grid: PixelGrid, gap: Gap) -> _Layers | None:
    """Return the layers of a gap, less the cells where it would be no surface; None without any."""
    possible = person_cells(gap.inside) & ~gap.front_edges & ~gap.back_edges
    opened = possible[grid.cells]
    for _ in range(_MOST_ROUNDS):
        if not opened.any():
            return None
        layers = _joined(grid, gap, opened)
        faulty = layers.faulty()
        if not faulty.any():
            return layers
        opened = opened & ~faulty
    LOGGER.info("gaps behind depth edges stay closed: their rims are too intricate")
    return None


def _joined(grid: PixelGrid, gap: Gap, opened: Mask) -> _Layers:
    """Number the vertices of all layers, given which of the (C,) cells are opened."""
    size = len(grid.cells) + 1
    numbers = np.full((size + 1, size + 1), -1)
    numbers[1:-1, 1:-1][grid.cells] = np.arange(len(opened))
    beside = np.zeros((size + 1, size + 1), dtype=bool)
    beside[1:-1, 1:-1][grid.cells] = opened
    touched = beside[:-1, :-1] | beside[:-1, 1:] | beside[1:, 1:] | beside[1:, :-1]
    rows, columns = np.nonzero(touched)
    around = np.stack(
        [numbers[rows + i, columns + j] for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))], axis=1
    )
    edges = gap.front_edges[grid.cells][around], gap.back_edges[grid.cells][around]
    person = around >= 0
    is_opened = person & opened[around]
    labels = np.tile(np.arange(16).reshape(1, 4, 4), (len(rows), 1, 1))
    joins = list(_joins(person, is_opened, *edges))
    while True:
        before = labels.copy()
        for where, one, other in joins:
            lowest = np.minimum(labels[:, *one], labels[:, *other])
            labels[where, *one] = labels[where, *other] = lowest[where]
        if (labels == before).all():
            break
    exists = np.stack([person, is_opened, is_opened, person], axis=2)
    keys = (16 * np.arange(len(rows))[:, None, None] + labels)[exists]
    found, vertex = np.unique(keys, return_inverse=True)
    pixel, quadrant, layer = np.nonzero(exists)
    cell = around[pixel, quadrant]
    first = 2 * len(grid.pixels)
    corners = np.stack([grid.corners, *[np.full_like(grid.corners, -1)] * 2, grid.back_corners])
    corners[layer, cell, np.array(_CORNERS)[quadrant]] = first + vertex
    members = np.zeros((4, len(found)), dtype=bool)
    elsewhere = (layer == _FRONT) & edges[0][pixel, quadrant]
    elsewhere |= (layer == _BACK) & edges[1][pixel, quadrant]
    members[layer[~elsewhere], vertex[~elsewhere]] = True
    # Where nothing else passes, an edge's own pixel says where it is.
    empty: Mask = np.asarray(~members.any(axis=0))
    alone = elsewhere & empty[vertex]
    members[layer[alone], vertex[alone]] = True
    places = np.stack([rows, columns], axis=1)[found // 16]
    return _Layers(grid, gap, opened, corners, places, members)


_Place = tuple[int, int]


def _joins(
    person: Mask, opened: Mask, front_edges: Mask, back_edges: Mask
) -> Iterator[tuple[Mask, _Place, _Place]]:
    """Yield which layers of the four cells around each pixel are one at it.

    Args:
        person, opened, front_edges, back_edges: (P, 4) bool of the cells around P pixels.

    Yields:
        (P,) bool, and two pairs of cell around the pixel and layer.
    """
    for here in range(4):
        beyond = (here + 1) % 4
        both = person[:, here] & person[:, beyond]
        both_opened = opened[:, here] & opened[:, beyond]
        round_front, round_back = np.zeros_like(both), np.zeros_like(both)
        for one, other in ((here, beyond), (beyond, here)):
            rim = both & opened[:, one] & ~opened[:, other]
            before = rim & front_edges[:, other]
            behind = rim & back_edges[:, other] & ~before
            closed = opened[:, one] & ~both_opened & ~before & ~behind
            yield before, (one, _FRONT), (one, _BEGIN)
            yield before, (one, _END), (other, _FRONT)
            yield behind, (one, _BACK), (one, _END)
            yield behind, (one, _BEGIN), (other, _BACK)
            yield closed, (one, _BEGIN), (one, _END)
            round_front |= before
            round_back |= behind
        yield both & ~round_front, (here, _FRONT), (beyond, _FRONT)
        yield both & ~round_back, (here, _BACK), (beyond, _BACK)
        yield both_opened, (here, _BEGIN), (beyond, _BEGIN)
        yield both_opened, (here, _END), (beyond, _END)
