"""Which faces can touch the rim of the silhouette.

Coverage is drawn with many samples a pixel, which is dear; inside the silhouette it is
known to be full, so of a fine mesh only the faces around the rim are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from render.camera import Camera
from render.framebuffers import Box
from render.upload import MeshHandle

_FEW_FACES = 100_000
_RIM_PX = 4
_LONGEST_PX = 24


@dataclass(frozen=True)
class Rim:
    """Where coverage has to be drawn, and by which faces.

    Attributes:
        pixels: (h, w) bool, within four pixels of the rim of the mask.
        faces: (N, 3) uint32, all faces that can touch these pixels; None for all of the mesh.
    """

    pixels: NDArray[np.bool_]
    faces: NDArray[np.uint32] | None


def find_rim(
    handle: MeshHandle,
    camera: Camera,
    camera_from_mesh: NDArray[np.floating],
    box: Box,
    near: float,
    mask: NDArray[np.bool_],
) -> Rim:
    """Find the rim of a mask.

    Args:
        handle: the mesh.
        camera: of the view.
        camera_from_mesh: (4, 4) of the view.
        box: the pixels that the mask is of.
        near: distance of the nearest point from the camera plane, or less.
        mask: (h, w) bool, pixels of the box whose centre the mesh covers.
    """
    scale = float(np.cbrt(np.linalg.det(np.asarray(camera_from_mesh)[:3, :3])))
    longest_px = handle.longest_edge * scale * float(camera.pixels_per_unit(np.array(near)))
    if len(handle.faces) < _FEW_FACES or longest_px > _LONGEST_PX:
        return Rim(np.ones_like(mask), None)
    binary = mask.astype(np.uint8)
    step = np.ones((3, 3), dtype=np.uint8)
    # Beyond the border counts as background for both, so that a cut silhouette has a rim too.
    grown, shrunk = cv2.dilate(binary, step), cv2.erode(binary, step, borderValue=0)
    edge = np.asarray(grown - shrunk, dtype=np.uint8)
    pixels = _grown(edge, _RIM_PX)
    # A face that touches such a pixel has all corners within its longest edge of it.
    reach = _grown(edge, _RIM_PX + int(np.ceil(longest_px * np.sqrt(2.0))) + 1)
    rows, columns = _pixel_places(handle.positions, camera, camera_from_mesh, box)
    height, width = mask.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    near_rim = inside & (reach[rows, columns] > 0)
    candidates = handle.faces[near_rim[handle.faces].any(axis=1)]
    touching = _touches(pixels, rows[candidates], columns[candidates])
    return Rim(pixels > 0, candidates[touching])


def _grown(binary: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    grown = cv2.dilate(binary, np.ones((1, side), dtype=np.uint8))
    return np.asarray(cv2.dilate(grown, np.ones((side, 1), dtype=np.uint8)), dtype=np.uint8)


def _pixel_places(
    positions: NDArray[np.float32],
    camera: Camera,
    camera_from_mesh: NDArray[np.floating],
    box: Box,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (N,) row and (N,) column within the box of the pixel that each point is in."""
    matrix = np.asarray(camera_from_mesh, dtype=np.float32)
    x, y, z = positions.T
    across, up, back = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrix[:3])
    factor = camera.pixels_per_unit(-back)
    centre = np.float32(camera.resolution / 2.0)
    columns = (across * factor + centre).astype(np.int32) - box.left
    rows = (centre - up * factor).astype(np.int32) - box.top
    return rows, columns


def _touches(
    pixels: NDArray[np.uint8], rows: NDArray[np.int32], columns: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return (F,) bool: is a marked pixel in, or beside, the rectangle around three corners?"""
    sums = cv2.integral(pixels)
    height, width = pixels.shape
    top, left = np.maximum(rows.min(axis=1) - 1, 0), np.maximum(columns.min(axis=1) - 1, 0)
    bottom = np.minimum(rows.max(axis=1) + 2, height)
    right = np.minimum(columns.max(axis=1) + 2, width)
    found = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(found > 0)
