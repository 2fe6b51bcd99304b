"""A mesh as OpenGL buffers and textures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from render.colour import linear_from_srgb_bytes
from render.compiled import compiled
from render.mesh import Material, Mesh

LOGGER = logging.getLogger(__name__)

SOURCE_TEXTURE, SOURCE_VERTEX = 0, 1
_MAX_LAYERS = 256
_CELL_BITS = 5
_MAX_ANISOTROPY = 8.0
_GL_TEXTURE_MAX_ANISOTROPY = 0x84FE
_GL_MAX_TEXTURE_MAX_ANISOTROPY = 0x84FF
_SOFTWARE_RENDERERS = (b"llvmpipe", b"softpipe", b"swrast")
_ANISOTROPY_EXTENSIONS = (
    b"GL_ARB_texture_filter_anisotropic",
    b"GL_EXT_texture_filter_anisotropic",
)


@dataclass(frozen=True)
class Draw:
    """Faces whose colours come from one place: an array of textures of one size, or vertices.

    Attributes:
        source: SOURCE_TEXTURE or SOURCE_VERTEX.
        texture: OpenGL name of an array texture, 0 for none.
        first_face: first of the faces.
        end_face: one after the last.
    """

    source: int
    texture: int
    first_face: int
    end_face: int


@dataclass(frozen=True)
class MeshHandle:
    """A mesh that lies in OpenGL memory; give it back with `Rasteriser.release`.

    Attributes:
        buffers: OpenGL names.
        tables: OpenGL names of buffer textures by their names in the shader.
        draws: what to draw, in the order of `faces`.
        positions: (3, N) float32, the points that faces use, in the order they use them in.
        faces: (3, F) intp, one row for each corner, sorted by draw.
        bounds: (8, 3) float64, corners of the bounding box, frame of the mesh.
    """

    buffers: tuple[int, ...]
    tables: dict[str, int]
    draws: tuple[Draw, ...]
    positions: NDArray[np.float32]
    faces: NDArray[np.intp]
    bounds: NDArray[np.float64]


def corner_vertices(mesh: Mesh) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Split vertices at UV seams: one vertex for each used (position, uv) pair.

    Returns:
        (N,) position index and (N,) uv index of every vertex (uv 0 where the mesh has none, or
        no face uses the position), (F, 3) uint32 faces over these vertices.
    """
    positions = np.arange(len(mesh.vertices))
    if mesh.uvs is None or mesh.uv_faces is None:
        return positions, np.zeros_like(positions), mesh.faces.astype(np.uint32)
    corners, uv_corners = mesh.faces.ravel(), mesh.uv_faces.ravel()
    uvs = np.zeros_like(positions)
    uvs[corners] = uv_corners
    # Few corners have another uv than the last one at their position; only those are sorted.
    apart = np.flatnonzero(uv_corners != uvs[corners])
    keys = corners[apart].astype(np.int64) * len(mesh.uvs) + uv_corners[apart]
    pairs, inverse = np.unique(keys, return_inverse=True)
    split_positions, split_uvs = np.divmod(pairs, len(mesh.uvs))
    faces = corners.astype(np.uint32)
    faces[apart] = len(positions) + inverse
    return (
        np.concatenate([positions, split_positions]),
        np.concatenate([uvs, split_uvs]),
        faces.reshape(mesh.faces.shape),
    )


def upload_mesh(gl: ModuleType, mesh: Mesh) -> MeshHandle:
    """Copy a mesh into buffers and mip-mapped sRGB textures of the current context.

    Raises:
        ValueError: the mesh has no face.
    """
    if not len(mesh.faces):
        raise ValueError("mesh: expected at least one face, got none")
    rows, uv_rows, split_faces = corner_vertices(mesh)
    groups, layers = _group_materials(mesh)
    face_groups, face_layers = groups[mesh.face_materials], layers[mesh.face_materials]
    order = np.argsort(_cells(mesh.vertices)[mesh.faces[:, 0]], kind="stable")
    if groups.max() > 0:
        order = order[np.argsort(face_groups[order], kind="stable")]
    face_layers = face_layers[order]
    used, corners = _in_order_of_use(split_faces[order], len(rows))
    rows, uv_rows = rows[used], uv_rows[used]
    faces = np.zeros((len(corners), 4), dtype=np.uint32)
    faces[:, :3], faces[:, 3] = corners, face_layers
    vertices = np.zeros((len(rows), 2, 4), dtype=np.float32)
    vertices[:, 0, :3], vertices[:, 1, :3] = mesh.vertices[rows], mesh.vertex_normals[rows]
    if mesh.uvs is not None:
        vertices[:, :, 3] = mesh.uvs[uv_rows]
    sources: dict[str, tuple[int, NDArray[np.generic]]] = {
        "faces": (gl.GL_RGBA32UI, faces),
        "vertices": (gl.GL_RGBA32F, vertices),
    }
    if mesh.vertex_colours is not None:
        linear = np.zeros((len(rows), 4), dtype=np.float32)
        linear[:, :3] = linear_from_srgb_bytes(mesh.vertex_colours[rows])
        sources["colours"] = gl.GL_RGBA32F, linear
    buffers = {name: _fill_buffer(gl, data) for name, (_, data) in sources.items()}
    ends = np.cumsum(np.bincount(face_groups, minlength=int(groups.max()) + 1))
    starts = np.concatenate([[0], ends[:-1]])
    draws = tuple(
        _draw(gl, mesh, np.flatnonzero(groups == group), int(start), int(end))
        for group, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    positions = np.ascontiguousarray(vertices[:, 0, :3].T)
    low, high = (reduce(axis=1).astype(np.float64) for reduce in (positions.min, positions.max))
    choices = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T
    return MeshHandle(
        buffers=tuple(buffers.values()),
        tables={
            name: _buffer_texture(gl, layout, buffers[name])
            for name, (layout, _) in sources.items()
        },
        draws=draws,
        positions=positions,
        faces=np.ascontiguousarray(corners.T),
        bounds=np.where(choices, high, low),
    )


def release_mesh(gl: ModuleType, handle: MeshHandle) -> None:
    """Delete what `upload_mesh` made, in the current context."""
    textures = [*handle.tables.values(), *(draw.texture for draw in handle.draws if draw.texture)]
    gl.glDeleteTextures(textures)
    gl.glDeleteBuffers(len(handle.buffers), list(handle.buffers))


@compiled
def _cells(points: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return (N,) uint16, the cell of each point along a curve that fills space (Morton 1966).

    Faces and points that are close to each other in the order of their cells are so in space:
    what the loops over them look at is then in the cache of the processor.
    """
    low, high = points[0].copy(), points[0].copy()
    for point in range(len(points)):
        for axis in range(3):
            low[axis] = min(low[axis], points[point, axis])
            high[axis] = max(high[axis], points[point, axis])
    size = max(high[0] - low[0], high[1] - low[1], high[2] - low[2])
    cells_per_unit = (1 << _CELL_BITS) * 0.999 / size if size > 0.0 else 0.0
    cells = np.zeros(len(points), dtype=np.uint16)
    for point in range(len(points)):
        for axis in range(3):
            place = int((points[point, axis] - low[axis]) * cells_per_unit)
            # Bit k becomes bit 3 k: those of the other axes fit in between.
            for bit in range(_CELL_BITS):
                cells[point] |= np.uint16((place >> bit & 1) << (3 * bit + axis))
    return cells


def _in_order_of_use(
    faces: NDArray[np.uint32], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the points that faces use anew, so that those of close faces lie close together.

    Args:
        faces: (F, 3) uint32, below `count`.
        count: number of points.

    Returns:
        (N,) intp, the points in their new order; (F, 3) intp, faces over them.
    """
    used, renumbered = np.empty(count, dtype=np.intp), np.empty(faces.shape, dtype=np.intp)
    return used[: _renumber(faces.ravel(), used, renumbered.reshape(-1))], renumbered


@compiled
def _renumber(
    corners: NDArray[np.uint32], used: NDArray[np.intp], renumbered: NDArray[np.intp]
) -> int:
    """Number corners in the order of their first use, and return how many differ."""
    numbers = np.full(len(used), -1, dtype=np.intp)
    count = 0
    for place in range(len(corners)):
        corner = corners[place]
        if numbers[corner] < 0:
            numbers[corner] = count
            used[count] = corner
            count += 1
        renumbered[place] = numbers[corner]
    return count


def _buffer_texture(gl: ModuleType, layout: int, buffer: int) -> int:
    texture = int(gl.glGenTextures(1))
    gl.glBindTexture(gl.GL_TEXTURE_BUFFER, texture)
    gl.glTexBuffer(gl.GL_TEXTURE_BUFFER, layout, buffer)
    return texture


def _group_materials(mesh: Mesh) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Put the materials that faces use, and that can be drawn together, into groups.

    A pass goes over all pixels, so that a room of thirty small textures should be one pass.

    Returns:
        (M,) group of every material, from 0 on without gaps (0 for unused ones); (M,) layer
        within the array texture of the group.
    """
    members: dict[tuple[int, ...], int] = {}
    groups: dict[tuple[int, ...], int] = {}
    group_of = np.zeros(len(mesh.materials), dtype=np.int64)
    layer_of = np.zeros(len(mesh.materials), dtype=np.uint8)
    for index in np.unique(mesh.face_materials):
        pixels = _material_pixels(mesh, mesh.materials[index])
        kind = (0, 0) if pixels is None else pixels.shape[:2]
        place = members.get(kind, 0)
        members[kind] = place + 1
        key = (*kind, place // _MAX_LAYERS)
        group_of[index] = groups.setdefault(key, len(groups))
        layer_of[index] = place % _MAX_LAYERS
    return group_of, layer_of


def _material_pixels(mesh: Mesh, material: Material) -> NDArray[np.uint8] | None:
    """Return the texture, one pixel of base colour, or None where vertices have the colour."""
    if material.texture is not None and mesh.uvs is not None:
        return material.texture
    if mesh.vertex_colours is not None:
        return None
    base = np.clip(np.asarray(material.base_colour, dtype=np.float64), 0.0, 1.0)
    return np.rint(base * 255.0).astype(np.uint8).reshape(1, 1, 3)


def _draw(gl: ModuleType, mesh: Mesh, members: NDArray[np.int64], start: int, end: int) -> Draw:
    used = np.intersect1d(members, mesh.face_materials)
    layers = [_material_pixels(mesh, mesh.materials[index]) for index in used]
    pictures = [pixels for pixels in layers if pixels is not None]
    if not pictures:
        return Draw(SOURCE_VERTEX, 0, start, end)
    return Draw(SOURCE_TEXTURE, _upload_textures(gl, pictures), start, end)


def _fill_buffer(gl: ModuleType, data: NDArray[np.generic]) -> int:
    buffer = int(gl.glGenBuffers(1))
    gl.glBindBuffer(gl.GL_TEXTURE_BUFFER, buffer)
    gl.glBufferData(gl.GL_TEXTURE_BUFFER, data.nbytes, data, gl.GL_STATIC_DRAW)
    return buffer


def _upload_textures(gl: ModuleType, pictures: list[NDArray[np.uint8]]) -> int:
    """Return an array texture of pictures of one size."""
    limit = int(gl.glGetIntegerv(gl.GL_MAX_TEXTURE_SIZE))
    pictures = [_within_limit(pixels, limit) for pixels in pictures]
    height, width = pictures[0].shape[:2]
    kind = gl.GL_TEXTURE_2D_ARRAY
    texture = int(gl.glGenTextures(1))
    gl.glBindTexture(kind, texture)
    gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
    gl.glTexImage3D(
        kind, 0, gl.GL_SRGB8, width, height, len(pictures), 0, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, None
    )
    for layer, pixels in enumerate(pictures):
        gl.glTexSubImage3D(
            kind, 0, 0, 0, layer, width, height, 1, gl.GL_RGB, gl.GL_UNSIGNED_BYTE,
            np.ascontiguousarray(pixels),
        )  # fmt: skip
    gl.glGenerateMipmap(kind)
    for name, value in (
        (gl.GL_TEXTURE_MIN_FILTER, gl.GL_LINEAR_MIPMAP_LINEAR),
        (gl.GL_TEXTURE_MAG_FILTER, gl.GL_LINEAR),
        (gl.GL_TEXTURE_WRAP_S, gl.GL_REPEAT),
        (gl.GL_TEXTURE_WRAP_T, gl.GL_REPEAT),
    ):
        gl.glTexParameteri(kind, name, value)
    if _wants_anisotropy(gl):
        most = float(gl.glGetFloatv(_GL_MAX_TEXTURE_MAX_ANISOTROPY))
        level = min(most, _MAX_ANISOTROPY)
        gl.glTexParameterf(kind, _GL_TEXTURE_MAX_ANISOTROPY, level)
    return texture


def _wants_anisotropy(gl: ModuleType) -> bool:
    # Mesa's software rasteriser takes ten times as long for the whole pass with it.
    if any(name in gl.glGetString(gl.GL_RENDERER) for name in _SOFTWARE_RENDERERS):
        return False
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
        pixels = np.array(Image.fromarray(pixels).reduce(2))
    return pixels
