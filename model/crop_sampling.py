"""Encoded normals and crops of one view, straight from its pixels: loops compiled for one thread.

They give what `model.encoding` and `model.part_crops` give of whole frames. No tensor of a frame
is made, and pixels without a person cost nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.encoding import BACKGROUND_CUT_OFF, DEPTH_PER_RAY_DISTANCE, normal_step
from render.compiled import compiled

_CUT_OFF, _DEPTH_GAIN = np.float32(BACKGROUND_CUT_OFF), np.float32(DEPTH_PER_RAY_DISTANCE)
_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))

COLOUR_SCALE, COLOUR_OFFSET = 2.0 / 255.0, -1.0
"""From levels to the networks' units."""


@compiled
def _encode_slopes(
    distance: NDArray[np.float32], step: np.float32, encoded: NDArray[np.float32]
) -> None:
    """Write the normals of both sides into (h, w, 6) zeros; distance (2, h, w)."""
    _, height, width = distance.shape
    # Whole rows without a branch are computed several pixels at once.
    depth, above, across, up, scale = np.zeros((5, width), dtype=np.float32)
    for side in range(2):
        first = 3 * side
        for row in range(height):
            for column in range(width):
                value = distance[side, row, column]
                depth[column] = _TWO + _DEPTH_GAIN * (value - _ONE) if value > 0 else _ZERO
            if row == 0:
                above[:] = depth
            for column in range(width - 1):
                across[column] = depth[column] - depth[column + 1]
            for column in range(width):
                up[column] = above[column] - depth[column]
                squared = across[column] * across[column] + up[column] * up[column] + step * step
                scale[column] = _HALF / np.sqrt(squared)
            for column in range(width):
                if depth[column] >= _CUT_OFF:
                    encoded[row, column, first] = across[column] * scale[column] + _HALF
                    encoded[row, column, first + 1] = up[column] * scale[column] + _HALF
                    encoded[row, column, first + 2] = step * scale[column] + _HALF
            above[:] = depth


def encoded_normals_of_depth(
    ray_distance: NDArray[np.float32], resolution: int
) -> NDArray[np.float32]:
    """Return what `normals_from_depth` makes of ray distances.

    Args:
        ray_distance: (2, h, w) float32 of a window, normalised units, 0 = background.
        resolution: the working resolution R of the full frame, pixels.

    Returns:
        (h, w, 6) float32 in 0..1, front then back; 0 on the background.
    """
    encoded = np.zeros((*ray_distance.shape[1:], 6), dtype=np.float32)
    distance = np.ascontiguousarray(ray_distance)
    _encode_slopes(distance, np.float32(normal_step(resolution)), encoded)
    return encoded


@compiled
def _sample_three(
    source: NDArray,
    first: int,
    matrix: NDArray[np.float64],
    scale: np.float32,
    offset: np.float32,
    planes: NDArray[np.float32],
) -> None:
    """Write channels `first` to `first` + 2 of (H, W, C), sampled linearly, into (3, h, w) zeros.

    Where the offset is 0, a last channel of 0 stands for the background: nothing is written.
    """
    height, width = source.shape[:2]
    for row in range(planes.shape[1]):
        for column in range(planes.shape[2]):
            x = matrix[0, 0] * column + matrix[0, 1] * row + matrix[0, 2]
            y = matrix[1, 0] * column + matrix[1, 1] * row + matrix[1, 2]
            if not (-1.0 < x < width and -1.0 < y < height):
                continue
            # Positive numbers are cut off as floor does it, in one instruction.
            left, top = int(x + 1.0) - 1, int(y + 1.0) - 1
            right_part, lower_part = np.float32(x - left), np.float32(y - top)
            left_part, upper_part = _ONE - right_part, _ONE - lower_part
            right, below = left + 1, top + 1
            if left < 0:
                left, left_part = 0, _ZERO
            if right >= width:
                right, right_part = left, _ZERO
            if top < 0:
                top, upper_part = 0, _ZERO
            if below >= height:
                below, lower_part = top, _ZERO
            # Unsigned: a negative index would have to be looked for.
            x0, x1, y0, y1 = np.uint64(left), np.uint64(right), np.uint64(top), np.uint64(below)
            c0, c1, c2 = np.uint64(first), np.uint64(first + 1), np.uint64(first + 2)
            p, q = source[y0, x0, c2], source[y0, x1, c2]
            r, s = source[y1, x0, c2], source[y1, x1, c2]
            if offset == 0.0 and p == 0.0 and q == 0.0 and r == 0.0 and s == 0.0:
                continue
            a, b = upper_part * left_part * scale, upper_part * right_part * scale
            c, d = lower_part * left_part * scale, lower_part * right_part * scale
            inside = (upper_part + lower_part) * (left_part + right_part) * offset
            planes[2, row, column] = a * p + b * q + c * r + d * s + inside
            planes[0, row, column] = (
                a * source[y0, x0, c0]
                + b * source[y0, x1, c0]
                + c * source[y1, x0, c0]
                + d * source[y1, x1, c0]
                + inside
            )
            planes[1, row, column] = (
                a * source[y0, x0, c1]
                + b * source[y0, x1, c1]
                + c * source[y1, x0, c1]
                + d * source[y1, x1, c1]
                + inside
            )


def sample_picture(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], crop: NDArray[np.float32]
) -> None:
    """Write a crop of a picture in -1..1, 0 outside of it.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3) from pixel indices of the crop to those of the picture.
        crop: (3, h, w) zeros.
    """
    _sample_three(image, 0, matrix, np.float32(COLOUR_SCALE), np.float32(COLOUR_OFFSET), crop)


def sample_normals(
    encoded: NDArray[np.float32], matrix: NDArray[np.float64], crop: NDArray[np.float32]
) -> None:
    """Write a crop of encoded normals.

    Args:
        encoded: (H, W, 6) float32, 0 = background.
        matrix: (2, 3) from pixel indices of the crop to those of the normals.
        crop: (6, h, w) zeros.
    """
    for first in (0, 3):
        _sample_three(encoded, first, matrix, _ONE, np.float32(0.0), crop[first : first + 3])
