"""Closing holes of the body mesh: a fan over the mouth, a dome over each eye socket."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Caps:
    """Collects the faces, uvs and weighted vertices that close the cut holes."""

    def __init__(
        self, vertices: FloatArray, uvs: FloatArray, faces: IntArray, uv_faces: IntArray
    ) -> None:
        self.vertices, self.uvs = vertices, uvs
        self.faces, self.uv_faces = [faces], [uv_faces]
        self.rows: list[tuple[IntArray, FloatArray]] = []
        self.ramps: list[float] = []
        self.last_loop: IntArray = np.zeros(0, dtype=np.int64)

    def append(self, faces: IntArray, uv_faces: IntArray, uvs: FloatArray) -> None:
        """Add ready triangles and their new uvs."""
        self.faces.append(faces)
        self.uv_faces.append(uv_faces)
        self.uvs = np.concatenate([self.uvs, uvs])

    def _vertex(self, indices: IntArray, weights: FloatArray, ramp: float) -> int:
        self.rows.append((indices, weights))
        self.ramps.append(ramp)
        return len(self.vertices) + len(self.rows) - 1

    def add_fan(self, loop: IntArray, uv_centre: tuple[float, float]) -> None:
        """Close a loop by triangles to its mean."""
        count = len(loop)
        self.last_loop = loop
        middle = self._vertex(loop, np.full(count, 1.0 / count), 0.0)
        first_uv = len(self.uvs)
        ring, uv_ring = np.arange(count), first_uv + np.arange(count)
        after = np.roll(ring, -1)
        faces = np.stack([loop[after], loop[ring], np.full(count, middle)], axis=1)
        uv_faces = np.stack([uv_ring[after], uv_ring, np.full(count, first_uv + count)], axis=1)
        disc = disc_uvs(self.vertices[loop], uv_centre, 0.04)
        self.append(faces, uv_faces, np.concatenate([disc, [uv_centre]]))

    def add_eye(self, loop: IntArray, eyeball: IntArray, uv_centre: tuple[float, float]) -> None:
        """Close a loop by two domed rings up to the foremost point of the eyeball."""
        count = len(loop)
        front = eyeball[np.argmax(self.vertices[eyeball, 2])]
        share = np.full(len(eyeball), 1.0 / len(eyeball))
        rings, uv_rings = [loop], [disc_uvs(self.vertices[loop], uv_centre, 0.03)]
        for depth, bulge in ((0.45, 0.22), (0.75, 0.18)):
            ring = []
            for index in loop:
                indices = np.concatenate([[index, front], eyeball])
                weights = np.concatenate([[1 - depth, depth + bulge], -bulge * share])
                ring.append(self._vertex(indices, weights, 0.5 + depth / 2))
            rings.append(np.array(ring))
            centre = np.asarray(uv_centre)
            uv_rings.append(centre + (uv_rings[0] - centre) * (1 - depth))
        middle = self._vertex(
            np.concatenate([[front], eyeball]), np.concatenate([[1.12], -0.12 * share]), 1.0
        )
        first = len(self.uvs)
        faces = ring_faces(rings, middle)
        uv_index = [first + count * k + np.arange(count) for k in range(len(rings))]
        uv_faces = ring_faces(uv_index, first + count * len(rings))
        self.append(faces, uv_faces, np.concatenate([*uv_rings, [uv_centre]]))

    def sparse_rows(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return row, column and weight of every entry of the cap vertices' matrix."""
        rows = np.concatenate([np.full(len(i), r) for r, (i, _) in enumerate(self.rows)])
        columns = np.concatenate([i for i, _ in self.rows])
        return rows, columns, np.concatenate([w for _, w in self.rows])


def disc_uvs(points: FloatArray, centre: tuple[float, float], radius: float) -> FloatArray:
    """Lay a loop of (N, 3) points out as a circle, spaced by length along the loop."""
    steps = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    angle = 2 * np.pi * (np.cumsum(steps) - steps) / steps.sum()
    return np.asarray(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ring_faces(rings: list[IntArray], middle: int) -> IntArray:
    """Return the (F, 3) triangles between successive rings and from the last to the middle.

    The first ring runs in the direction of the kept surface's own boundary edges, so the
    triangles are wound the other way round along it.
    """
    faces = []
    for outer, inner in zip(rings[:-1], rings[1:]):
        outer_next, inner_next = np.roll(outer, -1), np.roll(inner, -1)
        faces.append(np.stack([outer_next, outer, inner], axis=1))
        faces.append(np.stack([outer_next, inner, inner_next], axis=1))
    last = rings[-1]
    faces.append(np.stack([np.roll(last, -1), last, np.full(len(last), middle)], axis=1))
    return np.concatenate(faces)
