"""Textured boxes and rectangles, the building blocks of rooms."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from render.mesh import Material, Mesh

_SIDES: tuple[tuple[int, int, int], ...] = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


@dataclass
class BoxBuilder:
    """Collects quads and boxes, and joins them into one mesh.

    The frame is the room's: x to the right, y up, z towards the wall behind the viewer,
    metres.
    """

    _corners: list[NDArray[np.float64]] = field(default_factory=list)
    _uvs: list[NDArray[np.float64]] = field(default_factory=list)
    _quad_materials: list[int] = field(default_factory=list)
    _materials: list[Material] = field(default_factory=list)

    def material(self, texture: NDArray[np.uint8]) -> int:
        """Add a texture, (H, W, 3) uint8, and return its number."""
        self._materials.append(Material(f"m{len(self._materials)}", np.ones(3), texture))
        return len(self._materials) - 1

    def quad(
        self,
        origin: ArrayLike,
        across: ArrayLike,
        up: ArrayLike,
        material: int,
        tile_m: float | None = None,
    ) -> None:
        """Add a rectangle that is seen from the side of across x up.

        Args:
            origin: (3,) its lower left corner.
            across: (3,) its lower edge.
            up: (3,) its left edge.
            material: from `material`.
            tile_m: size of one repeat of the texture, metres; None: once over the rectangle.
        """
        start, right, top = (np.asarray(v, dtype=np.float64) for v in (origin, across, up))
        self._corners.append(np.stack([start, start + right, start + right + top, start + top]))
        size = np.ones(2)
        if tile_m is not None:
            size = np.array([np.linalg.norm(right), np.linalg.norm(top)]) / tile_m
        self._uvs.append(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * size)
        self._quad_materials.append(material)

    def box(
        self,
        low: ArrayLike,
        high: ArrayLike,
        material: int,
        tile_m: float | None = 1.0,
    ) -> None:
        """Add a box with its faces outwards, from its lowest to its highest corner, metres."""
        start, end = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        size = end - start
        for normal, first, second in _SIDES:
            a, b = np.zeros(3), np.zeros(3)
            a[first], b[second] = size[first], size[second]
            # The upright edge of standing sides is the second, so that grain and books stand.
            far = start.copy()
            far[normal] = end[normal]
            if first == 1:
                self.quad(far + b, -b, a, material, tile_m)
                self.quad(start, b, a, material, tile_m)
            else:
                self.quad(far, a, b, material, tile_m)
                self.quad(start + a, -a, b, material, tile_m)

    def mesh(self) -> Mesh:
        """Return all of it as one mesh, with hard edges."""
        corners = np.concatenate(self._corners)
        first = np.arange(len(self._corners))[:, None] * 4
        faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]], axis=1).reshape(-1, 3)
        return Mesh.from_arrays(
            corners,
            faces,
            uvs=np.concatenate(self._uvs),
            materials=tuple(self._materials),
            face_materials=np.repeat(self._quad_materials, 2),
        )
