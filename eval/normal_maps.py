"""A surface seen from four sides: normals for the normal errors, normals and paint for pictures.

The views are those of the field's evaluators (PIFuHD, ICON, ECON): orthographic, at 0, 90, 180
and 270 degrees, framed as ICON renders: a body 1.758 of 2 image heights tall. The frame follows
from the scan alone, so that every method is measured on the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.outputs import HALF_WIDTH_PER_HEIGHT
from eval.surfaces import Surface
from render.camera import Camera, transform_points, yaw_rotation
from render.closing import Closing
from render.context import OffscreenContext
from render.gbuffer import GBuffer
from render.mesh import Mesh
from render.rasteriser import Rasteriser
from render.upload import MeshHandle

TURNS_DEG = (0.0, 90.0, 180.0, 270.0)
"""By how much the body is turned further than in the input view; the normal error's views."""

FRONT_TURN, BACK_TURN = 0, 2
_WIDEST_SHARE = 0.98
_CAMERA_BACK = 4.0


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
class PaintedViews:
    """A coloured surface, one picture per turn of `TURNS_DEG`.

    Attributes:
        colours: (4, R, R, 3) uint8 sRGB, unlit.
        views: the normals of the same pixels.
    """

    colours: NDArray[np.uint8]
    views: NormalViews


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


@dataclass(frozen=True)
class LoadedSurface:
    """A surface on the GPU, and the (4, 4) matrix from centimetres to the frame it is there in."""

    handle: MeshHandle
    framed_from_cm: NDArray[np.float64]


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


def framed_from_cm(scan: Surface) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from cm to a frame whose -1..1 is what the pictures show.

    Centred on the scan's bounding box. A body much wider than tall is made to fit.
    """
    low, high = scan.bounds
    width = float(np.hypot(high[0] - low[0], high[2] - low[2]))
    half = max(HALF_WIDTH_PER_HEIGHT * float(high[1] - low[1]), width / 2.0 / _WIDEST_SHARE)
    matrix = np.diag([1.0 / half] * 3 + [1.0])
    matrix[:3, 3] = -(low + high) / 2.0 / half
    return matrix


def turned_cameras(rotation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (4, 4, 4) camera-from-framed matrices of `TURNS_DEG` around a body.

    Args:
        rotation: (3, 3), from the scan's axes to the camera's in the input view (turn 0).
    """
    facing = np.eye(4)
    facing[:3, :3] = np.asarray(rotation, dtype=np.float64)
    back = np.eye(4)
    back[2, 3] = -_CAMERA_BACK
    return np.stack([back @ yaw_rotation(turn) @ facing for turn in TURNS_DEG])


class SurfaceRenderer(Closing):
    """Renders surfaces in one GL context; use it with `with`, or call `close`.

    Args:
        resolution: width and height of the maps, pixels.

    Raises:
        ContextError: no GL context can be made.
    """

    def __init__(self, resolution: int) -> None:
        # At 90 degrees an orthographic picture shows -1..1.
        self._camera = Camera(resolution, fov_deg=90.0, projection="orthographic")
        self._context = OffscreenContext()
        self._rasteriser = Rasteriser(self._context)

    @contextmanager
    def loaded(
        self,
        surface: Surface,
        frame: NDArray[np.floating],
        colours: NDArray[np.uint8] | None = None,
    ) -> Iterator[LoadedSurface]:
        """Keep a surface on the GPU for any number of views.

        Args:
            surface: cm.
            frame: (4, 4) matrix of `framed_from_cm`; the scan's own, for predictions too.
            colours: (V, 3) uint8 sRGB of the vertices, for `painted_sides`.
        """
        matrix = np.asarray(frame, dtype=np.float64)
        vertices = transform_points(matrix, surface.vertices)
        mesh = Mesh.from_arrays(vertices, surface.faces, vertex_colours=colours)
        handle = self._rasteriser.upload(mesh)
        try:
            yield LoadedSurface(handle, matrix)
        finally:
            self._rasteriser.release(handle)

    def four_sides(self, body: LoadedSurface, rotation: NDArray[np.floating]) -> NormalViews:
        """Render the nearest surface from the four sides, with interpolated vertex normals.

        Args:
            body: of `loaded`.
            rotation: (3, 3), see `turned_cameras`.
        """
        return _normal_views(self._turned(body, rotation))

    def painted_sides(self, body: LoadedSurface, rotation: NDArray[np.floating]) -> PaintedViews:
        """Render the colours of the nearest surface from the four sides."""
        buffers = self._turned(body, rotation)
        colours = np.stack([buffer.front.albedo for buffer in buffers])
        return PaintedViews(colours, _normal_views(buffers))

    def both_sides(
        self, body: LoadedSurface, camera_from_cm: NDArray[np.floating], camera: Camera
    ) -> TwoSidedNormals:
        """Render the nearest and the farthest surface in the input view.

        Args:
            body: of `loaded`.
            camera_from_cm: (4, 4) similarity, from cm in the scan frame to the camera's.
            camera: of the input view; its resolution is that of the maps.
        """
        pose = np.asarray(camera_from_cm) @ np.linalg.inv(body.framed_from_cm)
        buffer = self._rasteriser.render(body.handle, camera, pose, antialiased=False)
        return TwoSidedNormals(buffer.front.normal, buffer.back.normal, buffer.mask > 0)

    def close_up(
        self,
        body: LoadedSurface,
        rotation: NDArray[np.floating],
        centre_cm: NDArray[np.floating],
        half_cm: float,
    ) -> NormalViews:
        """Render a part of the body in the input view, enlarged to the whole picture.

        Args:
            body: of `loaded`.
            rotation: (3, 3), see `turned_cameras`.
            centre_cm: (3,) middle of the picture, in the frame of the surface.
            half_cm: half of its width.

        Returns:
            One view.
        """
        zoom = 1.0 / (half_cm * body.framed_from_cm[0, 0])
        middle = transform_points(body.framed_from_cm, np.asarray(centre_cm, dtype=np.float64))
        pose = turned_cameras(rotation)[0]
        back = pose[:3, 3].copy()
        pose[:3, :3] *= zoom
        # What lies between the camera and the middle grows too: step back as far.
        pose[:3, 3] = zoom * back - pose[:3, :3] @ middle
        return _normal_views(
            [self._rasteriser.render(body.handle, self._camera, pose, "front", antialiased=False)]
        )

    def _turned(self, body: LoadedSurface, rotation: NDArray[np.floating]) -> list[GBuffer]:
        return [
            self._rasteriser.render(
                body.handle, self._camera, pose, sides="front", antialiased=False
            )
            for pose in turned_cameras(rotation)
        ]

    def close(self) -> None:
        """Give the GL context back."""
        self._rasteriser.close()
        self._context.close()


def _normal_views(buffers: list[GBuffer]) -> NormalViews:
    return NormalViews(
        normals=np.stack([buffer.front.normal for buffer in buffers]),
        masks=np.stack([buffer.mask > 0 for buffer in buffers]),
    )
