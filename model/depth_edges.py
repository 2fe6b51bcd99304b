"""The air behind an arm: where depth jumps, a gap is opened instead of a curtain drawn.

A map shows one front surface per ray, so an arm before the trunk hides its own back and the
trunk behind it. Joined as the pixels lie, its rim would hang on the trunk by a curtain along
the rays. The hidden surfaces are guessed instead: the nearer part is round (as thick as a limb
of its distance from the rim), the farther one goes on smoothly behind it. Where the first ends
before the second begins lies a gap, which `model.carving` opens.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.meshing import MINIMUM_THICKNESS, DepthMaps, person_cells
from render.compositing import pull_push

_LEAST_JUMP = 0.02
"""Difference of neighbouring pixels' depth that is an edge, normalised units (5 cm)."""

_STEEPEST = 10.0
"""Depth per width of a pixel that a surface may have without an edge (84 degrees)."""

_LIMB_RADIUS = 0.010
"""Half the thickness of what is taken for a limb, normalised units (2.5 cm)."""

_CLOSING = 40.0
"""Depth by which a gap closes per distance, further from the rim than a limb reaches."""

_STRIP = 2
"""Width of the strip along the silhouette that gaps keep from, pixels."""

_GUESS_ERROR = 5e-3
"""How far off the guessed sides of a gap are, normalised units (1.3 cm)."""

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)
_SQUARE = np.ones((3, 3), dtype=np.uint8)

Depths = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Side:
    """Both depths as seen from one side: the visible surface has the lower values."""

    seen: Depths
    other: Depths
    mask: Mask


@dataclass(frozen=True)
class Gap:
    """Air between two surfaces that one ray passes.

    Attributes:
        begin, end: (R, R) float32 ray distance of the hidden surfaces before and behind it.
        inside: (R, R) bool, where it is.
        front_edges, back_edges: (R-1, R-1) bool, cells across which the front or the back jumps.
    """

    begin: Depths
    end: Depths
    inside: Mask
    front_edges: Mask
    back_edges: Mask


def find_gap(maps: DepthMaps, pixel: float) -> Gap | None:
    """Return the gap that depth edges of the front and of the back open, or None without any.

    Args:
        maps: depth of both sides.
        pixel: width of a pixel at distance 1, normalised units.
    """
    jump = max(_LEAST_JUMP, _STEEPEST * pixel)
    behind_front = _gap(_Side(maps.front, maps.back, maps.mask), pixel, jump)
    before_back = _gap(_Side(-maps.back, -maps.front, maps.mask), pixel, jump)
    if behind_front is None and before_back is None:
        return None
    nothing = (maps.front, maps.front, np.zeros_like(maps.mask))
    begin, end, under_front = behind_front or nothing
    mirrored_end, mirrored_begin, under_back = before_back or nothing
    # What goes on from where it is seen is better known than a thickness.
    begin = np.where(under_back, -mirrored_begin, begin)
    end = np.where(under_back & ~under_front, -mirrored_end, end)
    inside = (under_front | under_back) & (end - begin > MINIMUM_THICKNESS)
    cells = person_cells(maps.mask)
    front, back = (np.where(cells, _range(depth), 0.0) for depth in (maps.front, maps.back))
    inside = _worth_it(inside, (begin, end), (front, back), pixel, jump)
    return Gap(
        begin=begin,
        end=end,
        inside=inside,
        front_edges=front > jump,
        back_edges=back > jump,
    )


def _worth_it(
    inside: Mask,
    guesses: tuple[Depths, Depths],
    heights: tuple[Depths, Depths],
    pixel: float,
    jump: float,
) -> Mask:
    """Return the parts of a gap whose guessed sides are nearer to the truth than the walls.

    Args:
        inside: (R, R), where the gap would be.
        guesses: (R, R), its sides.
        heights: (R-1, R-1), how far the front and the back go in depth within each cell.
        pixel: width of a pixel at distance 1, normalised units.
        jump: height from which a cell is a wall.
    """
    labels, count = ndimage.label(inside)
    guessed, walls = np.zeros((2, count + 1))
    rows, columns = np.nonzero(person_cells(inside))
    for guess in guesses:
        area = pixel * np.hypot(pixel, _range(guess)[rows, columns])
        guessed += np.bincount(labels[rows, columns], _GUESS_ERROR * area, minlength=count + 1)
    for side in heights:
        rows, columns = np.nonzero(side > jump)
        height = side[rows, columns].astype(np.float64)
        part = np.max([labels[rows + i, columns + j] for i in (0, 1) for j in (0, 1)], axis=0)
        # The points of a wall between two surfaces are a quarter of its height from either.
        walls += np.bincount(part, pixel * height**2 / 4.0, minlength=count + 1)
    is_opened = walls > guessed
    is_opened[0] = False
    return np.asarray(is_opened[labels])


def _range(depth: Depths) -> Depths:
    """Return (R-1, R-1) how far apart the four corners of each cell are."""
    corners = np.stack([depth[:-1, :-1], depth[1:, :-1], depth[:-1, 1:], depth[1:, 1:]])
    return np.asarray(corners.max(axis=0) - corners.min(axis=0), dtype=np.float32)


def _gap(side: _Side, pixel: float, jump: float) -> tuple[Depths, Depths, Mask] | None:
    """Return where a side's gap begins and ends and where it is, or None without an edge."""
    infinity = np.float32(np.inf)
    # OpenCV's filters see what is nearest and farthest among a pixel's four neighbours.
    nearest = cv2.erode(np.where(side.mask, side.seen, infinity), _CROSS)
    farthest = cv2.dilate(np.where(side.mask, side.seen, -infinity), _CROSS)
    behind = side.mask & (side.seen - nearest > jump)
    # Along the silhouette a surface that turns away may be steeper than any edge.
    silhouette = _grown(~side.mask, _STRIP)
    before = side.mask & (farthest - side.seen > jump) & ~silhouette
    if not before.any():
        return None
    near = side.seen + _thickness(before, pixel)
    # What lies between two others shows the surface behind neither.
    known = behind & ~before
    far = pull_push((side.seen * known)[..., None], known.astype(np.float32))[..., 0]
    inside = side.mask & (far - near > MINIMUM_THICKNESS) & (side.other - far > MINIMUM_THICKNESS)
    # Through the silhouette a gap opens only where a rim meets it: elsewhere the wall there may
    # be the true side of a thigh or a foot.
    inside = _touching(inside & (~silhouette | _grown(before, 2 * _STRIP)), before)
    return near, far.astype(np.float32), inside


def _thickness(rim: Mask, pixel: float) -> Depths:
    """Return how thick the nearer part is, from its rim inwards: round, and solid further in."""
    distance = pixel * cv2.distanceTransform(
        (~rim).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    beyond = np.maximum(distance - _LIMB_RADIUS, 0.0)
    thickness = MINIMUM_THICKNESS + 2.0 * np.sqrt(distance * _LIMB_RADIUS) + _CLOSING * beyond
    return np.asarray(thickness, dtype=np.float32)


def _grown(mask: Mask, pixels: int) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), _SQUARE, iterations=pixels).astype(bool)


def _touching(region: Mask, wanted: Mask) -> Mask:
    """Return the 4-connected components of a region that hold a wanted pixel."""
    labels, count = ndimage.label(region)
    kept = np.zeros(count + 1, dtype=bool)
    kept[labels[wanted]] = True
    kept[0] = False
    return np.asarray(kept[labels])
