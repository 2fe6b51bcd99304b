"""The OpenGL pass that finds colour, normal and distance of what rays hit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera
from render.scan_conversion import Indices
from render.upload import SOURCE_TEXTURE, SOURCE_VERTEX, Draw, MeshHandle

_WIDTH, _HEIGHT = 2048, 256
_TABLES = ("faces", "vertices", "colours")
_ROW_SHIFT = 15

BACK = np.uint32(1 << 31)
"""Added to the place of a hit that is seen from behind."""


@dataclass(frozen=True)
class Shaded:
    """What the surface looks like at P hits.

    Attributes:
        albedo: (P, 4) uint16, 65535 = 1: linear RGB, and whether the ray meets the side of the
            surface that should be seen.
        geometry: (P, 4) float32: unit normal in the camera frame, and ray distance.
    """

    albedo: NDArray[np.uint16]
    geometry: NDArray[np.float32]


def place_of(rows: Indices, columns: Indices) -> NDArray[np.uint32]:
    """Return (P,) uint32, the places of pixels in the form that `HitShader.shade` takes."""
    return ((rows << _ROW_SHIFT) | columns).astype(np.uint32)


class HitShader:
    """Owns program, target and buffer of the pass, in the context that is current.

    Hits lie densely in the target, half a million at a time, whatever the size of the picture:
    no fragment is spent on the background, and no memory grows with the resolution.
    """

    def __init__(self, gl: ModuleType) -> None:
        self._gl = gl
        self._programs = {
            SOURCE_TEXTURE: _link(gl, "hits", ""),
            SOURCE_VERTEX: _link(gl, "hits", "#define VERTEX_COLOURED\n"),
        }
        self._program = 0
        self._array = int(gl.glGenVertexArrays(1))
        self._buffer = int(gl.glGenBuffers(1))
        self._table = int(gl.glGenTextures(1))
        gl.glBindBuffer(gl.GL_TEXTURE_BUFFER, self._buffer)
        gl.glBufferData(gl.GL_TEXTURE_BUFFER, _WIDTH * _HEIGHT * 8, None, gl.GL_STREAM_DRAW)
        gl.glBindTexture(gl.GL_TEXTURE_BUFFER, self._table)
        gl.glTexBuffer(gl.GL_TEXTURE_BUFFER, gl.GL_RG32UI, self._buffer)
        self._targets = [int(name) for name in gl.glGenRenderbuffers(2)]
        self._framebuffer = int(gl.glGenFramebuffers(1))
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self._framebuffer)
        attachments = [gl.GL_COLOR_ATTACHMENT0, gl.GL_COLOR_ATTACHMENT1]
        for target, layout, attachment in zip(
            self._targets, (gl.GL_RGBA16, gl.GL_RGBA32F), attachments, strict=True
        ):
            gl.glBindRenderbuffer(gl.GL_RENDERBUFFER, target)
            gl.glRenderbufferStorage(gl.GL_RENDERBUFFER, layout, _WIDTH, _HEIGHT)
            gl.glFramebufferRenderbuffer(gl.GL_FRAMEBUFFER, attachment, gl.GL_RENDERBUFFER, target)
        gl.glDrawBuffers(len(attachments), attachments)
        status = gl.glCheckFramebufferStatus(gl.GL_FRAMEBUFFER)
        if status != gl.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"framebuffer: expected it complete, got status {status:#x}")

    def shade(
        self,
        handle: MeshHandle,
        camera: Camera,
        camera_from_mesh: NDArray[np.floating],
        hits: Sequence[tuple[Indices, NDArray[np.uint32]]],
    ) -> list[Shaded]:
        """Evaluate the surface of an uploaded mesh where rays hit it.

        Args:
            handle: the mesh.
            camera: whose rays they are.
            camera_from_mesh: (4, 4).
            hits: for each side (P,) number of the face that is hit, and (P,) places.
        """
        gl = self._gl
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self._framebuffer)
        for switch in (gl.GL_CULL_FACE, gl.GL_BLEND, gl.GL_DEPTH_TEST, gl.GL_SCISSOR_TEST):
            gl.glDisable(switch)
        gl.glBindVertexArray(self._array)
        shaded = [
            Shaded(np.empty((len(faces), 4), np.uint16), np.empty((len(faces), 4), np.float32))
            for faces, _ in hits
        ]
        for draw in handle.draws:
            self._begin(handle, draw, camera, np.asarray(camera_from_mesh, dtype=np.float64))
            for side, result in zip(hits, shaded, strict=True):
                for rows in _batches(side[0], draw, len(handle.draws) == 1):
                    self._draw(side[0][rows], side[1][rows], rows, result)
        return shaded

    def release(self) -> None:
        """Give the memory back."""
        gl = self._gl
        for program in self._programs.values():
            gl.glDeleteProgram(program)
        gl.glDeleteVertexArrays(1, [self._array])
        gl.glDeleteTextures([self._table])
        gl.glDeleteBuffers(1, [self._buffer])
        gl.glDeleteFramebuffers(1, [self._framebuffer])
        gl.glDeleteRenderbuffers(len(self._targets), self._targets)

    def _begin(
        self,
        handle: MeshHandle,
        draw: Draw,
        camera: Camera,
        camera_from_mesh: NDArray[np.float64],
    ) -> None:
        """Bind program, tables and textures, and set the rays."""
        gl = self._gl
        self._program = self._programs[draw.source]
        gl.glUseProgram(self._program)
        scale = float(np.cbrt(np.linalg.det(camera_from_mesh[:3, :3])))
        mesh_from_camera = np.asarray(np.linalg.inv(camera_from_mesh), dtype=np.float64)
        starts, directions = _rays_in_mesh(camera, mesh_from_camera)
        for name, matrix in (
            ("starts", starts),
            ("directions", directions),
            ("camera_from_mesh", camera_from_mesh[:3, :3] / scale),
        ):
            values = np.ascontiguousarray(matrix, dtype=np.float32)
            gl.glUniformMatrix3fv(self._place(name), 1, gl.GL_TRUE, values)
        gl.glUniform1f(self._place("scale"), scale)
        gl.glUniform1f(self._place("middle"), camera.resolution / 2.0)
        gl.glUniform1i(self._place("width"), _WIDTH)
        self._bind("colour_textures", 0, gl.GL_TEXTURE_2D_ARRAY, draw.texture)
        self._bind("hits", 1, gl.GL_TEXTURE_BUFFER, self._table)
        for unit, name in enumerate(_TABLES, start=2):
            self._bind(name, unit, gl.GL_TEXTURE_BUFFER, handle.tables.get(name, 0))

    def _draw(
        self, faces: Indices, places: NDArray[np.uint32], rows: Indices | slice, result: Shaded
    ) -> None:
        """Draw hits, and put what is read back into rows of a result."""
        gl = self._gl
        height = -(-len(faces) // _WIDTH)
        # The last row is filled up with hits of the first face, which are not read.
        batch = np.zeros((height * _WIDTH, 2), dtype=np.uint32)
        batch[: len(faces), 0], batch[: len(faces), 1] = faces, places
        gl.glBindBuffer(gl.GL_TEXTURE_BUFFER, self._buffer)
        gl.glBufferSubData(gl.GL_TEXTURE_BUFFER, 0, batch.nbytes, batch)
        gl.glViewport(0, 0, _WIDTH, height)
        gl.glDrawArrays(gl.GL_TRIANGLES, 0, 3)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        for attachment, kind, values in (
            (gl.GL_COLOR_ATTACHMENT0, gl.GL_UNSIGNED_SHORT, result.albedo),
            (gl.GL_COLOR_ATTACHMENT1, gl.GL_FLOAT, result.geometry),
        ):
            drawn = np.empty((height * _WIDTH, 4), dtype=values.dtype)
            gl.glReadBuffer(attachment)
            gl.glReadPixels(0, 0, _WIDTH, height, gl.GL_RGBA, kind, drawn)
            values[rows] = drawn[: len(faces)]

    def _bind(self, name: str, unit: int, target: int, texture: int) -> None:
        gl = self._gl
        gl.glActiveTexture(gl.GL_TEXTURE0 + unit)
        gl.glBindTexture(target, texture)
        gl.glUniform1i(self._place(name), unit)

    def _place(self, name: str) -> int:
        return int(self._gl.glGetUniformLocation(self._program, name))


def _batches(faces: Indices, draw: Draw, is_only: bool) -> Iterator[Indices | slice]:
    """Yield the places of hits of the faces of a draw, as many at a time as the target holds.

    Args:
        faces: (P,) number of the face that is hit.
        draw: which faces are wanted.
        is_only: whether all faces are.
    """
    size = _WIDTH * _HEIGHT
    if is_only:
        yield from (slice(start, start + size) for start in range(0, len(faces), size))
        return
    chosen = np.flatnonzero((faces >= draw.first_face) & (faces < draw.end_face))
    yield from (chosen[start : start + size] for start in range(0, len(chosen), size))


def _rays_in_mesh(
    camera: Camera, mesh_from_camera: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return starts and directions of rays.

    Returns:
        (3, 3) each, to be multiplied with (x, y, 1), in pixels from the middle of the picture.
    """
    across = np.diag([1.0, -1.0, 0.0]) / float(camera.focal_px)
    ahead = np.diag([0.0, 0.0, -1.0])
    rotation = mesh_from_camera[:3, :3]
    starts = rotation @ across if camera.is_orthographic else np.zeros((3, 3))
    starts[:, 2] += mesh_from_camera[:3, 3]
    return starts, rotation @ (ahead if camera.is_orthographic else ahead + across)


def _link(gl: ModuleType, name: str, defines: str) -> int:
    """Compile and link the vertex and fragment shader of a pass."""
    from OpenGL.GL import shaders

    folder = resources.files("render") / "shaders"
    program = int(gl.glCreateProgram())
    # Linked by hand: PyOpenGL 3.1.0, which pyrender demands, always validates in its
    # compileProgram, and a program whose samplers are not set yet is not valid.
    for suffix, kind in (("vert", gl.GL_VERTEX_SHADER), ("frag", gl.GL_FRAGMENT_SHADER)):
        text = (folder / f"{name}.{suffix}.glsl").read_text()
        shader = shaders.compileShader(f"#version 330 core\n{defines}{text}", kind)
        gl.glAttachShader(program, shader)
        gl.glDeleteShader(shader)
    gl.glLinkProgram(program)
    if gl.glGetProgramiv(program, gl.GL_LINK_STATUS) != gl.GL_TRUE:
        raise RuntimeError(f"{name}: {gl.glGetProgramInfoLog(program)!r}")
    return program
