"""Normal maps of a surface from four sides, for the normal error and for pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from eval.surfaces import Surface
from render.camera import Camera, camera_from_normalised, transform_points, yaw_rotation
from render.context import OffscreenContext
from render.mesh import Mesh
from render.rasteriser import Rasteriser
from render.upload import MeshHandle

TURNS_DEG = (0.0, 90.0, 180.0, 270.0)
"""By how much the body is turned further than in the input view; the normal error's views."""


@dataclass(frozen=True)
class NormalViews:
    """Normals of the nearest surface, one map per turn of `TURNS_DEG`.

    Attributes:
        normals: (4, R, R, 3) float32 unit vectors, camera frame of each view, 0 on the background.
        masks: (4, R, R) bool, True = covered.
    """

    normals: NDArray[np.float32]
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class TwoSidedNormals:
    """Normals of both sides in the input view.

    Attributes:
        front: (R, R, 3) float32, nearest surface, camera frame, towards the camera.
        back: (R, R, 3) float32, farthest surface, away from the camera.
        mask: (R, R) bool.
    """

    front: NDArray[np.float32]
    back: NDArray[np.float32]
    mask: NDArray[np.bool_]


def normalised_from_cm(
    normalised_from_scan: NDArray[np.floating], unit_cm: float
) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from the scan frame in cm to the normalised frame.

    Args:
        normalised_from_scan: (4, 4), from the scan frame in scan units.
        unit_cm: length of one scan unit, cm.
    """
    scale = np.diag([1.0 / unit_cm] * 3 + [1.0])
    matrix: NDArray[np.float64] = np.asarray(normalised_from_scan, dtype=np.float64) @ scale
    return matrix


def turned_poses(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (4, 4, 4) camera-from-normalised matrices of `TURNS_DEG` around a body.

    Args:
        pose: (4, 4) camera-from-normalised matrix of the input view; its rotation is kept as
            turn 0, the body stands on the camera's axis at the usual distance in every view.
    """
    facing = np.eye(4)
    facing[:3, :3] = np.asarray(pose, dtype=np.float64)[:3, :3]
    return np.stack([camera_from_normalised() @ yaw_rotation(turn) @ facing for turn in TURNS_DEG])


class NormalRenderer:
    """Renders normal maps in one GL context; use it with `with`, or call `close`.

    Args:
        resolution: width and height of the maps, pixels.

    Raises:
        ContextError: no GL context can be made.
    """

    def __init__(self, resolution: int) -> None:
        self.camera = Camera(resolution)
        self._context = OffscreenContext()
        self._rasteriser = Rasteriser(self._context)

    @contextmanager
    def loaded(self, surface: Surface, to_normalised: NDArray[np.floating]) -> Iterator[MeshHandle]:
        """Keep a surface on the GPU for any number of views.

        Args:
            surface: cm, scan frame.
            to_normalised: (4, 4) matrix of `normalised_from_cm`; the scan's own, for
                predictions too.
        """
        matrix = np.asarray(to_normalised, dtype=np.float64)
        vertices = transform_points(matrix, surface.vertices)
        handle = self._rasteriser.upload(Mesh.from_arrays(vertices, surface.faces))
        try:
            yield handle
        finally:
            self._rasteriser.release(handle)

    def four_sides(self, body: MeshHandle, pose: NDArray[np.floating]) -> NormalViews:
        """Render the nearest surface from the four sides, with interpolated vertex normals.

        Args:
            body: of `loaded`.
            pose: (4, 4) camera-from-normalised matrix of the input view.
        """
        buffers = [
            self._rasteriser.render(body, self.camera, turned, sides="front", antialiased=False)
            for turned in turned_poses(pose)
        ]
        return NormalViews(
            normals=np.stack([buffer.front.normal for buffer in buffers]),
            masks=np.stack([buffer.mask > 0 for buffer in buffers]),
        )

    def both_sides(self, body: MeshHandle, pose: NDArray[np.floating]) -> TwoSidedNormals:
        """Render the nearest and the farthest surface in the input view (see `four_sides`)."""
        buffer = self._rasteriser.render(body, self.camera, np.asarray(pose), antialiased=False)
        return TwoSidedNormals(buffer.front.normal, buffer.back.normal, buffer.mask > 0)

    def close(self) -> None:
        """Give the GL context back."""
        self._rasteriser.close()
        self._context.close()

    def __enter__(self) -> NormalRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
