"""Which pixel centres triangles cover.

A scan has about as many faces as its picture has pixels, and half of them cover no pixel
centre. Software OpenGL takes 0.2 microseconds for every face and side, seen or not; over
arrays of a block of faces at a time it takes a fifth of that for both sides together.

A centre belongs to the triangle that it is inside of, and on an edge shared by two to exactly
one: an edge crosses a row of centres in the same number for both, and rows and spans are half
open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.picture_box import Box

_BLOCK = 1 << 15
_HALF = np.float32(0.5)

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


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


@dataclass(frozen=True)
class Spans:
    """Runs of pixel centres, one at least, that a face covers in a row.

    Attributes:
        face: (S,) intp, place of the face.
        row: (S,) int32.
        first: (S,) int32, first column.
        count: (S,) int32, columns.
        ends: where the row crosses the edges of the face.
    """

    face: Indices
    row: NDArray[np.int32]
    first: NDArray[np.int32]
    count: NDArray[np.int32]
    ends: _Ends

    def gradient(self, values: Floats) -> tuple[Floats, Floats]:
        """Interpolate values of the corners, affine over the picture.

        Args:
            values: (N,) float32, one for each point of the mesh.

        Returns:
            (S,) value at the first column, and (S,) its change to the next column.
        """
        ends = self.ends
        highest, middle, lowest = (values[corner] for corner in ends.corners)
        long = highest + ends.long * (lowest - highest)
        short = np.where(ends.is_upper, highest, middle)
        short += ends.short * (np.where(ends.is_upper, middle, lowest) - short)
        slope = (short - long) / (ends.x_short - ends.x_long)
        return long + (self.first.astype(np.float32) + _HALF - ends.x_long) * slope, slope


@dataclass(frozen=True)
class _Ends:
    """Where a row crosses the edge from the highest to the lowest corner, and another edge.

    Attributes:
        corners: (S,) intp each: highest, middle and lowest corner.
        is_upper: (S,) bool, whether the other edge is from the highest to the middle corner.
        long, short: (S,) float32, share 0..1 of the way downwards along these edges.
        x_long, x_short: (S,) float32, pixels.
    """

    corners: tuple[Indices, Indices, Indices]
    is_upper: NDArray[np.bool_]
    long: Floats
    short: Floats
    x_long: Floats
    x_short: Floats


def find_spans(mesh: ScreenMesh, box: Box) -> Iterator[Spans]:
    """Find the pixel centres within a box that faces cover, a block of faces at a time."""
    rows, columns = _centres_from(mesh.y, box.rows), _centres_from(mesh.x, box.columns)
    bits = 16 if max(box.left + box.width, box.top + box.height) < 1 << 16 else 32
    wide: NDArray[np.signedinteger] = rows if bits == 16 else rows.astype(np.int64)
    cells = (wide << bits) | columns
    column_bits = (1 << bits) - 1
    for start in range(0, mesh.faces.shape[1], _BLOCK):
        a, b, c = mesh.faces[:, start : start + _BLOCK]
        cell = cells[a]
        differ = (cell ^ cells[b]) | (cell ^ cells[c])
        # With all corners between the same rows, or columns, of centres none is covered.
        kept = np.flatnonzero(((differ & column_bits) != 0) & ((differ >> bits) != 0))
        if len(kept):
            yield _spans(mesh, kept + start, box)


def unrolled(
    first: NDArray[np.int32], count: NDArray[np.int32]
) -> tuple[Indices, NDArray[np.int32]]:
    """Return, for each number of each run, the place of the run and the number.

    Args:
        first: (S,) int32, first number of each run.
        count: (S,) int32, length of each run.
    """
    run = np.repeat(np.arange(len(first)), count)
    number = np.arange(len(run), dtype=np.int32)
    number -= np.repeat(np.cumsum(count, dtype=np.int32) - count - first, count)
    return run, number


def _centres_from(places: Floats, limits: slice) -> NDArray[np.int32]:
    """Return the first rows, or columns, whose centres are not before places, within limits."""
    return np.clip(np.ceil(places - _HALF), limits.start, limits.stop).astype(np.int32)


def _spans(mesh: ScreenMesh, kept: Indices, box: Box) -> Spans:
    (a, b, c), heights = _sorted_downwards(mesh.y, [corner[kept] for corner in mesh.faces])
    top, middle, bottom = (_centres_from(height, box.rows) for height in heights)
    face, row = unrolled(top, bottom - top)
    # A row crosses the edge from the highest to the lowest corner, and one of the other two.
    is_upper = row < middle[face]
    centre = row.astype(np.float32) + _HALF
    y_a, y_b, y_c = (height[face] for height in heights)
    long = (centre - y_a) / (y_c - y_a)
    y_short = np.where(is_upper, y_a, y_b)
    short = (centre - y_short) / (np.where(is_upper, y_b, y_c) - y_short)
    x_a, x_b, x_c = (mesh.x[corner][face] for corner in (a, b, c))
    x_long = x_a + long * (x_c - x_a)
    x_short = np.where(is_upper, x_a, x_b)
    x_short += short * (np.where(is_upper, x_b, x_c) - x_short)
    first = _centres_from(np.minimum(x_long, x_short), box.columns)
    count = _centres_from(np.maximum(x_long, x_short), box.columns) - first
    used = np.flatnonzero(count > 0)
    face = face[used]
    return Spans(
        face=kept[face],
        row=row[used],
        first=first[used],
        count=count[used],
        ends=_Ends(
            corners=(a[face], b[face], c[face]),
            is_upper=is_upper[used],
            long=long[used],
            short=short[used],
            x_long=x_long[used],
            x_short=x_short[used],
        ),
    )


def _sorted_downwards(y: Floats, corners: Sequence[Indices]) -> tuple[list[Indices], list[Floats]]:
    """Return the corners of every face from the highest in the picture to the lowest, and y."""
    corners = list(corners)
    heights = [y[corner] for corner in corners]
    for upper in (0, 1, 0):
        lower = upper + 1
        above, below = corners[upper], corners[lower]
        swap = heights[lower] < heights[upper]
        corners[upper], corners[lower] = np.where(swap, below, above), np.where(swap, above, below)
        high, low = heights[upper], heights[lower]
        heights[upper], heights[lower] = np.minimum(high, low), np.maximum(high, low)
    return corners, heights
