"""How much of each pixel along the silhouette is covered: antialiased alpha.

Away from the rim of the mask a pixel is wholly covered or not at all, so of a fine mesh only
the faces that touch the rim are looked at, with 64 samples a pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from render.picture_box import Box
from render.scan_conversion import Indices, ScreenMesh, find_spans, unrolled

REACH_PX = 3
"""How far from the mask coverage is looked for, pixels."""

_SAMPLES = 8
_SMALL_PX = 1
_BLOCK = 1 << 15


def find_coverage(mesh: ScreenMesh, mask: NDArray[np.bool_], box: Box) -> NDArray[np.uint8]:
    """Return (h, w) uint8 coverage of the pixels of a box, 255 = wholly covered.

    Args:
        mesh: what covers them.
        mask: (h, w) bool, pixels whose centre the mesh covers.
        box: which pixels of the picture they are.
    """
    coverage = np.where(mask, np.uint8(255), np.uint8(0))
    if not mask.any():
        return coverage
    is_rim = _rim(mask)
    rows, columns = np.nonzero(is_rim)
    slots = np.full(mask.shape, -1, dtype=np.int32)
    slots[rows, columns] = np.arange(len(rows))
    # One bit for each sample: a byte for each row of samples of a pixel.
    samples = np.zeros((len(rows), _SAMPLES), dtype=np.uint8)
    corners = mesh.faces[:, _touching(mesh, is_rim, box)]
    fine = ScreenMesh(
        x=mesh.x[corners].ravel() * _SAMPLES,
        y=mesh.y[corners].ravel() * _SAMPLES,
        depth=mesh.depth[corners].ravel(),
        faces=np.arange(corners.size).reshape(3, -1),
    )
    for spans in find_spans(fine, box.enlarged(_SAMPLES)):
        end = spans.first + spans.count
        first_pixel = spans.first // _SAMPLES
        span, pixel = unrolled(first_pixel, (end - 1) // _SAMPLES + 1 - first_pixel)
        slot = slots[spans.row[span] // _SAMPLES - box.top, pixel - box.left]
        used = np.flatnonzero(slot >= 0)
        span, left, slot = span[used], pixel[used] * _SAMPLES, slot[used]
        low = np.maximum(spans.first[span] - left, 0)
        high = np.minimum(end[span] - left, _SAMPLES)
        bits = ((1 << high) - (1 << low)).astype(np.uint8)
        place = slot * _SAMPLES + spans.row[span] % _SAMPLES
        np.bitwise_or.at(samples.reshape(-1), place, bits)
    covered = np.bitwise_count(samples).sum(axis=1, dtype=np.uint32)
    coverage[rows, columns] = (covered * 255 + _SAMPLES**2 // 2) // _SAMPLES**2
    return coverage


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the (h, w) pixels within reach of the mask but for those amid the mask."""
    binary = mask.astype(np.uint8)
    side = 2 * REACH_PX + 1
    grown = cv2.dilate(binary, np.ones((side, side), dtype=np.uint8))
    # Beyond the border counts as background, so that a cut silhouette has a rim too.
    amid = cv2.erode(binary, np.ones((3, 3), dtype=np.uint8), borderValue=0)
    return np.asarray((grown > 0) & (amid == 0))


def _touching(mesh: ScreenMesh, is_rim: NDArray[np.bool_], box: Box) -> Indices:
    """Return the places of all faces whose bounding rectangle holds a pixel of the rim."""
    height, width = is_rim.shape
    columns = np.clip(mesh.x - np.float32(box.left), 0, width - 1).astype(np.int32)
    rows = np.clip(mesh.y - np.float32(box.top), 0, height - 1).astype(np.int32)
    side = 2 * _SMALL_PX + 1
    is_near = cv2.dilate(is_rim.astype(np.uint8), np.ones((side, side), dtype=np.uint8)) > 0
    is_near = is_near.ravel()[rows * width + columns]
    cells = (rows << 16) | columns
    counts = cv2.integral(is_rim.astype(np.uint8)).ravel()
    found = []
    for start in range(0, mesh.faces.shape[1], _BLOCK):
        a, b, c = mesh.faces[:, start : start + _BLOCK]
        corners = cells[a], cells[b], cells[c]
        # Most faces are smaller than their distance from the rim: one look at a corner.
        far_apart = _far_apart(corners[0], corners[1]) | _far_apart(corners[0], corners[2])
        near = np.flatnonzero(is_near[a] | far_apart)
        one, two, three = (corner[near] for corner in corners)
        top, bottom = _limits(one >> 16, two >> 16, three >> 16)
        left, right = _limits(one & 0xFFFF, two & 0xFFFF, three & 0xFFFF)
        top *= width + 1
        bottom *= width + 1
        inside = counts[bottom + right] - counts[top + right]
        inside += counts[top + left] - counts[bottom + left]
        found.append(near[inside > 0] + start)
    return np.concatenate(found)


def _limits(
    one: NDArray[np.int32], two: NDArray[np.int32], three: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the least of three numbers each, and one more than the greatest."""
    return (
        np.minimum(np.minimum(one, two), three),
        np.maximum(np.maximum(one, two), three) + np.int32(1),
    )


def _far_apart(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether pixels, row and column in one integer, differ by more than a small face does."""
    shifted = one - other + ((_SMALL_PX << 16) | _SMALL_PX)
    most = 2 * _SMALL_PX
    # A column that is too small borrows from the row, and is then too large itself.
    return np.asarray(
        ((shifted & 0xFFFF) > most) | ((shifted >> 16) > most) | ((shifted >> 16) < 0)
    )
