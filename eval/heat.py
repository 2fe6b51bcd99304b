"""Distances become colours: dark blue at 0, over magenta, to yellow at the end of the scale."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

HEAT_END_CM = 5.0
"""End of the colour scale: fixed, so that pictures of all reports can be compared."""

HEAT_TICKS_CM = (0, 1, 2, 3, 4, 5)
_FLAT_SHARE = 0.6


def heat_colours(distances_cm: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return (..., 3) uint8 sRGB of distances in cm; those beyond `HEAT_END_CM` have its colour."""
    values = np.asarray(distances_cm, dtype=np.float64)
    level = np.clip(values / HEAT_END_CM, 0.0, 1.0)
    grey = np.round(255.0 * level).astype(np.uint8).reshape(-1, 1)
    colours = cv2.applyColorMap(grey, cv2.COLORMAP_PLASMA)[..., ::-1]
    return np.ascontiguousarray(colours.reshape(*values.shape, 3))


def heat_bar(width: int = 256, height: int = 12) -> NDArray[np.uint8]:
    """Return the (height, width, 3) colours of the scale from 0 (left) to `HEAT_END_CM`."""
    return heat_colours(np.tile(np.linspace(0.0, HEAT_END_CM, width), (height, 1)))


def shaded_heat(colours: NDArray[np.uint8], normals: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (..., 3) colours, 0..255, a little darker where the surface turns away.

    Args:
        colours: (..., 3) uint8.
        normals: (..., 3) in the camera frame.
    """
    facing = np.clip(np.asarray(normals)[..., 2:3], 0.0, 1.0)
    return colours * (_FLAT_SHARE + (1.0 - _FLAT_SHARE) * facing)
