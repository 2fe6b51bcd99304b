"""How much of each pixel along the silhouette is covered: antialiased alpha.

Away from the rim of the mask a pixel is wholly covered or not at all, so of a fine mesh only
the faces that touch the rim are looked at, with 64 samples a pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from render.compiled import in_bands
from render.picture_box import Box
from render.scan_conversion import SAMPLES, ScreenMesh, draw_rim

REACH_PX = 3
"""How far from the mask coverage is looked for, pixels."""


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
    # How many pixels of the rim lie above and to the left of each corner of a pixel.
    counts = np.asarray(cv2.integral(is_rim), dtype=np.int32)
    # One bit for each sample: a byte for each row of samples of a pixel.
    samples = np.zeros((len(rows), SAMPLES), dtype=np.uint8)

    def draw(first_row: int, end_row: int) -> None:
        draw_rim(
            (mesh.x, mesh.y), mesh.faces, (box.left, box.top), (first_row, end_row),
            counts, slots, samples,
        )  # fmt: skip

    in_bands(draw, 0, box.height)
    covered = np.bitwise_count(samples).sum(axis=1, dtype=np.uint32)
    coverage[rows, columns] = (covered * 255 + SAMPLES**2 // 2) // SAMPLES**2
    return coverage


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (h, w), 1 within reach of the mask but for pixels amid the mask, else 0."""
    binary = mask.astype(np.uint8)
    side = 2 * REACH_PX + 1
    grown = cv2.dilate(binary, np.ones((side, side), dtype=np.uint8)) > 0
    # Beyond the border counts as background, so that a cut silhouette has a rim too.
    amid = cv2.erode(binary, np.ones((3, 3), dtype=np.uint8), borderValue=0) > 0
    return np.asarray(grown & ~amid, dtype=np.uint8)
