"""From the frame of a mesh file to the scan frame: which way is up, which way the person faces.

The scan frame is right-handed, x to the person's left, y up, the person facing +z; it keeps the
origin and the unit of the file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dataset.scans.scan import AXES

CLEARLY_LONGER = 2.0
"""A scan this many times longer along z than along y stands on its z axis.

A standing person is that much taller than deep; somebody who reaches far forward is not that
much deeper than tall.
"""


def upright(up: str) -> NDArray[np.float64]:
    """Return the (3, 3) rotation that takes an axis of the file to +y, the usual way.

    A z-up file is turned as other tools do: its -y becomes +z. A y-down file is turned about x.
    """
    axis = np.array(AXES[up], dtype=np.float64)
    if up == "-y":
        return np.diag([1.0, -1.0, -1.0])
    side = np.array([1.0, 0.0, 0.0]) if axis[0] == 0.0 else np.array([0.0, -axis[0], 0.0])
    return np.stack([side, axis, np.cross(side, axis)])


def levelled(vertical: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (3, 3) rotation by the least angle that takes a direction to +y."""
    axis = np.asarray(vertical, dtype=np.float64) / np.linalg.norm(vertical)
    rotation, _ = Rotation.align_vectors([[0.0, 1.0, 0.0]], [axis])
    return rotation.as_matrix()


def facing_rotation(
    up: NDArray[np.floating], facing: NDArray[np.floating]
) -> NDArray[np.float64] | None:
    """Return the (3, 3) rotation that takes `up` to +y and `facing`, made level, to +z.

    None where the person faces straight up or down: that says nothing of the level direction.
    """
    y = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    level = np.asarray(facing, dtype=np.float64) - y * float(np.dot(facing, y))
    if np.linalg.norm(level) < 0.1 * np.linalg.norm(facing):
        return None
    z = level / np.linalg.norm(level)
    return np.stack([np.cross(y, z), y, z])


def guessed_up(vertices: NDArray[np.floating]) -> str:
    """Return "+z" for a scan that is clearly longer along z than along y, else "+y"."""
    extent = np.ptp(vertices, axis=0)
    return "+z" if extent[2] > CLEARLY_LONGER * extent[1] else "+y"
