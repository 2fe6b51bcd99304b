"""A mesh becomes a two-sided G-buffer: the nearest and the farthest surface of every pixel.

The back side is the same pass with the depth test reversed, so both sides share pixels
and silhouette. Nothing is culled; where an open mesh shows the inner side of a surface,
the pixel is marked unreliable.
"""

from __future__ import annotations

from importlib import resources
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera, project, transform_points
from render.context import OffscreenContext
from render.framebuffers import Box, Targets
from render.gbuffer import PERSON, UNRELIABLE, GBuffer, SideBuffer, extend_outwards
from render.mesh import Mesh
from render.rim import find_rim
from render.upload import MeshHandle, release_mesh, upload_mesh

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
_TABLES = ("indices", "layers", "positions", "normals", "uvs", "colours")
_RELIABLE_ABOVE = 192


class Rasteriser:
    """Draws uploaded meshes in one context; `close` (or `with`) gives the GPU memory back.

    Args:
        context: stays the caller's, and must stay open as long as the rasteriser is used.
    """

    def __init__(self, context: OffscreenContext) -> None:
        self._context = context
        self._gl = context.gl
        context.make_current()
        self._visible = self._program("position", "visible")
        self._surface = self._program("whole_image", "surface")
        self._coverage = self._program("position", "coverage")
        self._halve = self._program("whole_image", "halve")
        self._empty_array = int(self._gl.glGenVertexArrays(1))
        self._rim_buffer = int(self._gl.glGenBuffers(1))
        self._targets: Targets | None = None

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
        targets = self._sized_targets(camera.resolution)
        box, near, far = _visible_box(handle, camera, camera_from_mesh)
        self._set_matrices(camera, camera_from_mesh, _clip_from_camera(camera, near, far))
        front, hits = self._draw_side(handle, targets, box, is_back=False)
        back, back_hits = front, hits
        if sides == "both":
            back, back_hits = self._draw_side(handle, targets, box, is_back=True)
        coverage = np.where(hits > 0, 255, 0).astype(np.uint8)
        if antialiased:
            rim = find_rim(handle, camera, camera_from_mesh, box, near, hits > 0)
            drawn = self._draw_coverage(handle, targets, box, rim.faces)
            coverage = np.where(rim.pixels, drawn, coverage)
        return _assemble(front, hits, back, back_hits, coverage, sides, box, camera.resolution)

    def close(self) -> None:
        """Give programs and framebuffers back; uploaded meshes are released by their owner."""
        self._context.make_current()
        for program in (self._visible, self._surface, self._coverage, self._halve):
            self._gl.glDeleteProgram(program)
        self._gl.glDeleteVertexArrays(1, [self._empty_array])
        self._gl.glDeleteBuffers(1, [self._rim_buffer])
        if self._targets is not None:
            self._targets.release()
            self._targets = None

    def __enter__(self) -> Rasteriser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _program(self, vertex: str, fragment: str) -> int:
        from OpenGL.GL import shaders

        folder = resources.files("render") / "shaders"
        stages = (
            (f"{vertex}.vert.glsl", self._gl.GL_VERTEX_SHADER),
            (f"{fragment}.frag.glsl", self._gl.GL_FRAGMENT_SHADER),
        )
        # Linked by hand: PyOpenGL 3.1.0, which pyrender demands, always validates in its
        # compileProgram, and a program whose samplers are not set yet is not valid.
        gl = self._gl
        program = int(gl.glCreateProgram())
        for name, kind in stages:
            shader = shaders.compileShader((folder / name).read_text(), kind)
            gl.glAttachShader(program, shader)
            gl.glDeleteShader(shader)
        gl.glLinkProgram(program)
        if gl.glGetProgramiv(program, gl.GL_LINK_STATUS) != gl.GL_TRUE:
            raise RuntimeError(f"{vertex} and {fragment}: {gl.glGetProgramInfoLog(program)!r}")
        return program

    def _sized_targets(self, resolution: int) -> Targets:
        if self._targets is None or self._targets.resolution != resolution:
            if self._targets is not None:
                self._targets.release()
            self._targets = Targets(self._gl, resolution)
        return self._targets

    def _uniform(self, program: int, name: str) -> int:
        return int(self._gl.glGetUniformLocation(program, name))

    def _set_matrices(
        self, camera: Camera, camera_from_mesh: NDArray[np.floating], clip: NDArray[np.float64]
    ) -> None:
        gl = self._gl
        model = np.ascontiguousarray(camera_from_mesh, dtype=np.float32)
        for program in (self._coverage, self._visible, self._surface):
            gl.glUseProgram(program)
            place = self._uniform(program, "camera_from_mesh")
            gl.glUniformMatrix4fv(place, 1, gl.GL_TRUE, model)
            if program != self._surface:
                place = self._uniform(program, "clip_from_camera")
                gl.glUniformMatrix4fv(place, 1, gl.GL_TRUE, clip.astype(np.float32))
        gl.glUniform1f(self._uniform(self._surface, "resolution"), float(camera.resolution))
        gl.glUniform1f(self._uniform(self._surface, "focal_px"), float(camera.focal_px))
        gl.glUniform1i(self._uniform(self._surface, "orthographic"), int(camera.is_orthographic))

    def _draw_coverage(
        self, handle: MeshHandle, targets: Targets, box: Box, faces: NDArray[np.uint32] | None
    ) -> NDArray[np.uint8]:
        """Return (h, w) uint8 coverage by the given faces, or by all."""
        gl = self._gl
        targets.begin_coverage(box)
        gl.glUseProgram(self._coverage)
        gl.glBindVertexArray(handle.vertex_array)
        if faces is None:
            gl.glDrawElements(gl.GL_TRIANGLES, handle.faces.size, gl.GL_UNSIGNED_INT, None)
        elif len(faces):
            gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, self._rim_buffer)
            gl.glBufferData(gl.GL_ELEMENT_ARRAY_BUFFER, faces.nbytes, faces, gl.GL_STREAM_DRAW)
            gl.glDrawElements(gl.GL_TRIANGLES, faces.size, gl.GL_UNSIGNED_INT, None)
            # The binding is part of the vertex array, which the other passes draw from.
            gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, handle.buffers[0])
        targets.resolve_coverage(box)
        gl.glUseProgram(self._halve)
        self._bind_texture(self._halve, "doubled", 0, gl.GL_TEXTURE_2D, targets.doubled_texture)
        gl.glBindVertexArray(self._empty_array)
        gl.glDrawArrays(gl.GL_TRIANGLES, 0, 3)
        return targets.read_coverage(box)

    def _draw_side(
        self, handle: MeshHandle, targets: Targets, box: Box, is_back: bool
    ) -> tuple[SideBuffer, NDArray[np.uint8]]:
        """Return the box of one side, and (h, w) uint8: 0 where nothing was hit, low where the
        surface shows its wrong side."""
        gl = self._gl
        targets.begin_visible(box, is_back)
        gl.glUseProgram(self._visible)
        gl.glBindVertexArray(handle.vertex_array)
        gl.glDrawElements(gl.GL_TRIANGLES, handle.faces.size, gl.GL_UNSIGNED_INT, None)
        targets.begin_side(box)
        program = self._surface
        gl.glUseProgram(program)
        gl.glUniform1i(self._uniform(program, "is_back"), int(is_back))
        self._bind_texture(program, "visible", 1, gl.GL_TEXTURE_2D, targets.visible_texture)
        for unit, name in enumerate(_TABLES, start=2):
            texture = handle.tables.get(name, 0)
            self._bind_texture(program, name, unit, gl.GL_TEXTURE_BUFFER, texture)
        gl.glBindVertexArray(self._empty_array)
        for draw in handle.draws:
            kind = gl.GL_TEXTURE_2D_ARRAY
            self._bind_texture(program, "colour_textures", 0, kind, draw.texture)
            gl.glUniform1i(self._uniform(program, "colour_source"), draw.source)
            gl.glUniform1ui(self._uniform(program, "first_triangle"), draw.first_face)
            gl.glUniform1ui(self._uniform(program, "end_triangle"), draw.end_face)
            gl.glDrawArrays(gl.GL_TRIANGLES, 0, 3)
        albedo, geometry = targets.read_side(box)
        side = SideBuffer(albedo[..., :3], geometry[..., :3], geometry[..., 3])
        return side, albedo[..., 3]

    def _bind_texture(self, program: int, name: str, unit: int, target: int, texture: int) -> None:
        gl = self._gl
        gl.glActiveTexture(gl.GL_TEXTURE0 + unit)
        gl.glBindTexture(target, texture)
        gl.glUniform1i(self._uniform(program, name), unit)


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


def _assemble(
    front: SideBuffer,
    hits: NDArray[np.uint8],
    back: SideBuffer,
    back_hits: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    sides: Sides,
    box: Box,
    resolution: int,
) -> GBuffer:
    mask = np.where(hits > 0, PERSON, 0).astype(np.uint8)
    wrong = (hits < _RELIABLE_ABOVE) | (back_hits < _RELIABLE_ABOVE)
    mask[(hits > 0) & wrong] |= UNRELIABLE
    coverage = np.where(mask > 0, np.maximum(coverage, 1), coverage)
    front_albedo, reached = extend_outwards(front.albedo, mask > 0, coverage > 0)
    coverage = np.where(reached, coverage, 0).astype(np.uint8)
    full_front = _full_side(front, front_albedo, box, resolution)
    full_back = full_front
    if sides == "both":
        back_albedo, _ = extend_outwards(back.albedo, mask > 0, coverage > 0)
        full_back = _full_side(back, back_albedo, box, resolution)
    return GBuffer(
        front=full_front,
        back=full_back,
        mask=_in_frame(mask, box, resolution),
        coverage=_in_frame(coverage, box, resolution),
    )


def _full_side(
    side: SideBuffer, albedo: NDArray[np.uint8], box: Box, resolution: int
) -> SideBuffer:
    return SideBuffer(
        albedo=_in_frame(albedo, box, resolution),
        normal=_in_frame(side.normal, box, resolution),
        ray_distance=_in_frame(side.ray_distance, box, resolution),
    )


def _in_frame(part: NDArray[Any], box: Box, resolution: int) -> NDArray[Any]:
    frame = np.zeros((resolution, resolution, *part.shape[2:]), dtype=part.dtype)
    frame[box.rows, box.columns] = part
    return frame
