"""The corners of faces in OBJ text: of any polygon, as v, v/vt, v//vn or v/vt/vn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from render.number_text import runs, whole_numbers

_BLANK, _SLASH, _MINUS, _ZERO = 32, ord("/"), ord("-"), ord("0")
_LONGEST_INDEX = 9


def read_corners(
    text: NDArray[np.uint8], line_starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Read the indices in lines of faces.

    Args:
        text: (N,) uint8, the lines with all but the indices blank, `number_text.PADDING` blanks
            in front.
        line_starts: (L,) int64.

    Returns:
        (3, C) int32: vertex, uv and normal of each corner as written, 0 where there is none;
        (L,) int64 number of corners of each line.

    Raises:
        ValueError: a line holds something else, or fewer than three corners.
    """
    starts, ends = runs((text - np.uint8(_ZERO)) < 10)
    lengths = ends - starts
    if len(lengths) and lengths.max() > _LONGEST_INDEX:
        raise ValueError(f"expected indices of at most {_LONGEST_INDEX} digits, got more")
    numbers = whole_numbers(text, ends, lengths)[0].astype(np.int32)
    minus_count = np.count_nonzero(text == _MINUS)
    slash_count = np.count_nonzero(text == _SLASH)
    if np.count_nonzero(text > _BLANK) != lengths.sum() + minus_count + slash_count:
        raise ValueError("expected numbers, got other text")
    if minus_count:
        is_negative = text[starts - 1] == _MINUS
        if np.count_nonzero(is_negative) != minus_count:
            raise ValueError("expected numbers, got other text")
        np.negative(numbers, out=numbers, where=is_negative)
        starts = starts - is_negative
    is_first, columns = _columns(text, starts)
    corners = np.cumsum(is_first) - 1
    corner_count = int(np.count_nonzero(is_first))
    indices = np.zeros(3 * corner_count, dtype=np.int32)
    indices[columns * corner_count + corners] = numbers
    line_corners = np.searchsorted(starts[is_first], line_starts)
    counts = np.diff(line_corners, append=corner_count)
    if counts.min() < 3:
        raise ValueError(f"expected three corners or more, got {counts.min()}")
    return indices.reshape(3, corner_count), counts


def absolute(values: NDArray[np.int32], seen: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return indices from 0 on, with -1 where none was written.

    Args:
        values: (C,) int32 as written: from 1 on, or negative to count backwards.
        seen: (C,) int64, how many rows lie before the line of each corner.
    """
    # One that reaches before the first row must not look like none, and stays out of range.
    backwards = np.where(seen + values < 0, -2, seen + values)
    return np.where(values < 0, backwards, values - 1).astype(np.int32)


def fans(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut polygons into triangles that share their first corner.

    Args:
        counts: (L,) int64, corners of each polygon, three or more.

    Returns:
        (F, 3) int64 corners of the triangles, in a numbering that goes on from polygon to
        polygon; (F,) int64, the polygon of each triangle.
    """
    polygons = np.repeat(np.arange(len(counts)), counts - 2)
    firsts = (np.cumsum(counts) - counts)[polygons]
    steps = np.arange(len(polygons)) - (np.cumsum(counts - 2) - (counts - 2))[polygons]
    return np.stack([firsts, firsts + steps + 1, firsts + steps + 2], axis=1), polygons


def _columns(
    text: NDArray[np.uint8], starts: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return whether a number begins a corner, and whether it is its vertex, uv or normal."""
    before, second, third = (text[starts - steps] for steps in (1, 2, 3))
    is_first = before <= _BLANK
    is_slashed = before == _SLASH
    is_double = is_slashed & (second == _SLASH)
    follows_digit = (np.where(is_double, third, second) - np.uint8(_ZERO)) < 10
    follows_first = np.concatenate([[False], is_first[:-1]])
    columns = np.where(is_first, 0, np.where(follows_first, 1 + is_double, 2))
    follows_normal = np.concatenate([[False], columns[:-1] == 2])
    is_fourth = is_slashed & ~follows_first & (is_double | follows_normal)
    if not (is_first | (is_slashed & follows_digit & ~is_fourth)).all():
        raise ValueError("expected corners such as 1, 1/2, 1//3 or 1/2/3, got another form")
    return is_first, columns
