"""Depth maps of shapes whose surfaces are known."""

from __future__ import annotations

import numpy as np

from model.meshing import DepthMaps
from render.camera import Camera


def sphere_maps(radius: float, resolution: int) -> DepthMaps:
    """Depth of both sides of a sphere around the origin, by intersecting each ray."""
    rays = Camera(resolution).rays()
    # |r q - c|^2 = radius^2 with the centre c = (0, 0, -1): r^2 + 2 r q_z + 1 - radius^2 = 0.
    half = -rays[..., 2]
    inside = half**2 - 1 + radius**2
    mask = inside > 0
    root = np.sqrt(np.maximum(inside, 0))
    front = np.where(mask, half - root, 0).astype(np.float32)
    back = np.where(mask, half + root, 0).astype(np.float32)
    return DepthMaps(front, back, mask)


def arm_before_trunk(resolution: int = 64, half: int = 4) -> DepthMaps:
    """Depth of a plate, 1.1 to 1.2, before which a bar comes nearer to 0.8, from left to right.

    Args:
        resolution: pixels a side.
        half: half the width of the bar, pixels.
    """
    edge = resolution // 8
    mask = np.zeros((resolution, resolution), dtype=bool)
    mask[edge:-edge, edge:-edge] = True
    front = np.where(mask, 1.1, 0.0).astype(np.float32)
    middle, length = resolution // 2, resolution - 5 * edge
    bar = np.linspace(1.1, 0.8, length, dtype=np.float32)
    front[middle - half : middle + half, 2 * edge : 2 * edge + length] = bar
    return DepthMaps(front, np.where(mask, 1.2, 0.0).astype(np.float32), mask)
