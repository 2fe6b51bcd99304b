"""The air behind an arm: where depth jumps, a gap is opened instead of a curtain drawn.

A map shows one front surface per ray, so an arm before the trunk hides its own back and the
trunk behind it. Joined as the pixels lie, its rim would hang on the trunk by a curtain along
the rays. The hidden surfaces are guessed instead: the nearer part is round (as thick as a limb
of its distance from the rim), the farther one goes on smoothly behind it. Where the first ends
before the second begins lies a gap, which `model.carving` cuts out.
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

_LIMB_RADIUS = 0.014
"""Half the thickness of what is taken for a limb, normalised units (3.5 cm)."""

_CLOSING = 20.0
"""Depth by which a gap closes per distance, further from the rim than a limb reaches."""

_STRIP = 2
"""Width of the strip along the silhouette that gaps keep from, pixels."""

_CLEARANCE = 1e-5
"""How far a gap keeps from the visible surface that it opens to, normalised units."""

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


def find_gaps(maps: DepthMaps, pixel: float) -> list[DepthMaps]:
    """Return the gaps that depth edges of the front and of the back open.

    Args:
        maps: depth of both sides.
        pixel: width of a pixel at distance 1, normalised units.

    Returns:
        Up to two sets of maps: `front` and `back` are where the gap begins and ends, `mask`
        where it is; it reaches one pixel beyond the surface wherever it opens to the outside.
    """
    gaps = []
    front = _gap(_Side(maps.front, maps.back, maps.mask), pixel)
    if front is not None:
        gaps.append(DepthMaps(*front, maps.point_scale))
    back = _gap(_Side(-maps.back, -maps.front, maps.mask), pixel)
    if back is not None:
        near, far, mask = back
        gaps.append(DepthMaps(-far, -near, mask, maps.point_scale))
    return gaps


def _gap(side: _Side, pixel: float) -> tuple[Depths, Depths, Mask] | None:
    """Return where a side's gap begins and ends and where it is, or None without an edge."""
    jump = np.float32(max(_LEAST_JUMP, _STEEPEST * pixel))
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
    if not person_cells(inside).any():
        return None
    return _opened(side, near, far, inside)


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


def _opened(side: _Side, near: Depths, far: Depths, inside: Mask) -> tuple[Depths, Depths, Mask]:
    """Let a gap reach one pixel beyond the surface wherever there is air beside it."""
    begin = cv2.erode(np.where(inside, near, np.float32(np.inf)), _SQUARE)
    reach = np.isfinite(begin) & ~inside
    least = np.float32(MINIMUM_THICKNESS + _CLEARANCE)
    air = reach & ~side.mask & (far - begin > least)
    before = reach & side.mask & (side.seen - begin > least)
    behind = reach & side.mask & ~before & (far - side.other > least)
    clear = np.float32(_CLEARANCE)
    near = np.where(inside, near, np.where(behind, side.other + clear, begin))
    far = np.where(before, side.seen - clear, far)
    return near, far.astype(np.float32), inside | air | before | behind
