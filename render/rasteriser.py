"""A mesh becomes a two-sided G-buffer: the nearest and the farthest surface of every pixel.

One scan conversion finds the nearest and the farthest face of every pixel, so both sides share
pixels and silhouette; OpenGL then evaluates the surface where the rays hit it. Nothing is
culled; where an open mesh shows the inner side of a surface, the pixel is marked unreliable.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera, project, transform_points
from render.closing import Closing
from render.colour import srgb_bytes_from_linear
from render.compiled import compiled
from render.context import OffscreenContext
from render.coverage import find_coverage
from render.gbuffer import PERSON, UNRELIABLE, GBuffer, SideBuffer, extend_outwards
from render.hit_shading import BACK, HitShader, Shaded, place_of
from render.mesh import Mesh
from render.picture_box import Box
from render.scan_conversion import Indices, ScreenMesh
from render.upload import MeshHandle, release_mesh, upload_mesh
from render.visibility import find_visible, project_faces

__all__ = [
    "PERSON",
    "UNRELIABLE",
    "GBuffer",
    "MeshHandle",
    "Rasteriser",
    "SideBuffer",
    "Sides",
    "render_gbuffer",
]

Sides = Literal["both", "front"]

_NEAREST = 0.01
_BORDER = 2


class Rasteriser(Closing):
    """Draws uploaded meshes in one context; `close` (or `with`) gives the GPU memory back.

    Args:
        context: stays the caller's, and must stay open as long as the rasteriser is used.
    """

    def __init__(self, context: OffscreenContext) -> None:
        self._context = context
        self._gl = context.gl
        context.make_current()
        self._shader = HitShader(context.gl)

    def upload(self, mesh: Mesh) -> MeshHandle:
        """Copy a mesh to the GPU, for any number of views; its frame is up to the caller."""
        self._context.make_current()
        return upload_mesh(self._gl, mesh)

    def release(self, handle: MeshHandle) -> None:
        """Give the GPU memory of an uploaded mesh back."""
        self._context.make_current()
        release_mesh(self._gl, handle)

    def render(
        self,
        handle: MeshHandle,
        camera: Camera,
        camera_from_mesh: NDArray[np.floating],
        sides: Sides = "both",
        *,
        antialiased: bool = True,
    ) -> GBuffer:
        """Draw one view.

        Args:
            handle: an uploaded mesh.
            camera: resolution, field of view and projection.
            camera_from_mesh: (4, 4) rigid motion (a uniform scale is allowed) from the frame
                of the mesh to the camera frame.
            sides: "front" leaves the back side out, which is faster.
            antialiased: False leaves out the pass for the rim: coverage is all or nothing.
        """
        self._context.make_current()
        resolution = camera.resolution
        box, near, far = _visible_box(handle, camera, camera_from_mesh)
        clip = _clip_from_camera(camera, near, far) @ np.asarray(camera_from_mesh)
        screen = project_faces(handle.positions, handle.faces, clip, resolution)
        seen = find_visible(screen, box)
        rows, columns = np.divmod(seen.pixels, max(box.width, 1))
        places = place_of(rows + box.top, columns + box.left)
        pixels = (rows + box.top) * resolution + columns + box.left
        hits = [(seen.nearest, places)]
        if sides == "both":
            hits.append((seen.farthest, places | BACK))
        drawn = self._shader.shade(handle, camera, camera_from_mesh, hits)
        mask = np.zeros((resolution, resolution), dtype=np.uint8)
        buffers = [_side(hit, pixels, mask) for hit in drawn]
        coverage = (mask > 0) * np.uint8(255)
        if antialiased:
            _antialias(coverage, buffers, screen, box)
        return GBuffer(front=buffers[0], back=buffers[-1], mask=mask, coverage=coverage)

    def close(self) -> None:
        """Give program and framebuffer back; uploaded meshes are released by their owner."""
        self._context.make_current()
        self._shader.release()


def render_gbuffer(
    mesh: Mesh, camera: Camera, camera_from_mesh: NDArray[np.floating], sides: Sides = "both"
) -> GBuffer:
    """Draw one view of one mesh in a context of its own (see `Rasteriser.render`).

    Raises:
        ContextError: no OpenGL context can be made.
    """
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        handle = rasteriser.upload(mesh)
        try:
            return rasteriser.render(handle, camera, camera_from_mesh, sides)
        finally:
            rasteriser.release(handle)


def _visible_box(
    handle: MeshHandle, camera: Camera, camera_from_mesh: NDArray[np.floating]
) -> tuple[Box, float, float]:
    """Return the pixels that the mesh can touch, and clipping distances around it."""
    corners = transform_points(np.asarray(camera_from_mesh, dtype=np.float64), handle.bounds)
    depths = -corners[:, 2]
    far = max(float(depths.max()) * 1.01, 2.0 * _NEAREST)
    size = camera.resolution
    if depths.min() <= _NEAREST:
        return Box(0, 0, size, size), _NEAREST, far
    pixels = project(corners, camera)
    low = np.clip(np.floor(pixels.min(axis=0)) - _BORDER, 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + _BORDER, 0, size).astype(int)
    near = max(_NEAREST, float(depths.min()) * 0.99)
    width, height = (int(max(side, 0)) for side in high - low)
    return Box(int(low[0]), int(low[1]), width, height), near, far


def _clip_from_camera(camera: Camera, near: float, far: float) -> NDArray[np.float64]:
    """Return the (4, 4) projection with y downwards, so that row 0 is the top row."""
    slope = 2.0 * camera.focal_px / camera.resolution
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = slope, -slope
    if camera.is_orthographic:
        matrix[2, 2:] = 2.0 / (near - far), (near + far) / (near - far)
        matrix[3, 3] = 1.0
        return matrix
    matrix[2, 2] = (near + far) / (near - far)
    matrix[2, 3] = 2.0 * near * far / (near - far)
    matrix[3, 2] = -1.0
    return matrix


def _antialias(
    coverage: NDArray[np.uint8], sides: list[SideBuffer], screen: ScreenMesh, box: Box
) -> None:
    """Replace coverage along the rim, and carry albedo to where it reaches beyond the mask.

    Args:
        coverage: (R, R) uint8, above 0 on the mask; changed.
        sides: what is drawn; albedo is changed.
        screen: the projected mesh.
        box: what holds the mask.
    """
    part = box.rows, box.columns
    is_seen = coverage[part] > 0
    fine = np.maximum(find_coverage(screen, is_seen, box), is_seen)
    reached = is_seen
    for side in sides:
        reached = is_seen.copy()
        extend_outwards(side.albedo[part], reached, fine > 0)
    coverage[part] = np.where(reached, fine, 0)


def _side(drawn: Shaded, pixels: Indices, mask: NDArray[np.uint8]) -> SideBuffer:
    """Return what is drawn at (P,) pixels of the picture, and mark them in its (R, R) mask."""
    shape = (*mask.shape, 3)
    side = SideBuffer(
        albedo=np.zeros(shape, dtype=np.uint8),
        normal=np.zeros(shape, dtype=np.float32),
        ray_distance=np.zeros(mask.shape, dtype=np.float32),
    )
    _scatter(
        drawn.albedo, drawn.geometry, pixels, _srgb_bytes(), side.albedo.reshape(-1, 3),
        side.normal.reshape(-1, 3), side.ray_distance.reshape(-1), mask.reshape(-1),
    )  # fmt: skip
    return side


@compiled
def _scatter(
    colours: NDArray[np.uint16],
    geometry: NDArray[np.float32],
    pixels: Indices,
    bytes_of_linear: NDArray[np.uint8],
    albedo: NDArray[np.uint8],
    normal: NDArray[np.float32],
    ray_distance: NDArray[np.float32],
    mask: NDArray[np.uint8],
) -> None:
    """Put hits where their pixels are in the picture, whose rows follow each other."""
    for hit in range(len(pixels)):
        pixel = pixels[hit]
        for channel in range(3):
            albedo[pixel, channel] = bytes_of_linear[colours[hit, channel]]
            normal[pixel, channel] = geometry[hit, channel]
        ray_distance[pixel] = geometry[hit, 3]
        mask[pixel] |= PERSON if colours[hit, 3] > 0 else PERSON | UNRELIABLE


@lru_cache(maxsize=1)
def _srgb_bytes() -> NDArray[np.uint8]:
    """Return (65536,) uint8, the sRGB byte nearest to each linear value."""
    return srgb_bytes_from_linear(np.arange(1 << 16) / 65535.0)
