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
        if not self.face_areas.sum() > 0.0:
            raise MetricError("faces: expected a surface with an area, got none")

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
        used = self.vertices[self.faces.reshape(-1)]
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
        squared = self.tree.squared_distance(
            self.vertices, self.faces, np.ascontiguousarray(points, dtype=np.float64)
        )[0]
        return np.sqrt(np.asarray(squared, dtype=np.float64).reshape(-1))
