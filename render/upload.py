"""A mesh as OpenGL buffers and textures."""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from render.colour import linear_from_srgb
from render.mesh import Material, Mesh

LOGGER = logging.getLogger(__name__)

SOURCE_BASE, SOURCE_TEXTURE, SOURCE_VERTEX = 0, 1, 2
_MAX_ANISOTROPY = 8.0
_GL_TEXTURE_MAX_ANISOTROPY = 0x84FE
_GL_MAX_TEXTURE_MAX_ANISOTROPY = 0x84FF
_ANISOTROPY_EXTENSIONS = (
    b"GL_ARB_texture_filter_anisotropic",
    b"GL_EXT_texture_filter_anisotropic",
)


@dataclass(frozen=True)
class Draw:
    """One draw call: the faces of one material.

    Attributes:
        source: where the colour comes from, one of SOURCE_*.
        texture: OpenGL texture name, 0 for none.
        base_colour: (3,) float64, linear.
        first_index: first entry in the index buffer.
        index_count: number of entries.
    """

    source: int
    texture: int
    base_colour: NDArray[np.float64]
    first_index: int
    index_count: int


@dataclass(frozen=True)
class MeshHandle:
    """A mesh that lies in OpenGL memory; give it back with `Rasteriser.release`.

    Attributes:
        vertex_array, buffers, textures: OpenGL names.
        draws: what to draw.
        bounds: (8, 3) float64, corners of the bounding box, frame of the mesh.
    """

    vertex_array: int
    buffers: tuple[int, ...]
    textures: tuple[int, ...]
    draws: tuple[Draw, ...]
    bounds: NDArray[np.float64]


def corner_vertices(mesh: Mesh) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Split vertices at UV seams: one vertex for each used (position, uv) pair.

    Returns:
        (N,) position index and (N,) uv index of every vertex (uv 0 where the mesh has none),
        (F, 3) uint32 faces over these vertices.
    """
    faces = mesh.faces.astype(np.int64)
    if mesh.uvs is None or mesh.uv_faces is None:
        positions = np.arange(len(mesh.vertices))
        return positions, np.zeros_like(positions), mesh.faces.astype(np.uint32)
    if len(mesh.uvs) == len(mesh.vertices) and np.array_equal(mesh.faces, mesh.uv_faces):
        positions = np.arange(len(mesh.vertices))
        return positions, positions, mesh.faces.astype(np.uint32)
    keys = faces * len(mesh.uvs) + mesh.uv_faces
    pairs, inverse = np.unique(keys.ravel(), return_inverse=True)
    positions, uvs = np.divmod(pairs, len(mesh.uvs))
    return positions, uvs, inverse.reshape(faces.shape).astype(np.uint32)


def upload_mesh(gl: ModuleType, mesh: Mesh) -> MeshHandle:
    """Copy a mesh into buffers and mip-mapped sRGB textures of the current context."""
    positions, uv_indices, faces = corner_vertices(mesh)
    count = len(positions)
    uvs = np.zeros((count, 2)) if mesh.uvs is None else mesh.uvs[uv_indices]
    colours = mesh.vertex_colours
    colours = np.zeros((1, 3), np.uint8) if colours is None else colours[positions]
    if len(mesh.materials) > 1:
        faces = faces[np.argsort(mesh.face_materials, kind="stable")]
    vertex_array = int(gl.glGenVertexArrays(1))
    gl.glBindVertexArray(vertex_array)
    buffers = [
        _float_attribute(gl, 0, mesh.vertices[positions]),
        _float_attribute(gl, 1, mesh.vertex_normals[positions]),
        _float_attribute(gl, 2, uvs),
    ]
    if len(colours) == count and mesh.vertex_colours is not None:
        buffers.append(_byte_attribute(gl, 3, colours))
    buffers.append(_fill_buffer(gl, gl.GL_ELEMENT_ARRAY_BUFFER, faces))
    gl.glBindVertexArray(0)
    used = np.bincount(mesh.face_materials, minlength=len(mesh.materials))
    first_faces = np.concatenate([[0], np.cumsum(used)])
    draws = []
    for material, first, faces_here in zip(mesh.materials, first_faces, used, strict=False):
        if faces_here:
            draws.append(_draw(gl, mesh, material, int(first) * 3, int(faces_here) * 3))
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    choices = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T
    return MeshHandle(
        vertex_array=vertex_array,
        buffers=tuple(buffers),
        textures=tuple(draw.texture for draw in draws if draw.texture),
        draws=tuple(draws),
        bounds=np.where(choices, high, low),
    )


def release_mesh(gl: ModuleType, handle: MeshHandle) -> None:
    """Delete what `upload_mesh` made, in the current context."""
    gl.glDeleteVertexArrays(1, [handle.vertex_array])
    gl.glDeleteBuffers(len(handle.buffers), list(handle.buffers))
    if handle.textures:
        gl.glDeleteTextures(len(handle.textures), list(handle.textures))


def _draw(gl: ModuleType, mesh: Mesh, material: Material, first: int, count: int) -> Draw:
    texture, source = 0, SOURCE_BASE
    if material.texture is not None and mesh.uvs is not None:
        texture, source = _upload_texture(gl, material.texture), SOURCE_TEXTURE
    elif mesh.vertex_colours is not None:
        source = SOURCE_VERTEX
    base = linear_from_srgb(np.asarray(material.base_colour, dtype=np.float64))
    return Draw(source, texture, base, first, count)


def _fill_buffer(gl: ModuleType, target: int, data: NDArray[np.generic]) -> int:
    data = np.ascontiguousarray(data)
    buffer = int(gl.glGenBuffers(1))
    gl.glBindBuffer(target, buffer)
    gl.glBufferData(target, data.nbytes, data, gl.GL_STATIC_DRAW)
    return buffer


def _float_attribute(gl: ModuleType, location: int, data: NDArray[np.floating]) -> int:
    buffer = _fill_buffer(gl, gl.GL_ARRAY_BUFFER, data.astype(np.float32))
    gl.glEnableVertexAttribArray(location)
    width = data.shape[1]
    gl.glVertexAttribPointer(location, width, gl.GL_FLOAT, gl.GL_FALSE, 0, ctypes.c_void_p(0))
    return buffer


def _byte_attribute(gl: ModuleType, location: int, data: NDArray[np.uint8]) -> int:
    # Four bytes a vertex keep the attribute aligned, which drivers read faster.
    padded = np.zeros((len(data), 4), dtype=np.uint8)
    padded[:, :3] = data
    buffer = _fill_buffer(gl, gl.GL_ARRAY_BUFFER, padded)
    gl.glEnableVertexAttribArray(location)
    gl.glVertexAttribPointer(location, 3, gl.GL_UNSIGNED_BYTE, gl.GL_TRUE, 4, ctypes.c_void_p(0))
    return buffer


def _upload_texture(gl: ModuleType, pixels: NDArray[np.uint8]) -> int:
    pixels = _within_limit(pixels, int(gl.glGetIntegerv(gl.GL_MAX_TEXTURE_SIZE)))
    height, width = pixels.shape[:2]
    texture = int(gl.glGenTextures(1))
    gl.glBindTexture(gl.GL_TEXTURE_2D, texture)
    gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
    gl.glTexImage2D(
        gl.GL_TEXTURE_2D, 0, gl.GL_SRGB8, width, height, 0, gl.GL_RGB, gl.GL_UNSIGNED_BYTE,
        np.ascontiguousarray(pixels),
    )  # fmt: skip
    gl.glGenerateMipmap(gl.GL_TEXTURE_2D)
    for name, value in (
        (gl.GL_TEXTURE_MIN_FILTER, gl.GL_LINEAR_MIPMAP_LINEAR),
        (gl.GL_TEXTURE_MAG_FILTER, gl.GL_LINEAR),
        (gl.GL_TEXTURE_WRAP_S, gl.GL_REPEAT),
        (gl.GL_TEXTURE_WRAP_T, gl.GL_REPEAT),
    ):
        gl.glTexParameteri(gl.GL_TEXTURE_2D, name, value)
    if _has_anisotropy(gl):
        most = float(gl.glGetFloatv(_GL_MAX_TEXTURE_MAX_ANISOTROPY))
        level = min(most, _MAX_ANISOTROPY)
        gl.glTexParameterf(gl.GL_TEXTURE_2D, _GL_TEXTURE_MAX_ANISOTROPY, level)
    return texture


def _has_anisotropy(gl: ModuleType) -> bool:
    count = int(gl.glGetIntegerv(gl.GL_NUM_EXTENSIONS))
    names = {gl.glGetStringi(gl.GL_EXTENSIONS, index) for index in range(count)}
    return bool(names.intersection(_ANISOTROPY_EXTENSIONS))


def _within_limit(pixels: NDArray[np.uint8], limit: int) -> NDArray[np.uint8]:
    """Halve a texture until both sides are within the limit of the driver."""
    while max(pixels.shape[:2]) > limit:
        LOGGER.warning(
            "texture: expected at most %d pixels a side, got %d x %d; it is reduced by half",
            limit, pixels.shape[1], pixels.shape[0],
        )  # fmt: skip
        even = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2].astype(np.uint16)
        sums = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
        pixels = ((sums + 2) // 4).astype(np.uint8)
    return pixels
