"""The surface that all metrics take: triangles in centimetres, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import igl
import numpy as np
from numpy.typing import NDArray


class MetricError(ValueError):
    """A surface cannot be measured; nothing is scored instead of a made-up number."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle surface in centimetres.

    Attributes:
        vertices: (V, 3) float64, cm, any one frame shared by all surfaces that are compared.
        faces: (F, 3) int64, indices into `vertices`.

    Raises:
        MetricError: no faces, an index out of range, NaN or infinite vertices, or no area.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
            raise MetricError(f"faces: expected (F, 3) with at least one face, got {faces.shape}")
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise MetricError(f"vertices: expected (V, 3), got {vertices.shape}")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise MetricError(
                f"faces: expected indices 0..{len(vertices) - 1}, got {faces.min()}..{faces.max()}"
            )
        if not np.isfinite(vertices).all():
            raise MetricError("vertices: expected finite coordinates, got NaN or infinity")
        with np.errstate(over="ignore", invalid="ignore"):
            area = float(self.face_areas.sum())
        if not 0.0 < area < np.inf:
            raise MetricError(f"faces: expected a surface with a finite area, got {area:g}")

    @cached_property
    def face_areas(self) -> NDArray[np.float64]:
        """(F,) float64, square centimetres."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0

    @cached_property
    def tree(self) -> Any:
        """libigl's box tree of the faces, built at the first use and kept."""
        tree = igl.AABB()
        tree.init(self.vertices, self.faces)
        return tree

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """(2, 3) float64, cm: lowest and highest coordinates of what the faces use."""
        is_used = np.zeros(len(self.vertices), dtype=bool)
        is_used[self.faces] = True
        used = self.vertices[is_used]
        return np.stack([used.min(axis=0), used.max(axis=0)])

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (count, 3) float64 points, cm, uniform over the area of the surface.

        Raises:
            ValueError: count is below 1.
        """
        if count < 1:
            raise ValueError(f"count: expected at least 1 point, got {count}")
        edges = np.cumsum(self.face_areas)
        chosen = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
        a, b, c = (self.vertices[self.faces[chosen, corner]] for corner in range(3))
        # The square root makes the points uniform inside a triangle (Osada et al. 2002, eq. 1).
        root, along = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
        points: NDArray[np.float64] = (1 - root) * a + root * (1 - along) * b + root * along * c
        return points

    def distances(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the (N,) float64 exact distances, cm, from (N, 3) points to this surface."""
        return self.nearest(points)[0]

    def nearest(
        self, points: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the distances, cm, to this surface and the points of it that are nearest.

        Point-to-triangle in float64, without tolerances, so neither unit nor origin matter.

        Args:
            points: (N, 3) float, cm.

        Returns:
            (N,) and (N, 3) float64, cm.
        """
        wanted = np.ascontiguousarray(points, dtype=np.float64)
        # Neighbours walk the same part of the tree: from the cache, three times as fast.
        order = space_filling_order(wanted)
        squared, _, found = self.tree.squared_distance(self.vertices, self.faces, wanted[order])
        distances, places = np.empty(len(wanted)), np.empty_like(wanted)
        distances[order] = np.sqrt(np.asarray(squared, dtype=np.float64).reshape(-1))
        places[order] = np.asarray(found, dtype=np.float64).reshape(-1, 3)
        return distances, places


def moved(surface: Surface, matrix: NDArray[np.floating]) -> Surface:
    """Return the surface under a (4, 4) similarity; `matrix` has to keep the handedness."""
    vertices = surface.vertices @ np.asarray(matrix)[:3, :3].T + np.asarray(matrix)[:3, 3]
    return Surface(vertices, surface.faces)


def space_filling_order(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the order of (N, 3) points along a Z-order curve of 1024 cells a side."""
    low = points.min(axis=0)
    size = float((points.max(axis=0) - low).max())
    cells = ((points - low) * (1023.0 / size if size > 0.0 else 0.0)).astype(np.uint32)
    code = np.zeros(len(points), dtype=np.uint32)
    for axis in range(3):
        spread = cells[:, axis]
        for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
            spread = (spread | (spread << np.uint32(shift))) & np.uint32(mask)
        code |= spread << np.uint32(axis)
    return np.argsort(code, kind="stable")
