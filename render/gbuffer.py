"""What the rasteriser makes of one view, and what depends on its layout alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERSON, UNRELIABLE = 1, 2
_EXTENSION_STEPS = 3


@dataclass(frozen=True)
class SideBuffer:
    """What one side of the surface looks like in every pixel; zeros on the background.

    Attributes:
        albedo: (R, R, 3) uint8 sRGB, unlit; reaches beyond the mask where coverage > 0.
        normal: (R, R, 3) float32 unit vectors, camera frame, out of the body: towards the
            camera on the front side and away from it on the back side.
        ray_distance: (R, R) float32, distance from the camera along the ray, mesh unit.
    """

    albedo: NDArray[np.uint8]
    normal: NDArray[np.float32]
    ray_distance: NDArray[np.float32]


@dataclass(frozen=True)
class GBuffer:
    """Both sides of one view.

    Attributes:
        front: the nearest surface.
        back: the farthest surface, as it is painted, seen through the body; when only the
            front was asked for, the same arrays as `front`.
        mask: (R, R) uint8: 0 background, 1 person, 1 | 2 person with an unreliable surface.
        coverage: (R, R) uint8, antialiased alpha, above 0 wherever the mask is.
    """

    front: SideBuffer
    back: SideBuffer
    mask: NDArray[np.uint8]
    coverage: NDArray[np.uint8]


def extend_outwards(
    values: NDArray[Any], known: NDArray[np.bool_], wanted: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Carry values outwards, up to three pixels, to pixels that are wanted but not known.

    Args:
        values: (H, W, C) uint8 or float.
        known: (H, W) bool.
        wanted: (H, W) bool.

    Returns:
        (H, W, C) of the same dtype with the mean of the known neighbours where they were
        carried (rounded for integers); (H, W) bool: known or reached.
    """
    height, width = known.shape
    reached = np.pad(known, 1)
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    rows, columns = np.nonzero(wanted & ~known)
    rows, columns = rows + 1, columns + 1
    offsets = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    for _ in range(_EXTENSION_STEPS):
        sums = np.zeros((len(rows), values.shape[2]), dtype=np.float32)
        counts = np.zeros((len(rows), 1), dtype=np.float32)
        for down, right in offsets:
            near = reached[rows + down, columns + right][:, None]
            sums += padded[rows + down, columns + right] * near
            counts += near
        found = counts[:, 0] > 0
        means = sums[found] / counts[found]
        means = np.rint(means) if np.issubdtype(values.dtype, np.integer) else means
        padded[rows[found], columns[found]] = means
        reached[rows[found], columns[found]] = True
        rows, columns = rows[~found], columns[~found]
    inside = slice(1, height + 1), slice(1, width + 1)
    return padded[inside], reached[inside]
