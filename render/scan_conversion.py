"""Which pixel centres triangles cover.

A scan has about as many faces as its picture has pixels, and half of them cover no pixel
centre. Software OpenGL takes 0.2 microseconds for every face and side, seen or not; the loops
here take about 0.05 for both sides together.

A centre belongs to the triangle that it is inside of, and on an edge shared by two to exactly
one: an edge crosses a row of centres in the same number for both, and rows and spans are half
open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.compiled import compiled

SAMPLES = 8
"""Samples of coverage across a pixel, and down."""

_SCALE, _HALF = np.float32(SAMPLES), np.float32(0.5)
_DEPTH_STEPS = float(1 << 29)
_DEPTH_SHIFT = 32
_FACE_BITS = (1 << _DEPTH_SHIFT) - 1
_NEAREST_NONE, _FARTHEST_NONE = np.iinfo(np.int64).max, -1

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
Keys = NDArray[np.int64]
Triangle = tuple[np.float32, np.float32, np.float32]


@dataclass(frozen=True)
class ScreenMesh:
    """Faces over points of the picture.

    Attributes:
        x: (N,) float32, pixels to the right.
        y: (N,) float32, pixels downwards.
        depth: (N,) float32, larger is farther, affine over the picture within every face.
        faces: (3, F) intp, one row for each corner.
        numbers: (F,) intp, what each face is called; None for its place in `faces`.
    """

    x: Floats
    y: Floats
    depth: Floats
    faces: Indices
    numbers: Indices | None = None


@compiled
def centre_from(place: np.float32, first: int, end: int) -> int:
    """Return the first row, or column, whose centre is not before a place, within limits."""
    return int(min(max(np.ceil(place - _HALF), np.float32(first)), np.float32(end)))


@compiled
def centres_between(places: Triangle, first: int, end: int) -> tuple[int, int]:
    """Return the first row, or column, of centres from the least place on, and the end."""
    low = min(places[0], places[1], places[2])
    high = max(places[0], places[1], places[2])
    return centre_from(low, first, end), centre_from(high, first, end)


@compiled
def sorted_downwards(
    corners: tuple[int, int, int], y: Triangle
) -> tuple[tuple[int, int, int], Triangle]:
    """Return the corners of a face from the highest in the picture to the lowest, and their y."""
    a, b, c = corners
    y_a, y_b, y_c = y
    if y_b < y_a:
        a, b, y_a, y_b = b, a, y_b, y_a
    if y_c < y_b:
        b, c, y_b, y_c = c, b, y_c, y_b
    if y_b < y_a:
        a, b, y_a, y_b = b, a, y_b, y_a
    return (a, b, c), (y_a, y_b, y_c)


@compiled
def edge_crossings(
    row: int, middle: int, x: Triangle, y: Triangle
) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Find where the centres of a row cross the edges of a face.

    Args:
        row: crosses the edge from the highest to the lowest corner, and one of the other two.
        middle: first row that is below the middle corner.
        x, y: of the corners from the highest to the lowest.

    Returns:
        Share of the way down the long edge, and the shorter; x where it crosses them.
    """
    centre = np.float32(row) + _HALF
    long = (centre - y[0]) / (y[2] - y[0])
    x_long = x[0] + long * (x[2] - x[0])
    if row < middle:
        short = (centre - y[0]) / (y[1] - y[0])
        return long, short, x_long, x[0] + short * (x[1] - x[0])
    short = (centre - y[1]) / (y[2] - y[1])
    return long, short, x_long, x[1] + short * (x[2] - x[1])


@compiled
def draw_faces(
    points: tuple[Floats, Floats, Floats],
    faces: Indices,
    numbers: Indices,
    corner: tuple[int, int],
    rows: tuple[int, int],
    keys: Keys,
) -> None:
    """Draw what lies in a band of rows into (height, width, 2) keys, left and top at a corner."""
    x, y, depth = points
    left, top = corner
    end_column = left + keys.shape[1]
    keys[rows[0] - top : rows[1] - top, :, 0] = _NEAREST_NONE
    keys[rows[0] - top : rows[1] - top, :, 1] = _FARTHEST_NONE
    for face in range(faces.shape[1]):
        a, b, c = faces[0, face], faces[1, face], faces[2, face]
        tall = y[a], y[b], y[c]
        first_row, end_row = centres_between(tall, rows[0], rows[1])
        # With all corners between the same columns of centres none is covered.
        first, end = centres_between((x[a], x[b], x[c]), left, end_column)
        # One branch, not two that no processor could foresee.
        if (first_row == end_row) | (first == end):
            continue
        (a, b, c), tall = sorted_downwards((a, b, c), tall)
        middle = centre_from(tall[1], rows[0], rows[1])
        wide = x[a], x[b], x[c]
        number = numbers[face] if len(numbers) else face
        for row in range(first_row, end_row):
            long, short, x_long, x_short = edge_crossings(row, middle, wide, tall)
            first = centre_from(min(x_long, x_short), left, end_column)
            end = centre_from(max(x_long, x_short), left, end_column)
            if first == end:
                continue
            high, low = (depth[a], depth[b]) if row < middle else (depth[b], depth[c])
            at_long = depth[a] + long * (depth[c] - depth[a])
            slope = (high + short * (low - high) - at_long) / (x_short - x_long)
            start = at_long + (np.float32(first) + _HALF - x_long) * slope
            for column in range(first, end):
                level = np.float64(start) + (column - first) * np.float64(slope)
                key = (np.int64((level + 2.0) * _DEPTH_STEPS) << _DEPTH_SHIFT) | number
                nearest = row - top, column - left, 0
                farthest = row - top, column - left, 1
                keys[nearest] = min(keys[nearest], key)
                keys[farthest] = max(keys[farthest], key)


@compiled
def seen_faces(keys: Keys) -> tuple[Indices, Indices, Indices]:
    """Return the pixels that are covered, and the faces of their (P, 2) keys."""
    count = 0
    for pixel in range(len(keys)):
        count += keys[pixel, 1] != _FARTHEST_NONE
    pixels = np.empty(count, dtype=np.intp)
    near, far = np.empty_like(pixels), np.empty_like(pixels)
    place = 0
    for pixel in range(len(keys)):
        if keys[pixel, 1] != _FARTHEST_NONE:
            pixels[place] = pixel
            near[place] = keys[pixel, 0] & _FACE_BITS
            far[place] = keys[pixel, 1] & _FACE_BITS
            place += 1
    return pixels, near, far


@compiled
def pixels_touched(places: Triangle, first: int, end: int) -> tuple[int, int]:
    """Return the first pixel that lies between the least place and the greatest, and the end."""
    low = min(places[0], places[1], places[2])
    high = max(places[0], places[1], places[2])
    return int(max(low, np.float32(first))), int(min(high, np.float32(end - 1))) + 1


@compiled
def draw_rim(
    points: tuple[Floats, Floats],
    faces: Indices,
    corner: tuple[int, int],
    band: tuple[int, int],
    counts: NDArray[np.int32],
    slots: NDArray[np.int32],
    samples: NDArray[np.uint8],
) -> None:
    """Set the samples of a band of rows of the box that faces cover.

    Args:
        points: x and y of the picture.
        faces: (3, F).
        corner: left and top of the box.
        band: first row, and one after the last, counted from the top of the box.
        counts: (h + 1, w + 1), pixels of the rim above and to the left.
        slots: (h, w), row of each pixel of the rim in `samples`, else -1.
        samples: (S, 8), changed.
    """
    x, y = points
    left, top = np.float32(corner[0]), np.float32(corner[1])
    width = slots.shape[1]
    rows = band[0] * SAMPLES, band[1] * SAMPLES
    for face in range(faces.shape[1]):
        a, b, c = faces[0, face], faces[1, face], faces[2, face]
        tall, wide = (y[a] - top, y[b] - top, y[c] - top), (x[a] - left, x[b] - left, x[c] - left)
        first_row, end_row = pixels_touched(tall, band[0], band[1])
        first, end = pixels_touched(wide, 0, width)
        if first_row >= end_row or first >= end:
            continue
        inside = counts[end_row, end] - counts[first_row, end]
        if inside == counts[end_row, first] - counts[first_row, first]:
            continue
        (a, b, c), tall = sorted_downwards((a, b, c), tall)
        fine_y = tall[0] * _SCALE, tall[1] * _SCALE, tall[2] * _SCALE
        fine_x = (x[a] - left) * _SCALE, (x[b] - left) * _SCALE, (x[c] - left) * _SCALE
        middle = centre_from(fine_y[1], rows[0], rows[1])
        for row in range(
            centre_from(fine_y[0], rows[0], rows[1]), centre_from(fine_y[2], rows[0], rows[1])
        ):
            _, _, x_long, x_short = edge_crossings(row, middle, fine_x, fine_y)
            start = centre_from(min(x_long, x_short), 0, width * SAMPLES)
            stop = centre_from(max(x_long, x_short), 0, width * SAMPLES)
            if start == stop:
                continue
            for column in range(start // SAMPLES, (stop - 1) // SAMPLES + 1):
                slot = slots[row // SAMPLES, column]
                if slot >= 0:
                    low = max(start - column * SAMPLES, 0)
                    high = min(stop - column * SAMPLES, SAMPLES)
                    samples[slot, row % SAMPLES] |= np.uint8((1 << high) - (1 << low))
