"""What the rasteriser makes of one view, and what depends on its layout alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.compiled import compiled

PERSON, UNRELIABLE = 1, 2
EXTENSION_PX = 3


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
) -> NDArray[np.intp]:
    """Carry values outwards, up to three pixels, to pixels that are wanted but not known.

    Args:
        values: (H, W, C) uint8 or float32; pixels that are reached become the mean of the known
            neighbours (rounded for integers).
        known: (H, W) bool; pixels that are reached become known.
        wanted: (H, W) bool.

    Returns:
        (P, 2) row and column of the pixels that are reached.
    """
    pixels = np.argwhere(wanted & ~known)
    means = np.empty((len(pixels), values.shape[2]), dtype=np.float32)
    count = _extend(values, known, pixels, means, np.issubdtype(values.dtype, np.integer))
    return pixels[:count]


@compiled
def _extend(
    values: NDArray[Any],
    known: NDArray[np.bool_],
    pixels: NDArray[np.intp],
    means: NDArray[np.float32],
    is_rounded: bool,
) -> int:
    """Carry values to pixels, and return how many are reached: these are put first."""
    reached = 0
    for _ in range(EXTENSION_PX):
        end = reached
        for place in range(reached, len(pixels)):
            row, column = pixels[place, 0], pixels[place, 1]
            if _mean_of_neighbours(values, known, row, column, means[end]):
                pixels[place, 0], pixels[place, 1] = pixels[end, 0], pixels[end, 1]
                pixels[end, 0], pixels[end, 1] = row, column
                end += 1
        for place in range(reached, end):
            row, column = pixels[place, 0], pixels[place, 1]
            known[row, column] = True
            for channel in range(values.shape[2]):
                mean = means[place, channel]
                values[row, column, channel] = np.rint(mean) if is_rounded else mean
        reached = end
    return reached


@compiled
def _mean_of_neighbours(
    values: NDArray[Any],
    known: NDArray[np.bool_],
    row: int,
    column: int,
    mean: NDArray[np.float32],
) -> bool:
    """Compute the mean of known neighbours; return whether there is one."""
    mean[:] = 0.0
    count = np.float32(0.0)
    height, width = known.shape
    for down in range(max(row - 1, 0), min(row + 2, height)):
        for right in range(max(column - 1, 0), min(column + 2, width)):
            if known[down, right]:
                count += np.float32(1.0)
                for channel in range(len(mean)):
                    mean[channel] += values[down, right, channel]
    for channel in range(len(mean)):
        mean[channel] /= count
    return bool(count > 0.0)
